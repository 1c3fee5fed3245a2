"""What a comparison says: figures with their intervals, and a verdict in a sentence. Pure; no torch."""

from __future__ import annotations

import bisect
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..judge.workbench.resampling import Figure
from .intervals import length_controlled, mean, position_rate, win_rate
from .record import Comparison, DuelDone, RowDone

Standing = Literal["better", "worse", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Duels of one source of prompts, or of one third of the prompts by length."""

    name: str
    n: int
    win_rate: Figure


@dataclass(frozen=True, kw_only=True)
class PairSummary:
    """The right model against the left one; wins are those of the right one. Failed judgements are in no figure."""

    left: int
    right: int
    n: int
    """Duels that were decided or tied."""
    wins: int
    losses: int
    ties: int
    """The inconsistent ones among them."""
    inconsistent: int
    errors: int
    win_rate: Figure
    """(wins + ties / 2) / n, 0.5 without a difference; Tango's score interval, which is Wilson's where nothing tied."""
    length_controlled: Figure
    """The win rate to expect at equal length in characters; bootstrapped over prompts."""
    first_position: Figure
    """Share of preferences, over both orders, for what was shown first: 0.5 without position bias."""
    mean_left: Figure
    mean_right: Figure
    """Judge scores, 0 to 10."""
    difference: Figure
    """Right minus left, paired by prompt, points."""
    length_left: float | None
    length_right: float | None
    """Mean tokens of a response."""
    by_length: tuple[Group, ...] = ()
    by_source: tuple[Group, ...] = ()
    standing: Standing
    """By the win rate where pairs were judged, else by the difference of scores."""
    verdict: str
    """One sentence for a person, with how many more prompts it would take where nothing is certain yet."""
    scored: int = 0
    """Prompts with a judge's score of both models."""
    needed: int | None
    """Prompts that would settle a difference of the size seen; None where it is settled, or there is none to settle."""


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A model among all compared: Bradley-Terry strength in log-odds against the first one."""

    model: int
    strength: Figure


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All models, the best first."""

    ranks: tuple[Rank, ...]
    note: str = ""
    """Why there is none."""


MAX_SOURCES = 12
"""Sources of prompts that are told one by one, those with the most pairs."""
WORTH = {"win": 1.0, "tie": 0.5, "loss": 0.0}


def summarise(comparison: Comparison, left: int = 0, right: int = 1, *, seed: int = 0) -> PairSummary:
    """The figures of two of the models, ``left < right``; the same record and seed give the same figures."""
    from .verdicts import verdict_of

    rows = {row.row: row for row in comparison.rows}
    asked = comparison.between(left, right)
    duels = [duel for duel in asked if duel.outcome != "error" and duel.row in rows]
    scores = _both_scores(comparison.rows, left, right)
    gaps = [b - a for a, b in scores]
    outcomes = [WORTH[duel.outcome] for duel in duels]
    places = [place for duel in duels for place in (duel.first, duel.second) if place in ("A", "B")]
    found = _counted(duels)
    figures = {
        "win_rate": found,
        "first_position": position_rate(places.count("A"), places.count("B"), max(1, len(duels))),
        "difference": mean(gaps, seed=seed),
    }
    answer = verdict_of(comparison, left, right, outcomes, gaps, **figures)
    return PairSummary(
        left=left,
        right=right,
        n=len(duels),
        wins=outcomes.count(1.0),
        losses=outcomes.count(0.0),
        ties=outcomes.count(0.5),
        inconsistent=sum(duel.inconsistent for duel in duels),
        errors=len(asked) - len(duels),
        length_controlled=length_controlled(outcomes, [_longer(rows[d.row], left, right) for d in duels], seed=seed),
        mean_left=mean([a for a, _ in scores], seed=seed),
        mean_right=mean([b for _, b in scores], seed=seed),
        length_left=_mean_tokens(comparison.rows, left),
        length_right=_mean_tokens(comparison.rows, right),
        by_length=_by_length(duels, rows),
        by_source=_by_source(duels, rows),
        scored=len(scores),
        standing=answer.standing,
        verdict=answer.sentence,
        needed=answer.needed,
        **figures,
    )


def _counted(duels: Iterable[DuelDone]) -> Figure:
    outcomes = [duel.outcome for duel in duels]
    return win_rate(outcomes.count("win"), outcomes.count("tie"), outcomes.count("loss"))


def _both_scores(rows: Iterable[RowDone], left: int, right: int) -> list[tuple[float, float]]:
    pairs = [(row.replies[left].score, row.replies[right].score) for row in rows]
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def _longer(row: RowDone, left: int, right: int) -> float:
    """Characters by which the right reply is longer: two models may count tokens differently."""
    return len(row.replies[right].text) - len(row.replies[left].text)


def _mean_tokens(rows: Sequence[RowDone], model: int) -> float | None:
    return statistics.fmean(row.replies[model].tokens for row in rows) if rows else None


def _by_length(duels: Sequence[DuelDone], rows: dict[int, RowDone]) -> tuple[Group, ...]:
    """Thirds of the prompts by length; prompts of one length stay together, so the thirds may be uneven."""
    lengths = sorted(rows[duel.row].prompt_tokens for duel in duels)
    distinct = sorted(set(lengths))
    if len(distinct) < 3:
        return ()
    short = _nearest(lengths, distinct[:-2], len(lengths) / 3)
    middle = _nearest(lengths, [length for length in distinct[:-1] if length > short], 2 * len(lengths) / 3)
    limits = ((f"up to {short} tokens", 0, short), (f"{short + 1} to {middle} tokens", short + 1, middle),
              (f"from {middle + 1} tokens", middle + 1, lengths[-1]))  # fmt: skip
    return tuple(
        _group(name, [duel for duel in duels if low <= rows[duel.row].prompt_tokens <= high])
        for name, low, high in limits
    )


def _nearest(lengths: Sequence[int], candidates: Sequence[int], wanted: float) -> int:
    """The length up to which the number of prompts is nearest to ``wanted``."""
    return min(candidates, key=lambda limit: abs(bisect.bisect_right(lengths, limit) - wanted))


def _by_source(duels: Sequence[DuelDone], rows: dict[int, RowDone]) -> tuple[Group, ...]:
    """One group per source, the largest first; none where the data names fewer than two."""
    sources: dict[str, list[DuelDone]] = {}
    for duel in duels:
        sources.setdefault(rows[duel.row].source, []).append(duel)
    if len(sources) < 2:
        return ()
    largest = sorted(sources.items(), key=lambda item: (-len(item[1]), item[0]))[:MAX_SOURCES]
    return tuple(_group(name or "without a source", those) for name, those in largest)


def _group(name: str, duels: Sequence[DuelDone]) -> Group:
    return Group(name=name, n=len(duels), win_rate=_counted(duels))


def ranking(comparison: Comparison, *, seed: int = 0) -> Ranking:
    """All models in one order, by Bradley and Terry's model of the duels."""
    from .ranks import ranking_of

    return ranking_of(comparison, seed)


def to_json(comparison: Comparison, *, seed: int = 0) -> dict[str, Any]:
    """The object of ``rlaif-tui compare --json``: the first two models, and with more of them ``pairs`` and
    ``ranking`` besides. Shares are 0 to 1, scores 0 to 10; what could not be computed is null.
    """
    header, finished = comparison.header, comparison.finished
    first = summarise(comparison, 0, 1, seed=seed)
    whole: dict[str, Any] = {
        **_pair_json(comparison, first),
        "id": comparison.id,
        "record": str(comparison.path),
        "data": header.data,
        "rows": header.rows,
        "judge": header.judge,
        "judge_version": header.judge_version,
        "pair_judge": header.pair_judge,
        "seed": header.settings.seed,
        "models": [
            {"label": m.label, "named": m.named, "title": m.title, "kind": m.kind, "fingerprint": m.fingerprint}
            for m in comparison.models
        ],
        "cost_usd": finished.cost_usd if finished else None,
        "error": finished.error if finished else "",
    }
    if len(comparison.models) > 2:
        count = len(comparison.models)
        pairs = [first if (i, j) == (0, 1) else summarise(comparison, i, j, seed=seed)
                 for i in range(count) for j in range(i + 1, count)]  # fmt: skip
        ranks = ranking(comparison, seed=seed)
        whole["pairs"] = [_pair_json(comparison, pair) for pair in pairs]
        whole["ranking"] = [
            {"model": comparison.models[rank.model].named, "label": comparison.models[rank.model].label,
             "strength": rank.strength.value, "ci95": _interval(rank.strength)}
            for rank in ranks.ranks
        ]  # fmt: skip
        whole["ranking_note"] = ranks.note
    return whole


def _pair_json(comparison: Comparison, pair: PairSummary) -> dict[str, Any]:
    return {
        "n": pair.n if comparison.header.pair_judge else pair.scored,
        "a": comparison.models[pair.left].named,
        "b": comparison.models[pair.right].named,
        "wins": pair.wins,
        "losses": pair.losses,
        "ties": pair.ties,
        "inconsistent": pair.inconsistent,
        "errors": pair.errors,
        "win_rate": pair.win_rate.value,
        "ci95": _interval(pair.win_rate),
        "length_controlled_win_rate": pair.length_controlled.value,
        "length_controlled_ci95": _interval(pair.length_controlled),
        "first_position_rate": pair.first_position.value,
        "first_position_ci95": _interval(pair.first_position),
        "scored": pair.scored,
        "mean_a": pair.mean_left.value,
        "mean_b": pair.mean_right.value,
        "difference": pair.difference.value,
        "difference_ci95": _interval(pair.difference),
        "mean_tokens_a": pair.length_left,
        "mean_tokens_b": pair.length_right,
        "by_length": [_group_json(group) for group in pair.by_length],
        "by_source": [_group_json(group) for group in pair.by_source],
        "standing": pair.standing,
        "verdict": pair.verdict,
        "prompts_needed": pair.needed,
    }


def _group_json(group: Group) -> dict[str, Any]:
    return {"name": group.name, "n": group.n, "win_rate": group.win_rate.value, "ci95": _interval(group.win_rate)}


def _interval(figure: Figure) -> list[float] | None:
    return list(figure.ci95) if figure.ci95 else None
