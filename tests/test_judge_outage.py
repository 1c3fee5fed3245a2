"""The circuit breaker, in virtual time: an outage of a quarter of an hour costs nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from itertools import pairwise

import pytest
from scripted import Reply, Server, ask_all, error_of, fault, lost, now, transport
from virtual_time import run

from core.judge.breaker import Breaker
from core.judge.endpoint import CallError
from core.judge.transport import Sent


def outage(begin: float, end: float, latency_s: float = 0.5, how: Reply | None = None) -> Callable[[float, int], Reply]:
    return lambda at, n: (fault("server") if how is None else how) if begin <= at < end else latency_s


@pytest.mark.parametrize("how", [None, 1e9], ids=["503", "hang"])
def test_an_outage_of_fifteen_minutes_is_waited_out(how: float | None) -> None:
    server = Server(outage(10, 910, how=how))

    async def main() -> None:
        link = transport(wait_out=True)
        assert not lost(await ask_all(link, server, 500))
        assert not link.state.open
        assert asyncio.all_tasks() == {asyncio.current_task()}

    _, seconds = run(main())
    failed = [at for at, _, _ in server.log if 10 <= at < 910]
    gaps = [round(b - a) for a, b in pairwise(failed) if b - a > 5]
    if how:
        assert gaps.pop(0) == 30  # the first of those that hang are asked again before the fifth has failed
    # what was in flight fails; then a probe after 15 s, 30 s later, 60 s later and so on: 15 + 30 + 13 x 60 < 900
    assert gaps[:2] == [15, 30]
    assert set(gaps[2:]) == {60}
    assert 13 <= len(gaps[2:]) <= 14
    assert len(failed) <= 2 * 64 + len(gaps)
    back = min(at for at, _, kind in server.log if at >= 910)
    assert back - 910 <= 60
    answered = Counter(name for at, name, kind in server.log if kind == "ok" and not 10 <= at < 910)
    assert answered == Counter({str(i): 1 for i in range(500)})
    assert seconds < 910 + 60 + 60


def test_probes_are_one_at_a_time_and_by_turns() -> None:
    server = Server(outage(0, 900, how=1e9))

    async def main() -> None:
        link = transport(wait_out=True, attempt_timeout_s=20)
        assert not lost(await ask_all(link, server, 30))

    run(main())
    during = [(at, name) for at, name, _ in server.log if 20 < at < 900]
    assert all(b - a >= 15 for (a, _), (b, _) in pairwise(during))
    assert len({name for _, name in during}) == len(during)  # nobody is sent twice while others wait


def test_an_outage_that_is_not_waited_out_fails_each_call_at_its_deadline() -> None:
    server = Server(outage(0, 1e9))

    async def main() -> tuple[list[float], list[CallError]]:
        link = transport()
        ends: list[float] = []
        began = now()

        async def one() -> CallError:
            error = await error_of(link, server)
            ends.append(now() - began)
            return error

        errors = await asyncio.gather(*(one() for _ in range(40)))
        assert link.state.open
        assert link.state.in_flight == 0
        return ends, list(errors)

    (ends, errors), _ = run(main())
    assert {e.kind for e in errors} == {"server"}
    assert all("the server says server" in str(e) for e in errors)
    assert sum(str(e).startswith("the judge is out of service: ") for e in errors) > 30
    assert max(ends) <= 121.1
    assert min(ends) > 100  # a probe may have less than a second left
    assert sum(e.attempts for e in errors) == len(server.log) < 40


def test_patience_runs_on_after_an_outage_but_not_in_line() -> None:
    # the outage of 16 s (15 to the probe, which takes 1) leaves 4 s; then the line is 20 s long
    server = Server(lambda at, n: fault("server") if at < 8 else 1.0)

    async def main() -> list[Sent[str] | BaseException]:
        link = transport(concurrency=5, max_concurrency=5, total_timeout_s=20)
        return await ask_all(link, server, 100)

    answers, seconds = run(main())
    assert not lost(answers)
    assert seconds == pytest.approx(15 + 100 / 5, abs=2.5)  # the probe after 15 s, then 5 at a time


def test_reset_probes_at_once_and_one_success_closes() -> None:
    server = Server(outage(0, 100))

    async def main() -> float:
        link = transport(wait_out=True)
        calls = asyncio.create_task(ask_all(link, server, 20))
        await asyncio.sleep(102)
        assert link.state.open
        assert link.state.reason.count("the server says server") == 1
        assert link.state.next_probe_s > 1
        link.reset()
        assert link.state.next_probe_s == 0
        await asyncio.sleep(0.6)
        assert not link.state.open
        assert not lost(await calls)
        return now()

    _, seconds = run(main())
    assert seconds < 106


def test_calls_that_alone_fail_are_given_up_after_half_an_hour() -> None:
    """A reply that always breaks for one sample must not stop training for ever; a short outage must not lose it."""
    server = Server(lambda at, n: fault("server"))

    async def main() -> None:
        link = transport(wait_out=True)
        assert len(lost(await ask_all(link, server, 2))) == 2
        assert not lost(await ask_all(link, Server(lambda at, n: 0.1), 3))

    _, seconds = run(main())
    assert 1800 <= seconds <= 2000


def test_a_busy_server_is_not_an_outage_until_it_answers_nobody() -> None:
    def opened_after(rule: Callable[[float, int], Reply]) -> float | None:
        async def main() -> float | None:
            link = transport(wait_out=True)
            calls = asyncio.create_task(ask_all(link, Server(rule), 50))
            for tick in range(120):
                await asyncio.sleep(1)
                if link.state.open:
                    calls.cancel()
                    return tick + 1
            calls.cancel()
            return None

        return run(main())[0]

    assert opened_after(lambda at, n: fault("rate_limited") if n % 4 else 0.1) is None
    only = opened_after(lambda at, n: fault("rate_limited"))
    assert only is not None
    assert 30 <= only <= 60
    assert opened_after(lambda at, n: fault("overloaded")) == 1


def test_breaker_counts_failures_in_a_row_only() -> None:
    breaker = Breaker()
    for round_ in range(3):
        for n in range(4):
            breaker.failed(fault("connect"), n, breaker.admit(0.0), float(round_))
        assert not breaker.open
        breaker.answered()
    for n in range(5):
        breaker.failed(fault("connect"), n, breaker.admit(0.0), 5.0)
    assert breaker.open
    assert breaker.wait_s(5.0) == 15
    probe = breaker.admit(20.0)
    assert breaker.wait_s(20.0) == float("inf")
    breaker.failed(fault("connect"), 9, 0, 21.0)  # one that was under way before
    assert breaker.wait_s(21.0) == float("inf")
    breaker.withdrawn(probe)
    assert breaker.wait_s(21.0) == 0


def test_many_calls_are_never_given_up_in_an_outage() -> None:
    server = Server(outage(0, 2 * 3600))

    async def main() -> None:
        assert not lost(await ask_all(transport(wait_out=True), server, 10))

    assert run(main())[1] < 2 * 3600 + 61


def test_whoever_waited_out_an_outage_has_all_patience_again() -> None:
    # four calls hang for 30 s of their 40; a fifth failure opens the breaker; then replies take 20 s
    server = Server(lambda at, n: 1e9 if n < 4 else fault("server") if at < 40 else 20.0)

    async def main() -> list[int]:
        link = transport(wait_out=True, total_timeout_s=40)
        calls = [asyncio.create_task(link.call(server.ask())) for _ in range(4)]
        await asyncio.sleep(30)
        calls.append(asyncio.create_task(link.call(server.ask())))
        return [sent.attempts for sent in await asyncio.gather(*calls)]

    assert run(main())[0] == [2] * 5


def test_any_word_from_the_server_ends_an_outage() -> None:
    server = Server(lambda at, n: fault("server") if n < 5 else fault("too_long") if n == 5 else 0.1)

    async def main() -> None:
        link = transport(wait_out=True)
        answers = await ask_all(link, server, 5)
        assert [e.kind for e in lost(answers)] == ["too_long"]
        assert not link.state.open

    assert run(main())[1] < 16
