"""The part of the samples screen that asks for a filter or a file, and remembers what was asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import RlaifError

from ..clipboard import copy_text
from ..desks.samples import Detail, SamplesDesk
from ..desks.samples_filter import FIELDS, STATES, Filter, FilterError, parse
from ..desks.samples_rows import Row
from ..desks.samples_store import ORDERS, Listing, Query
from ..widgets.rows import RowList
from .samples_ask import AskLine
from .samples_round import RatingView
from .samples_text import plain_text

FILTER_HINT = f'words, "exact words", {" ".join(FIELDS)} with < > =, {" ".join(STATES)}, or, - for not'
EXPORT_HINT = "a new file; .csv makes a table, any other name JSON lines"


TYPING_S = 0.25
"""Half a word is not looked for while the other half is typed."""


class AskingView(RatingView):
    """Knows which rows are wanted, and takes them out: to the clipboard, to a file."""

    def __init__(self, desk: SamplesDesk) -> None:
        super().__init__(desk)
        self.wish = Query()
        self.listing = Listing()
        self.detail: Detail | None = None
        self.wanted_key = ""
        """Key of a row that the cursor goes to once it is read."""
        self.to_top = False
        """Whether the cursor goes to the first row with the next listing."""
        self._before = Filter()

    @property
    def row(self) -> Row | None:
        """The one under the cursor."""
        at = self.query_one(RowList).cursor if self.is_mounted else None
        return self.listing.rows[at] if at is not None and at < len(self.listing.rows) else None

    def do(self, work: Callable[[], Coroutine[None, None, None]], group: str) -> None:
        """Work beside the keys; what was begun in this group before is given up."""
        # Not the coroutine itself, which one that is given up before it began would leave unawaited.
        job: Any = partial(self._guarded, work)
        self.run_worker(job, group=group, exclusive=True, exit_on_error=False)

    async def _guarded(self, work: Callable[[], Coroutine[None, None, None]]) -> None:
        try:
            await work()
        except Exception as error:  # noqa: BLE001 a fault in what one look does must not close the window on a live run
            self.tell(f"This could not be shown ({type(error).__name__}: {str(error)[:200]})", "error")

    async def load(self) -> None:
        """List the rows that are wanted now."""

    def ask_for(self, query: Query, *, top: bool = False) -> None:
        """List by this query from now on."""
        self.wish, self.to_top = query, self.to_top or top
        self.do(self.load, "list")

    def focus_pane(self) -> None:
        """Back from a field or a frame."""
        (self.query_one("#detail") if self.has_class("-open") else self.query_one(RowList)).focus()

    async def action_copy(self) -> None:
        if self.detail is not None and self.desk.run is not None:
            text, folder = plain_text(self.detail), self.desk.run.exports
            self.tell(await copy_text(text, folder=folder, write_osc52=self.app.copy_to_clipboard))

    def action_filter(self) -> None:
        self._before = self.wish.filter
        self.query_one(AskLine).ask("filter", self._before.written, FILTER_HINT)
        self.refresh_bindings()

    def action_export(self) -> None:
        path = self.desk.export_path()
        if path is not None:
            self.query_one(AskLine).ask("export", str(path), f"{len(self.listing.rows):,} replies to {EXPORT_HINT}")
            self.refresh_bindings()

    def on_ask_line_typed(self, message: AskLine.Typed) -> None:
        if message.what == "filter":
            self.do(partial(self._filter_soon, message.text), "typed")

    async def _filter_soon(self, text: str) -> None:
        await asyncio.sleep(TYPING_S)
        if self.query_one(AskLine).what == "filter":
            self._filter(text)

    def _filter(self, text: str) -> bool:
        ask = self.query_one(AskLine)
        try:
            wanted = parse(text)
        except FilterError as error:
            ask.hint(str(error), bad=True)
            return False
        ask.hint(FILTER_HINT)
        if wanted.written != self.wish.filter.written:
            self.ask_for(replace(self.wish, filter=wanted))
        return True

    async def on_ask_line_given(self, message: AskLine.Given) -> None:
        if message.what == "filter" and not self._filter(message.text):
            return
        if message.what == "export" and not await self._export(message.text):
            return
        await self._close_ask(message.text)

    async def on_ask_line_left(self, message: AskLine.Left) -> None:
        if message.what == "filter" and self.wish.filter is not self._before:
            self.ask_for(replace(self.wish, filter=self._before))
        await self._close_ask(None)

    async def _close_ask(self, text: str | None) -> None:
        ask = self.query_one(AskLine)
        ask.close()
        if self.round is not None:
            await self.note_given(text)
        else:
            self.focus_pane()
        self.refresh_bindings()

    async def _export(self, text: str) -> bool:
        try:
            count = await self.desk.export(self.listing.rows, Path(text.strip()).expanduser())
        except RlaifError as error:
            self.query_one(AskLine).hint(str(error), bad=True)
            return False
        self.tell(f"{count:,} replies written to {text.strip()}")
        return True

    def memory(self) -> dict[str, Any]:
        query = self.wish
        return {
            "filter": query.filter.written,
            "order": query.order,
            "turned": query.turned,
            "flagged": query.flagged,
            "row": self.row.key if self.row else self.wanted_key,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        try:
            wanted = parse(str(memory.get("filter", "")))
        except FilterError:
            wanted = Filter()
        order, row = memory.get("order"), memory.get("row")
        self.wish = Query(
            filter=wanted,
            order=next((known for known in ORDERS if known == order), "step"),
            turned=memory.get("turned") is True,
            flagged=memory.get("flagged") is True,
        )
        self.wanted_key = row if isinstance(row, str) else ""
        if self.is_mounted:
            self.do(self.load, "list")
