"""Standing by for a judge: verdicts are waited for, and an outage of its server is told as a pause."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import TYPE_CHECKING

from .events import Event, Paused, Resumed
from .judge.pool import Pool
from .types import JudgedRollout, JudgeFailure, JudgeResult

if TYPE_CHECKING:
    from .judge.transport import LinkState

LOOK_EVERY_S = 0.5
DEGRADED_AWAY, DEGRADED_MUTE = 0.05, 0.1
DEGRADED_IN_A_ROW = 3


class Outage:
    """Tells when the judge's server stops and begins to answer. ``step`` is the last one completed."""

    def __init__(self, pool: Pool, step: int) -> None:
        self._pool = pool
        self._step = step
        self._told = False

    def stand_by(self, futures: Collection[Future[JudgeResult]]) -> Iterator[Event]:
        """Wait until one of ``futures`` is done, half a second at most."""
        wait(futures, timeout=LOOK_EVERY_S, return_when=FIRST_COMPLETED)
        link = self._pool.link()
        is_open = link is not None and link.open
        if is_open and not self._told:
            assert link is not None
            self._told = True
            yield Paused(step=self._step, reason=_reason(link), automatic=True)
        elif self._told and not is_open:
            yield from self.end()

    def end(self) -> Iterator[Event]:
        """The waiting is over."""
        if self._told:
            self._told = False
            yield Resumed(step=self._step)


def unusable(judged: Collection[JudgedRollout], max_failed_fraction: float) -> str:
    """Why nothing should be made of these judgements, in words; empty if enough of them can be used.

    One fault that only a person can mend is enough: a refused key, a budget that is spent.
    """
    failed = _failures(judged)
    needs_person = next((r for r in failed if r.fatal or r.status == "budget"), None)
    if needs_person is not None:
        return f"{len(failed)} of {len(judged)} responses got no verdict: {needs_person.message}"
    if len(failed) > max_failed_fraction * len(judged):
        return (
            f"{len(failed)} of {len(judged)} responses got no verdict, so nothing was trained on: {failed[0].message}"
        )
    return ""


def degraded(judged: Collection[JudgedRollout]) -> str:
    """Why this batch is one of those that should not come three in a row; empty if it is well."""
    failed = _failures(judged)
    away = [r for r in failed if r.status == "infra_error"]
    mute = [r for r in failed if r.status == "unparseable"]
    if len(away) > DEGRADED_AWAY * len(judged):
        return f"calls failed on {len(away)} of {len(judged)} responses: {away[0].message}"
    if len(mute) > DEGRADED_MUTE * len(judged):
        return f"{len(mute)} of {len(judged)} replies held no verdict: {mute[0].message}"
    return ""


def _failures(judged: Collection[JudgedRollout]) -> list[JudgeFailure]:
    """Judgements that say nothing about their response. One that was answered without a verdict may cost the response
    -1 all the same; so many of them mean that the judge is broken."""
    return [
        j.result
        for j in judged
        if isinstance(j.result, JudgeFailure) and (j.result.treatment == "mask" or j.result.status == "unparseable")
    ]


def _reason(link: LinkState) -> str:
    return f"the judge does not answer: {link.reason}; everything is kept, and it is asked again by itself"
