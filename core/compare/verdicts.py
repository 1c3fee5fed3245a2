"""What a comparison says in one sentence: better, worse or not distinguishable, and how much more it would take."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..judge.workbench.resampling import Figure
from .intervals import prompts_needed
from .record import Comparison
from .summary import Standing

ENORMOUS = 100_000
"""Prompts beyond which a number says no more than that nobody has so many."""
BIASED = 0.5
"""Share of first places that an interval must leave out for the judge to be called biased by position."""


@dataclass(frozen=True)
class Answer:
    """The verdict and what it stands on."""

    standing: Standing
    sentence: str
    needed: int | None = None


def verdict_of(
    comparison: Comparison,
    left: int,
    right: int,
    outcomes: Sequence[float],
    gaps: Sequence[float],
    *,
    win_rate: Figure,
    first_position: Figure,
    difference: Figure,
) -> Answer:
    """By the win rate (``outcomes`` are 1, 1/2, 0) where pairs were judged, else by the ``gaps`` of scores."""
    by_pairs = bool(outcomes)
    figure, values, centre = (win_rate, outcomes, 0.5) if by_pairs else (difference, gaps, 0.0)
    a, b = (comparison.models[place].label for place in (left, right))
    if figure.value is None:
        return Answer("unclear", "nothing to compare: no reply of both models has a judgement")
    if figure.ci95 is None:
        return Answer("unclear", "not distinguishable: one prompt says nothing of others")
    said = _won(b, figure) if by_pairs else _gained(b, figure)
    low, high = figure.ci95
    count = f"{len(values):,} prompts"
    if low > centre or high < centre:
        standing: Standing = "better" if low > centre else "worse"
        return Answer(standing, f"{standing}: {said} on {count}{_caveat(first_position)}")
    if _all_alike(comparison, left, right):
        return Answer("unclear", f"not distinguishable: {a} and {b} gave the same reply to every one of {count}")
    needed = prompts_needed(values, centre)
    if needed is not None:
        needed = max(needed, len(values) + 1)
    more = _more(needed, len(values))
    return Answer("unclear", f"not distinguishable with {count}: {said}{more}{_caveat(first_position)}", needed)


def _won(label: str, figure: Figure) -> str:
    assert figure.value is not None
    assert figure.ci95 is not None
    low, high = figure.ci95
    return f"{label} wins {_percent(figure.value)} (95 % CI {_percent(low)} to {_percent(high)}, ties as half)"


def _gained(label: str, figure: Figure) -> str:
    assert figure.value is not None
    assert figure.ci95 is not None
    low, high = figure.ci95
    return f"{label} scores {figure.value:+.2f} points (95 % CI {low:+.2f} to {high:+.2f})"


def _more(needed: int | None, have: int) -> str:
    if needed is None:
        return "; there is no difference that more prompts could confirm"
    if needed > ENORMOUS:
        return f"; a difference this small would take more than {ENORMOUS:,} prompts"
    return f"; to settle a difference of this size takes about {needed:,} prompts, {needed - have:,} more"


def _caveat(position: Figure) -> str:
    """A judge that goes by the place instead of the reply."""
    if position.value is None or position.ci95 is None or position.ci95[0] <= BIASED <= position.ci95[1]:
        return ""
    where, share = ("first", position.value) if position.value > BIASED else ("second", 1 - position.value)
    return f"; beware, the judge prefers what it is shown {where} ({_percent(share)} of its preferences)"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _all_alike(comparison: Comparison, left: int, right: int) -> bool:
    return all(row.replies[left].text == row.replies[right].text for row in comparison.rows)
