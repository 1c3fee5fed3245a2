"""Comparisons of the run's models with each other: figures with intervals and a verdict in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

from core.compare.record import Comparison
from core.compare.summary import Group, PairSummary, ranking, summarise
from core.compare.votes import load_votes, tally

from ..sentences import number
from .blocks import Block, Facts, Heading, Section, Table, Tone, Words
from .gather import Source
from .judged import told
from .overview import name_of, sentence_of, when

_IN_FULL = 5
"""Comparisons that are told in full; each takes a few seconds of bootstrap."""
_TONES: dict[str, Tone] = {"better": "good", "worse": "bad", "unclear": "warn"}


def comparisons(source: Source) -> Section:
    """All comparisons that the run keeps, the newest first."""
    blocks: list[Block] = []
    for comparison in source.comparisons[:_IN_FULL]:
        blocks += _one(comparison)
    if not source.comparisons:
        name = source.run.name
        blocks.append(Words(f"No comparison was made. 'rlaif-tui compare base {name}' makes one."))
    for comparison in source.comparisons[_IN_FULL:]:
        blocks.append(
            Words(f"{name_of(comparison)} ({when(comparison.header.time)}): in {comparison.path.name}", "quiet")
        )
    return Section("comparisons", "Comparisons", tuple(blocks))


def _one(comparison: Comparison) -> Iterator[Block]:
    yield Heading(name_of(comparison))
    yield from _state(comparison)
    yield Facts(tuple(_made(comparison)), frozenset({"data's fingerprint", "judge's version"}))
    if not comparison.rows or len(comparison.models) < 2:
        yield Words("No prompt has been answered by all models yet.", "warn")
        return
    if len(comparison.models) > 2:
        yield from _ranking(comparison)
    for left in range(len(comparison.models)):
        for right in range(left + 1, len(comparison.models)):
            yield from _pair(comparison, summarise(comparison, left, right))


def _state(comparison: Comparison) -> Iterator[Block]:
    done, rows = len(comparison.rows), comparison.header.rows
    if comparison.finished is None:
        yield Words(f"Not finished: {done} of {rows} prompts so far.", "warn")
    elif comparison.finished.error:
        yield Words(f"Ended early, after {done} of {rows} prompts: {comparison.finished.error}.", "warn")
    if comparison.damaged:
        yield Words(f"{comparison.damaged} lines of the record could not be read.", "warn")


def _made(comparison: Comparison) -> Iterator[tuple[str, str]]:
    header = comparison.header
    yield "made", when(header.time)
    for model in header.models:
        print_ = f", fingerprint {model.fingerprint[:16]}" if model.fingerprint else ""
        yield f"model {model.label}", f"{model.title} ({model.kind} from {model.source}{print_})"
    yield "prompts", f"{len(comparison.rows)} of {header.data}"
    yield "data's fingerprint", header.data_fingerprint
    settings = header.settings
    yield (
        "sampling",
        f"seed {settings.seed}, temperature {settings.temperature:g}, at most {settings.max_new_tokens} tokens",
    )
    yield "judge", header.judge + (f"; pairs: {header.pair_judge}" if header.pair_judge else "")
    yield "judge's version", header.judge_version


def _pair(comparison: Comparison, summary: PairSummary) -> Iterator[Block]:
    left, right = comparison.models[summary.left], comparison.models[summary.right]
    if len(comparison.models) > 2:
        yield Heading(f"{right.label} against {left.label}")
    yield Words(sentence_of(summary.verdict), _TONES[summary.standing])
    yield Table(("figure", f"{right.label} against {left.label}"), tuple(_figures(summary, left.label, right.label)))
    for title, groups in (("prompts by length", summary.by_length), ("prompts by source", summary.by_source)):
        if groups:
            yield _groups(title, groups, right.label, folded=len(comparison.models) > 2)
    yield from _votes(comparison, summary.left, summary.right)


def _votes(comparison: Comparison, left: int, right: int) -> Iterator[Block]:
    """What people chose blind, and how often the judge chose the same."""
    votes = load_votes(comparison.path)
    people = sorted({by for _, one, other, by in votes.standing if (one, other) == (left, right)})
    tallies = [(by, tally(comparison, votes, left, right, by)) for by in people]
    rows = tuple(
        (
            by,
            str(t.n),
            *(str(t.mine.get(choice, 0)) for choice in ("win", "tie", "loss")),
            told(t.agreement),
            told(t.kappa),
        )
        for by, t in tallies
    )
    if rows:
        won, lost = comparison.models[right].label, comparison.models[left].label
        head = (
            "blind votes of",
            "n",
            f"for {won}",
            "ties",
            f"for {lost}",
            "agreement with the judge",
            "weighted kappa",
        )
        yield Table(head, rows, frozenset({1, 2, 3, 4}))


def _figures(summary: PairSummary, left: str, right: str) -> Iterator[tuple[str, str]]:
    yield f"mean score of {left}", told(summary.mean_left)
    yield f"mean score of {right}", told(summary.mean_right)
    yield "difference, paired", told(summary.difference, "+.2f")
    if summary.n or summary.errors:
        ties = f"{summary.ties} ties, {summary.inconsistent} of them because the two orders disagree"
        yield "duels", f"{summary.wins} won, {summary.losses} lost, {ties}; {summary.errors} without an answer"
        yield "win rate", told(summary.win_rate)
        yield "win rate at equal length", told(summary.length_controlled)
        yield "what is shown first is preferred", told(summary.first_position)
    yield "mean length", f"{number(summary.length_left, '.1f')} and {number(summary.length_right, '.1f')} tokens"
    if summary.needed is not None:
        yield "prompts to settle it", f"about {summary.needed:,}"


def _groups(title: str, groups: tuple[Group, ...], right: str, *, folded: bool) -> Table:
    rows = tuple((group.name, str(group.n), told(group.win_rate)) for group in groups)
    return Table((title, "n", f"win rate of {right}"), rows, frozenset({1}), title if folded else "")


def _ranking(comparison: Comparison) -> Iterator[Block]:
    found = ranking(comparison)
    if not found.ranks:
        yield Words(found.note or "There is no ranking.", "quiet")
        return
    rows = tuple(
        (
            str(place),
            comparison.models[rank.model].label,
            comparison.models[rank.model].title,
            told(rank.strength, "+.2f"),
        )
        for place, rank in enumerate(found.ranks, start=1)
    )
    yield Table(("rank", "model", "", "Bradley-Terry strength, log-odds"), rows, frozenset({0}))
    if found.note:
        yield Words(found.note, "quiet")
