"""Statistics that a claim rests on, from scipy rather than by hand."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy warns of degenerate resamples, which the percentile method bears
        result = bootstrap(
            (data,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed)
        )
    return MeanCI(mean, float(result.confidence_interval.low), float(result.confidence_interval.high))
