"""Figures with their intervals, from scipy and scikit-learn. What cannot be computed is None and says why, never NaN.

``clusters`` names the prompt of each value: responses to one prompt are drawn together, because they are not
independent of each other. Intervals are 95 % ones; bootstraps are percentile ones, seeded.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import TYPE_CHECKING

from .resampling import LEVEL, Figure, members, nothing, of_rows, of_sums

if TYPE_CHECKING:
    from .resampling import Indices, Numbers

MIN_RANKED = 4
"""Values below which a correlation is not worth naming: of three, every order is likely by chance."""
MIN_REGRESSED = 10


def share(hits: int, total: int) -> Figure:
    """``hits`` of ``total`` with Wilson's score interval (scipy's ``binomtest``)."""
    if total == 0:
        return nothing("nothing to count")
    from scipy.stats import binomtest

    interval = binomtest(hits, total).proportion_ci(LEVEL, method="wilson")
    return Figure(hits / total, (float(interval.low), float(interval.high)))


def mean(values: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0) -> Figure:
    """Mean with a bootstrap interval over prompts."""
    if not values:
        return nothing("no values")
    import numpy as np

    data = np.asarray(values, dtype=float)
    columns = (np.ones_like(data), data)
    return of_sums(columns, lambda sums: sums[..., 1] / sums[..., 0], clusters, seed, float(data.mean()))


def spearman(
    left: Sequence[float], right: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Figure:
    """Spearman's rank correlation (scipy), with a bootstrap interval over prompts."""
    if len(left) < MIN_RANKED:
        return nothing(f"a rank correlation needs at least {MIN_RANKED} values, there are {len(left)}")
    for values, what in ((left, "scores of the first kind"), (right, "scores of the second kind")):
        if len(set(values)) == 1:
            return nothing(f"all {what} are equal ({values[0]:g})")
    import numpy as np
    from scipy.stats import rankdata, spearmanr

    x, y = np.asarray(left, dtype=float), np.asarray(right, dtype=float)

    def resampled(rows: Indices) -> float:
        # spearmanr is this same correlation of midranks; called so it costs a third.
        a, b = rankdata(x[rows]), rankdata(y[rows])
        return math.nan if np.ptp(a) == 0 or np.ptp(b) == 0 else float(np.corrcoef(a, b)[0, 1])

    return of_rows(resampled, len(x), clusters, seed, float(spearmanr(x, y).statistic))


def kappa(
    marks: Sequence[float], labels: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Figure:
    """Quadratic weighted kappa (scikit-learn) of marks and labels, both rounded to whole points 0-10."""
    if len(marks) < 2:
        return nothing(f"kappa needs at least 2 values, there are {len(marks)}")
    import numpy as np

    a, b = (np.floor(np.asarray(values, dtype=float) + 0.5).astype(int) for values in (marks, labels))
    if len({*a.tolist(), *b.tolist()}) == 1:
        return nothing("judge and person gave one and the same mark throughout")
    from sklearn.metrics import cohen_kappa_score

    value = float(cohen_kappa_score(a, b, weights="quadratic", labels=range(11)))
    columns = (np.ones(len(a)), a, b, a * a, b * b, (a - b) ** 2)
    return of_sums(columns, _kappa_of_sums, clusters, seed, value)


def _kappa_of_sums(sums: Numbers) -> Numbers:
    """Quadratic kappa is 1 - mean square difference / (variances + square of the bias): the same, 100 times faster."""
    a, b, aa, bb, dd = (sums[..., k] / sums[..., 0] for k in range(1, 6))
    return 1.0 - dd / ((aa - a * a) + (bb - b * b) + (a - b) ** 2)


def concordance(
    marks: Sequence[float], labels: Sequence[float], clusters: Sequence[Hashable], *, seed: int = 0
) -> Figure:
    """Share of pairs within a prompt that the marks order as the labels do; equal marks count 1/2.

    Pairs with equal labels say nothing and are left out. The interval is over prompts.
    """
    right, total = [], []
    for rows in members(clusters):
        pairs = [(i, j) for k, i in enumerate(rows) for j in rows[:k] if labels[i] != labels[j]]
        agree = [(marks[i] - marks[j]) * (labels[i] - labels[j]) for i, j in pairs]
        if pairs:
            right.append(sum(0.5 if a == 0 else float(a > 0) for a in agree))
            total.append(len(pairs))
    if not total:
        return nothing("no prompt has two responses with different labels")
    import numpy as np

    good, all_ = np.asarray(right), np.asarray(total, dtype=float)
    value = float(good.sum() / all_.sum())
    return of_sums((all_, good), lambda sums: sums[..., 1] / sums[..., 0], None, seed, value)


def slope(
    lengths: Sequence[float], marks: Sequence[float], clusters: Sequence[Hashable] | None = None, *, seed: int = 0
) -> Figure:
    """Points of score per 100 characters of response: scipy's least squares line, with an interval over prompts."""
    if len(marks) < MIN_RANKED:
        return nothing(f"a slope needs at least {MIN_RANKED} values, there are {len(marks)}")
    if len(set(lengths)) == 1:
        return nothing("all responses are equally long")
    import numpy as np
    from scipy.stats import linregress

    x, y = np.asarray(lengths, dtype=float) / 100.0, np.asarray(marks, dtype=float)

    value = float(linregress(x, y).slope)
    return of_sums((np.ones_like(x), x, y, x * x, x * y), _slope_of_sums, clusters, seed, value)


def _slope_of_sums(sums: Numbers) -> Numbers:
    """The least squares slope from n and the sums of x, y, x*x, x*y."""
    n, x, y, xx, xy = (sums[..., k] for k in range(5))
    return (n * xy - x * y) / (n * xx - x * x)


def retest_sd(repeats: Iterable[Sequence[float]]) -> Figure:
    """Standard deviation of one judgement around its response's mean: root of the mean sample variance."""
    import numpy as np

    variances = [float(np.var(scores, ddof=1)) for scores in repeats if len(scores) > 1]
    if not variances:
        return nothing("no response was judged more than once")
    return Figure(math.sqrt(math.fsum(variances) / len(variances)))


def within_sd(marks: Sequence[float], clusters: Sequence[Hashable]) -> Figure:
    """Standard deviation of scores around their prompt's mean, pooled over prompts with two responses or more."""
    import numpy as np

    groups = [[marks[i] for i in rows] for rows in members(clusters) if len(rows) > 1]
    if not groups:
        return nothing("no prompt has two scored responses")
    squares = math.fsum(float(np.var(group)) * len(group) for group in groups)
    return Figure(math.sqrt(squares / sum(len(group) - 1 for group in groups)))


def signal_to_noise(within: Figure, retest: Figure, repeats_in_use: int = 1) -> Figure:
    """Reward SNR: deviation within a prompt over that of a verdict, the mean of ``repeats_in_use`` judgements."""
    if within.value is None or retest.value is None:
        return nothing(retest.why or within.why)
    if retest.value == 0:
        return nothing("repeated judgements agree exactly: there is no noise to divide by")
    return Figure(within.value / (retest.value / math.sqrt(repeats_in_use)))


def length_controlled(wins: Sequence[bool], differences: Sequence[float]) -> Figure:
    """Accuracy to expect of pairs of equal length: a logistic curve of ``wins`` over the length difference, at 0.

    ``differences`` is length of the better answer minus that of the worse. After arXiv:2404.04475, with scikit-learn.
    """
    if len(wins) < MIN_REGRESSED:
        return nothing(f"needs at least {MIN_REGRESSED} decided pairs, there are {len(wins)}")
    if len(set(wins)) == 1:
        return nothing("every pair was decided the same way: nothing to correct")
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    x = np.asarray(differences, dtype=float)
    scale = float(np.sqrt((x**2).mean()))
    if scale == 0:
        return nothing("all pairs are of equal length")
    fit = LogisticRegression().fit(np.tanh(x / scale)[:, None], np.asarray(wins, dtype=int))
    return Figure(float(fit.predict_proba(np.zeros((1, 1)))[0, 1]))
