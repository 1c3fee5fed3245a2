"""A talk with both models of a run: who answers, and what has been said so far."""

from __future__ import annotations

import threading
from collections.abc import Callable

import msgspec

from core.errors import RlaifError
from core.play.protocol import (
    SIDES,
    Ask,
    Begun,
    Chunk,
    Done,
    Loading,
    PlayError,
    Ready,
    Refused,
    Said,
    Told,
)
from core.ratings import person
from core.run_dir import RunDir
from core.types import Message

from ..background import in_background
from ..feed import RunFeed
from ..run_state import RunState
from ..words import phase
from .play_rated import PREFIX
from .play_seen import Line, is_live, see
from .play_state import At, Exchange, Look, Options, Reply
from .rated import RatedReader

_STARTING = "starting"
_ENDED = "the run has ended meanwhile: a checkpoint answers"


class Talk:
    """One run at a time, one answer at a time. Async methods do their work in the background."""

    def __init__(
        self, now: Callable[[], float], start: Callable[[RunDir, bool], Line], join: Callable[[RunDir], Line]
    ) -> None:
        self._now, self._start, self._join = now, start, join
        self._process: Line | None = None
        self._number = 0
        self.run: RunDir | None = None
        self._forget()

    def _forget(self) -> None:
        self._feed = RunFeed(self.run, self._now) if self.run else None
        self._ratings = RatedReader(self.run, person(), PREFIX) if self.run else None
        self._state: RunState | None = None
        self._line: Line | None = None
        self._ask: Ask | None = None
        self._options = Options()
        self._on_cpu = False
        self._look = Look()

    def attach(self, run: RunDir | None) -> None:
        """Forget the run before and what it loaded, and work on this one."""
        self.close()
        self.run = run
        self._forget()

    def close(self) -> None:
        """End what was started. Never waits."""
        lines, self._process = {self._process, self._line}, None
        for line in lines - {None}:
            assert line is not None
            in_thread(line.close)

    # looking

    async def look(self) -> Look:
        """What is to be seen now; takes up what was said since."""
        run, feed, ratings, line = self.run, self._feed, self._ratings, self._line
        if run is None or feed is None or ratings is None:
            return self._look
        seen = await in_background(see, feed, ratings, line, self._process, self._look.exchange)
        if run != self.run:
            return self._look
        self._state = state = seen.state
        now = state.step if state else 0
        self._say(live=is_live(state), steps=seen.steps, now=now, pinned=seen.pinned, rated=seen.rated)
        for told in seen.news if line is self._line else ():
            await self._take(run, told)
        await self._count_on(state)
        if seen.over is not None and seen.over is self._process:
            self._process = None
            if self._look.busy and self._line is seen.over:  # it went to sleep in the moment it was asked
                await self._ask_process(_STARTING)
        process = self._process
        self._say(ready=process.ready.device if process and process.ready else "")
        return self._look

    async def _count_on(self, state: RunState | None) -> None:
        """Keep the words on what is waited for true, and turn to a checkpoint if the worker is gone."""
        exchange = self._look.exchange
        if not self._look.busy or exchange is None or not exchange.live:
            return
        if not is_live(state) and exchange.step is not None:
            self._fail("the run ended in the middle of the answer; send it again to ask a checkpoint")
        elif not is_live(state):
            await self._ask_process(_ENDED)
        elif state is not None and exchange.step is None:
            self._say(words=f"asked; the worker answers between steps ({phase(state)})")

    async def _take(self, run: RunDir, told: Told) -> None:
        number = self._ask.number if self._ask is not None else 0
        match told:
            case Loading():
                if self._look.busy and self._look.exchange is not None and self._look.exchange.step is None:
                    self._say(words=_loading(told))
            case Ready():
                pass
            case Refused(number=0):
                self._fail(told.reason)
            case Begun() | Chunk() | Done() | Refused() if told.number == number:
                await self._said(run, told)
            case _:
                pass  # of an ask that was given up

    async def _said(self, run: RunDir, told: Said) -> None:
        exchange = self._look.exchange
        assert exchange is not None
        match told:
            case Begun():
                self._say(exchange=msgspec.structs.replace(exchange, step=told.step), words="")
            case Chunk():
                reply = exchange.reply(told.side)
                grown = Reply(text=reply.text + told.text, tokens=told.tokens)
                self._say(exchange=exchange.having(told.side, grown))
            case Done():
                whole = Reply(text=told.text, tokens=told.tokens, finish=told.finish, kl=told.kl)
                self._say(exchange=exchange.having(told.side, whole))
                if self._look.exchange is not None and self._look.exchange.done:
                    await self._finish(run)
            case Refused() if exchange.live and exchange.step is None and not is_live(self._state):
                await self._ask_process(_ENDED)
            case Refused():
                self._fail(told.reason)

    async def _finish(self, run: RunDir) -> None:
        self._ask = None
        self._say(busy=False, words="")
        await self.said_all(run)

    async def said_all(self, run: RunDir) -> None:
        """Called when both replies are complete."""

    def _fail(self, reason: str) -> None:
        """The ask came to nothing; what was said until then stays in view."""
        self._ask = None
        self._say(busy=False, words="", problem=reason, exchange=_ended(self._look.exchange))

    def _say(self, **news: object) -> None:
        self._look = self._look.having(**news)

    # asking

    async def send(self, messages: tuple[Message, ...], options: Options, at: At) -> None:
        """Ask both sides. Raises ``RlaifError`` in one sentence if nothing can be asked now."""
        if self.run is None:
            raise PlayError("no run is in view: choose one in 1 Runs")
        if self._look.busy:
            raise PlayError("an answer is under way; X stops it")
        if not any(m.role == "user" and m.content.strip() for m in messages[-1:]):
            raise PlayError("there is nothing to send: type a prompt first")
        live = at == "auto" and self._look.live
        self._number += 1
        self._ask = Ask(
            number=self._number, messages=messages, draw=options.draw, step=at if isinstance(at, int) else None
        )
        self._options = options
        fresh = Exchange(time=self._now(), messages=messages, draw=options.draw, live=live)
        self._say(exchange=fresh, busy=True, problem="", words=_STARTING)
        if live:
            await self._ask_worker(self.run, self._ask)
        else:
            await self._ask_process(_STARTING)

    async def _ask_worker(self, run: RunDir, ask: Ask) -> None:
        try:
            line = await in_background(self._join, run)
            await in_background(line.ask, ask)
        except (RlaifError, OSError) as error:
            self._fail(f"the run could not be asked: {error}")
            return
        if self._ask is ask and self._look.exchange is not None and self._look.exchange.live:
            self._line = line
        else:  # it was stopped before it was sent
            await in_background(line.cancel, ask.number)

    async def _ask_process(self, words: str) -> None:
        run, ask, exchange, process = self.run, self._ask, self._look.exchange, self._process
        if run is None or ask is None or exchange is None:
            return
        self._say(exchange=msgspec.structs.replace(exchange, live=False), words=words)
        on_cpu = self._options.on_cpu
        if process is not None and (process.ended or self._on_cpu != on_cpu):
            in_thread(process.close)
            process = self._process = None
        try:
            line = process if process is not None else await in_background(self._start, run, on_cpu)
        except OSError as error:
            self._fail(f"no process could be started that answers: {error.strerror or error}")
            return
        if run != self.run:
            in_thread(line.close)
            return
        self._process, self._on_cpu = line, on_cpu
        if self._ask is ask:
            self._line = line
            await in_background(line.ask, ask)

    async def cancel(self) -> None:
        """Stop the answer: at once if it has not begun, else with what was said until then."""
        ask, line, exchange = self._ask, self._line, self._look.exchange
        if ask is None or line is None:
            return
        if exchange is not None and exchange.step is None:
            self._ask = None
            self._say(busy=False, words="stopped before it began", exchange=None)
        try:
            await in_background(line.cancel, ask.number)
        except (RlaifError, OSError) as error:
            self._say(problem=f"it could not be stopped: {error}")

    def show(self, exchange: Exchange | None) -> None:
        """Bring an earlier exchange into view, or none."""
        if not self._look.busy:
            self._say(exchange=exchange, problem="", words="")


def in_thread(work: Callable[[], None]) -> None:
    """Have this done, whenever; nobody waits for it."""
    threading.Thread(target=work, name="play-end", daemon=True).start()


def _ended(exchange: Exchange | None) -> Exchange | None:
    """What is left of an exchange that broke off; None if nothing was said."""
    if exchange is None or not (exchange.base.text or exchange.trained.text):
        return None
    for side in SIDES:
        reply = exchange.reply(side)
        if reply.finish is None:
            exchange = exchange.having(side, msgspec.structs.replace(reply, finish="cancelled"))
    return exchange


def _loading(told: Loading) -> str:
    minutes, seconds = divmod(int(told.seconds), 60)
    return f"loading, {minutes}:{seconds:02d}, {told.memory_mb / 1024:.1f} GiB"
