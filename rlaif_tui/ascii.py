"""Terminals that show ASCII only: which they are, and what our signs become there.

One filter over every line that is drawn, so that no screen has to think of it. It leaves letters alone, also foreign
ones of the texts on show; only signs, lines, blocks, arrows and the few Greek letters of our own words are replaced,
each by something of the same width, so that nothing moves.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_PLAIN_TERMINALS = re.compile(r"^(linux|con\d+|cons\d+|vt\d+|ansi|xterm-mono|dumb)(-|$)")
_FEW_COLOURS = re.compile(r"^(linux|con\d+|cons\d+|vt\d+|ansi)(-|$)")
_SIGNS = {
    "✓": "+", "✗": "x", "●": "*", "◌": "o", "‖": "=", "■": "#", "▸": ">", "▶": ">", "◂": "<", "◀": "<", "▲": "^",
    "▼": "v", "◆": "V", "○": "r", "→": ">", "←": "<", "↑": "^", "↓": "v", "–": "-", "—": "-", "−": "-", "·": ".",
    "⏎": "$", "⟨": "<", "⟩": ">", "“": '"', "”": '"', "‘": "'", "’": "'", "±": "~", "×": "x", "≥": ">", "≤": "<",
    "β": "B", "η": "L", "ρ": "r", "λ": "l", "γ": "g", "σ": "s", "Δ": "d", "…": "~", "⭘": "o", "🔎": ">", "�": "?",
}  # fmt: skip
_ROOM = re.compile("… {2,}|± ")
"""Where a longer word has room, because blanks follow; one stays."""
_RANGES = {
    (0x2190, 0x21FF): "-",  # arrows
    (0x2400, 0x243F): "^",  # pictures of control characters
    (0x2500, 0x2501): "-",
    (0x2502, 0x2503): "|",
    (0x2504, 0x2505): "-",
    (0x2506, 0x2507): ":",
    (0x2508, 0x2509): "-",
    (0x250A, 0x250B): ":",
    (0x250C, 0x254B): "+",
    (0x254C, 0x254D): "-",
    (0x254E, 0x254F): ":",
    (0x2550, 0x2550): "=",
    (0x2551, 0x2551): "|",
    (0x2552, 0x2570): "+",
    (0x2571, 0x257F): "-",
    (0x2580, 0x2580): "-",
    (0x2581, 0x2583): "_",
    (0x2584, 0x2586): "=",
    (0x2587, 0x2588): "#",
    (0x2589, 0x2590): "|",
    (0x2591, 0x2593): ":",
    (0x2594, 0x2594): "-",
    (0x2595, 0x259F): "|",
    (0x25A0, 0x25FF): "*",  # geometric shapes
    (0x2600, 0x27BF): "*",  # symbols and dingbats
    (0x2800, 0x28FF): ":",  # braille
}


def _table() -> Mapping[int, str]:
    table = {code: sign for (first, last), sign in _RANGES.items() for code in range(first, last + 1)}
    table |= {ord(sign): plain for sign, plain in _SIGNS.items()}
    return {code: plain.ljust(cell_len(chr(code))) for code, plain in table.items()}


_TABLE = _table()


def is_plain_terminal(environment: Mapping[str, str]) -> bool:
    """Whether a terminal is known to have a font of a few hundred glyphs, or its locale no Unicode."""
    if _PLAIN_TERMINALS.match(environment.get("TERM", "")):
        return True
    locale = next((value for name in ("LC_ALL", "LC_CTYPE", "LANG") if (value := environment.get(name))), "")
    return "." in locale and "utf" not in locale.lower()


def has_few_colours(environment: Mapping[str, str]) -> bool:
    """Whether a terminal has its own sixteen colours at most."""
    return bool(_FEW_COLOURS.match(environment.get("TERM", "")))


def plain(text: str) -> str:
    """The text with our signs in ASCII, as wide as before."""
    if text.isascii():
        return text
    return _ROOM.sub(_longer, text).translate(_TABLE)


def _longer(found: re.Match[str]) -> str:
    whole = found[0]
    return "+-" if whole[0] == "±" else "...".ljust(len(whole)) if len(whole) > 3 else ".. "


class AsciiSigns(LineFilter):
    """Replaces our signs in every line that is drawn."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:  # noqa: ARG002
        if all(text.isascii() for text, _, _ in segments):
            return segments
        line: list[Segment] = []
        taken = 0
        for at, (text, style, control) in enumerate(segments):
            if control:
                line.append(segments[at])
                continue
            text, taken = text[taken:], 0  # noqa: PLW2901
            if text.endswith("…") and at + 1 < len(segments):  # the blanks behind it may be a segment of their own
                after = segments[at + 1].text
                taken = max(0, min(2, len(after) - len(after.lstrip(" ")) - 1))
                text = text[:-1] + "." * (taken + 1) if taken else text  # noqa: PLW2901
            line.append(Segment(plain(text), style))
        return line


KEYS = {"←": "left", "→": "right", "↑": "up", "↓": "down", "⏎": "enter"}
"""Names of keys whose signs would be taken for others."""
