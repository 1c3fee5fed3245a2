"""Lines to scroll through, wrapped beside their heads; only what is visible is drawn, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from ..text import wrap

Row = tuple[str, str, str]
"""A head, a text and ``info``, ``warning`` or ``error``. Head and text must have been made safe."""


class LogView(ScrollView, can_focus=True):
    """Stays at the end while it follows; moving up ends that, the last line begins it again."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"log--head", "log--info", "log--warning", "log--error"}
    DEFAULT_CSS = """
    LogView { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    LogView > .log--head { color: $foreground 60%; }
    LogView > .log--info { color: $foreground; }
    LogView > .log--warning { color: $text-warning; }
    LogView > .log--error { color: $text-error; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "go(-1)", "Up", show=False),
        Binding("down,j", "go(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "first", "First line", show=False),
        Binding("end,G", "last", "Last line", show=False),
    ]

    class Followed(Message):
        """It began to follow the end, or stopped."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.following = True
        self._rows: tuple[Row, ...] = ()
        self._lines: list[Row] = []
        self._wrapped_at = 0

    def show(self, rows: Sequence[Row]) -> None:
        """Show these from now on; rows added at the end cost only themselves."""
        rows = tuple(rows)
        known = len(self._rows)
        if self._wrapped_at == self._text_width and known and rows[:known] == self._rows:
            added = rows[known:]
        else:
            self._lines, added = [], rows
        self._rows = rows
        self._lay_out(added)

    def follow(self, wanted: bool) -> None:
        """Stay at the end from now on, or where one is."""
        if wanted:
            self._to_end()
        self._set_following(wanted)

    @property
    def _text_width(self) -> int:
        return max(20, self.size.width - 1)

    def _lay_out(self, added: Sequence[Row]) -> None:
        width = self._wrapped_at = self._text_width
        for head, text, kind in added:
            first, *more = wrap(text, max(20, width - len(head)))
            self._lines.append((head, first, kind))
            self._lines += [(" " * len(head), row, kind) for row in more]
        self.virtual_size = Size(self.size.width, len(self._lines))
        if self.following:
            self._to_end()
        self.refresh()

    def on_resize(self) -> None:
        if self._rows and self._wrapped_at != self._text_width:
            self._lines = []
            self._lay_out(self._rows)

    def _to_end(self) -> None:
        self.scroll_to(y=max(0, len(self._lines) - self.size.height), animate=False, force=True)

    def _set_following(self, wanted: bool) -> None:
        if wanted != self.following:
            self.following = wanted
            self.post_message(self.Followed())

    def _move_to(self, y: int) -> None:
        end = max(0, len(self._lines) - self.size.height)
        y = max(0, min(y, end))
        self._set_following(y == end)
        self.scroll_to(y=y, animate=False, force=True)

    def action_go(self, by: int) -> None:
        self._move_to(self.scroll_offset.y + by)

    def action_page(self, by: int) -> None:
        self._move_to(self.scroll_offset.y + by * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._move_to(0)

    def action_last(self) -> None:
        self._move_to(len(self._lines))

    def render_line(self, y: int) -> Strip:
        width, at = self.size.width, self.scroll_offset.y + y
        if at >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        head, text, kind = self._lines[at]
        styles = self.get_component_rich_style("log--head"), self.get_component_rich_style(f"log--{kind}")
        return Strip([Segment(head, styles[0]), Segment(text, styles[1])]).adjust_cell_length(width, self.rich_style)
