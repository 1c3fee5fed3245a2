"""How many calls may be in flight, and who goes next.

Times are seconds of the event loop's clock. One limiter belongs to one server, key and model.
"""

from __future__ import annotations

import asyncio
import heapq
import math
from collections.abc import Callable
from typing import Protocol

from .breaker import Admission
from .pace import Bucket, Pace
from .spec import LimitsSpec

LESS = 0.7
COOLDOWN_S = 10.0
"""The calls of one burst are all refused; they are one reason to slow down, not many."""
REFUSED_PAUSE_S = 0.5
"""After a refusal that does not say how long to wait."""


class Concurrency:
    """The number of calls in flight: additive increase, multiplicative decrease."""

    def __init__(self, start: int, most: int) -> None:
        self.most = most
        self.limit = min(start, most)
        self.in_flight = 0
        self._cool_at = -math.inf
        self._new_round()

    def _new_round(self) -> None:
        self._clean = 0
        self._reached = self.in_flight >= self.limit

    @property
    def free(self) -> bool:
        return self.in_flight < self.limit

    def started(self) -> None:
        self.in_flight += 1
        self._reached |= self.in_flight >= self.limit

    def ended(self) -> None:
        self.in_flight -= 1

    def succeeded(self) -> None:
        """As many clean calls as the limit are a round; one more is allowed if the limit was what held us back."""
        self._clean += 1
        if self._clean >= self.limit:
            if self._reached:
                self.limit = min(self.most, self.limit + 1)
            self._new_round()

    def faulted(self) -> None:
        """The server has trouble of its own: no growth in this round."""
        self._new_round()

    def refused(self, now: float) -> None:
        """The server says that this is too much."""
        if now >= self._cool_at:
            self.limit = max(1, int(self.limit * LESS))
            self._cool_at = now + COOLDOWN_S
        self._new_round()


class Gate(Protocol):
    """What may hold back every call: the circuit breaker."""

    def wait_s(self, now: float) -> float: ...

    def admit(self, now: float) -> Admission: ...

    def withdrawn(self, admission: Admission) -> None: ...


class Limiter:
    """The line in front of a server. Whoever has the lowest place goes first; nobody is overtaken."""

    def __init__(self, limits: LimitsSpec, gate: Gate) -> None:
        self.concurrency = Concurrency(limits.concurrency, limits.max_concurrency)
        self._gate = gate
        self._pace = Pace()
        self._requests = Bucket.of(limits.requests_per_minute)
        self._tokens = Bucket.of(limits.tokens_per_minute)
        self._paused_until = -math.inf
        self._line: list[tuple[int, int, int, asyncio.Future[Admission]]] = []
        self._arrivals = 0
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, place: int, tokens: int) -> Admission:
        """Wait for a turn; ``leave`` must follow. Raises what ``turn_away`` is given."""
        loop = asyncio.get_running_loop()
        if not self._line and self._wait_s(tokens, loop.time()) == 0:
            return self._start(tokens, loop.time())
        turn: asyncio.Future[Admission] = loop.create_future()
        self._arrivals += 1
        heapq.heappush(self._line, (place, self._arrivals, tokens, turn))
        self.move()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                self.concurrency.ended()  # the turn came together with the cancellation
                self._gate.withdrawn(turn.result())
            self.move()
            raise

    def leave(self) -> None:
        """A call has ended: the next may go."""
        self.concurrency.ended()
        self.move()

    def refused(self, now: float, retry_after_s: float | None) -> None:
        """The server says that this is too much."""
        self.concurrency.refused(now)
        self._pace.refused(now)
        self.pause(now + (REFUSED_PAUSE_S if retry_after_s is None else retry_after_s))

    def pause(self, until: float) -> None:
        """The server wants no call before then."""
        self._paused_until = max(self._paused_until, until)

    def resume(self) -> None:
        """Forget a pause."""
        self._paused_until = -math.inf

    def turn_away(self, error: Callable[[], Exception]) -> None:
        """Everybody who waits gets an error of his own."""
        for _, _, _, turn in self._line:
            if not turn.done():
                turn.set_exception(error())
        self._line.clear()

    def move(self) -> None:
        """Let go whoever may go now, and come back when time alone will let the next one go."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._line:
            _, _, tokens, turn = self._line[0]
            if turn.done():
                heapq.heappop(self._line)
                continue
            loop = turn.get_loop()
            wait_s = self._wait_s(tokens, loop.time())
            if wait_s > 0:
                if wait_s < math.inf:
                    self._timer = loop.call_later(wait_s, self.move)
                return
            heapq.heappop(self._line)
            turn.set_result(self._start(tokens, loop.time()))

    def _wait_s(self, tokens: int, now: float) -> float:
        if not self.concurrency.free:
            return math.inf
        wait_s = max(self._gate.wait_s(now), self._paused_until - now, self._pace.wait_s(now))
        if self._requests is not None:
            wait_s = max(wait_s, self._requests.wait_s(1, now))
        if self._tokens is not None:
            wait_s = max(wait_s, self._tokens.wait_s(tokens, now))
        return max(0.0, wait_s)

    def _start(self, tokens: int, now: float) -> Admission:
        if self._requests is not None:
            self._requests.take(1)
        if self._tokens is not None:
            self._tokens.take(tokens)
        self._pace.started(now, alone=not self.concurrency.in_flight)
        self.concurrency.started()
        return self._gate.admit(now)
