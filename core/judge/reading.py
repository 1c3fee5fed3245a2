"""What a judge's reply says: a score with what came with it, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from ..types import SCORE_HIGH, UnreadableKind

MIN_LABEL_MASS = 0.5


@dataclass(frozen=True)
class Scale:
    """The range that a judge marks on."""

    low: float = 0.0
    high: float = 10.0

    def normalised(self, score: float) -> float:
        """``score`` on the product's 0-10 scale. Raises ``ValueError`` out of range and for NaN, never clamps."""
        if not self.low <= score <= self.high:
            raise ValueError(f"score {score} is outside {self.low:g}..{self.high:g}")
        return SCORE_HIGH * (score - self.low) / (self.high - self.low)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A score on the judge's own scale, as read from one reply."""

    score: float
    reason: str = ""
    criteria: Mapping[str, float] | None = None
    """Score per criterion, on the judge's own scale."""
    distribution: tuple[tuple[float, float], ...] | None = None
    """(score on the judge's own scale, probability), probabilities summing to 1."""
    label_mass: float | None = None
    steering_p: float | None = None
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Unreadable:
    """A reply without a score: never an exception, never a default score."""

    kind: UnreadableKind
    message: str


def expected(
    levels: Mapping[float, float], *, steering_p: float | None = None, reason: str = ""
) -> Reading | Unreadable:
    """The mean of a distribution over levels: ``levels`` maps a score to its raw probability.

    The probabilities are scaled to sum to 1; below a mass of ``MIN_LABEL_MASS`` the judge was about to say something
    else than a label, and nothing is made of it (arXiv:2309.00267, section 2.1; arXiv:2503.03064).
    """
    mass = math.fsum(levels.values())
    if not (math.isfinite(mass) and all(math.isfinite(p) and p >= 0 for p in levels.values())):
        return Unreadable("no_verdict", "the reply's probabilities are not numbers of 0 or more")
    if mass < MIN_LABEL_MASS or mass > 1.0 + 1e-3:
        share = f"the labels hold {mass:.2f} of the probability"
        wanted = f"at least {MIN_LABEL_MASS:g} is needed" if mass < 1 else "at most 1 is possible"
        return Unreadable("low_label_mass" if mass < MIN_LABEL_MASS else "no_verdict", f"{share}; {wanted}")
    distribution = tuple((score, p / mass) for score, p in sorted(levels.items()))
    low, high = distribution[0][0], distribution[-1][0]
    mean = min(high, max(low, math.fsum(score * p for score, p in distribution)))  # the last bit may be outside
    return Reading(score=mean, distribution=distribution, label_mass=mass, steering_p=steering_p, reason=reason)


def spread_of(distribution: tuple[tuple[float, float], ...]) -> float:
    """Standard deviation of a distribution over scores, in its points."""
    mean = math.fsum(score * p for score, p in distribution)
    return math.sqrt(max(0.0, math.fsum(p * (score - mean) ** 2 for score, p in distribution)))
