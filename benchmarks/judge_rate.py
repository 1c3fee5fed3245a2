"""What the judge's transport adds and what it makes of a server: ``python benchmarks/judge_rate.py``.

The server is ``asyncio.sleep``, in real time. Nothing is sent anywhere.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.judge.endpoint import CallError
from core.judge.spec import LimitsSpec
from core.judge.transport import Transport

LATENCY_S, SAMPLES, IN_FLIGHT = 0.2, 16, 8
PER_SECOND, RATE_CALLS, REFUSAL_S = 20, 200, 0.02
OVERHEAD_CALLS, WIDE, ROUNDS = 20_000, 64, 5


def transport(**limits: int) -> Transport:
    return Transport(LimitsSpec(**limits), wait_out_outages=True)


async def reply(_timeout_s: float = 0.0) -> int:
    await asyncio.sleep(LATENCY_S)
    return 1


async def timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began


async def one_after_another(n: int) -> None:
    for _ in range(n):
        await reply()


async def batch() -> tuple[float, float]:
    """Seconds for the samples through the transport, and one after another."""
    link = transport(concurrency=IN_FLIGHT, max_concurrency=IN_FLIGHT)
    together = await timed(asyncio.gather(*(link.call(reply) for _ in range(SAMPLES))))
    return together, await timed(one_after_another(SAMPLES))


class Capped:
    """Takes ``PER_SECOND`` calls a second, as a token bucket of one second's worth; more are refused with a 429."""

    def __init__(self) -> None:
        self.level, self.at = float(PER_SECOND), time.perf_counter()
        self.refused = 0

    async def __call__(self, _timeout_s: float) -> int:
        now = time.perf_counter()
        self.level, self.at = min(PER_SECOND, self.level + (now - self.at) * PER_SECOND), now
        if self.level < 1:
            self.refused += 1
            await asyncio.sleep(REFUSAL_S)
            raise CallError("rate_limited", "too many", http_status=429)
        self.level -= 1
        return await reply()


async def rate(announced: bool) -> tuple[float, int]:
    """Share of the server's limit that was used, and refusals."""
    server, link = Capped(), transport(requests_per_minute=60 * PER_SECOND if announced else 0)
    seconds = await timed(asyncio.gather(*(link.call(server) for _ in range(RATE_CALLS))))
    return RATE_CALLS / seconds / PER_SECOND, server.refused


async def at_once(_timeout_s: float = 0.0) -> int:
    await asyncio.sleep(0)
    return 1


async def bare(n: int) -> None:
    slots = asyncio.Semaphore(WIDE)

    async def one() -> int:
        async with slots:
            return await at_once()

    await asyncio.gather(*(one() for _ in range(n)))


async def through(n: int) -> None:
    link = transport(concurrency=WIDE, max_concurrency=WIDE)
    await asyncio.gather(*(link.call(at_once) for _ in range(n)))


def micros(work: Callable[[int], Awaitable[None]]) -> float:
    """Median microseconds per call."""

    async def once() -> float:
        return await timed(work(OVERHEAD_CALLS))

    return statistics.median(asyncio.run(once()) for _ in range(ROUNDS)) / OVERHEAD_CALLS * 1e6


def main() -> None:
    together, sequential = asyncio.run(batch())
    print(f"{SAMPLES} judgements of {LATENCY_S * 1000:.0f} ms, {IN_FLIGHT} in flight: {together:.3f} s")
    print(f"  one after another: {sequential:.3f} s ({sequential / together:.1f} x)")
    for announced in (True, False):
        share, refused = asyncio.run(rate(announced))
        words = "announced" if announced else "not announced"
        print(f"limit of {PER_SECOND} calls/s, {words}: {share:.0%} used over {RATE_CALLS} calls, {refused} refused")
    alone, ours = micros(bare), micros(through)
    print(f"per call at {WIDE} in flight: gather and semaphore {alone:.1f} us, transport {ours:.1f} us")
    print(f"  the transport adds {ours - alone:.1f} us")


if __name__ == "__main__":
    main()
