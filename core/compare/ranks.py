"""All models in one order: Bradley and Terry's model (Biometrika 39:324-345, 1952), fitted by the ``choix`` library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..judge.workbench.resampling import LEVEL, Figure
from .record import Comparison
from .summary import Rank, Ranking

if TYPE_CHECKING:
    from ..judge.workbench.resampling import Numbers

RESAMPLES = 500
"""Fits for an interval; each takes the library about a millisecond."""
PRIOR = 0.5
"""Wins that each model is given over each other one, so that one that never lost has a strength that is finite."""


def ranking_of(comparison: Comparison, seed: int) -> Ranking:
    """Strengths in log-odds against the first model, the strongest first, with bootstrap intervals over prompts.

    A tie counts as half a win for each. Where no pairs were judged, the higher score counts as a win.
    """
    import numpy as np

    by_duels = any(duel.outcome != "error" for duel in comparison.duels)
    table = _from_duels(comparison) if by_duels else _from_scores(comparison)
    if not len(table):
        return Ranking(ranks=(), note="no two replies were judged")
    strengths = _strengths(table.sum(axis=0))
    rng = np.random.default_rng(seed)
    n = len(table)
    drawn = np.stack([_strengths(table[rng.integers(0, n, n)].sum(axis=0)) for _ in range(RESAMPLES)])
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
    ranks = [Rank(model=0, strength=Figure(0.0, None, "the others are measured against it"))]
    for model in range(1, len(strengths)):
        value = float(strengths[model])
        if low[model] == high[model]:
            figure = Figure(value, None, "all prompts say the same, so there is no spread to draw")
        else:
            figure = Figure(value, (min(value, float(low[model])), max(value, float(high[model]))))
        ranks.append(Rank(model=model, strength=figure))
    ranks.sort(key=lambda rank: (-(rank.strength.value or 0.0), rank.model))
    note = "" if by_duels else "pairs were not judged: the higher score counts as a win"
    return Ranking(ranks=tuple(ranks), note=note)


def _strengths(wins: Numbers) -> Numbers:
    import choix
    import numpy as np

    padded = wins + PRIOR * (1 - np.eye(len(wins)))
    found: Numbers = choix.ilsr_pairwise_dense(padded, tol=1e-6)
    return np.asarray(found - found[0])


def _from_duels(comparison: Comparison) -> Numbers:
    """(prompts, models, models) wins of the first over the second one."""
    import numpy as np

    count = len(comparison.models)
    tables: dict[int, Numbers] = {}
    for duel in comparison.duels:
        if duel.outcome == "error":
            continue
        table = tables.setdefault(duel.row, np.zeros((count, count)))
        worth = {"win": 1.0, "tie": 0.5, "loss": 0.0}[duel.outcome]
        table[duel.right, duel.left] += worth
        table[duel.left, duel.right] += 1 - worth
    return np.stack([tables[row] for row in sorted(tables)]) if tables else np.zeros((0, count, count))


def _from_scores(comparison: Comparison) -> Numbers:
    import numpy as np

    count = len(comparison.models)
    tables = []
    for row in comparison.rows:
        scores = [reply.score for reply in row.replies]
        table = np.zeros((count, count))
        for i, a in enumerate(scores):
            for j, b in enumerate(scores):
                if i != j and a is not None and b is not None:
                    table[i, j] = 0.5 if a == b else float(a > b)
        if table.any():
            tables.append(table)
    return np.stack(tables) if tables else np.zeros((0, count, count))
