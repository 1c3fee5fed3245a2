"""Text over a screen: help and the log. Closed by esc, by q, or by the key that opened it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from ..text import one_line, wrap

Line = tuple[str, str]
"""A short head and a text, which is wrapped beside it."""


def lay_out(lines: Sequence[Line], width: int) -> str:
    """The lines as one safe text, each text wrapped to the right of its head."""
    rows: list[str] = []
    for raw_head, text in lines:
        head = one_line(raw_head)
        first, *more = wrap(text, max(20, width - len(head)))
        rows += [head + first, *(" " * len(head) + row for row in more)]
    return "\n".join(rows)


class Overlay(ModalScreen[None]):
    """A framed, scrolling text."""

    CSS_PATH = "overlay.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,question_mark,l", "dismiss", show=False),
        Binding("j", "scroll('down')", show=False),
        Binding("k", "scroll('up')", show=False),
        Binding("g", "scroll('home')", show=False),
        Binding("G", "scroll('end')", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Line], *, at_end: bool = False) -> None:
        super().__init__()
        self._title = title
        self._lines = tuple(lines)
        self._at_end = at_end

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"), VerticalScroll(id="scroll"):
            yield Static(id="text", markup=False)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(self._title))
        frame.border_subtitle = Content("j k scroll   esc close")
        self.query_one("#scroll").focus()

    def on_resize(self) -> None:
        # A text set while the screen is being laid out keeps its old height.
        self.call_after_refresh(self._fill)

    def show(self, lines: Sequence[Line]) -> None:
        """Draw these from now on; at the end it stays at the end."""
        if tuple(lines) != self._lines:
            self._lines = tuple(lines)
            self._fill()

    def _fill(self) -> None:
        scroll = self.query_one("#scroll", VerticalScroll)
        following = self._at_end and scroll.scroll_offset.y >= scroll.max_scroll_y - 1
        self.query_one("#text", Static).update(Content(lay_out(self._lines, scroll.size.width - 2)))
        if following:
            scroll.scroll_end(animate=False)

    def action_scroll(self, where: str) -> None:
        scroll = self.query_one("#scroll", VerticalScroll)
        {"down": scroll.scroll_down, "up": scroll.scroll_up, "home": scroll.scroll_home, "end": scroll.scroll_end}[
            where
        ](animate=False)
