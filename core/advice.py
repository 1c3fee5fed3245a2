"""What the advisor finds, as events of the run: one when a finding begins, one when it has ended.

It reads what the worker writes anyway and changes nothing of it: weights and random numbers know nothing of advice.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .advisor import RULES, Course, Finding, Limits, advance, advise
from .agreement import AgreementReader
from .events import Advice, Event, StepCompleted
from .run_dir import RunDir


@dataclass
class Told:
    """What earlier events have said already: the fold of a log."""

    course: Course = field(default_factory=Course)
    standing: dict[str, str] = field(default_factory=dict)
    """By rule, the finding that has begun and not ended, in words."""

    def read(self, event: Event) -> None:
        """Take in one event of the log."""
        self.course = advance(self.course, event)
        if isinstance(event, Advice) and event.code in RULES:
            self.standing.pop(event.code, None)
            if not event.ended:
                self.standing[event.code] = event.what


class AdviceWriter:
    """Knows at each step boundary what to write. An error of its own is told once and never costs the run."""

    def __init__(self, run: RunDir, limits: Limits, told: Told) -> None:
        self._limits, self._told = limits, told
        self._agreement = AgreementReader(run, points=1)
        self._broken = False

    def after(self, event: object) -> list[Advice]:
        """What to write behind this event."""
        if self._broken:
            return []
        try:
            return list(self._after(event)) if isinstance(event, Event) else []
        except Exception:  # noqa: BLE001 - advice is worth less than the run it is about
            self._broken = True
            traceback.print_exc(file=sys.stderr)
            return []

    def _after(self, event: Event) -> Iterator[Advice]:
        self._told.read(event)
        if not isinstance(event, StepCompleted):
            return
        course = self._told.course
        findings = advise(course, self._limits, self._agreement.read(course.judge_since))
        for advice in changes(self._told.standing, findings, event.step):
            self._told.read(advice)
            yield advice


def changes(standing: Mapping[str, str], findings: tuple[Finding, ...], step: int) -> list[Advice]:
    """The events that lead from what stood before to what stands now: first what is over."""
    now = {finding.rule for finding in findings}
    over = [_over(rule, what, step) for rule, what in standing.items() if rule not in now]
    return over + [_begun(finding, step) for finding in findings if finding.rule not in standing]


def _over(rule: str, what: str, step: int) -> Advice:
    return Advice(step=step, code=rule, message=f"no longer: {what}", what=what, severity="info", ended=True)


def _begun(finding: Finding, step: int) -> Advice:
    return Advice(
        step=step,
        code=finding.rule,
        message=finding.sentence,
        severity=finding.severity,
        what=finding.what,
        evidence=finding.evidence,
        cause=finding.cause,
        action=finding.action,
        key=finding.key,
        command=finding.command,
    )
