"""Retries, deadlines, fatal faults and cancellation of ``core.judge.transport``, in virtual time."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Server, ask_all, error_of, fault, lost, transport
from virtual_time import run

from core.judge.breaker import Breaker
from core.judge.endpoint import FATAL_KINDS, RETRIED_KINDS, CallError
from core.judge.limiter import Limiter
from core.judge.spec import LimitsSpec
from core.judge.transport import LinkState, Sent, Transport
from core.types import FaultKind

# ---- virtual time


def test_virtual_time_jumps_and_keeps_order() -> None:
    seen: list[str] = []

    async def late(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append(name)

    async def all_of_them() -> int:
        await asyncio.gather(late("c", 7200), late("a", 1), late("b", 3600))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(30):
                await asyncio.sleep(86_400 * 400)
        return await asyncio.to_thread(lambda: time.sleep(0.02) or 5)

    real = time.monotonic()
    assert run(all_of_them()) == (5, 7230.0)  # 7200 + 30; the thread's time is not virtual
    assert seen == ["a", "b", "c"]
    assert time.monotonic() - real < 60


def test_virtual_time_says_when_nothing_can_happen() -> None:
    async def for_ever() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(RuntimeError, match="nothing can ever happen"):
        run(for_ever())


# ---- one call


def test_reply_at_once() -> None:
    async def main() -> tuple[Sent[str], LinkState]:
        link = transport()
        return await link.call(Server(lambda at, n: 0.25).ask("x")), link.state

    (sent, state), seconds = run(main())
    assert sent == Sent("x", 1, 0.25)
    assert seconds == 0.25
    assert (state.open, state.in_flight, state.limit, state.fatal) == (False, 0, 8, "")


@pytest.mark.parametrize("kind", sorted(RETRIED_KINDS))
def test_transient_faults_are_retried(kind: FaultKind) -> None:
    server = Server(lambda at, n: fault(kind) if n < 3 else 0.2)
    sent, seconds = run(transport().call(server.ask("x")))
    assert (sent.value, sent.attempts, round(sent.latency_s, 9)) == ("x", 4, 0.2)
    # full jitter: at most 0.5 + 1 + 2 s of pauses, besides 3 x 10 ms and the reply; a refusal adds up to 0.5 s each
    assert 0.23 < seconds < 0.23 + 3.5 + 1.5


def test_backoff_grows_to_thirty_seconds_and_is_seeded() -> None:
    def gaps(seed: int) -> list[float]:
        server = Server(lambda at, n: fault("rate_limited", 0.0) if n < 12 else 0.1)
        link = Transport(LimitsSpec(total_timeout_s=3600), wait_out_outages=False, seed=seed)
        # few enough in 30 s that no outage is seen, thereafter each gap is the backoff alone
        link._breaker.failed = lambda *_: None  # type: ignore[method-assign]
        run(link.call(server.ask()))
        times = [at for at, _, _ in server.log]
        return [b - a - 0.01 for a, b in pairwise(times)]

    assert gaps(1) == gaps(1) != gaps(2)
    many = [gaps(seed) for seed in range(60)]
    for k in range(12):
        top = min(30.0, 0.5 * 2**k)
        column = [g[k] for g in many]
        assert max(column) <= top + 1e-6
        assert max(column) > 0.8 * top  # 60 draws: all below 0.8 once in a million
        assert min(column) < 0.2 * top


def test_retry_after_stops_all_traffic_of_the_server() -> None:
    server = Server(lambda at, n: fault("rate_limited", 20.0) if n == 0 else 0.1)

    async def main() -> None:
        link = transport(concurrency=1)
        first = asyncio.create_task(link.call(server.ask("first")))
        await asyncio.sleep(5)
        await asyncio.gather(first, *(link.call(server.ask("other")) for _ in range(5)))

    run(main())
    assert [name for _, name, _ in server.log[:2]] == ["first", "first"]
    assert server.log[1][0] == pytest.approx(20.01)
    assert len(server.log) == 7


def test_reset_forgets_a_pause_that_the_server_asked_for() -> None:
    server = Server(lambda at, n: fault("rate_limited", 50.0) if n == 0 else 0.1)

    async def main() -> None:
        link = transport()
        call = asyncio.create_task(link.call(server.ask()))
        await asyncio.sleep(5)
        link.reset()
        await call

    assert run(main())[1] == pytest.approx(5.1)


def test_retry_after_of_a_503_is_honoured_too() -> None:
    server = Server(lambda at, n: fault("server", 40.0) if n == 0 else 0.1)
    sent, seconds = run(transport().call(server.ask()))
    assert sent.attempts == 2
    assert seconds == pytest.approx(40.11)


def test_retry_after_beyond_patience_fails_at_once() -> None:
    error, seconds = run(error_of(transport(total_timeout_s=30), Server(lambda at, n: fault("rate_limited", 50.0))))
    assert (error.kind, error.attempts) == ("rate_limited", 1)
    assert seconds < 1


def test_too_long_a_retry_after_opens_the_breaker_with_its_countdown() -> None:
    server = Server(lambda at, n: fault("rate_limited", 300.0) if n == 0 else 0.1)

    async def main() -> tuple[LinkState, Sent[str]]:
        link = transport(wait_out=True)
        call = asyncio.create_task(link.call(server.ask()))
        await asyncio.sleep(100)
        return link.state, await call

    (state, sent), seconds = run(main())
    assert state.open
    assert state.next_probe_s == pytest.approx(200.01)
    assert state.since_s == pytest.approx(99.99)
    assert "300 s" in state.reason
    assert sent.attempts == 2
    assert seconds == pytest.approx(300.11)


@pytest.mark.parametrize("kind", ["too_long", "budget", "exception"])
def test_other_faults_end_one_call_and_no_other(kind: FaultKind) -> None:
    server = Server(lambda at, n: fault(kind) if n == 0 else 0.1)

    async def main() -> CallError:
        link = transport()
        error = await error_of(link, server)
        assert (await link.call(server.ask("next"))).value == "next"
        return error

    error, _ = run(main())
    assert (error.kind, error.attempts, len(server.log)) == (kind, 1, 2)


def test_a_bug_in_send_is_not_hidden_and_frees_its_slot() -> None:
    async def broken(timeout_s: float) -> str:
        raise ZeroDivisionError

    async def main() -> None:
        link = transport(concurrency=1, max_concurrency=1)
        with pytest.raises(ZeroDivisionError):
            await link.call(broken)
        assert (await link.call(Server(lambda at, n: 0.1).ask("x"))).value == "x"

    run(main())


# ---- hangs and deadlines


def test_a_hang_ends_by_timeout_and_frees_its_slot() -> None:
    server = Server(lambda at, n: 1e9 if n == 0 else 0.1)

    async def main() -> tuple[Sent[str], Sent[str]]:
        link = transport(concurrency=1, max_concurrency=1)
        return await asyncio.gather(link.call(server.ask("slow")), link.call(server.ask("next")))

    (slow, after), seconds = run(main())
    assert (slow.attempts, after.attempts) == (2, 1)
    assert 30.1 < seconds < 30.8
    assert server.peak == 1


def test_a_slow_drip_counts_as_a_hang() -> None:
    async def drip(timeout_s: float) -> str:
        while True:
            await asyncio.sleep(1)  # each byte in time, the reply never

    async def main() -> CallError:
        with pytest.raises(CallError) as caught:
            await transport(attempt_timeout_s=10, total_timeout_s=25).call(drip)
        return caught.value

    error, seconds = run(main())
    assert (error.kind, error.attempts, error.billed) == ("timeout", 3, True)
    assert str(error) == "no reply within 4 s" or 10 < seconds <= 25  # the last attempt has what is left
    assert seconds <= 25


@given(
    hang=st.floats(0.1, 100),
    attempt=st.floats(0.5, 40),
    total=st.floats(1, 100),
    share=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_a_lone_call_never_outlasts_its_patience(
    hang: float, attempt: float, total: float, share: float, seed: int
) -> None:
    rng = random.Random(seed)
    server = Server(lambda at, n: hang if rng.random() < share else fault("server"))

    async def main() -> None:
        link = transport(attempt_timeout_s=attempt, total_timeout_s=total)
        (answer,) = await asyncio.gather(link.call(server.ask()), return_exceptions=True)
        assert isinstance(answer, Sent) or (isinstance(answer, CallError) and answer.kind in RETRIED_KINDS)
        assert answer.attempts == len(server.log)
        assert link.state.in_flight == 0

    _, seconds = run(main())
    assert seconds <= total + 1.0 + 1e-6


# ---- fatal faults


@pytest.mark.parametrize("kind", sorted(FATAL_KINDS))
def test_fatal_faults_are_asked_once_and_remembered(kind: FaultKind) -> None:
    server = Server(lambda at, n: fault(kind) if at < 50 else 0.1)

    async def main() -> None:
        link = transport(concurrency=1, max_concurrency=1)
        answers = await ask_all(link, server, 20)
        assert {str(e) for e in lost(answers)} == {f"the server says {kind}"}
        assert {e.kind for e in lost(answers)} == {kind}
        assert sorted(e.attempts for e in lost(answers)) == [0] * 19 + [1]
        assert len(server.log) == 1
        assert link.state.fatal == f"the server says {kind}"
        await asyncio.sleep(100)
        assert (await error_of(link, server)).kind == kind
        assert len(server.log) == 1
        link.reset()
        assert link.state.fatal == ""
        assert not lost(await ask_all(link, server, 20))

    _, seconds = run(main())
    assert seconds < 102.1  # 20 x 0.1 s one by one; the failing ones took no time


@pytest.mark.parametrize("after_s", [0.02, 1.0], ids=["pausing", "in line"])
def test_a_fatal_fault_reaches_those_that_wait(after_s: float) -> None:
    server = Server(lambda at, n: fault("server", 50.0))

    async def refused_late(timeout_s: float) -> str:
        await asyncio.sleep(after_s)
        raise fault("auth")

    async def main() -> None:
        link = transport()
        pausing = asyncio.create_task(error_of(link, server))
        with pytest.raises(CallError):
            await link.call(refused_late)
        error = await pausing
        assert (error.kind, error.attempts) == ("auth", 1)

    _, seconds = run(main())
    assert seconds == pytest.approx(after_s)
    assert len(server.log) == 1


# ---- cancellation


def test_cancelling_in_the_middle_leaks_nothing() -> None:
    rng = random.Random(2)
    server = Server(lambda at, n: fault("server") if rng.random() < 0.4 else rng.uniform(0.1, 3))

    async def main() -> None:
        link = transport(concurrency=4, max_concurrency=4, wait_out=True)
        for _ in range(40):
            tasks = [asyncio.create_task(link.call(server.ask(str(i)))) for i in range(12)]
            await asyncio.sleep(rng.uniform(0, 8))
            for task in rng.sample(tasks, 9):
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(e, Sent | asyncio.CancelledError) for e in ended)
            assert link.state.in_flight == server.in_flight == 0
            assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not lost(await ask_all(link, server, 20))

    run(main())
    assert server.peak == 4


def test_a_turn_that_comes_together_with_the_cancellation_is_handed_on() -> None:
    async def main() -> None:
        link = transport(concurrency=1, max_concurrency=1)
        gate = asyncio.Event()

        async def hold(timeout_s: float) -> str:
            await gate.wait()
            return "held"

        first = asyncio.create_task(link.call(hold))
        second = asyncio.create_task(link.call(Server(lambda at, n: 0.1).ask("second")))
        await asyncio.sleep(1)
        gate.set()  # the first leaves: the second has its turn in hand when it is cancelled
        asyncio.get_running_loop().call_soon(second.cancel)
        assert (await first).value == "held"
        with pytest.raises(asyncio.CancelledError):
            await second
        assert link.state.in_flight == 0
        assert (await link.call(Server(lambda at, n: 0.1).ask("third"))).value == "third"

    run(main())


def test_a_cancelled_probe_gives_way_to_another() -> None:
    server = Server(lambda at, n: fault("connect") if n < 5 else 1e9 if n == 5 else 0.1)

    async def main() -> None:
        link = transport(wait_out=True, attempt_timeout_s=3000)
        tasks = {str(i): asyncio.create_task(link.call(server.ask(str(i)))) for i in range(5)}
        await asyncio.sleep(20)
        assert len(server.log) == 6
        assert link.state.open
        tasks.pop(server.log[5][1]).cancel()
        done = await asyncio.gather(*tasks.values())
        assert len(done) == 4

    _, seconds = run(main())
    assert seconds < 22


def test_limiter_gives_back_a_turn_of_a_cancelled_first_in_line() -> None:
    async def main() -> list[str]:
        limiter, order = Limiter(LimitsSpec(concurrency=1), Breaker()), list[str]()

        async def one(name: str) -> None:
            await limiter.enter(0, 0)
            order.append(name)
            await asyncio.sleep(1)
            limiter.leave()

        tasks = [asyncio.create_task(one(name)) for name in "abcd"]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert limiter.concurrency.in_flight == 0
        return order

    assert run(main())[0] == ["a", "c", "d"]


# ---- reading the state, several loops


def test_state_is_readable_from_another_thread_and_before_any_loop() -> None:
    link = transport(concurrency=3)
    assert link.state.limit == 3
    link.reset()
    seen: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.is_set():
            state = link.state
            assert state.since_s >= 0
            seen.append(state.in_flight)
            time.sleep(0.001)

    watcher = threading.Thread(target=watch)
    watcher.start()

    async def main() -> None:
        async def send(timeout_s: float) -> int:
            await asyncio.sleep(0.02)
            return 1

        await asyncio.gather(*(link.call(send) for _ in range(9)))

    asyncio.run(main())
    asyncio.run(main())  # a second loop with the same link
    stop.set()
    watcher.join()
    assert max(seen) >= 3
    assert link.state.in_flight == 0
