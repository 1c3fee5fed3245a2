"""Text in styled pieces, wrapped like any other text. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from .text import wrap

Line = list[tuple[str, str]]
"""(text, style) of the parts of one line."""


def styled_lines(pieces: Iterable[tuple[str, str]], width: int) -> list[Line]:
    """(safe text, style) of pieces that join to a text, as lines of at most ``width`` cells."""
    shown, styles = [], []
    for text, style in pieces:
        shown.append(text.replace("\t", "    "))  # ``wrap`` would make a tab as wide as what stands before leaves it
        styles += [style] * len(shown[-1])
    whole = "".join(shown)
    lines, at = [], 0
    for line in wrap(whole, width):
        marked = []
        for character in line:
            while at < len(whole) and whole[at] != character and whole[at].isspace():  # dropped where a line was broken
                at += 1
            own = at < len(whole) and whole[at] == character
            marked.append((character, styles[at] if own else ""))
            at += own
        lines.append(
            [("".join(c for c, _ in part), style) for style, part in groupby(marked, key=lambda each: each[1])]
        )
    return lines
