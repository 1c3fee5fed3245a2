"""A line as braille: 2 x 4 dots a character. Pure: points in, rows of characters out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[int, float | None]
# Bit of each dot, by row from the top and by column.
_BITS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass
class _Column:
    """What happens within one column of dots."""

    low: float
    high: float
    first: float
    last: float
    joined: bool
    """Whether the line comes in from the column before, or from further left."""


def draw(
    points: Sequence[Point], width: int, height: int, x_max: int, low: float, high: float, *, ascii_only: bool = False
) -> list[str]:
    """Rows of characters, top first, with x from 0 to ``x_max`` and y from ``low`` to ``high``.

    A column keeps the least and the greatest value that falls into it, so a spike of one step survives any shrinking.
    None and non-finite values break the line.
    """
    across, down = (1, 1) if ascii_only else (2, 4)
    dots_x, dots_y = width * across, height * down
    columns = _columns(points, dots_x, x_max)
    grid = [0] * (width * height)
    for x, top, bottom in _strokes(columns, dots_y, low, high):
        for y in range(top, bottom + 1):
            bit = 1 if ascii_only else _BITS[y % 4][x % 2]
            grid[y // down * width + x // across] |= bit
    letters = [" " if not cell else "*" if ascii_only else chr(0x2800 + cell) for cell in grid]
    return ["".join(letters[row * width : (row + 1) * width]) for row in range(height)]


def place_of(x: int, value: float, width: int, height: int, x_max: int, low: float, high: float) -> tuple[int, int]:
    """Column and row of the character that one value falls into, as ``draw`` places it on a braille grid."""
    dots = height * 4
    row = min(dots - 1, max(0, round((high - value) / (high - low) * (dots - 1))))
    return column_of(x, width * 2, x_max) // 2, row // 4


def column_of(x: int, columns: int, x_max: int) -> int:
    """Column of a step, 0 to ``columns - 1``."""
    return min(columns - 1, max(0, round(x * (columns - 1) / max(1, x_max))))


def _columns(points: Sequence[Point], dots_x: int, x_max: int) -> dict[int, _Column]:
    columns: dict[int, _Column] = {}
    joined = False
    for x, value in points:
        if value is None or not math.isfinite(value):
            joined = False
            continue
        at = column_of(x, dots_x, x_max)
        column = columns.get(at)
        if column is None:
            columns[at] = _Column(value, value, value, value, joined)
        else:
            column.low, column.high = min(column.low, value), max(column.high, value)
            column.last = value
        joined = True
    return columns


def _strokes(columns: dict[int, _Column], dots_y: int, low: float, high: float) -> Iterable[tuple[int, int, int]]:
    """Vertical strokes (x, top, bottom) in dots that make the line."""

    def row(value: float) -> int:
        share = (high - value) / (high - low)
        return min(dots_y - 1, max(0, round(share * (dots_y - 1))))

    before: tuple[int, _Column] | None = None
    for x, column in sorted(columns.items()):
        yield x, row(column.high), row(column.low)
        if before is not None and column.joined:
            yield from _line(before[0], row(before[1].last), x, row(column.first))
        before = x, column


def _line(x0: int, y0: int, x1: int, y1: int) -> Iterable[tuple[int, int, int]]:
    """A straight line as one stroke a column, without steps left open between columns."""
    previous = y0
    for x in range(x0 + 1, x1 + 1):
        y = y0 + round((y1 - y0) * (x - x0) / (x1 - x0))
        near = previous + (y > previous) - (y < previous)
        yield x, min(near, y), max(near, y)
        previous = y
