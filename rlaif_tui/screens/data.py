"""The data: what was read and what was not, and each prompt as the model will see it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import Input

from core.prompts import Columns

from ..desks.data_rows import BUILT_IN, ORDERS, SHOWS, Query, Source, warnings_of
from ..text import one_line
from . import data_words as says
from .data_pick import ColumnPicker, FilePicker
from .data_view import DataView
from .overlay import Line, Overlay


class DataScreen(DataView):
    """Shows the data of the run in view, or of the file that was opened."""

    CSS_PATH = "data.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("u", "use", "Use for next run", id="data.use", tooltip="train on this file with these columns"),
        Binding("r", "runs_own", "Run's data", id="data.run", tooltip="back to the data of the run in view"),
        Binding("c", "columns", "Columns", id="data.columns", tooltip="which column is the prompt, the reference, …"),
        Binding("slash", "find", "Find", key_display="/", id="data.find", tooltip="only rows that hold a text"),
        Binding("f", "filter", "Filter", id="data.filter", tooltip="next of: " + ", ".join(SHOWS)),
        Binding("o", "order", "Order", id="data.order", tooltip="next of: " + ", ".join(ORDERS)),
        Binding("w", "warnings", "Warnings", id="data.warnings", tooltip="all that was guessed, dropped or is odd"),
        Binding("escape", "leave_field", "Leave field", key_display="esc", tooltip="back to the rows that were found"),
        Binding("escape", "clear", "All rows", key_display="esc", id="data.clear", tooltip="no filter, no search"),
        Binding("o", "open_first", "Open", id="data.open", tooltip="a file, or a name of the Hub, if there is no data"),
        Binding("d", "sample", "Sample", id="data.sample", tooltip="the built-in sample, if there is no data"),
        Binding("p", "open", "Path", id="data.path", tooltip="open another file, or a name of the Hub"),
        Binding("y", "copy", "Copy", id="data.copy", tooltip="copy this prompt as the model sees it"),
        Binding("e", "export", "Export report", id="data.export", tooltip="write the import report as JSON"),
    ]

    class UseAsked(Message):
        """The next run shall train on this file, read so."""

        def __init__(self, path: str, columns: Columns) -> None:
            super().__init__()
            self.path = path
            self.columns = columns

    def on_row_list_highlighted(self) -> None:
        self._draw_card()

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._draw)

    def in_short(self) -> str:
        listing = self._listing
        return f"{says.name_of(listing.source.path)} {listing.report.rows:,} rows" if listing else ""

    def explain(self) -> Sequence[Line]:
        return says.HELP

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        has_data = self._listing is not None
        if self.is_mounted and self.query_one("#find", Input).has_focus:
            return action == "leave_field"
        match action:
            case "leave_field":
                return False
            case "open_first" | "sample":
                return not has_data
            case "columns" | "find" | "filter" | "order" | "warnings" | "export" | "use" | "open":
                return has_data
            case "copy":
                return self._entry is not None
            case "clear":
                return has_data and (self._query.find, self._query.show) != ("", "all")
            case "runs_own":
                return self._opened is not None and self._run is not None
            case _:
                return True

    def action_open(self) -> None:
        shown = self._listing.source.path if self._listing else ""
        folder = "." if shown in ("", BUILT_IN) or "://" in shown else str(Path(shown).expanduser().parent)
        self.app.push_screen(FilePicker(self._desk, folder), self._opened_file)

    action_open_first = action_open

    def _opened_file(self, path: str | None) -> None:
        if path:
            self.open(path)

    def action_sample(self) -> None:
        self.open(BUILT_IN)

    def action_runs_own(self) -> None:
        self._opened = None
        self._load_again()

    def action_columns(self) -> None:
        if (listing := self._listing) is None:
            return
        mapping, given = listing.report.mapping, listing.source.columns
        used = Columns(**{field.name: getattr(mapping, field.name) or "" for field in dataclasses.fields(Columns)})
        picker = ColumnPicker(listing.report.columns, given, used)
        self.app.push_screen(picker, lambda columns: self._columns_chosen(listing.source, columns))

    def _columns_chosen(self, source: Source, columns: Columns | None) -> None:
        if columns is not None and columns != source.columns:
            self.open(source.path, columns)

    def action_find(self) -> None:
        field = self.query_one("#find", Input)
        field.display = True
        field.value = self._query.find
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if event.input.id == "find" and event.value != self._query.find:
            self._ask(dataclasses.replace(self._query, find=event.value))

    def on_input_submitted(self) -> None:
        self.action_leave_field()

    def action_leave_field(self) -> None:
        self.query_one("#find", Input).display = False
        self._rows.focus()

    def action_filter(self) -> None:
        self._ask(dataclasses.replace(self._query, show=says.following(SHOWS, self._query.show)))

    def action_order(self) -> None:
        self._ask(dataclasses.replace(self._query, order=says.following(ORDERS, self._query.order)))

    def action_clear(self) -> None:
        self._ask(Query(order=self._query.order))

    def action_warnings(self) -> None:
        if self._listing is not None:
            lines = [(f"{told.about:<10} ", told.sentence) for told in warnings_of(self._listing)]
            lines = lines or [("", "Nothing was guessed, dropped or odd.")]
            self.app.push_screen(Overlay(f"warnings: {says.name_of(self._listing.source.path)}", lines))

    async def on_row_list_chosen(self) -> None:
        entry, listing = self._entry, self._listing
        if entry is None or listing is None:
            return
        seen = await self._desk.see(listing.source, entry.prompt) if entry.prompt else None
        self.app.push_screen(Overlay(f"row {entry.number:,}", says.full_text(entry, seen)))

    async def action_copy(self) -> None:
        entry, listing = self._entry, self._listing
        if entry is None or listing is None:
            return
        text = (await self._desk.see(listing.source, entry.prompt)).text if entry.prompt else entry.problem
        said = await self._desk.copy(text, self._run, self.app.copy_to_clipboard)
        self.notify(said, title=f"row {entry.number:,}", markup=False)

    async def action_export(self) -> None:
        if (listing := self._listing) is None:
            return
        if not listing.done:
            self.notify("The rows are still being counted; export when that is done.", markup=False)
            return
        try:
            place = await self._desk.export(listing, self._run)
        except OSError as error:
            reason = one_line(f"{error.filename or 'the report'}: {error.strerror or error}")
            self.notify(reason, title="the report was not written", severity="error", markup=False)
        else:
            self.notify(f"written to {one_line(str(place))}", title="import report", markup=False)

    def action_use(self) -> None:
        if self._listing is not None:
            source = self._listing.source
            is_file = source.path != BUILT_IN and "://" not in source.path
            path = str(Path(source.path).expanduser().absolute()) if is_file else source.path
            self._next_path, self._next_columns = path, source.columns
            self.post_message(self.UseAsked(path, source.columns))
            self.notify(f"{says.name_of(path)} is set down for the next run.", markup=False)
