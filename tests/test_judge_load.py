"""Concurrency, rate limits and mixed faults of ``core.judge.transport``, in virtual time."""

from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Reply, Server, ask_all, fault, lost, transport
from virtual_time import run

from core.judge.limiter import Concurrency
from core.judge.pace import Bucket


def test_never_more_in_flight_than_the_limit_and_first_come_first_served() -> None:
    server = Server(lambda at, n: 1.0)

    async def main() -> None:
        link = transport(concurrency=3, max_concurrency=3)
        assert not lost(await ask_all(link, server, 30))

    _, seconds = run(main())
    assert server.peak == 3
    assert seconds == 10
    assert [name for _, name, _ in server.log] == [str(i) for i in range(30)]


def test_concurrency_grows_by_one_per_clean_round_when_it_is_what_limits() -> None:
    limits = Concurrency(2, 4)
    seen = []
    for _ in range(12):
        limits.started()
        limits.started()
        limits.ended()
        limits.succeeded()
        limits.ended()
        limits.succeeded()
        seen.append(limits.limit)
    assert seen == [3] * 12  # with two in flight a limit of 3 is never reached
    busy = Concurrency(2, 4)
    rounds = []
    for _ in range(8):
        n = busy.limit
        for _ in range(n):
            busy.started()
        for _ in range(n):
            busy.succeeded()
            busy.ended()
        rounds.append(busy.limit)
    assert rounds == [3, 4, 4, 4, 4, 4, 4, 4]


def test_concurrency_shrinks_once_per_burst_and_never_to_nothing() -> None:
    limits = Concurrency(20, 64)
    seen = []
    for at in (0.0, 0.1, 9.9, 10.0, 20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0):
        limits.refused(at)
        seen.append(limits.limit)
    assert seen == [14, 14, 14, 9, 6, 4, 2, 1, 1, 1, 1]  # x 0.7, rounded down, at most every 10 s
    assert Concurrency(100, 64).limit == 64


def test_a_server_error_stops_growth_for_a_round() -> None:
    limits = Concurrency(3, 9)
    for _ in range(3):
        limits.started()
    limits.succeeded()
    limits.succeeded()
    limits.faulted()
    limits.succeeded()
    limits.succeeded()
    assert limits.limit == 3
    limits.succeeded()
    assert limits.limit == 4


@given(st.lists(st.sampled_from(["start", "ok", "fault", "refuse"]), max_size=200), st.integers(1, 20))
@settings(max_examples=100, deadline=None)
def test_concurrency_stays_in_its_bounds(steps: list[str], most: int) -> None:
    limits, clock = Concurrency(8, most), 0.0
    for step in steps:
        clock += 3.0
        if step == "start" and limits.free:
            limits.started()
        elif limits.in_flight:
            limits.ended()
            {"ok": limits.succeeded, "fault": limits.faulted}.get(step, lambda: limits.refused(clock))()  # noqa: B023
        assert 1 <= limits.limit <= most
        assert 0 <= limits.in_flight <= max(8, most)


@pytest.mark.parametrize(("per_minute", "n"), [(3, 13), (60, 200), (300, 1000), (3000, 1500)])
def test_requests_per_minute_are_used_and_kept(per_minute: int, n: int) -> None:
    server = Server(lambda at, n: 0.05)

    async def main() -> None:
        link = transport(requests_per_minute=per_minute, concurrency=64)
        assert not lost(await ask_all(link, server, n))

    run(main())
    times = [at for at, _, _ in server.log]
    minutes = times[-1] / 60
    assert (n - 1) / minutes >= 0.8 * per_minute
    for i, begin in enumerate(times):  # no minute, wherever it begins, has more than was announced
        assert sum(t < begin + 60 for t in times[i : i + per_minute + 2]) <= per_minute


def test_tokens_per_minute_are_used_and_kept() -> None:
    server, rng = Server(lambda at, n: 0.5), random.Random(3)
    sizes = {str(i): rng.randint(100, 3000) for i in range(300)}

    async def main() -> None:
        link = transport(tokens_per_minute=60_000, concurrency=64)
        await asyncio.gather(*(link.call(server.ask(name), tokens=size) for name, size in sizes.items()))

    run(main())
    used = [(at, sizes[name]) for at, name, _ in server.log]
    assert sum(s for _, s in used) / (used[-1][0] / 60) >= 0.8 * 60_000
    for i, (begin, _) in enumerate(used):  # a call above the bucket's size goes and is paid off after: one may be over
        assert sum(s for at, s in used[i:] if at < begin + 60) <= 60_000 + 3000


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_small_call_does_not_overtake_a_large_one(cancelled: bool) -> None:
    server = Server(lambda at, n: 0.01)

    async def main() -> None:
        link = transport(tokens_per_minute=60_000)  # 970 a second, at most 242 at once
        await link.call(server.ask("debt"), tokens=5000)  # 4758 owed: 1 is there after 4.906 s, 200 after 5.111 s
        large = asyncio.create_task(link.call(server.ask("large"), tokens=200))
        await asyncio.sleep(4.99)
        small = asyncio.create_task(link.call(server.ask("small"), tokens=1))
        await asyncio.sleep(0.01)
        if cancelled:
            large.cancel()
        await asyncio.gather(small, large, return_exceptions=True)

    run(main())
    assert [name for _, name, _ in server.log[1:]] == (["small"] if cancelled else ["large", "small"])
    assert server.log[1][0] == pytest.approx(5.0 if cancelled else 5.111, abs=0.012)


def test_who_came_first_is_asked_again_first() -> None:
    server = Server(lambda at, n: fault("server") if n == 0 else 1.0)

    async def main() -> None:
        await ask_all(transport(concurrency=1, max_concurrency=1), server, 20)

    run(main())
    assert [name for _, name, _ in server.log[:4]] == ["0", "1", "0", "2"]


def test_a_call_above_the_whole_minute_still_goes() -> None:
    async def main() -> None:
        link, server = transport(tokens_per_minute=1000), Server(lambda at, n: 0.1)
        await asyncio.gather(*(link.call(server.ask(), tokens=5000) for _ in range(2)))

    _, seconds = run(main())
    assert 280 < seconds < 320  # 5000 tokens at 970 a minute


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 20)), max_size=60), st.floats(0.01, 1000))
@settings(max_examples=100, deadline=None)
def test_a_bucket_never_gives_more_than_it_should(asked: list[tuple[float, float]], per_s: float) -> None:
    bucket, clock, given_out, largest = Bucket(per_s), 0.0, 0.0, 0.0
    for amount, idle in asked:
        clock += idle
        if (wait := bucket.wait_s(amount, clock)) > 0:
            clock += wait * (1 + 1e-9) + 1e-9
        assert bucket.wait_s(amount, clock) == 0
        bucket.take(amount)
        given_out, largest = given_out + amount, max(largest, amount)
        assert given_out <= per_s * clock + max(1.0, per_s * 0.25) + largest + 1e-3


@pytest.mark.parametrize("announced", [True, False])
@pytest.mark.parametrize("latency_s", [0.05, 0.5, 1.5])
@pytest.mark.parametrize("retry_after_s", [None, 1.0])
def test_a_server_that_takes_five_per_second_is_used_and_not_hammered(
    announced: bool, latency_s: float, retry_after_s: float | None
) -> None:
    level, last = 5.0, 0.0

    def rule(at: float, n: int) -> Reply:
        nonlocal level, last
        level, last = min(5.0, level + (at - last) * 5), at
        if level < 1:
            return fault("rate_limited", retry_after_s)
        level -= 1
        return latency_s

    server = Server(rule)

    async def main() -> None:
        link = transport(requests_per_minute=300 if announced else 0)
        assert not lost(await ask_all(link, server, 500))

    run(main())
    duration = server.log[-1][0]
    assert server.count("ok") == 500
    assert 500 / duration >= 0.8 * 5
    settled = sum(at >= 10 for at, _, _ in server.log)
    assert server.count("rate_limited", since=10) / settled < 0.05
    assert len(server.log) <= 1.1 * 500


def test_a_server_that_allows_so_many_at_once_is_found_out() -> None:
    server = Server(lambda at, n: fault("rate_limited") if server.in_flight >= 4 else 1.0)

    async def main() -> None:
        assert not lost(await ask_all(transport(concurrency=32), server, 400))

    _, seconds = run(main())
    assert seconds < 400 / 4 / 0.6
    assert server.count("rate_limited", since=40) < 0.1 * 400


def test_many_calls_through_mixed_faults_lose_nothing() -> None:
    rng = random.Random(5)

    def rule(at: float, n: int) -> Reply:
        if rng.random() >= 0.3:
            return rng.uniform(0.05, 0.4)
        kind = rng.choice(["hang", "server", "connect", "bad_body", "overloaded", "rate_limited", "after"])
        if kind == "hang":
            return 1e9
        return fault("rate_limited", rng.uniform(0, 5)) if kind == "after" else fault(kind)

    server = Server(rule)

    async def main() -> None:
        link = transport(wait_out=True)
        assert not lost(await ask_all(link, server, 10_000))

    run(main())
    assert len(server.log) <= 1.6 * 10_000  # 1 / 0.7 = 1.43 are needed on average
