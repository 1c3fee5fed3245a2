"""A figure and its bootstrap interval over prompts: scipy resamples, whole prompts at a time."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Indices = npt.NDArray[np.intp]
    Numbers = npt.NDArray[np.float64]

RESAMPLES = 2000
BATCH = 250
"""Resamples computed at once, to bound memory."""
LEVEL = 0.95
MIN_DEFINED = 0.9
"""Share of resamples in which a statistic must be defined for its interval to mean anything."""


@dataclass(frozen=True)
class Figure:
    """A number, its 95 % interval where there is one, and why something is missing."""

    value: float | None
    ci95: tuple[float, float] | None = None
    why: str = ""

    def to_json(self) -> dict[str, Any]:
        return {"value": self.value, "ci95": list(self.ci95) if self.ci95 else None, "why": self.why}


def nothing(why: str) -> Figure:
    """No value, and the reason."""
    return Figure(None, None, why)


def members(clusters: Sequence[Hashable]) -> list[list[int]]:
    """Row numbers of each cluster, in order of appearance."""
    rows: dict[Hashable, list[int]] = {}
    for row, cluster in enumerate(clusters):
        rows.setdefault(cluster, []).append(row)
    return list(rows.values())


def of_rows(
    statistic: Callable[[Indices], float], count: int, clusters: Sequence[Hashable] | None, seed: int, value: float
) -> Figure:
    """``value`` with an interval of ``statistic`` of the rows of resampled clusters."""
    import numpy as np

    groups = [np.asarray(rows) for rows in members(range(count) if clusters is None else clusters)]

    def of_clusters(drawn: Indices) -> float:
        return statistic(np.concatenate([groups[int(index)] for index in drawn]))

    return bootstrapped(of_clusters, len(groups), seed, value, vectorized=False)


def of_sums(
    columns: Sequence[Any],
    formula: Callable[[Numbers], Numbers],
    clusters: Sequence[Hashable] | None,
    seed: int,
    value: float,
) -> Figure:
    """``value`` with an interval of ``formula`` of the columns' sums over the rows of resampled clusters."""
    import numpy as np

    table = np.stack(columns, axis=-1).astype(float)
    if clusters is not None:
        table = np.stack([table[rows].sum(axis=0) for rows in members(clusters)])

    def of_clusters(drawn: Indices, axis: int) -> Numbers:
        return formula(table[np.moveaxis(drawn, axis, -1)].sum(axis=-2))

    return bootstrapped(of_clusters, len(table), seed, value, vectorized=True)


_filters = threading.Lock()


@contextlib.contextmanager
def unwarned() -> Iterator[None]:
    """Without warnings. One thread at a time: the filters are the process's, and each would put back the other's."""
    with _filters, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def bootstrapped(statistic: Callable[..., Any], clusters: int, seed: int, value: float, *, vectorized: bool) -> Figure:
    """The percentile interval of scipy's bootstrap, where the statistic is defined in nearly all resamples.

    It is widened to hold ``value`` itself, which ties can push out of it.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if clusters < 2:
        return Figure(value, None, "one prompt alone says nothing of the spread over prompts")
    with unwarned(), np.errstate(all="ignore"):  # scipy's own interval of a distribution with gaps is not used
        result = bootstrap(
            (np.arange(clusters),), statistic, n_resamples=RESAMPLES, batch=BATCH, vectorized=vectorized,
            method="percentile", rng=np.random.default_rng(seed),
        )  # fmt: skip
    drawn = result.bootstrap_distribution[np.isfinite(result.bootstrap_distribution)]
    if len(drawn) < MIN_DEFINED * RESAMPLES:
        return Figure(value, None, "too few different values for an interval")
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, (min(value, float(low)), max(value, float(high))))
