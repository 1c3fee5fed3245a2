"""All pairs, the ranking and the finer figures of a comparison, as lines to read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from core.compare.record import Comparison

from ..sentences import number
from ..text import one_line, pad
from .compare_words import cost_text, interval, name_of, percent
from .overlay import Line

if TYPE_CHECKING:
    from core.compare.summary import Group, PairSummary, Ranking

_PAIR = 40
_HEAD = 22


def table_lines(
    comparison: Comparison, pairs: Sequence[PairSummary], ranking: Ranking | None, shown: tuple[int, int]
) -> list[Line]:
    """The ranking first, then every pair, then the pair in view by source and length, then how it was made."""
    lines: list[Line] = []
    if ranking is not None:
        lines += _ranks(comparison, ranking)
    for pair in pairs:
        lines += _pair(comparison, pair)
    here = next((pair for pair in pairs if (pair.left, pair.right) == shown), None)
    if here is not None:
        lines += _groups("by length of the prompt", here.by_length)
        lines += _groups("by source of the prompt", here.by_source)
    return [*lines, *_made(comparison)]


def _ranks(comparison: Comparison, ranking: Ranking) -> Iterator[Line]:
    yield "Ranking", ""
    for place, rank in enumerate(ranking.ranks, 1):
        strength = f"{number(rank.strength.value, '+.2f')}{interval(rank.strength, '+.2f', 1.0)}"
        yield f"  {place}  {pad(name_of(comparison, rank.model), _PAIR - 5)}", f"strength {strength}"
    if ranking.note:
        yield "  ", ranking.note
    if ranking.ranks:
        yield "  ", "Bradley-Terry strength, log-odds of winning against A"
    yield "", ""


def _pair(comparison: Comparison, pair: PairSummary) -> Iterator[Line]:
    label = comparison.models[pair.right].label
    yield f"{name_of(comparison, pair.left)}   {name_of(comparison, pair.right)}", ""
    if pair.n:
        counts = f"wins {pair.wins}, ties {pair.ties}, losses {pair.losses} of {pair.n}"
        yield _head(f"{label} win rate"), f"{percent(pair.win_rate)}   {counts}, {pair.inconsistent} inconsistent"
        yield _head("at equal length"), percent(pair.length_controlled) + _why(pair.length_controlled.why)
        yield _head("shown first wins"), percent(pair.first_position)
    means = f"{number(pair.mean_left.value)} → {number(pair.mean_right.value)}"
    change = f"{number(pair.difference.value, '+.2f')}{interval(pair.difference, '+.2f', 1.0)}"
    yield _head("score"), f"{means}   difference {change}"
    if pair.errors:
        yield _head("without a verdict"), f"{pair.errors}, in no figure"
    yield _head("verdict"), pair.verdict
    yield "", ""


def _why(why: str) -> str:
    return f"   ({why})" if why else ""


def _groups(title: str, groups: Sequence[Group]) -> Iterator[Line]:
    if not groups:
        return
    yield title, ""
    for group in groups:
        yield _head(one_line(group.name)), f"win rate {percent(group.win_rate)} of {group.n}"
    yield "", ""


def _made(comparison: Comparison) -> Iterator[Line]:
    header = comparison.header
    yield "How it was made", ""
    yield _head("prompts"), f"{len(comparison.rows)} of {header.rows or len(comparison.rows)}, {header.data}"
    sampling = header.settings
    yield (
        _head("sampling"),
        f"temperature {sampling.temperature:g}, top-p {sampling.top_p:g}, at most {sampling.max_new_tokens} tokens, "
        f"seed {sampling.seed}; the same random numbers for each model",
    )
    yield _head("judge"), f"{header.judge} {header.judge_version}   {cost_text(comparison)}"
    if header.pair_judge:
        yield _head("pairs"), header.pair_judge
    for model in comparison.models:
        yield _head(model.label), f"{model.named}: {model.title}   {model.source}   {model.fingerprint}"


def _head(name: str) -> str:
    return f"  {pad(name, _HEAD)} "
