"""The log of a run over any screen: its events as sentences and the worker's own words, followed and filtered."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from ..desks.logs import LogLine, LogPage, LogsDesk
from ..text import one_line
from ..widgets.log_view import LogView, Row

SOURCES = ("events and worker.log", "events", "worker.log")
EMPTY = "Nothing written yet."


class LogsScreen(ModalScreen[None]):
    """A framed log. It is polled like the screen below it."""

    CSS_PATH = "logs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Close", show=False, id="logs.close", tooltip="leave the filter, then the log"),
        Binding("q,l", "dismiss", "Close", show=False, id="logs.quit", tooltip="close the log"),
        Binding("s", "source", "Source", show=False, id="logs.source", tooltip="events, worker.log, or both"),
        Binding("f", "follow", "Follow", show=False, id="logs.follow", tooltip="stay at the newest line, or stop"),
        Binding("slash", "filter", "Filter", show=False, id="logs.filter", tooltip="only lines with these words"),
    ]

    def __init__(self, desk: LogsDesk) -> None:
        super().__init__()
        self._desk = desk
        self._page: LogPage | None = None
        self._source = 0

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield LogView(id="log")
            yield Input(placeholder="only lines with these words", id="filter", compact=True)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_subtitle = Content("f follow   s source   / filter   j k g G scroll   esc close")
        self.query_one("#log").focus()
        self._say_title(0, 0)

    async def poll(self) -> None:
        """Take what was added."""
        page = await self._desk.read()
        if page is not self._page and self.is_mounted:
            self._page = page
            self._draw()

    def _draw(self) -> None:
        if self._page is None:
            return
        everything = self._lines(self._page)
        words = self.query_one("#filter", Input).value.lower().split()
        shown = [row for row in everything if all(word in f"{row[0]}{row[1]}".lower() for word in words)]
        count = len(shown)
        if not shown:
            shown = [("", f"0 of {len(everything)} lines match; esc shows all" if words else EMPTY, "info")]
        self.query_one("#log", LogView).show(shown)
        self._say_title(count, len(everything))

    def _lines(self, page: LogPage) -> list[Row]:
        source = SOURCES[self._source]
        rows: list[Row] = [("", f"✗ {page.problem}", "error")] if page.problem else []
        if source != "worker.log":
            rows += _rows(page.events)
        if source != "events" and page.worker:
            if rows and source != "worker.log":
                rows += [("", "", "info"), ("", "worker.log", "info")]
            rows += _rows(page.worker)
        return rows

    def _say_title(self, shown: int, total: int) -> None:
        view = self.query_one("#log", LogView)
        parts = [f"log: {one_line(self._desk.run.name)}", SOURCES[self._source]]
        parts.append("following" if view.following else "not following")
        if shown != total:
            parts.append(f"{shown} of {total} lines")
        self.query_one("#frame").border_title = Content("   ".join(parts))

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self.query_one("#log").focus()

    def on_log_view_followed(self) -> None:
        self._draw()

    def action_source(self) -> None:
        self._source = (self._source + 1) % len(SOURCES)
        self._draw()

    def action_follow(self) -> None:
        view = self.query_one("#log", LogView)
        view.follow(not view.following)

    def action_filter(self) -> None:
        self.add_class("-filtering")
        self.query_one("#filter").focus()

    def action_leave(self) -> None:
        if not self.has_class("-filtering"):
            self.dismiss()
            return
        self.query_one("#filter", Input).value = ""
        self.remove_class("-filtering")
        self.query_one("#log").focus()
        self._draw()


def _rows(lines: tuple[LogLine, ...]) -> list[Row]:
    return [(line.head, line.text, line.severity) for line in lines]
