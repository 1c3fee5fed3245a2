"""The data screen without its keys: which data is shown, how it is read, how it is drawn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from core.errors import RlaifError
from core.prompts import Columns
from core.run_dir import RunDir

from ..desks.data import DataDesk
from ..desks.data_rows import Entry, Listing, Query, Source, histogram
from ..text import one_line
from ..widgets.histogram import Histogram
from ..widgets.line import FieldLine, Sentence
from ..widgets.rows import Cell
from . import data_words as says
from .data_memory import Kept, from_memory, to_memory
from .prompt_card import PromptCard, PromptList
from .view import View

EMPTY = "No data set. o opens a file or a Hub name, d the built-in sample."
_PATIENCE_S = 0.3
"""Loading says nothing for so long."""
_TYPING_S = 0.12


class DataView(View):
    """Reads and draws the data of the run in view, or the file that was opened."""

    def __init__(
        self, desk: DataDesk, *, ascii_only: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._desk = desk
        self._ascii = ascii_only
        self._clock = clock
        self._run: RunDir | None = None
        self._opened: Source | None = None
        self._opened_beside = ""
        self._listing: Listing | None = None
        self._selected: Sequence[int] = ()
        self._query = Query()
        self._problem = ""
        self._loading: tuple[str, float] | None = None
        self._is_due = True
        self._place = 0
        self._next_path = ""
        self._next_columns = Columns()

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="what")
        yield FieldLine(id="how")
        yield Sentence(id="problem")
        with Horizontal(id="main"):
            yield PromptList(ascii_only=self._ascii)
            with Vertical(id="side"):
                yield PromptCard(id="seen")
                yield Histogram(id="lengths", ascii_only=self._ascii)
        yield Sentence(id="empty")
        yield Input(id="find", placeholder="text in prompts and answers")

    def on_mount(self) -> None:
        self._rows.focus()
        self._draw()
        self._begin()

    # Which data.

    def attach(self, run: RunDir | None) -> None:
        if run == self._run:
            return
        self._run = run
        if self._opened is not None and self._opened_beside != self._run_name:
            self._opened = None
        self._load_again()

    def memory(self) -> dict[str, Any]:
        row = self._entry.number if self._entry else self._place
        kept = Kept(self._opened, self._opened_beside, self._query, row, self._next_path, self._next_columns)
        return to_memory(kept)

    def recall(self, memory: dict[str, Any]) -> None:
        kept = from_memory(memory)
        if kept.opened is not None and kept.beside == self._run_name:
            self._opened, self._opened_beside = kept.opened, kept.beside
        self._query, self._place = kept.query, kept.row
        self._next_path, self._next_columns = kept.next_path, kept.next_columns
        self._load_again()

    @property
    def _run_name(self) -> str:
        return self._run.name if self._run else ""

    def open(self, path: str, columns: Columns | None = None) -> None:
        """Show this file (or ``demo``, or a name of the Hub) from now on."""
        if self._listing is not None and self._listing.source.path != path:
            self._query = Query(order=self._query.order)
        self._opened, self._opened_beside = Source(path=path, columns=columns or Columns()), self._run_name
        self._load_again()

    def _load_again(self) -> None:
        self._is_due = True
        if self.is_mounted:
            self._begin()

    def _begin(self) -> None:
        if self._is_due:
            self._is_due = False
            self._start(self._load, "load")

    def _start(self, work: Callable[[], Any], group: str) -> None:
        """Begin this work in place of any of its group that is under way."""
        self.run_worker(work, group=group, exclusive=True, exit_on_error=False)

    async def poll(self) -> None:
        self._begin()
        if self._loading is not None:
            self._draw_lines()

    # Reading it.

    async def _load(self) -> None:
        self._loading, self._problem = ("the data of the run" if self._opened is None else "", self._clock()), ""
        try:
            source = await self._desk.source(self._run, self._opened)
            if source is None:
                self._listing, self._selected = None, ()
            else:
                self._loading = (says.name_of(source.path), self._clock())
                async for listing in self._desk.load(source):
                    await self._take(listing)
        except (RlaifError, OSError) as error:
            self._problem = one_line(str(error))
        except Exception as error:  # noqa: BLE001 a fault in reading a file must not close the app
            self._problem = f"The data cannot be read ({type(error).__name__}: {one_line(str(error))[:200]})."
        self._loading = None
        self._draw()

    async def _take(self, listing: Listing) -> None:
        query, selected = await self._selected_of(listing)
        while query != self._query:  # another was asked for meanwhile
            query, selected = await self._selected_of(listing)
        is_new = self._listing is None or self._listing.source != listing.source
        now = self._entry.number if self._entry and not is_new else 0
        self._show(listing, selected, self._place or now, otherwise=0 if is_new else None)
        if not listing.is_head:
            self._place = 0

    async def _select(self) -> None:
        await asyncio.sleep(_TYPING_S)  # a person may be typing
        if (listing := self._listing) is not None:
            query, selected = await self._selected_of(listing)
            if listing is self._listing and query == self._query:
                self._show(listing, selected, self._entry.number if self._entry else 0)

    async def _selected_of(self, listing: Listing) -> tuple[Query, Sequence[int]]:
        query = self._query
        return query, await self._desk.select(listing, query)

    def _show(self, listing: Listing, selected: Sequence[int], place: int, otherwise: int | None = None) -> None:
        """Draw these rows, the cursor on the row of this number; if that is not there on ``otherwise`` or as it is."""
        self._listing, self._selected = listing, selected
        found = says.place_of(listing, selected, place)
        at = otherwise if found is None else found
        self._draw()
        if at is not None:
            self._rows.move_to(at)
        self._draw_card()

    def _ask(self, query: Query) -> None:
        self._query = query
        self._draw_lines()
        self._start(self._select, "select")

    # Drawing it.

    @property
    def _rows(self) -> PromptList:
        return self.query_one("#rows", PromptList)

    @property
    def _entry(self) -> Entry | None:
        """The row under the cursor."""
        at = self._rows.cursor if self.is_mounted else None
        return self._listing.entries[self._selected[at]] if self._listing and at is not None else None

    def _draw(self) -> None:
        listing = self._listing
        self.set_class(listing is None, "-empty")
        self.set_class(bool(self._problem) and listing is not None, "-stale")
        self._rows.show(len(self._selected), self._cells)
        if listing is not None:
            card = self.query_one("#lengths", Histogram)
            top = listing.ordered[-1] if listing.ordered else 0
            card.border_title = says.lengths_title(listing)
            card.show(histogram(listing.ordered, card.bins), top, listing.limit)
        self._draw_lines()
        self.say_size()
        self.refresh_bindings()

    def _draw_lines(self) -> None:
        name, began = self._loading or ("", self._clock())
        took = self._clock() - began
        reading = says.reading(name, took) if took >= _PATIENCE_S else ""
        what, how = self.query_one("#what", FieldLine), self.query_one("#how", FieldLine)
        problem, empty = self.query_one("#problem", Sentence), self.query_one("#empty", Sentence)
        problem.display = bool(self._problem)
        key, can_return = "p" if self._listing else "o", self._opened is not None and self._run is not None
        problem.say(says.trouble(self._problem, key, can_return) if self._problem else "")
        if self._listing is None:
            what.show([])
            how.show([])
            empty.say("" if self._problem else reading if self._loading else EMPTY)
            return
        what.show(says.what_line(self._listing))
        is_narrow = not self.has_class("-wide")  # else the lengths have a pane of their own
        count = len(self._selected)
        how.show(*says.how_line(self._listing, self._query, count, reading, lengths=is_narrow, ascii_only=self._ascii))

    def _cells(self, row: int) -> tuple[Cell, ...]:
        assert self._listing is not None
        return says.row_cells(self._listing, self._selected[row])

    def _draw_card(self) -> None:
        entry, listing = self._entry, self._listing
        card = self.query_one("#seen", PromptCard)
        if entry is None or listing is None:
            card.show_nothing("No row is like that. esc shows all rows." if self._listing else "")
        elif entry.prompt is None:
            card.show_problem(entry)
        else:
            self._start(self._see, "see")

    async def _see(self) -> None:
        # No arguments: Textual writes out those of a worker, and a listing is long.
        entry, listing = self._entry, self._listing
        if entry is None or entry.prompt is None or listing is None:
            return
        seen = await self._desk.see(listing.source, entry.prompt)
        if self._entry is entry and self._listing is not None:
            at = self._selected[self._rows.cursor or 0]
            self.query_one("#seen", PromptCard).show(entry, seen, self._listing.length(at), self._listing.flag(at))
