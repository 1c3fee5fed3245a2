"""The one place where text of others (a data set's, a model's, a judge's, a log's) is made safe for a terminal.

A terminal obeys control codes wherever they come from: a response could write the clipboard, retitle the window or
hide what follows. Here each of them becomes a visible mark; files keep the text as it was.
"""

from __future__ import annotations

import re
import unicodedata

from rich.cells import cell_len, chop_cells

LINE_LIMIT = 10_000
_CUT = "…⟨cut⟩"

# Everything that a printable, ASCII-only text cannot contain, plus newline and tab, which stay.
_SUSPECT = re.compile(r"[^\n\t\x20-\x7e]")

# Default-ignorable code points whose category is a letter's or a mark's, yet which draw nothing.
_INVISIBLE = frozenset(
    (0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10))
) | frozenset(range(0xE0000, 0xE1000))

# Cc control, Cf format (bidi, zero-width, tags), Cs lone surrogates, Zl and Zp line and paragraph separators.
_HIDDEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def safe(text: str) -> str:
    """The text with everything that is not plainly visible made so; newline and tab stay. Idempotent.

    C0 controls become their pictures (``␛``); C1, bidi, zero-width and surrogates become ``⟨U+202E⟩``; CR LF becomes a
    newline; a line over 10,000 characters is cut with a mark.
    """
    text = _SUSPECT.sub(_visible, text.replace("\r\n", "\n"))
    if len(text) <= LINE_LIMIT:
        return text
    return "\n".join(_cut(line) for line in text.split("\n"))


def one_line(text: str) -> str:
    """``safe`` for a place of one line: a newline becomes ``⏎``, a tab a space."""
    return safe(text).replace("\n", "⏎").replace("\t", " ")


def clip(text: str, width: int) -> str:
    """Safe text on one line, at most ``width`` cells wide, ending in ``…`` if something was left out."""
    line = one_line(text)
    if cell_len(line) <= width:
        return line
    return (chop_cells(line, width - 1)[0] if width > 1 else "") + "…"[:width]


def pad(text: str, width: int, *, right: bool = False) -> str:
    """``clip`` filled up with spaces to exactly ``width`` cells."""
    line = clip(text, width)
    space = " " * (width - cell_len(line))
    return space + line if right else line + space


def wrap(text: str, width: int) -> list[str]:
    """Safe text as lines of at most ``width`` cells, broken at spaces where there are any. At least one line."""
    lines: list[str] = []
    for paragraph in safe(text).expandtabs(4).split("\n"):
        lines.extend(_wrap_paragraph(paragraph, max(2, width)))
    return lines


def wrap_at_most(text: str, width: int, rows: int) -> list[str]:
    """``wrap`` of the first ``rows`` lines; the last ends in ``…`` if something was left out."""
    lines = wrap(text, width)
    if len(lines) <= rows:
        return lines
    return [*lines[: rows - 1], clip(lines[rows - 1] + "…", width)] if rows > 0 else []


def _wrap_paragraph(text: str, width: int) -> list[str]:
    lines, line, room = [], "", width
    for word in re.findall(r"\S+\s*|\s+", text):
        needed = cell_len(word.rstrip())
        if needed > room and line:
            lines.append(line.rstrip())
            line, room = "", width
        *whole, rest = chop_cells(word.rstrip(), width) if needed > width else [word]
        lines.extend(whole)
        line += rest
        room = width - cell_len(line)
    return [*lines, line.rstrip()]


def _visible(match: re.Match[str]) -> str:
    character = match[0]
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if code in _INVISIBLE or unicodedata.category(character) in _HIDDEN_CATEGORIES:
        return f"⟨U+{code:04X}⟩"
    return character


def _cut(line: str) -> str:
    return line if len(line) <= LINE_LIMIT else line[: LINE_LIMIT - len(_CUT)] + _CUT
