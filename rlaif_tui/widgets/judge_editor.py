"""A text editor for a judge file: line numbers, undo, find. Whatever the text holds, the terminal obeys none of it."""

from __future__ import annotations

import re
import unicodedata

from rich.text import Text
from textual.document._document import Document, Selection
from textual.widgets import TextArea

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class JudgeEditor(TextArea):
    """``tab`` leaves it, so that no key is a trap; ``esc`` is its screen's."""

    DEFAULT_CSS = """
    JudgeEditor { border: none; padding: 0; height: 1fr; background: $background; scrollbar-size-vertical: 1; }
    JudgeEditor:focus { border: none; }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id, show_line_numbers=True, soft_wrap=True, tab_behavior="focus", compact=True,
            highlight_cursor_line=True, max_checkpoints=500,
        )  # fmt: skip
        self.cursor_blink = False  # a blinking cursor costs 2.5 kB/s

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: what is not plainly visible becomes one sign, so that columns stay."""
        line = self.document.get_line(line_index)
        return Text("".join(map(_shown, line)) if not line.isascii() or not line.isprintable() else line, end="",
                    no_wrap=True)  # fmt: skip

    def put(self, text: str) -> None:
        """Change the whole text as one edit, which undo takes back; the cursor stays where it can."""
        if text == self.text:
            return
        row, column = self.cursor_location
        self.history.checkpoint()
        self.replace(text, self.document.start, self.document.end, maintain_selection_offset=False)
        self.history.checkpoint()
        row = min(row, self.document.line_count - 1)
        self.move_cursor((row, min(column, len(self.document.get_line(row)))))

    def find(self, words: str, *, onward: bool = False, back: bool = False) -> tuple[int, int]:
        """Select the match at the cursor or the next one, round the end; gives (which, of how many), (0, 0) if none.

        Upper and lower case are one. ``onward``: the match here is left behind; ``back``: the one before.
        """
        matches = [m.span() for m in re.finditer(re.escape(words), self.text, re.IGNORECASE)] if words else []
        if not matches:
            return 0, 0
        document = self.document
        assert isinstance(document, Document)  # no language is set
        start = document.get_index_from_location(min(self.selection.start, self.selection.end))
        if back:
            at = next((i for i in reversed(range(len(matches))) if matches[i][0] < start), len(matches) - 1)
        else:
            at = next((i for i, (a, _) in enumerate(matches) if a > start or (a == start and not onward)), 0)
        first, last = (document.get_location_from_index(index) for index in matches[at])
        self.selection = Selection(first, last)
        self.scroll_cursor_visible(center=True)
        return at + 1, len(matches)


def _shown(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return "�" if unicodedata.category(character) in _HIDDEN else character
