"""A grid of one-cell characters with a kind each, and what changed between two of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from textual.geometry import Region

_BRIDGE = 6
"""Unchanged cells between two changes that are cheaper to send again than to jump over."""


@dataclass(frozen=True)
class Canvas:
    """Rows of text and, letter by letter beside it, the kind of each cell; a kind is one letter."""

    rows: tuple[str, ...]
    kinds: tuple[str, ...]

    def runs(self, y: int) -> Iterator[tuple[str, str]]:
        """(kind, text) of one row, neighbours of a kind together."""
        at = 0
        for kind, same in groupby(self.kinds[y]):
            size = len(list(same))
            yield kind, self.rows[y][at : at + size]
            at += size


def changes(old: Canvas, new: Canvas) -> list[Region]:
    """Regions, one row high, that hold every cell in which two canvases of one size differ."""
    return [
        Region(start, y, end - start, 1)
        for y in range(len(new.rows))
        if old.rows[y] != new.rows[y] or old.kinds[y] != new.kinds[y]
        for start, end in _spans(_cells(old, y), _cells(new, y))
    ]


def _cells(canvas: Canvas, y: int) -> list[tuple[str, str]]:
    return list(zip(canvas.rows[y], canvas.kinds[y], strict=True))


def _spans(old: list[tuple[str, str]], new: list[tuple[str, str]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for x, (before, after) in enumerate(zip(old, new, strict=True)):
        if before == after:
            continue
        if start < 0:
            start = x
        elif x - end > _BRIDGE:
            yield start, end
            start = x
        end = x + 1
    if start >= 0:
        yield start, end
