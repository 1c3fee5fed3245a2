"""The part of the playground that makes something of what was said: scores, pins, rows of data, history, copies."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any

from core.types import Message

from ..background import begin
from ..clipboard import copy_text
from ..desks.play import PlayDesk
from ..desks.play_state import Exchange, Look
from ..text import clip
from ..widgets.rows import Column
from .dialogs import AskChoice, Choice
from .judge_ask import PickScreen
from .play_text import history_row, plain_text
from .view import View

if TYPE_CHECKING:
    from core.prompt_append import Row

_HISTORY = (Column("when", 12), Column("step", 6, "right"), Column("judge", 13), Column("prompt"))


class KeepView(View):
    """Knows the desk and what it showed last."""

    def __init__(self, desk: PlayDesk, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.desk = desk
        self.seen = Look()
        self._ascii = ascii_only

    # what the screen itself does

    def messages(self) -> tuple[Message, ...]:
        """The chat as it would be sent now."""
        raise NotImplementedError

    def bring_back(self, exchange: Exchange) -> None:
        """Put an earlier exchange where it can be read and sent again."""
        raise NotImplementedError

    def do(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Work beside the keys, and show at once what came of it."""

        async def and_look() -> None:
            await self.guarded(work)
            await self.poll()

        begin(self, and_look)

    def chat(self) -> tuple[Message, ...]:
        """The messages of what is in view, else what is typed."""
        exchange = self.seen.exchange
        return exchange.messages if exchange is not None else self.messages()

    def action_score(self) -> None:
        self.do(self.desk.score)

    def action_pin(self) -> None:
        self.do(self._pin)

    async def _pin(self) -> None:
        messages = self.chat()
        text = self.seen.exchange.prompt.text if self.seen.exchange else messages[-1].content if messages else ""
        pinned = await self.desk.pin(text)
        self.tell("pinned: Train and Samples follow this prompt" if pinned else "not pinned any more")

    def action_to_data(self) -> None:
        self.do(self._ask_to_append)

    async def _ask_to_append(self) -> None:
        row, fate = await self.desk.row(self.chat())
        lines = [clip(row.messages[-1].content, 200), "", f"It becomes row {row.rows + 1:,} of {row.path}."]
        lines += [f"Note: {note}." for note in row.notes]

        def answered(choice: str | None) -> None:
            if choice == "add":
                self.do(lambda: self._append(row))

        text = "\n".join([*lines, fate])
        self.app.push_screen(AskChoice("add to the data", text, [Choice("d", "add", "add the row")]), answered)

    async def _append(self, row: Row) -> None:
        count = await self.desk.append(row)
        self.tell(f"added to {row.path}, which has {count:,} rows now")

    def action_history(self) -> None:
        self.do(self._pick_earlier)

    async def _pick_earlier(self) -> None:
        known = (await self.desk.history())[::-1]
        if not known:
            self.tell("Nothing was asked of this run yet.")
            return
        rows = [history_row(each, time.strftime("%d %b %H:%M", time.localtime(each.time))) for each in known]

        def picked(index: int | None) -> None:
            if index is not None and index >= 0:
                self.bring_back(known[index])

        words = "Earlier prompts with both replies, the newest first."
        self.app.push_screen(PickScreen("history", words, _HISTORY, rows, ascii_only=self._ascii), picked)

    def action_copy(self) -> None:
        self.do(self._copy)

    async def _copy(self) -> None:
        exchange, run = self.seen.exchange, self.desk.run
        if exchange is not None and run is not None:
            text = plain_text(exchange)
            self.tell(await copy_text(text, folder=run.exports, write_osc52=self.app.copy_to_clipboard))
