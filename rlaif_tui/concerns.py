"""Everything to know about a run at a look: how it stands, what its log says, what the advisor finds. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from core.advisor import Finding, advise

from . import words
from .run_facts import RunFacts, cap
from .run_state import RunState
from .text import one_line
from .words import Health


def notices(state: RunState, facts: RunFacts) -> list[Health]:
    """Everything to know about a run now, the worst first; empty if it is well."""
    found: list[Health] = []
    standing = words.health(state)
    if state.lost or state.word in ("crashed", "paused", "stopped"):
        found.append(standing)
    reason = state.error if state.word == "crashed" else state.pause_reason  # said in ``standing``
    recent = [
        m
        for m in reversed(words.recent_warnings(state))
        if not m.advice and not (found and reason and reason in m.text)
    ]
    told = dict.fromkeys((m.severity, f"{one_line(m.text)} (step {m.step})") for m in recent)
    said = [Health(severity, text) for severity, text in told]
    said += [Health(finding.severity, one_line(finding.sentence)) for finding in live_findings(state, facts)]
    if state.damaged:
        said.append(Health("warning", f"{state.damaged} damaged lines of the event log were passed over"))
    return found + sorted(said, key=lambda notice: _ORDER.index(notice.severity))


_ORDER = ("error", "warning", "info")


def live_findings(state: RunState, facts: RunFacts) -> tuple[Finding, ...]:
    """The advisor's findings on a run that can still be steered."""
    return findings(state, facts) if state.word in ("starting", "running", "paused") else ()


def findings(state: RunState, facts: RunFacts) -> tuple[Finding, ...]:
    """The advisor's findings as of the newest step, the worst first."""
    return advise(state.course, replace(facts.limits, cap_usd=cap(state, facts)), facts.agreement)


def advice_object(finding: Finding) -> dict[str, Any]:
    """What ``status --json`` says of a finding."""
    return dict(vars(finding))


def advice_lines(finding: Finding) -> list[str]:
    """The same as lines of text: what and why, how that is known, what to do."""
    how = f" ({finding.command})" if finding.command else ""
    return [
        f"advice, {finding.severity}: {one_line(finding.what)}: {one_line(finding.cause)}",
        f"    seen: {one_line(finding.evidence)}",
        f"    do: {one_line(finding.action)}{how}",
    ]


def explained(state: RunState, facts: RunFacts) -> dict[str, list[str]]:
    """By the sentence of a finding: how it is known, and the command that does what it says."""
    return {
        one_line(finding.sentence): [one_line(text) for text in (finding.evidence, finding.command) if text]
        for finding in live_findings(state, facts)
    }
