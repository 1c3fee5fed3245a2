"""The list of runs: one line each, columns dropped from the right when there is no room, only changed lines drawn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual.binding import Binding, BindingType
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from ..text import pad


@dataclass(frozen=True)
class RunRow:
    """A run as the list shows it; ``cells`` in the order of ``COLUMNS``."""

    name: str
    cells: tuple[str, ...]
    severity: str = "info"


# Heading, least width, greatest width, whether numbers stand at the right. What is left over goes to those that grow.
COLUMNS: tuple[tuple[str, int, int, bool], ...] = (
    ("", 2, 2, False),
    ("run", 18, 32, False),
    ("state", 13, 13, False),
    ("step", 10, 10, True),
    ("score", 13, 13, True),
    ("trend", 8, 8, False),
    ("KL", 6, 6, True),
    ("cost", 7, 7, True),
    ("started", 7, 7, True),
    ("model", 12, 28, False),
    ("judge", 11, 28, False),
)
_GAP = 1


def widths(width: int) -> tuple[int, ...]:
    """Width of each column that fits, from the left; a column that does not is left out, and all after it."""
    fitting: list[int] = []
    used = -_GAP
    for _, least, _, _ in COLUMNS:
        if used + _GAP + least > width:
            break
        used += _GAP + least
        fitting.append(least)
    for at in range(len(fitting)):
        more = min(COLUMNS[at][2] - fitting[at], width - used)
        fitting[at] += more
        used += more
    return tuple(fitting)


def row_text(cells: Sequence[str], width: int) -> str:
    """The cells as one line of exactly ``width`` cells."""
    room = widths(width)
    shown = [pad(cell, wide, right=COLUMNS[at][3]) for at, (cell, wide) in enumerate(zip(cells, room, strict=False))]
    return pad((" " * _GAP).join(shown), width)


class RunList(Widget, can_focus=True):
    """Rows to move through and to open."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"runs--head", "runs--row", "runs--chosen", "runs--error"}
    DEFAULT_CSS = """
    RunList { height: 1fr; width: 1fr; }
    RunList > .runs--head { color: $foreground 55%; }
    RunList > .runs--row { color: $foreground; }
    RunList > .runs--chosen { color: $block-cursor-foreground; background: $block-cursor-background; }
    RunList > .runs--error { color: $warning; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("home,g", "move(-1000000)", show=False),
        Binding("end,G", "move(1000000)", show=False),
        Binding("pageup", "move(-10)", show=False),
        Binding("pagedown", "move(10)", show=False),
    ]

    class Chosen(Message):
        """The cursor is on another run."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._rows: tuple[RunRow, ...] = ()
        self._cursor = 0
        self._moved = False
        self._top = 0
        self._lines: list[tuple[str, str]] = []

    @property
    def chosen(self) -> str | None:
        """Name of the run under the cursor."""
        return self._rows[self._cursor].name if self._rows else None

    def show(self, rows: Sequence[RunRow]) -> None:
        """Draw these from now on. The cursor stays with its run once it was moved, and on the first row until then:
        names come before states, and a live run goes to the top only when its state is known.
        """
        chosen = self.chosen if self._moved else None
        self._rows = tuple(rows)
        names = [row.name for row in rows]
        self._cursor = names.index(chosen) if chosen in names else min(self._cursor, max(0, len(names) - 1))
        self._lay_out()

    def choose(self, name: str) -> None:
        """Put the cursor on this run, if it is there."""
        names = [row.name for row in self._rows]
        if name in names:
            self.action_move(names.index(name) - self._cursor)

    def action_move(self, by: int) -> None:
        if self._rows:
            self._moved = True
            self._cursor = min(len(self._rows) - 1, max(0, self._cursor + by))
            self._lay_out()
            self.post_message(self.Chosen())

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        width, room = self.size.width, max(1, self.size.height - 1)
        self._top = min(max(self._top, self._cursor - room + 1), self._cursor)
        self._top = max(0, min(self._top, len(self._rows) - room))
        old, lines = self._lines, [(row_text([name for name, *_ in COLUMNS], width), "runs--head")]
        for at, row in enumerate(self._rows[self._top : self._top + room], self._top):
            kind = "runs--chosen" if at == self._cursor else "runs--error" if row.severity == "error" else "runs--row"
            lines.append((row_text(row.cells, width), kind))
        self._lines = lines
        blank = ("", "")
        changed = [
            y
            for y in range(max(len(old), len(lines)))
            if (old[y] if y < len(old) else blank) != (lines[y] if y < len(lines) else blank)
        ]
        if changed:
            self.refresh(*(Region(0, y, width, 1) for y in changed))

    def render_line(self, y: int) -> Strip:
        width = self.size.width
        if y >= len(self._lines):
            return Strip.blank(width, self.rich_style)
        text, kind = self._lines[y]
        style: Style = self.get_component_rich_style(kind)
        return Strip([Segment(text, style)]).adjust_cell_length(width, style)
