"""The rows of a data file, and one of them as the model will see it, special tokens visible."""

from __future__ import annotations

import re
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from ..desks.data import Seen
from ..desks.data_rows import Entry
from ..text import one_line, safe, wrap
from ..widgets.rows import Column, RowList
from .data_words import answers_of

_SHOWN = 6_000
"""Characters of a text in the card; the full text is a key away."""


COLUMNS = (Column("#", 7, "right"), Column("tok", 6, "right"), Column("split", 5), Column("prompt"))


class PromptList(RowList):
    """The rows of a data file."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose", "Full text", key_display="enter", id="data.full", tooltip="the whole prompt"),
    ]

    def __init__(self, *, ascii_only: bool = False) -> None:
        super().__init__(COLUMNS, id="rows", ascii_only=ascii_only)


class PromptCard(VerticalScroll, can_focus=True):
    """Scrolls where the text is longer than the card."""

    DEFAULT_CSS = """
    PromptCard {
        height: 1fr; border: round $foreground 35%; border-title-color: $foreground; padding: 0 1;
        scrollbar-size-vertical: 1;
    }
    PromptCard:focus { border: round $foreground 70%; }
    PromptCard > Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._parts: tuple[tuple[str, str], ...] = ()
        self._specials: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, entry: Entry, seen: Seen, length: int | None, flag: str) -> None:
        """This row, its text as the model sees it."""
        tokens = "" if length is None else f"   {length:,} tokens"
        self.border_title = Content(f"row {entry.number:,}{tokens}   {one_line(how_seen(seen))}")
        parts = [(f"! {flag}", "$text-warning")] if flag else []
        parts += [(seen.note, "$foreground 60%")] if seen.note else []
        parts.append((_short(seen.text.replace("\n", "⏎\n")), "text"))
        for name, answer in answers_of(entry):
            parts += [(name, "bold"), (_short(answer), "")]
        self._set(parts, seen.specials)

    def show_problem(self, entry: Entry) -> None:
        """A row that is not used, and why."""
        self.border_title = Content(f"row {entry.number:,}   not used")
        self._set([(entry.problem, "$text-error")])

    def show_nothing(self, words: str) -> None:
        """These words where there is no row."""
        self.border_title = Content("")
        self._set([(words, "$foreground 60%")])

    def _set(self, parts: list[tuple[str, str]], specials: tuple[str, ...] = ()) -> None:
        wanted = tuple(parts), tuple(one_line(name) for name in specials)
        if wanted != (self._parts, self._specials):
            self._parts, self._specials = wanted
            self.scroll_home(animate=False)
            self._lay_out()

    def on_resize(self) -> None:
        # A text set while the screen is being laid out keeps its old height.
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        if not self.is_mounted:
            return
        width = max(8, self.scrollable_content_region.width)
        lines: list[Content] = []
        for text, style in self._parts:
            for line in wrap(text, width):
                lines.append(self._marked(line) if style == "text" else Content.styled(line, style))
        self.query_one(Static).update(Content("\n").join(lines))

    def _marked(self, line: str) -> Content:
        """The line with special tokens and line ends set apart."""
        names = [re.escape(name) for name in sorted(self._specials, key=len, reverse=True)]
        content = Content(line)
        for found in re.finditer("|".join([*names, "⏎$"]), line):
            style = "$foreground 45%" if found[0] == "⏎" else "bold $primary"
            content = content.stylize(style, found.start(), found.end())
        return content


def how_seen(seen: Seen) -> str:
    """Whose eyes a text is seen with."""
    return f"as {seen.by} sees it" if seen.by else "plain text"


def _short(text: str) -> str:
    return safe(text) if len(text) <= _SHOWN else f"{safe(text[:_SHOWN])}… (enter shows all)"
