"""What judging a run will take: calls, tokens, dollars and time, as a range. Pure arithmetic on what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .samples import ScoreReport

FEW = 10
FEW_FACTOR = 2.0
"""With fewer measured judgements than ``FEW`` the range is at least half to twice the mean, whatever their interval."""


@dataclass(frozen=True)
class Range:
    """A low and a high estimate."""

    low: float
    high: float

    def times(self, factor: Range) -> Range:
        """Both ends multiplied; for numbers of 0 or more."""
        return Range(self.low * factor.low, self.high * factor.high)

    def to_json(self) -> list[float]:
        return [self.low, self.high]


@dataclass(frozen=True, kw_only=True)
class Load:
    """The judging of a run."""

    rollouts: int
    """Responses per step."""
    steps: int
    repeats: int = 1
    referee_share: float = 0.0
    hit_rate: tuple[float, float] = (0.0, 0.0)
    """Share of judgements that the cache will answer, low and high."""
    concurrency: int = 8

    @property
    def judgements(self) -> Range:
        """``rollouts * steps * repeats * (1 + referee share) * (1 - hit rate)``."""
        all_ = self.rollouts * self.steps * self.repeats * (1.0 + self.referee_share)
        return Range(all_ * (1.0 - self.hit_rate[1]), all_ * (1.0 - self.hit_rate[0]))


@dataclass(frozen=True, kw_only=True)
class PerJudgement:
    """What one judgement takes, as a range; dollars are None where no price is known."""

    measured: int
    calls: Range
    input_tokens: Range
    output_tokens: Range
    cost_usd: Range | None
    seconds: Range


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a run will take."""

    judgements: Range
    calls: Range
    tokens: Range
    cost_usd: Range | None
    seconds: Range
    """Of judging alone, with all calls in flight that may be."""

    def to_json(self) -> dict[str, Any]:
        return {
            "judgements": self.judgements.to_json(),
            "calls": self.calls.to_json(),
            "tokens": self.tokens.to_json(),
            "cost_usd": self.cost_usd.to_json() if self.cost_usd else None,
            "seconds": self.seconds.to_json(),
        }


def measured(report: ScoreReport) -> PerJudgement | None:
    """Per judgement, from the samples that were really asked; None where nothing was, as with a full cache."""
    asked = [s for s in report.samples if not s.cached and s.status not in ("skipped_empty", "budget")]
    if not asked:
        return None
    times = [max(1, len(s.repeat_scores)) for s in asked]

    def per(values: Sequence[float]) -> Range:
        return mean_range([value / count for value, count in zip(values, times, strict=True)])

    usages = [s.usage for s in asked]
    return PerJudgement(
        measured=len(asked),
        calls=per([s.requests for s in asked]),
        input_tokens=per([u.input_tokens if u else 0 for u in usages]),
        output_tokens=per([u.output_tokens if u else 0 for u in usages]),
        cost_usd=None if report.cost_source == "unknown" else per([s.cost_usd for s in asked]),
        seconds=mean_range([s.latency_s for s in asked]),
    )


def mean_range(values: Sequence[float]) -> Range:
    """95 % interval of the mean (Student's t, scipy); of fewer than ten values at least half to twice the mean."""
    mean = math.fsum(values) / len(values)
    low = high = mean
    if len(values) > 1 and min(values) != max(values):
        from scipy.stats import sem, t

        half = float(t.ppf(0.975, len(values) - 1) * sem(values))
        low, high = max(0.0, mean - half), mean + half
    if len(values) < FEW:
        low, high = min(low, mean / FEW_FACTOR), max(high, mean * FEW_FACTOR)
    return Range(low, high)


def forecast(per: PerJudgement, load: Load) -> Forecast:
    """The range for a run: lows times lows, highs times highs."""
    judgements = load.judgements
    tokens = Range(per.input_tokens.low + per.output_tokens.low, per.input_tokens.high + per.output_tokens.high)
    waves = Range(judgements.low / load.concurrency, judgements.high / load.concurrency)
    return Forecast(
        judgements=judgements,
        calls=judgements.times(per.calls),
        tokens=judgements.times(tokens),
        cost_usd=judgements.times(per.cost_usd) if per.cost_usd else None,
        seconds=waves.times(per.seconds),
    )
