"""A judge on 127.0.0.1 that speaks every protocol, keeps what it was asked, and breaks on demand.

OpenAI ``/v1/chat/completions``, ``/v1/responses``, ``/v1/decisions``, ``/v1/systemone``, ``/v1/models``; Anthropic
``/v1/messages`` and its ``/v1/models``. Token counts follow from text lengths (``tokens``), so that a test can compute
every cost by hand. By hand: ``python tests/judge_server.py --port 8899 [--mode length] [--fault 429]``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from judge_faults import EARLY, FAULTS, RATE_FAULTS, SLOW, HangError, Reply, ResetError, error, good, render, spoil
from judge_minds import (
    Asked,
    Pick,
    Score,
    always_a,
    constant,
    has,
    length_lover,
    noise,
    obeys,
    overlap,
    scripted,
    tokens,
    understand,
)
from judge_replies import CLAUDES, LABEL_MASS, LETTERS, MODELS, Replies

__all__ = [
    "FAULTS", "LABEL_MASS", "LETTERS", "JudgeServer", "always_a", "constant", "length_lover", "noise", "obeys",
    "overlap", "scripted", "tokens",
]  # fmt: skip

Faults = Mapping[int, str] | Callable[[int], str | None]


@dataclass(frozen=True)
class Recorded:
    """A request as it came, and what was said to it."""

    number: int
    method: str
    path: str
    headers: dict[str, str]
    """Names in lower case."""
    body: dict[str, Any]
    at: float
    """``time.monotonic()``."""


@dataclass
class Given:
    """What the server answered and would bill for."""

    status: int = 0
    fault: str = ""
    input_tokens: int = 0
    output_tokens: int = 0


class JudgeServer(Replies):
    """``with JudgeServer(...) as server:`` listens on ``server.url`` (OpenAI) and ``server.root`` (Anthropic).

    ``faults`` maps a request's number (from 0) to a fault's name, or is a function of the number; ``always`` holds for
    all requests while it is set; ``fault_rate`` draws from ``fault_kinds`` with ``seed``. ``rejects`` are body fields
    (dotted for inner ones) that get a 400, in OpenAI's shape or with ``terse`` only named in the message.
    """

    def __init__(
        self,
        score: Score = overlap,
        *,
        pick: Pick | None = None,
        faults: Faults | None = None,
        fault_rate: float = 0.0,
        fault_kinds: Sequence[str] = RATE_FAULTS,
        seed: int = 0,
        delay: float | Callable[[int], float] = 0.0,
        key: str = "",
        rejects: Sequence[str] = (),
        terse: bool = False,
        requests_per_second: float = 0.0,
        cost: float | None = None,
        cached_tokens: int = 0,
        reasoning_tokens: int = 0,
        steering: Callable[[str], float] = lambda response: 0.02,
        port: int = 0,
    ) -> None:
        super().__init__(score, pick, steering, cost, cached_tokens, reasoning_tokens)
        self.faults, self.always = faults or {}, ""
        self.fault_rate, self.fault_kinds, self._random = fault_rate, fault_kinds, random.Random(seed)
        self.delay, self.key, self.rejects, self.terse = delay, key, tuple(rejects), terse
        self.requests_per_second, self._free_at = requests_per_second, 0.0
        self.requests: list[Recorded] = []
        self.given: list[Given] = []
        self.peak = self.in_flight = 0
        self.port = port
        self._loop = asyncio.new_event_loop()
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="judge-server", daemon=True)

    @property
    def root(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.root}/v1"

    @property
    def billed(self) -> tuple[int, int]:
        """Input and output tokens of all replies that carry a price."""
        return sum(g.input_tokens for g in self.given), sum(g.output_tokens for g in self.given)

    def __enter__(self) -> JudgeServer:
        self._thread.start()
        if not self._ready.wait(10):
            raise RuntimeError("the judge server did not start")
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        clients: set[asyncio.Task[None]] = set()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            clients.add(task)
            try:
                await self._client(reader, writer)
            finally:
                writer.transport.abort()
                clients.discard(task)

        server = await asyncio.start_server(accept, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        waiting = list(clients)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
        await asyncio.sleep(0)  # lets the transports close their sockets

    async def _client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while (request := await read_request(reader)) is not None:
                method, path, headers, raw = request
                self.in_flight += 1
                self.peak = max(self.peak, self.in_flight)
                try:
                    await self._respond(writer, method, path, headers, raw)
                finally:
                    self.in_flight -= 1

    async def _respond(
        self, writer: asyncio.StreamWriter, method: str, path: str, headers: dict[str, str], raw: bytes
    ) -> None:
        body = json.loads(raw) if raw else {}
        asked = Recorded(len(self.requests), method, path.partition("?")[0], headers, body, time.monotonic())
        given = Given(fault=self._fault_of(asked.number))
        self.requests.append(asked)
        self.given.append(given)
        wait = self.delay(asked.number) if callable(self.delay) else self.delay
        if wait:
            await asyncio.sleep(wait)
        try:
            reply = self._answer(asked, given)
            given.status = reply.status
            data = render(reply)
            if given.fault in SLOW:
                await SLOW[given.fault](writer, data)
            else:
                writer.write(data)
                await writer.drain()
        except HangError:
            await asyncio.sleep(3600)
        except ResetError as reset:
            writer.write(reset.sent)
            await writer.drain()
            await asyncio.sleep(0.02 if reset.sent else 0)
            linger = struct.pack("ii", 1, 0)  # close with RST, not FIN
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
            raise ConnectionResetError from None

    def _fault_of(self, number: int) -> str:
        drawn = self._random.random() < self.fault_rate and self._random.choice(self.fault_kinds)
        named = self.faults(number) if callable(self.faults) else self.faults.get(number)
        return self.always or named or drawn or ""

    def _answer(self, asked: Recorded, given: Given) -> Reply:
        if early := self._refusal_to_serve(asked, given):
            return early
        if asked.method == "GET":
            return self._models(asked)
        speak = PROTOCOLS.get(asked.path)
        if speak is None:
            return error(404, f"Unknown request URL: {asked.path}", code="unknown_url")
        body = speak(self, asked.body, understand(asked.body), given.fault)
        usage = body.get("usage") or {}
        given.input_tokens = usage.get("input_tokens", usage.get("prompt_tokens", 0))
        given.output_tokens = usage.get("output_tokens", usage.get("completion_tokens", 0))
        return spoil(given.fault, body)

    def _refusal_to_serve(self, asked: Recorded, given: Given) -> Reply | None:
        sent = asked.headers.get("authorization", "").removeprefix("Bearer ") or asked.headers.get("x-api-key", "")
        if self.key and sent != self.key:
            return error(401, f"Incorrect API key provided: {sent}.", code="invalid_api_key")
        if given.fault in EARLY:
            return EARLY[given.fault](sent)
        if self.requests_per_second:
            now = time.monotonic()
            if now < self._free_at - 1.0:  # a second's worth may come at once
                return error(429, "Rate limit reached.", code="rate_limit_exceeded", headers={"retry-after": "1"})
            self._free_at = max(now, self._free_at) + 1.0 / self.requests_per_second
        return next((self._rejection(name) for name in self.rejects if has(asked.body, name)), None)

    def _rejection(self, name: str) -> Reply:
        if self.terse:
            return error(400, f"{name}: Extra inputs are not permitted", kind="invalid_request_error", param=None)
        hint = " Use 'max_completion_tokens' instead." if name == "max_tokens" else ""
        text = f"Unsupported parameter: '{name}' is not supported with this model.{hint}"
        return error(400, text, code="unsupported_parameter", param=name)

    def _models(self, asked: Recorded) -> Reply:
        if "anthropic-version" in asked.headers:
            page = {"data": CLAUDES, "has_more": False, "first_id": CLAUDES[0]["id"], "last_id": CLAUDES[-1]["id"]}
            return good(page)
        return good({"object": "list", "data": MODELS})


PROTOCOLS: dict[str, Callable[[JudgeServer, dict[str, Any], Asked, str], dict[str, Any]]] = {
    "/v1/chat/completions": JudgeServer.chat,
    "/v1/responses": JudgeServer.responses,
    "/v1/messages": JudgeServer.messages,
    "/v1/decisions": JudgeServer.decisions,
    "/v1/systemone": JudgeServer.systemone,
}


async def read_request(reader: asyncio.StreamReader) -> tuple[str, str, dict[str, str], bytes] | None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.split("\r\n")
    method, path, _ = first.split(" ", 2)
    headers = {n.strip().lower(): v.strip() for n, _, v in (line.partition(":") for line in lines if line)}
    return method, path, headers, await reader.readexactly(int(headers.get("content-length", 0)))


def main() -> None:
    modes: dict[str, Score] = {
        "rule": overlap,
        "length": length_lover,
        "obeys": obeys,
        "noise": noise(1.5),
        "constant": constant(5.0),
    }
    parser = argparse.ArgumentParser(description="A judge on 127.0.0.1 for trying things by hand.")
    parser.add_argument("--port", type=int, default=8899)
    parser.add_argument("--mode", choices=sorted(modes), default="rule")
    parser.add_argument("--fault", choices=FAULTS, default="")
    parser.add_argument("--fault-rate", type=float, default=0.0)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds per request")
    options = parser.parse_args()
    server = JudgeServer(
        modes[options.mode], port=options.port, delay=options.delay, fault_rate=options.fault_rate
    )  # fmt: skip
    server.always = options.fault
    with server, contextlib.suppress(KeyboardInterrupt):
        sys.stdout.write(f"OpenAI: {server.url}   Anthropic: {server.root}   Ctrl-C ends it\n")
        sys.stdout.flush()
        threading.Event().wait()


if __name__ == "__main__":
    main()
