"""The best and the worst of what training changed: a prompt's responses before and after, differing words marked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.compare.record import trained
from core.rollout_log import Recorded, read_rollouts
from core.types import Verdict

from ..sentences import number
from ..word_diff import compare
from .blocks import Block, Heading, Section, Side, SideBySide, Words
from .gather import Source
from .overview import short

EACH = 3
LONGEST = 4000
"""Characters of a text that are shown; a report is for reading."""
_CUT = " … (cut here)"


@dataclass(frozen=True)
class _Reply:
    text: str
    score: float | None
    reason: str


@dataclass(frozen=True)
class _Pair:
    prompt: str
    left: _Reply
    right: _Reply

    @property
    def gain(self) -> float:
        """Points that the right reply has over the left one; both have a score."""
        return (self.right.score or 0.0) - (self.left.score or 0.0)


def examples(source: Source) -> Section:
    """Of the newest comparison, else of the first and the last validation."""
    titles, pairs, note = _newest(source)
    scored = [pair for pair in pairs if pair.left.score is not None and pair.right.score is not None]
    ordered = sorted(scored, key=lambda pair: -pair.gain)
    best = ordered[: min(EACH, (len(ordered) + 1) // 2)]
    worst = ordered[len(best) :][-EACH:][::-1]
    blocks: list[Block] = [Words(note, "quiet")] if note else []
    for heading, chosen in (("Most gained", best), ("Most lost, or least gained", worst)):
        blocks += [Heading(heading)] if chosen else []
        blocks += [_shown(pair, titles, number_) for number_, pair in enumerate(chosen, start=1)]
    if not ordered:
        blocks.append(Words("There are no two scored responses to one prompt to set side by side.", "warn"))
    return Section("examples", "Best and worst examples", tuple(blocks))


def _shown(pair: _Pair, titles: tuple[str, str], number_: int) -> SideBySide:
    found = compare(_cut(pair.left.text), _cut(pair.right.text))
    left, right = (
        Side(title, number(reply.score, ".1f"), parts, _cut(reply.reason))
        for title, reply, parts in zip(titles, (pair.left, pair.right), (found.left, found.right), strict=True)
    )
    return SideBySide(f"{number_}: {pair.gain:+.1f} points", _cut(pair.prompt), left, right, found.note)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else text[:LONGEST] + _CUT


def _newest(source: Source) -> tuple[tuple[str, str], list[_Pair], str]:
    """Titles of both sides, the pairs, and a sentence on where they come from."""
    for comparison in source.comparisons:
        if comparison.rows and len(comparison.models) > 1:
            both = (0, trained(comparison))
            first, second = (comparison.models[number_] for number_ in both)
            titles = (f"{first.label} {short(first.title)}", f"{second.label} {short(second.title)}")
            pairs = [
                _Pair(row.prompt, *(_Reply(r.text, r.score, _reason(r.result)) for r in (row.replies[i] for i in both)))
                for row in comparison.rows
                if len(row.replies) == len(comparison.models)
            ]
            return titles, pairs, f"From the comparison {comparison.id}, by the judge's scores."
    steps = [done.step for done in source.state.validations]
    if len(steps) < 2:
        return ("before", "after"), [], ""
    before, after = (read_rollouts(source.run.validation(step)) for step in (steps[0], steps[-1]))
    titles = (f"before, step {steps[0]}", f"after, step {steps[-1]}")
    return titles, list(_validated(before, after)), "From the held-out prompts, by the judge's scores."


def _validated(before: Recorded, after: Recorded) -> Iterator[_Pair]:
    later = {rollout.prompt.id: rollout for rollout in after.rollouts.values()}
    for rollout in before.rollouts.values():
        other = later.get(rollout.prompt.id)
        if other is not None:
            old, new = before.results.get(rollout.id), after.results.get(other.id)
            yield _Pair(
                rollout.prompt.text,
                _Reply(rollout.response, old.score if isinstance(old, Verdict) else None, _reason(old)),
                _Reply(other.response, new.score if isinstance(new, Verdict) else None, _reason(new)),
            )


def _reason(result: object) -> str:
    return result.reason if isinstance(result, Verdict) else ""
