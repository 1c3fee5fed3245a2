"""Statistics that a claim rests on, from scipy rather than by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .judge.workbench.resampling import unwarned

RESAMPLES = 2000


@dataclass(frozen=True)
class MeanCI:
    """A mean with its 95 % bootstrap confidence interval."""

    mean: float
    low: float
    high: float


def bootstrap_mean(values: Sequence[float], seed: int = 0) -> MeanCI | None:
    """Mean and percentile bootstrap CI (2,000 resamples, seeded); None for no values.

    Of one value, or equal ones, the interval is the value itself: there is no spread to resample.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if not values:
        return None
    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2 or float(np.ptp(data)) == 0.0:
        return MeanCI(mean, mean, mean)
    with unwarned():  # scipy warns of degenerate resamples, which the percentile method bears
        result = bootstrap(
            (data,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
        )
    return MeanCI(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))


@dataclass(frozen=True)
class Line:
    """``new = slope * old + intercept``; None where it is not defined."""

    slope: float | None
    intercept: float | None


def spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Rank correlation of pairs; None for fewer than 3, or where one side does not vary."""
    from scipy.stats import spearmanr

    if not _varies(pairs):
        return None
    return float(spearmanr([old for old, _ in pairs], [new for _, new in pairs]).statistic)


def fitted_line(pairs: Sequence[tuple[float, float]]) -> Line | None:
    """Least squares of the second value on the first; None for fewer than 3, or where one side does not vary."""
    from scipy.stats import linregress

    if not _varies(pairs):
        return None
    fit = linregress([old for old, _ in pairs], [new for _, new in pairs])
    return Line(float(fit.slope), float(fit.intercept))


def _varies(pairs: Sequence[tuple[float, float]]) -> bool:
    return len(pairs) > 2 and all(len(set(side)) > 1 for side in zip(*pairs, strict=True))
