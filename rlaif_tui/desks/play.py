"""Behind the playground: what was said is scored, pinned, added to the data and kept for later."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from core.errors import RlaifError
from core.play.protocol import PlayError, Side
from core.run_dir import RunDir
from core.types import Message

from .. import pins
from ..background import in_background
from . import play_history, play_rated
from .play_judge import Scorer
from .play_process import PlayProcess
from .play_seen import Line
from .play_state import Exchange, Facts
from .play_talk import Talk, in_thread
from .play_worker import WorkerLine

if TYPE_CHECKING:
    from core.prompt_append import Row


def _process(run: RunDir, on_cpu: bool) -> Line:
    return PlayProcess(run, on_cpu=on_cpu)


class PlayDesk(Talk):
    """A talk with both models of a run, and what is made of it."""

    def __init__(
        self,
        *,
        now: Callable[[], float] = time.time,
        state_dir: Path | None = None,
        start: Callable[[RunDir, bool], Line] = _process,
        join: Callable[[RunDir], Line] = WorkerLine,
    ) -> None:
        super().__init__(now, start, join)
        self._state_dir = Path(platformdirs.user_state_dir("rlaif-tui")) if state_dir is None else state_dir
        self._scorer = Scorer()

    def close(self) -> None:
        super().close()
        scorer, self._scorer = self._scorer, Scorer()
        in_thread(scorer.close)

    async def facts(self) -> Facts:
        """What the playground of this run begins with."""
        return await in_background(_facts, self.run) if self.run else Facts()

    async def history(self) -> tuple[Exchange, ...]:
        """Earlier exchanges of this run, the newest last."""
        return await in_background(play_history.load, self._file(self.run)) if self.run else ()

    def _file(self, run: RunDir) -> Path:
        return play_history.history_file(self._state_dir, run)

    async def said_all(self, run: RunDir) -> None:
        await self._keep(run)

    async def _keep(self, run: RunDir) -> None:
        exchange = self._look.exchange
        if exchange is None:
            return
        try:
            self._say(known=await in_background(play_history.keep, self._file(run), run, exchange))
        except RlaifError as error:
            self._say(problem=str(error))

    async def score(self) -> None:
        """Have the run's judge score both replies. Raises ``RlaifError`` if there is nothing to score."""
        run, exchange, state = self.run, self._look.exchange, self._state
        if run is None or exchange is None or not exchange.done:
            raise PlayError("there is nothing to score yet: send a prompt first")
        if self._look.scoring:
            raise PlayError("the judge is being asked already")
        self._say(scoring=True, problem="")
        spent = state.cost_usd if state else 0.0
        cap = dict(state.settings).get("judge_cap_usd") if state else None
        try:
            scored = await in_background(self._scorer.score, run, exchange, spent, cap)
        except (RlaifError, OSError) as error:
            self._say(scoring=False, problem=f"the judge could not be asked: {error}")
            return
        self._say(scoring=False)
        if run == self.run and self._look.exchange is not None and self._look.exchange.id == scored.id:
            self._say(exchange=scored)
            await self._keep(run)
            await self._count(run)

    async def rate(self, exchange: Exchange, side: Side, score: float | None) -> None:
        """Keep what the person gives a reply; None takes it back. Raises ``RlaifError``, then nothing was kept."""
        run = self.run
        if run is None or exchange.reply(side).finish is None:
            raise PlayError("there is no whole reply to rate yet")
        await in_background(play_rated.give, run, exchange, side, score)
        await self._count(run)  # the judge may have answered while it was written

    async def _count(self, run: RunDir) -> None:
        exchange = self._look.exchange
        if run != self.run or exchange is None or not exchange.judge:
            return
        try:
            await in_background(play_rated.count, run, exchange)
        except (RlaifError, OSError) as error:
            self._say(problem=f"the ratings could not be set beside the judge's scores: {error}")

    async def pin(self, text: str) -> bool:
        """Keep the prompt among the run's pinned ones, or let go of it; whether it is pinned now. ``RlaifError``."""
        if self.run is None or not text.strip():
            raise PlayError("there is no prompt to pin")
        pinned = await in_background(pins.toggle, self.run, pins.Pin("", text))
        self._say(pinned=pinned)
        return pinned

    async def row(self, messages: tuple[Message, ...]) -> tuple[Row, str]:
        """The prompt as a new row of the run's data file, and what that would do to the run. ``RlaifError``."""
        if self.run is None or not messages:
            raise PlayError("there is no prompt to add")
        row = await in_background(_row, self.run, messages)
        complete = self._state is not None and self._state.word == "completed"
        fate = (
            "New runs use it."
            if complete
            else "New runs use it; this run cannot be resumed any more after that, because its data is another then."
        )
        return row, fate

    async def append(self, row: Row) -> int:
        """Write that row; returns how many the file has then. Raises ``DataError``, and nothing is written."""
        from core.prompt_append import append_row

        return await in_background(append_row, row)


def _facts(run: RunDir) -> Facts:
    from core.commands import Draw
    from core.config_file import load_config

    try:
        config = load_config(run.config)
    except RlaifError as error:
        return Facts(problem=str(error))
    rollout = config.rollout
    draw = Draw(
        seed=config.run.seed,
        temperature=rollout.temperature,
        top_p=rollout.top_p,
        top_k=rollout.top_k,
        max_new_tokens=rollout.max_new_tokens,
    )
    return Facts(draw=draw, system=config.data.system_prompt)


def _row(run: RunDir, messages: tuple[Message, ...]) -> Row:
    from core.config_file import load_config
    from core.prompt_append import make_row
    from core.prompts import Columns

    data = load_config(run.config).data
    if data.path == "demo":
        raise PlayError("the bundled prompts belong to the program: give the run a data file of your own to add to it")
    names = {"prompt", "reference", "chosen", "rejected", "system"}
    columns = Columns(**{name: getattr(data, f"{name}_column") for name in names})
    return make_row(data.path, columns, messages, data.system_prompt)
