"""The first line of every screen: which screens there are, where one is, and the run in view with its state."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..text import clip

DIGITS_BELOW = 72
"""Columns under which tabs are digits only."""
WIDE_FROM = 110
_LEAST_NAME = 6


@dataclass(frozen=True)
class Head:
    """What the first line says."""

    tabs: tuple[tuple[str, str], ...] = ()
    """(key, title) of each screen."""
    current: str = ""
    """Key of the screen shown."""
    run: str = ""
    """Name of the run in view; empty: none."""
    state: str = ""
    """Its sign, word and place, such as ``● running 412/1000``."""
    short: str = ""
    """The same where there is less room, such as ``● 41%``."""


class HeadLine(Static):
    """Drawn again only when it says something else."""

    DEFAULT_CSS = """
    HeadLine { height: 1; width: 1fr; padding: 0 1; }
    """

    def __init__(self) -> None:
        super().__init__(id="tabs", markup=False)
        self._head = Head()

    def show(self, head: Head) -> None:
        """Show this from now on."""
        if head != self._head:
            self._head = head
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        self.update(head_line(self._head, self.size.width))


def head_line(head: Head, width: int) -> Content:
    """The line at this width. Which run is in view counts for more than the names of the other screens."""
    for titled in ("all", "current", "none") if width >= DIGITS_BELOW else ("none",):
        line = _tabs(head, titled)
        end, is_named = _right_end(head, width, width - line.cell_length - 2)
        if is_named or not head.run:
            break
    if not end:
        return line.truncate(max(1, width), ellipsis=True)
    return Content.assemble(line, " " * (width - line.cell_length - cell_len(end)), (end, "$foreground 85%"))


def _tabs(head: Head, titled: str) -> Content:
    parts: list[tuple[str, str]] = [("rlaif", "bold")]
    for key, title in head.tabs:
        here = key == head.current
        label = f"{key} {title}" if titled == "all" or (here and titled == "current") else key
        parts += [(" ", ""), (f"[{label}]" if here else label, "bold $primary" if here else "$foreground 75%")]
    return Content.assemble(*parts)


def _right_end(head: Head, width: int, room: int) -> tuple[str, bool]:
    """Run and state in so many cells, and whether the run's name is among them."""
    if not head.run:
        return "", False
    state = head.state if width >= WIDE_FROM else head.short
    for text in (state, head.short):
        name_room = room - cell_len(text) - 1
        if name_room >= min(_LEAST_NAME, cell_len(head.run)):
            return f"{clip(head.run, name_room)} {text}".rstrip(), True
    return (head.short, False) if cell_len(head.short) <= room else ("", False)
