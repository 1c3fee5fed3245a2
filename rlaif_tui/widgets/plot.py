"""One chart as a picture of cells: a framed line with round ticks, what lies behind it, and letters below. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .braille import Point, column_of, draw, place_of
from .canvas import Canvas
from .scale import LABEL_WIDTH, Scale, log_scale_for, scale_for

Mark = tuple[int, str]
Spot = tuple[int, float, str]
"""Step, value and the letter that stands there."""
LEAST_HEIGHT = 3
_BLANK = 0x2800
"""The braille pattern without dots."""


@dataclass(frozen=True)
class Plot:
    """What a chart shows. Texts must be plain, one cell a letter."""

    title: str
    notes: tuple[str, ...] = ()
    """Beside the title, the most important first; those without room are left out."""
    points: tuple[Point, ...] = ()
    x_max: int = 1
    marks: tuple[Mark, ...] = ()
    """(step, letter), drawn on the lower edge; C gives way to other letters."""
    behind: tuple[Point, ...] = ()
    """A second line, faint."""
    spots: tuple[Spot, ...] = ()
    """Measured now and then, each a letter of its own."""
    limit: float | None = None
    """A dashed line at this value."""
    limit_counts: bool = False
    """Whether the axis must reach the limit."""
    log: bool = False
    """A logarithmic axis; what is not above 0 is a gap."""
    cursor: int | None = None
    """A step that is pointed at."""
    tone: str = ""
    """Which colour the line has."""


# Corner and edge pieces: top left, top right, bottom left, bottom right, horizontal, vertical; limit and cursor.
_FRAME, _FRAME_ASCII = "╭╮╰╯─│┄┊", "++++-|.:"


def paint(plot: Plot, width: int, height: int, *, ascii_only: bool = False) -> Canvas:
    """The chart as cells.

    Kinds: f frame, t title, r note, n number, l line, b behind, s spot, h limit, k cursor, m mark.
    """
    if width < LABEL_WIDTH + 8 + len(str(plot.x_max)) or height < LEAST_HEIGHT:
        return Canvas((" " * width,) * height, ("f" * width,) * height)
    frame = _FRAME_ASCII if ascii_only else _FRAME
    inner_width, inner_height = width - LABEL_WIDTH - 4, height - 2
    values = _values(plot)
    scale = (log_scale_for if plot.log else scale_for)(values, max(3, (inner_height + 1) // 2))
    cells, kinds = _inside(plot, inner_width, inner_height, scale, ascii_only)
    labels = _labels(scale, inner_height) if values else {}
    left = [f"{frame[5]} {labels.get(y, ''):>{LABEL_WIDTH}} " for y in range(inner_height)]
    top, bottom = _top(plot, width, frame), _bottom(plot, inner_width, frame)
    rows = tuple(head + "".join(line) + frame[5] for head, line in zip(left, cells, strict=True))
    painted = tuple("f" + "n" * (LABEL_WIDTH + 2) + "".join(line) + "f" for line in kinds)
    return Canvas((top[0], *rows, bottom[0]), (top[1], *painted, bottom[1]))


def _values(plot: Plot) -> list[float]:
    """Everything that the axis must hold."""
    lines: Iterable[float | None] = (
        *(value for _, value in plot.points),
        *(value for _, value in plot.behind),
        *(value for _, value, _ in plot.spots),
    )
    known = [value for value in lines if value is not None and math.isfinite(value)]
    if plot.limit is not None and plot.limit_counts and known:
        known.append(plot.limit)
    return [value for value in known if value > 0] if plot.log else known


def _inside(
    plot: Plot, width: int, height: int, scale: Scale, ascii_only: bool
) -> tuple[list[list[str]], list[list[str]]]:
    """Letters and kinds of the area within the axes, what lies in front last."""
    cells = [[" "] * width for _ in range(height)]
    kinds = [["l"] * width for _ in range(height)]
    size = (width, height, plot.x_max, scale.low, scale.high)
    for x, y, letter, kind in _guides(plot, size, scale, ascii_only):
        cells[y][x], kinds[y][x] = letter, kind
    for points, kind in ((plot.behind, "b"), (plot.points, "l")):
        placed = [(x, None if value is None else scale.place(value)) for x, value in points]
        for y, row in enumerate(draw(placed, *size, ascii_only=ascii_only)):
            for x, letter in enumerate(row):
                if letter != " ":
                    # Dots of both lines share a cell, and the front line's colour.
                    under = ord(cells[y][x]) - _BLANK if kinds[y][x] == "b" and not ascii_only else 0
                    cells[y][x], kinds[y][x] = chr(ord(letter) | under) if under > 0 else letter, kind
    for step, value, letter in plot.spots:
        place = scale.place(value)
        if math.isfinite(place):
            x, y = place_of(step, place, *size)
            cells[y][x], kinds[y][x] = letter, "s"
    return cells, kinds


def _guides(
    plot: Plot, size: tuple[int, int, int, float, float], scale: Scale, ascii_only: bool
) -> Iterator[tuple[int, int, str, str]]:
    """Cells of the limit and of the cursor: column, row, letter, kind."""
    width, height, x_max, low, high = size
    frame = _FRAME_ASCII if ascii_only else _FRAME
    if plot.limit is not None and low <= scale.place(plot.limit) <= high:
        _, row = place_of(0, scale.place(plot.limit), *size)
        yield from ((x, row, frame[6], "h") for x in range(width))
    if plot.cursor is not None:
        across = 1 if ascii_only else 2
        at = column_of(plot.cursor, width * across, x_max) // across
        yield from ((at, y, frame[7], "k") for y in range(height))


def _labels(scale: Scale, rows: int) -> dict[int, str]:
    labels: dict[int, str] = {}
    for tick in (scale.ticks[-1], scale.ticks[0], *scale.ticks[1:-1]):
        row = round((scale.high - tick) / (scale.high - scale.low) * (4 * rows - 1)) // 4
        labels.setdefault(row, scale.label(tick))
    return labels


def _top(plot: Plot, width: int, frame: str) -> tuple[str, str]:
    room = width - 6
    title = plot.title if len(plot.title) <= room else plot.title[: room - 1] + "…"
    beside = ""
    for note in plot.notes:
        if note and len(title) + len(beside) + 2 + len(note) <= room:
            beside += f"  {note}"
    rest = width - 5 - len(title) - len(beside)
    row = f"{frame[0]}{frame[4]} {title}{beside} {frame[4] * rest}{frame[1]}"
    return row, "fff" + "t" * len(title) + "r" * len(beside) + "f" * (rest + 2)


def _bottom(plot: Plot, inner_width: int, frame: str) -> tuple[str, str]:
    cells, kinds = [frame[4]] * inner_width, ["f"] * inner_width
    for step, letter in sorted(plot.marks, key=lambda mark: mark[1] != "C"):
        at = column_of(step, inner_width, plot.x_max)
        cells[at], kinds[at] = letter, "m"
    last = f" {plot.x_max} "
    before = frame[4] * (LABEL_WIDTH + 2 - 3) + " 0 "
    del cells[inner_width - len(last) :], kinds[inner_width - len(last) :]
    row = frame[2] + before + "".join(cells) + last + frame[3]
    return row, "f" + "n" * len(before) + "".join(kinds) + "n" * len(last) + "f"
