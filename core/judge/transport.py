"""Gets one call through to a server that is busy, faulty or away: retries, deadlines, an own limit on load.

It knows nothing of what is sent. A ``Transport`` is used from one event loop at a time; ``state`` from any thread.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..types import FaultKind
from .breaker import LONGEST_RETRY_AFTER_S, Admission, Breaker
from .endpoint import FATAL_KINDS, RETRIED_KINDS, CallError
from .limiter import Limiter
from .link import Job, LinkState, Sent, again
from .spec import LimitsSpec

__all__ = ["LinkState", "Sent", "Transport"]

T = TypeVar("T")

BACKOFF_S = (0.5, 30.0)
"""The first and the longest pause before a retry; each is drawn evenly from 0 up to that."""
SHORTEST_ATTEMPT_S = 1.0
"""With less patience left a call would be paid for and then not waited for."""
FEW_CALLS_OUTAGE_S = 1800.0
"""If nothing but a few calls fails for so long, they are given up: the server may choke on just these."""
THROTTLING: frozenset[FaultKind] = frozenset({"rate_limited", "overloaded"})
LOCAL_KINDS: frozenset[FaultKind] = frozenset({"budget", "cancelled", "exception"})
"""Faults on our side, which say nothing about the server."""


class Transport:
    """All calls to one server with one key and one model.

    A call's ``total_timeout_s`` covers its attempts and its own pauses, not its time in line. With
    ``wait_out_outages`` a call waits for the end of an outage and then has its whole patience again; without, an
    outage counts.
    """

    def __init__(self, limits: LimitsSpec, *, wait_out_outages: bool, seed: int = 0) -> None:
        self._limits = limits
        self._wait_out = wait_out_outages
        self._random = random.Random(seed)
        self._breaker = Breaker()
        self._limiter = Limiter(limits, self._breaker)
        self._numbers = itertools.count(1)
        self._fatal: CallError | None = None
        self._naps: set[asyncio.Future[None]] = set()
        self._in_line: set[Job] = set()
        self._was_open = False
        self._time: Callable[[], float] = float  # 0.0 until there is a loop

    async def call(self, send: Callable[[float], Awaitable[T]], *, tokens: int = 0) -> Sent[T]:
        """Send until there is a reply. ``send`` is given the seconds it has; ``tokens`` are for the rate limit.

        Raises ``CallError`` with ``attempts``: a fatal one at once, and then for every call until ``reset``.
        """
        self._time = asyncio.get_running_loop().time
        job = Job(next(self._numbers), self._limits.total_timeout_s)
        while True:
            if self._fatal is not None:
                raise again(self._fatal, job.attempts)
            admission = await self._enter(job, tokens)
            began = self._time()
            outcome = await self._attempt(send, job, admission)
            if not isinstance(outcome, CallError):
                return Sent(outcome, job.attempts, self._time() - began)
            await self._nap(self._pause_s(outcome, job, admission))

    @property
    def state(self) -> LinkState:
        """How things stand now."""
        now = self._time()
        breaker, fatal, concurrency = self._breaker, self._fatal, self._limiter.concurrency
        is_open = breaker.open
        return LinkState(
            open=is_open,
            since_s=max(0.0, now - breaker.opened_at) if is_open else 0.0,
            reason=breaker.reason if is_open else "",
            next_probe_s=max(0.0, breaker.next_probe_at - now) if is_open else 0.0,
            in_flight=concurrency.in_flight,
            limit=concurrency.limit,
            fatal="" if fatal is None else str(fatal),
        )

    def reset(self) -> None:
        """Forget a fatal error and try an interrupted server at once. To be called in the loop's thread."""
        self._fatal = None
        self._breaker.reset(self._time())
        self._limiter.resume()
        self._limiter.move()

    async def _attempt(self, send: Callable[[float], Awaitable[T]], job: Job, admission: Admission) -> T | CallError:
        """One attempt, within a slot that is free again afterwards whatever happens."""
        timeout_s = min(self._limits.attempt_timeout_s, max(job.left_s, SHORTEST_ATTEMPT_S))
        began = self._time()
        job.attempts += 1
        try:
            try:
                async with asyncio.timeout(timeout_s):
                    value = await send(timeout_s)
            except TimeoutError:
                raise CallError("timeout", f"no reply within {timeout_s:g} s", billed=True) from None
            self._breaker.answered()
            self._limiter.concurrency.succeeded()
        except CallError as error:
            self._note(error, job, admission)
            return error
        except BaseException:
            self._breaker.withdrawn(admission)
            raise
        else:
            return value
        finally:
            job.left_s -= self._time() - began
            self._follow_breaker()
            self._limiter.leave()

    def _note(self, error: CallError, job: Job, admission: Admission) -> None:
        """What a failed attempt says about the server."""
        now = self._time()
        if error.kind in LOCAL_KINDS:
            self._breaker.withdrawn(admission)
        elif error.kind not in RETRIED_KINDS:
            self._breaker.answered()
            if error.kind in FATAL_KINDS:
                self._stop(error)
        else:
            job.failures += 1
            self._breaker.failed(error, job.number, admission, now)
            wait_s = error.retry_after_s if (error.retry_after_s or 0.0) <= LONGEST_RETRY_AFTER_S else 0.0
            if error.kind in THROTTLING:
                self._limiter.refused(now, wait_s)
            else:
                self._limiter.concurrency.faulted()
                self._limiter.pause(now + (wait_s or 0.0))

    def _pause_s(self, error: CallError, job: Job, admission: Admission) -> float:
        """Seconds until the next attempt; raises ``error`` if there shall be none."""
        error.attempts = job.attempts
        if error.kind not in RETRIED_KINDS:
            raise error
        self._renew(job)
        if self._breaker.open and self._wait_out:
            lasted_s = self._time() - self._breaker.opened_at
            if admission and self._breaker.few_calls_failed and lasted_s >= FEW_CALLS_OUTAGE_S:
                raise error
            job.place = next(self._numbers)  # another call is the next probe
            return 0.0
        pause_s = waited_s = 0.0
        if not self._breaker.open:
            first, longest = BACKOFF_S
            pause_s = self._random.uniform(0, min(longest, first * 2 ** min(job.failures - 1, 16)))
            waited_s = max(pause_s, error.retry_after_s or 0.0)  # the limiter holds the rest, and the place in line
        if waited_s + min(SHORTEST_ATTEMPT_S, self._limits.attempt_timeout_s) > job.left_s:
            raise error
        job.left_s -= waited_s
        return pause_s

    def _renew(self, job: Job) -> None:
        """Whoever has waited out an outage has all patience again."""
        if self._wait_out and job.outages != self._breaker.outages:
            job.outages = self._breaker.outages
            job.left_s = self._limits.total_timeout_s

    async def _nap(self, seconds: float) -> None:
        """Pause, unless an outage or a fatal error makes it pointless."""
        if seconds <= 0:
            return
        loop = asyncio.get_running_loop()
        nap: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(seconds, _end, nap)
        self._naps.add(nap)
        try:
            await nap
        finally:
            timer.cancel()
            self._naps.discard(nap)

    async def _enter(self, job: Job, tokens: int) -> Admission:
        """Wait in line for a slot. Only where an outage is not waited out can patience end here."""
        try:
            if self._wait_out:
                admission = await self._limiter.enter(job.place, tokens)
                self._renew(job)
                return admission
            async with asyncio.timeout(None) as job.clock:
                self._in_line.add(job)
                if self._breaker.open:
                    job.start_clock(self._time())
                return await self._limiter.enter(job.place, tokens)
        except TimeoutError:
            raise self._outage(job) from None
        except CallError as error:
            error.attempts = job.attempts
            raise
        finally:
            self._in_line.discard(job)
            job.clock = None
            job.stop_clock(self._time())

    def _outage(self, job: Job) -> CallError:
        last = self._breaker.last
        if last is None:
            return CallError("timeout", f"no reply within {self._limits.total_timeout_s:g} s")
        error = again(last, job.attempts)
        error.args = (f"the judge is out of service: {self._breaker.reason}",)
        return error

    def _follow_breaker(self) -> None:
        """When an outage begins or ends, those in line start or stop counting, and nobody goes on napping."""
        if self._breaker.open == self._was_open:
            return
        self._was_open = self._breaker.open
        now = self._time()
        for job in self._in_line:
            if self._was_open:
                job.start_clock(now)
            else:
                job.stop_clock(now)
        self._wake()

    def _stop(self, error: CallError) -> None:
        """A person has to mend something: whoever waits hears it at once."""
        self._fatal = error
        self._limiter.turn_away(lambda: again(error, 0))
        self._wake()

    def _wake(self) -> None:
        for nap in self._naps:
            _end(nap)


def _end(nap: asyncio.Future[None]) -> None:
    if not nap.done():
        nap.set_result(None)
