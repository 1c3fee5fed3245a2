"""Intervals of a comparison: of a win rate with ties, of a paired difference, of a win rate at equal length.

All are 95 % ones over prompts. What cannot be computed is None and says why.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..judge.workbench.resampling import LEVEL, RESAMPLES, Figure, nothing

if TYPE_CHECKING:
    from ..judge.workbench.resampling import Numbers

Z = 1.959963984540054
"""Normal quantile of ``LEVEL``, two-sided."""
Z_POWER = 0.8416212335729143
"""Normal quantile of a power of 80 %."""
MIN_REGRESSED = 10
"""Pairs below which no curve is fitted."""
_BISECTIONS = 60
_NEWTON_STEPS = 30
RIDGE = 0.05
"""Weight of the square of the length coefficient in the fit: it keeps separated data finite, and no more."""
_FARTHEST = 15.0
"""Log-odds beyond which a fitted rate is 0 or 1 for every purpose: separated resamples would run to infinity."""
_BATCH_CELLS = 1 << 21
"""Numbers of resamples held at once."""


def win_rate(wins: int, ties: int, losses: int) -> Figure:
    """(wins + ties / 2) / n with Tango's score interval for paired proportions (Statist. Med. 17:891-908, 1998).

    The rate is 1/2 + (P(win) - P(loss)) / 2, and the interval holds the differences that the score test does not
    reject. It is Wilson's idea with ties: it keeps its coverage near 0 and 1, where a bootstrap has no spread to draw.
    """
    n = wins + ties + losses
    if n == 0:
        return nothing("no pair was decided or tied")
    value = (wins + ties / 2) / n
    return Figure(value, (_limit(wins, losses, n, upper=False), _limit(wins, losses, n, upper=True)))


def _limit(wins: int, losses: int, n: int, *, upper: bool) -> float:
    """Where the score statistic of the rate reaches the quantile; it falls as the supposed rate rises."""
    if upper:
        return 1.0 - _limit(losses, wins, n, upper=False)
    low, high = -1.0, (wins - losses) / n
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if _score(wins, losses, n, middle) < Z else (middle, high)
    return 0.5 + low / 2


def _score(wins: int, losses: int, n: int, delta: float) -> float:
    """Tango's statistic of P(win) - P(loss) = ``delta``, the nuisance at its restricted maximum likelihood."""
    a, b = 2 * n, -wins - losses + (2 * n - wins + losses) * delta
    c = -losses * delta * (1 - delta)
    loss = (math.sqrt(max(0.0, b * b - 4 * a * c)) - b) / (2 * a)
    variance = n * (2 * loss + delta * (1 - delta))
    return (wins - losses - n * delta) / math.sqrt(variance) if variance > 0 else math.inf


def position_rate(first: int, second: int, prompts: int) -> Figure:
    """Share of preferences for what was shown first. Two orders of one pair lean on each other, so it is counted as if
    there were one preference per prompt: the interval is Wilson's on ``prompts``, and rather too wide.
    """
    if first + second == 0:
        return nothing("no order had a preference")
    from scipy.stats import norm

    value, z = first / (first + second), float(norm.ppf((1 + LEVEL) / 2))
    centre, spread = value + z * z / (2 * prompts), value * (1 - value) / prompts + (z / (2 * prompts)) ** 2
    share, reach = 1 + z * z / prompts, z * math.sqrt(spread)
    return Figure(value, (max(0.0, (centre - reach) / share), min(1.0, (centre + reach) / share)))


def mean(values: Sequence[float], *, seed: int = 0) -> Figure:
    """Mean of one value per prompt with an expanded percentile bootstrap interval (Hesterberg, arXiv:1411.5279, 5.3).

    Resamples spread less than samples do, by (n - 1) / n and without a t distribution's tails; the percentiles are
    moved out by as much.
    """
    if not values:
        return nothing("no values")
    import numpy as np
    from scipy.stats import norm, t

    data = np.asarray(values, dtype=float)
    value, n = float(data.mean()), len(data)
    if n < 2:
        return Figure(value, None, "one prompt alone says nothing of the spread over prompts")
    if float(np.ptp(data)) == 0.0:
        return Figure(value, (value, value))
    outside = float(norm.cdf(math.sqrt(n / (n - 1)) * t.ppf((1 - LEVEL) / 2, n - 1)))
    rng = np.random.default_rng(seed)
    rows = max(1, _BATCH_CELLS // n)
    drawn = np.concatenate(
        [data[rng.integers(0, n, (min(rows, RESAMPLES - done), n))].mean(axis=1) for done in range(0, RESAMPLES, rows)]
    )
    low, high = np.quantile(drawn, [outside, 1 - outside])
    return Figure(value, (min(value, float(low)), max(value, float(high))))


def length_controlled(outcomes: Sequence[float], lengths: Sequence[float], *, seed: int = 0) -> Figure:
    """Win rate to expect at equal length: a logistic curve of the outcome over the length difference, read at 0.

    ``outcomes`` are 1, 1/2 or 0; a tie counts as half a win and half a loss. ``lengths`` are those of the same
    responses minus the others', any unit. The curve is that of AlpacaEval 2 (arXiv:2404.04475, eq. 2, without the terms
    that need many models): log-odds = a + b tanh(difference / its deviation), fitted by scikit-learn with a slight
    ridge on b. The interval is a bootstrap over prompts.
    """
    if len(outcomes) < MIN_REGRESSED:
        return nothing(f"needs at least {MIN_REGRESSED} pairs, there are {len(outcomes)}")
    import numpy as np

    y, x = np.asarray(outcomes, dtype=float), np.asarray(lengths, dtype=float)
    counts = (int((y == 1).sum()), int((y == 0.5).sum()), int((y == 0).sum()))
    raw = win_rate(*counts)
    if len(set(outcomes)) == 1:
        return Figure(raw.value, raw.ci95, "every pair ended the same way: nothing to correct")
    scale = float(x.std())
    if scale == 0:
        if x[0] == 0:
            return Figure(raw.value, raw.ci95, "all pairs are of equal length: nothing to correct")
        return nothing("the lengths differ by the same everywhere: their effect cannot be told apart")
    covariate = np.tanh(x / scale)
    value = _fitted(covariate, y)
    n, rng = len(y), np.random.default_rng(seed)
    rows = max(1, _BATCH_CELLS // n)
    drawn = []
    for done in range(0, RESAMPLES, rows):
        chosen = rng.integers(0, n, (min(rows, RESAMPLES - done), n))
        drawn.append(intercepts(covariate[chosen], y[chosen]))
    low, high = np.quantile(1 / (1 + np.exp(-np.concatenate(drawn))), [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Figure(value, (min(value, float(low)), max(value, float(high))))


def _fitted(x: Numbers, y: Numbers) -> float:
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    weights = np.concatenate([y, 1 - y])
    fit = LogisticRegression(C=1 / RIDGE, tol=1e-8, max_iter=1000).fit(
        np.tile(x, 2)[:, None], np.repeat([1, 0], len(x)), sample_weight=weights
    )
    return float(fit.predict_proba(np.zeros((1, 1)))[0, 1])


def intercepts(x: Numbers, y: Numbers) -> Numbers:
    """Intercept of scikit-learn's logistic curve for each row of (resamples, prompts), by Newton's method at once."""
    import numpy as np

    a, b = np.zeros(len(x)), np.zeros(len(x))
    for _ in range(_NEWTON_STEPS):
        p = 1 / (1 + np.exp(-(a[:, None] + b[:, None] * x)))
        w = p * (1 - p)
        residual = y - p
        at_a, at_b = residual.sum(axis=1), (residual * x).sum(axis=1) - RIDGE * b
        aa, ab, bb = w.sum(axis=1) + 1e-9, (w * x).sum(axis=1), (w * x * x).sum(axis=1) + RIDGE
        determinant = aa * bb - ab * ab
        step_a = np.clip((bb * at_a - ab * at_b) / determinant, -2, 2)
        step_b = np.clip((aa * at_b - ab * at_a) / determinant, -2, 2)
        a, b = np.clip(a + step_a, -_FARTHEST, _FARTHEST), b + step_b
        if max(np.abs(step_a).max(), np.abs(step_b).max()) < 1e-8:
            break
    return a


def prompts_needed(values: Sequence[float], centre: float) -> int | None:
    """Prompts with which a two-sided 5 % test finds a mean of this size with a power of 80 %, at the variance seen.

    n = (z_0.975 + z_0.8)^2 variance / (mean - centre)^2; None for no difference, or one of equal values.
    """
    n = len(values)
    if n < 2:
        return None
    average = math.fsum(values) / n
    variance = math.fsum((value - average) ** 2 for value in values) / (n - 1)
    if average == centre or variance == 0:
        return None
    return math.ceil((Z + Z_POWER) ** 2 * variance / (average - centre) ** 2)
