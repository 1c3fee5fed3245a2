"""One line of fields: what does not fit is dropped from the right, never wrapped or cut in the middle."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widgets import Static

from ..text import clip, one_line


@dataclass(frozen=True)
class Field:
    """A piece of a line. Its text may be anyone's; it is made safe here."""

    text: str
    style: str = ""
    """Textual style, such as ``bold`` or ``$text-warning``."""


class Sentence(Static):
    """Safe text that wraps. Saying the same again costs nothing."""

    def __init__(self, text: str = "", *, id: str) -> None:
        super().__init__(text, id=id, markup=False)
        self._said = text

    def say(self, text: str) -> None:
        """Show this from now on; the text must have been made safe."""
        if text != self._said:
            self._said = text
            self.update(text)


class FieldLine(Static):
    """Fields from the left, two spaces apart, and one at the right end that goes first when there is no room."""

    DEFAULT_CSS = "FieldLine { height: 1; width: 1fr; }"

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._fields: tuple[Field, ...] = ()
        self._right = Field("")

    def show(self, fields: Sequence[Field], right: Field | None = None) -> None:
        """Show these from now on."""
        wanted = tuple(field for field in fields if field.text), right or Field("")
        if wanted != (self._fields, self._right):
            self._fields, self._right = wanted
            self._lay_out()

    def on_resize(self) -> None:
        self._lay_out()

    def _lay_out(self) -> None:
        self.update(layout(self._fields, self._right, self.size.width))


def layout(fields: Sequence[Field], right: Field, width: int) -> Content:
    """The line at this width. The first field is clipped if not even it fits."""
    parts: list[tuple[str, str]] = []
    used = 0
    for field in fields:
        text = one_line(field.text) if parts else clip(field.text, max(1, width))
        gap = 2 if parts else 0
        if used + gap + cell_len(text) > width:
            break
        parts += [(" " * gap, ""), (text, field.style)]
        used += gap + cell_len(text)
    end = clip(right.text, max(1, width))
    if end and used + 2 + cell_len(end) <= width:
        parts += [(" " * (width - used - cell_len(end)), ""), (end, right.style)]
    return Content.assemble(*parts)
