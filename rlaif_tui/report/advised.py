"""What the advisor said while the run went on, and what it has to say of how the run stands now."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from core.advisor import UNKNOWN, Finding, advise, limits_of
from core.events import Advice

from ..sentences import UNKNOWN as DASH
from .blocks import Block, Facts, Heading, Section, Table, Tone, Words
from .gather import Source
from .overview import sentence_of
from .rated import agreement

_MOST = 200
_TONES: dict[str, Tone] = {"info": "plain", "warning": "warn", "error": "bad"}


@dataclass
class _Told:
    """One piece of advice, from when it was given to when it no longer held."""

    advice: Advice
    until: int | None = None


def advised(source: Source) -> Section:
    """What stands, then everything that was said."""
    return Section("advice", "What the advisor said", tuple(_blocks(source)))


def standing(source: Source) -> tuple[Finding, ...]:
    """What the advisor finds at the newest step, the worst first."""
    limits = limits_of(source.config) if source.config else UNKNOWN
    return advise(source.story.course, limits, agreement(source))


def _blocks(source: Source) -> Iterator[Block]:
    found, said = standing(source), _said(source.story.advice)
    if not source.state.steps:
        yield Words("No step was completed, so there is nothing to advise on.")
    elif not found:
        yield Words("At the newest step the advisor finds nothing wrong.", "good")
    for finding in found:
        yield Words(f"Step {finding.step}: {sentence_of(finding.what)}", _TONES[finding.severity])
        rows = [("evidence", finding.evidence), ("cause", finding.cause), ("action", finding.action)]
        rows += [("command", finding.command)] if finding.command else []
        yield Facts(tuple((name, text) for name, text in rows if text), frozenset({"command"}))
    if said:
        yield Heading("While the run went on")
        yield Table(("from step", "to step", "", "what"), tuple(_row(each) for each in said[:_MOST]), frozenset({0, 1}))
    if len(said) > _MOST:
        yield Words(f"{len(said) - _MOST:,} more are in events.jsonl of the run.", "quiet")


def _row(told: _Told) -> tuple[str, str, str, str]:
    advice = told.advice
    until = DASH if told.until is None else str(told.until)
    return str(advice.step), until, advice.severity, advice.message or advice.what


def _said(events: list[Advice]) -> list[_Told]:
    """Beginnings, each with the end that belongs to it."""
    found: list[_Told] = []
    open_: dict[str, _Told] = {}
    for advice in events:
        if not advice.ended:
            open_[advice.code] = _Told(advice)
            found.append(open_[advice.code])
        elif advice.code in open_:
            open_.pop(advice.code).until = advice.step
    return found
