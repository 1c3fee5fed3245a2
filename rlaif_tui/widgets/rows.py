"""A list of as many rows as there are: only the visible ones are asked for, and only changed lines are drawn.

Its owner keeps the rows and hands over a function from the index of a row to its cells. The text of a cell may be
anyone's: it is made safe here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from ..text import pad

GAP = 1
LEAST_FLEXIBLE = 12
_CHARACTERS = 4
"""Characters of a cell that are looked at, per cell of its width: a megabyte in a cell costs nothing."""


@dataclass(frozen=True)
class Column:
    """A heading and how its cells are laid out."""

    title: str
    width: int = 0
    """In cells; 0: the room that the others leave."""
    align: Literal["left", "right"] = "left"


@dataclass(frozen=True)
class Cell:
    """A text and a Textual style for it, such as ``bold`` or ``$text-warning``."""

    text: str
    style: str = ""


Cells = Callable[[int], Sequence[Cell]]


@lru_cache(maxsize=64)
def fit(columns: tuple[Column, ...], width: int) -> tuple[tuple[int, int], ...]:
    """(index, width) of the columns that have room. They go from the right, those of flexible width and the first
    last of all.
    """
    kept = list(range(len(columns)))

    def needed() -> int:
        return sum((columns[at].width or LEAST_FLEXIBLE) + GAP for at in kept) - GAP

    while len(kept) > 1 and needed() > width:
        kept.remove(next((at for at in reversed(kept[1:]) if columns[at].width), kept[-1]))
    flexible = [at for at in kept if not columns[at].width]
    room = width - needed() + LEAST_FLEXIBLE * len(flexible)
    widths: dict[int, int] = {}
    for left, at in enumerate(reversed(flexible)):
        widths[at] = max(1, room // (len(flexible) - left))
        room -= widths[at]
    return tuple((at, max(1, min(width, columns[at].width or widths[at]))) for at in kept)


class RowList(ScrollView, can_focus=True):
    """Rows to move through and to open. The row under the cursor carries a mark and a colour."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"rows--head", "rows--row", "rows--cursor"}
    DEFAULT_CSS = """
    RowList { height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto; scrollbar-size-vertical: 1; }
    RowList > .rows--head { color: $foreground 55%; }
    RowList > .rows--row { color: $foreground; }
    RowList > .rows--cursor { color: $foreground; background: $foreground 12%; }
    RowList:focus > .rows--cursor { color: $block-cursor-foreground; background: $block-cursor-background; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", "Row up", show=False),
        Binding("down,j", "move(1)", "Row down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home,g", "end(0)", "First row", show=False),
        Binding("end,G", "end(1)", "Last row", show=False),
        Binding("enter", "choose", "Open", key_display="enter", id="rows.open", tooltip="open this row"),
    ]

    class Highlighted(Message):
        """The cursor is on another row."""

        def __init__(self, rows: RowList, index: int) -> None:
            super().__init__()
            self.rows = rows
            self.index = index

        @property
        def control(self) -> RowList:
            return self.rows

    class Chosen(Highlighted):
        """The person asked for the row under the cursor."""

    def __init__(self, columns: Sequence[Column], *, id: str, ascii_only: bool = False) -> None:
        super().__init__(id=id)
        self._columns = tuple(columns)
        self._mark = "> " if ascii_only else "▸ "
        self._count = 0
        self._cells: Cells = lambda _: ()
        self._cursor = 0
        self._drawn: dict[int, tuple[str, tuple[Cell, ...]]] = {}
        self._styles: dict[tuple[str, str, str, bool], RichStyle] = {}

    @property
    def cursor(self) -> int | None:
        """Index of the row under the cursor; None where there is no row."""
        return self._cursor if self._count else None

    @property
    def row_count(self) -> int:
        return self._count

    def show(self, count: int, cells: Cells) -> None:
        """Draw these rows from now on. Cursor and place stay, so rows may be appended at any time."""
        before, had = self.cursor, self._count
        self._count, self._cells = count, cells
        self._cursor = max(0, min(self._cursor, count - 1))
        self._grow_to(Size(0, count + 1))
        self._follow_cursor(only_if=before != self.cursor)
        self._redraw()
        if self.cursor is not None and self.cursor != before:
            self.post_message(self.Highlighted(self, self.cursor))
        if bool(had) != bool(count) and self.has_focus:
            self.screen.refresh_bindings()  # only now, or no longer, is there a row to open

    def _grow_to(self, size: Size) -> None:
        if self.show_vertical_scrollbar and size.height >= self.virtual_size.height:
            # Setting the reactive would repaint every line, and appended rows change none.
            self.set_reactive(ScrollView.virtual_size, size)
            self.vertical_scrollbar.window_virtual_size = size.height
        else:
            self.virtual_size = size

    def set_columns(self, columns: Sequence[Column]) -> None:
        """Lay out by these columns from now on."""
        self._columns = tuple(columns)
        self.refresh()

    def move_to(self, index: int) -> None:
        """Put the cursor on this row, or on the nearest there is, and bring it into view."""
        if not self._count:
            return
        index = max(0, min(index, self._count - 1))
        moved, self._cursor = index != self._cursor, index
        self._follow_cursor()
        self._redraw()
        if moved:
            self.post_message(self.Highlighted(self, index))

    def action_move(self, by: int) -> None:
        self.move_to(self._cursor + by)

    def action_page(self, by: int) -> None:
        self.move_to(self._cursor + by * self._room)

    def action_end(self, last: int) -> None:
        self.move_to(last * self._count)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return action != "choose" or self._count > 0

    def action_choose(self) -> None:
        if self._count:
            self.post_message(self.Chosen(self, self._cursor))

    def on_click(self, event: events.Click) -> None:
        index = self._row_at(event.get_content_offset_capture(self).y)
        if index is None:
            return
        if index == self._cursor and event.chain > 1:
            self.action_choose()
        self.move_to(index)

    def on_resize(self) -> None:
        self._follow_cursor()
        self._redraw()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        if self.show_vertical_scrollbar:
            self.vertical_scrollbar.position = new_value
        if round(old_value) != round(new_value):
            self._redraw()

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width  # the size holds the scroll bar too

    @property
    def _room(self) -> int:
        return max(1, self.size.height - 1)

    def _follow_cursor(self, *, only_if: bool = True) -> None:
        """Scroll as little as brings the cursor into view."""
        if not only_if or not self.size.height:
            return
        top = min(max(self.scroll_offset.y, self._cursor - self._room + 1), self._cursor)
        if top != self.scroll_offset.y:
            self.scroll_to(y=top, animate=False, force=True)  # the scroll bar may not be there yet

    def _row_at(self, y: int) -> int | None:
        index = self.scroll_offset.y + y - 1
        return index if y > 0 and index < self._count else None

    def _line(self, y: int) -> tuple[str, tuple[Cell, ...]]:
        if y == 0:
            return "rows--head", tuple(Cell(column.title) for column in self._columns)
        index = self._row_at(y)
        if index is None:
            return "", ()
        return "rows--cursor" if index == self._cursor else "rows--row", tuple(self._cells(index))

    def _redraw(self) -> None:
        # What is drawn is compared, not what was asked for: a repaint that Textual asked for counts as well.
        width = self._width
        changed = [y for y in range(self.size.height) if self._drawn.get(y) != self._line(y)]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        width = self._width
        kind, cells = self._drawn[y] = self._line(y)
        if not kind:
            return Strip.blank(width, self.rich_style)
        base = self._style(kind, "")
        mark = self._mark if kind == "rows--cursor" else "  "
        segments = [Segment(mark[:width], base)]
        for at, wide in fit(self._columns, max(1, width - len(mark))) if width > len(mark) else ():
            cell, column = cells[at] if at < len(cells) else Cell(""), self._columns[at]
            text = pad(cell.text[: _CHARACTERS * wide + 64], wide, right=column.align == "right")
            segments += [Segment(text, self._style(kind, cell.style)), Segment(" " * GAP, base)]
        return Strip(segments).adjust_cell_length(width, base)

    def _style(self, kind: str, more: str) -> RichStyle:
        key = (kind, more, self.app.theme, self.has_focus)
        if key not in self._styles:
            style = self.get_visual_style(kind)
            if more:
                own = Style.parse(more, self.app.theme_variables)
                # On the cursor's colour only weight is legible in every theme.
                style += own.without_color if kind == "rows--cursor" else own
            self._styles[key] = style.rich_style
        return self._styles[key]
