"""A frame that scrolls one response, laid out anew for its width."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ..text import one_line

Layout = Callable[[int], Content]
"""The content for a width in cells; every text in it made safe."""


class ResponseFrame(VerticalScroll, can_focus=True):
    """Shows what a function lays out for its width."""

    DEFAULT_CSS = """
    ResponseFrame {
        border: round $foreground 35%;
        border-title-color: $foreground;
        padding: 0 1;
        scrollbar-size-vertical: 1;
    }
    ResponseFrame:focus { border: round $foreground 70%; }
    ResponseFrame > Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False),
        Binding("k", "scroll_up", "Up", show=False),
        Binding("g", "scroll_home", "Top", show=False),
        Binding("G", "scroll_end", "Bottom", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._layout: Layout = lambda _: Content("")
        self._what: object = None

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, what: object, title: str, layout: Layout) -> None:
        """Lay this out from now on; from its top if it is of something else than what was shown."""
        self.border_title = Content(one_line(title))
        if what != self._what:
            self._what = what
            self.scroll_home(animate=False)
        self._layout = layout
        self._lay_out()

    def on_resize(self) -> None:
        # A text set while the screen is being laid out keeps its old height.
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        if self.is_mounted and width:
            self.query_one(Static).update(self._layout(width))
