"""A judge behind an API: question, cache, calls in flight, money, transport, back end, reading, verdict.

A reply is read before it is cached and cached before it is used, so a kill costs at most the calls in flight, and a
reply that could not be read, a refusal or a failure is never kept.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from ..errors import JudgeError
from ..types import JudgeFailure, JudgeRequest, JudgeResult, Usage
from .asking import make_pair_question, make_question, read_pair
from .cache import CachedReply, JudgeCache, cache_key
from .endpoint import Backend, CallError, RawReply
from .ledger import CapReached, Ledger
from .outcome import Answer, Bill, PairAnswer, failure, result_of
from .prices import price_of, worst_case
from .question import Question
from .reading import Reading, Unreadable
from .spec import JudgeSpec
from .transport import LinkState, Transport

REASKED = frozenset({"empty", "truncated", "no_verdict", "injected"})
BYTES_PER_TOKEN = 4
"""For the tokens-per-minute limit only; money reserves a token per byte."""

ROOM_POLL_S = 0.05
ROOM_SHARE = 0.5
"""Part of an attempt's time that may go into waiting for room under a cap."""

Outcome = Reading | PairAnswer | Unreadable
Read = Callable[[dict[str, Any], Question], Outcome]


@dataclass
class _Tally:
    """What one judgement has cost so far, whatever comes of it."""

    bill: Bill = field(default_factory=Bill)
    attempts: int = 0


class ApiJudge:
    """Judges through ``backend``. ``judge`` never raises for a sample; a call that fails is a ``JudgeFailure``."""

    def __init__(
        self,
        spec: JudgeSpec,
        version: str,
        backend: Backend,
        transport: Transport,
        ledger: Ledger,
        secret: bytes,
        *,
        cache: JudgeCache | None = None,
        repeats: int | None = None,
    ) -> None:
        self.spec = spec
        self.ledger = ledger
        self._version = version
        self._backend = backend
        self._transport = transport
        self._cache = cache
        self._secret = secret
        self._repeats = repeats or spec.repeats
        self._in_flight: dict[str, asyncio.Future[Answer]] = {}

    @property
    def name(self) -> str:
        """``backend:model``, such as ``chat_json:gpt-6-luna``."""
        return f"{self.spec.backend}:{self.spec.model}"

    @property
    def version(self) -> str:
        return self._version

    @property
    def link(self) -> LinkState:
        """How the connection to the server stands."""
        return self._transport.state

    def reset(self) -> None:
        """Somebody may have mended what was wrong: forget a fatal error and try an interrupted server at once."""
        self._transport.reset()

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        """One result per request, in order."""
        return list(await asyncio.gather(*(self._one(request) for request in requests)))

    async def close(self) -> None:
        await self._backend.close()
        if self._cache is not None:
            self._cache.close()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What went wrong with the cache: it costs money, nothing else."""
        return tuple(self._cache.warnings) if self._cache is not None else ()

    async def _one(self, request: JudgeRequest) -> JudgeResult:
        began = time.monotonic()
        if not request.response.strip():
            return failure(self, "skipped_empty", "the response is empty", treatment="floor")
        try:
            question = make_question(self.spec, request, self._secret)
        except JudgeError as error:
            return failure(self, "infra_error", str(error), kind="exception", fatal=True)
        answers = await asyncio.gather(*(self._ask(question, r, self._backend.read) for r in range(self._repeats)))
        return result_of(self, question, answers, request, latency_s=time.monotonic() - began)

    async def compare(self, request: JudgeRequest, other_response: str) -> PairAnswer | JudgeFailure:
        """Which of two responses is better, in this order: ``request.response`` is A. Ask again with them swapped."""
        question = make_pair_question(self.spec, request, other_response, self._secret)
        answer = await self._ask(question, 0, self._read_pair)
        if isinstance(answer.outcome, PairAnswer):
            return replace(answer.outcome, cost_usd=answer.bill.micros / 1e6, cached=answer.cached)
        result = result_of(self, question, [answer], request, latency_s=0.0)
        assert isinstance(result, JudgeFailure), "a pair question has no score"
        return result

    def _read_pair(self, body: dict[str, Any], question: Question) -> PairAnswer | Unreadable:
        text_of = getattr(self._backend, "reply_text", None)
        if text_of is None:
            return Unreadable("no_verdict", f"back end '{self.spec.backend}' cannot compare two responses")
        # A label echoes no id, and needs none: nothing in a response can stand in the place of the judge's one letter.
        winner = read_pair(text_of(body), "" if self.spec.backend == "chat_logprobs" else question.id)
        return winner if isinstance(winner, Unreadable) else PairAnswer(winner)

    async def _ask(self, question: Question, repeat: int, read: Read) -> Answer:
        """One judgement of a question, from the cache, from a call under way, or from a call of our own."""
        effective = self._backend.effective()
        key = cache_key(self._backend.name, effective, question.canonical, self._version, repeat)
        while (under_way := self._in_flight.get(key)) is not None:
            try:
                shared = await asyncio.shield(under_way)
            except asyncio.CancelledError:
                if not under_way.cancelled():
                    raise
                continue  # whoever was asking gave up, not we
            return replace(shared, bill=Bill(), attempts=0, flags=(*shared.flags, "merged"))
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._in_flight[key] = future
        try:
            answer = await self._from_cache(key, question, read) or await self._from_server(key, question, read)
            future.set_result(answer)
            return answer
        finally:
            del self._in_flight[key]
            future.cancel()

    async def _from_cache(self, key: str, question: Question, read: Read) -> Answer | None:
        if self._cache is None:
            return None
        try:
            known = await self._cache.get(key)
        except JudgeError as error:  # replay, and this was never asked
            return Answer(CallError("unavailable_mode", str(error)), Bill())
        if known is None:
            return None
        outcome = read(known.body, replace(question, id=known.question_id))
        if isinstance(outcome, Unreadable):
            return None
        return Answer(outcome, Bill(), cached=True, model_returned=known.model_returned)

    async def _from_server(self, key: str, question: Question, read: Read) -> Answer:
        tally = _Tally()

        async def keep(reply: RawReply) -> Outcome:
            outcome = read(reply.body, question)
            if self._cache is not None and not isinstance(outcome, Unreadable):
                await self._cache.put(key, self._to_keep(reply, question, tally.bill))
            return outcome

        try:
            reply, outcome = await self._call(question, tally, keep, reask=False)
            if isinstance(outcome, Unreadable) and outcome.kind in REASKED and self.spec.backend == "chat_json":
                reply, outcome = await self._call(question, tally, keep, reask=True)
        except CallError as error:
            return Answer(error, tally.bill, attempts=max(tally.attempts, error.attempts))
        return Answer(
            outcome, tally.bill, attempts=tally.attempts, model_returned=reply.model_returned, flags=reply.flags
        )

    def _to_keep(self, reply: RawReply, question: Question, bill: Bill) -> CachedReply:
        return CachedReply(
            body=reply.body,
            usage=reply.usage,
            model_returned=reply.model_returned,
            cost_micros=None if bill.source == "unknown" else bill.micros,
            cost_source=bill.source,
            question_id=question.id,
            created=time.time(),
        )

    async def _call(
        self, question: Question, tally: _Tally, keep: Callable[[RawReply], Awaitable[Outcome]], *, reask: bool
    ) -> tuple[RawReply, Outcome]:
        """Send until there is a reply, and keep it. A call counts as in flight until its reply is safe."""
        size = sum(len(m.content.encode()) for m in question.messages) + len(question.instructions.encode())
        limit = self._backend.output_limit(reask=reask)
        worst = worst_case(size, limit, self.spec)

        async def attempt(timeout_s: float) -> tuple[RawReply, Outcome]:
            tally.attempts += 1
            reservation = await self._reserve(worst.micros, timeout_s)
            reply = await self._paid(
                reservation, worst.micros, tally, lambda: self._backend.send(question, timeout_s=timeout_s, reask=reask)
            )
            return reply, await keep(reply)

        sent = await self._transport.call(attempt, tokens=size // BYTES_PER_TOKEN + limit)
        return sent.value

    async def _reserve(self, micros: int | None, timeout_s: float) -> int:
        """Put the worst case aside. Close under a cap, calls in flight that end cheaper than feared make room."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ROOM_SHARE * timeout_s
        while True:
            try:
                return self.ledger.reserve(micros)
            except CapReached as reached:
                if not reached.fits_later or loop.time() > deadline:
                    raise CallError("budget", str(reached)) from reached
            await asyncio.sleep(ROOM_POLL_S)

    async def _paid(
        self, reservation: int, worst_micros: int | None, tally: _Tally, send: Callable[[], Awaitable[RawReply]]
    ) -> RawReply:
        """Send within a reservation. What ends without a known bill stays charged in full."""
        try:
            reply = await send()
        except CallError as error:
            if error.billed:
                self.ledger.settle(reservation, None)
                tally.bill = tally.bill.plus(Usage(), worst_micros, "table")
            else:
                self.ledger.release(reservation)
                tally.bill = replace(tally.bill, requests=tally.bill.requests + 1)
            raise
        except BaseException:
            self.ledger.settle(reservation, None)
            tally.bill = tally.bill.plus(Usage(), worst_micros, "table")
            raise
        price = price_of(reply.usage, self.spec, model_returned=reply.model_returned, provider_cost=reply.provider_cost)
        self.ledger.settle(reservation, price.micros)
        tally.bill = tally.bill.plus(reply.usage, price.micros, price.source)
        return reply
