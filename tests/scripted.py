"""A server for transports that answers by a rule, and what to ask it with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from core.judge.endpoint import CallError
from core.judge.spec import LimitsSpec
from core.judge.transport import Sent, Transport
from core.types import FaultKind

Reply = float | CallError
"""Seconds until a good reply, or what the call ends in."""


def now() -> float:
    return asyncio.get_running_loop().time()


def fault(kind: FaultKind, retry_after_s: float | None = None) -> CallError:
    return CallError(kind, f"the server says {kind}", retry_after_s=retry_after_s)


@dataclass
class Server:
    """Answers by ``rule(seconds since its start, number of the call)``; faults take 10 ms. It keeps a log."""

    rule: Callable[[float, int], Reply]
    log: list[tuple[float, str, str]] = field(default_factory=list)
    in_flight: int = 0
    peak: int = 0
    began: float | None = None

    def ask(self, name: str = "") -> Callable[[float], Awaitable[str]]:
        async def send(timeout_s: float) -> str:
            assert timeout_s > 0
            self.began = now() if self.began is None else self.began
            at = now() - self.began
            reply = self.rule(at, len(self.log))
            self.log.append((at, name, reply.kind if isinstance(reply, CallError) else "ok"))
            self.in_flight += 1
            self.peak = max(self.peak, self.in_flight)
            try:
                await asyncio.sleep(0.01 if isinstance(reply, CallError) else reply)
            finally:
                self.in_flight -= 1
            if isinstance(reply, CallError):
                raise reply
            return name

        return send

    def count(self, kind: str, since: float = 0.0) -> int:
        return sum(k == kind and at >= since for at, _, k in self.log)


def transport(*, wait_out: bool = False, **limits: Any) -> Transport:
    return Transport(LimitsSpec(**limits), wait_out_outages=wait_out, seed=1)


async def ask_all(link: Transport, server: Server, n: int, tokens: int = 0) -> list[Sent[str] | BaseException]:
    calls = (link.call(server.ask(str(i)), tokens=tokens) for i in range(n))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for i, answer in enumerate(answers):
        assert isinstance(answer, CallError) or (isinstance(answer, Sent) and answer.value == str(i)), answer
    assert link.state.in_flight == server.in_flight == 0
    return answers


def lost(answers: list[Sent[str] | BaseException]) -> list[CallError]:
    return [a for a in answers if isinstance(a, CallError)]


async def error_of(link: Transport, server: Server) -> CallError:
    with pytest.raises(CallError) as caught:
        await link.call(server.ask())
    return caught.value
