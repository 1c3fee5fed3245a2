"""Where a prompt is typed: enter sends it, ctrl+j begins a new line; what is pasted may have several."""

from __future__ import annotations

import unicodedata
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widgets import TextArea

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


class PromptField(TextArea):
    """A text of a few lines without a frame."""

    DEFAULT_CSS = """
    PromptField {
        border: none; padding: 0 1; height: auto; max-height: 5; width: 1fr; background: $foreground 8%;
        scrollbar-size-vertical: 1;
    }
    PromptField:focus { border: none; background: $foreground 15%; }
    """
    # Before the text area itself, which would take enter for a line end.
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "send", "Send", key_display="enter", priority=True, id="play.send-typed",
                tooltip="send what is typed to both models"),
        Binding("ctrl+j", "new_line", "New line", key_display="^j", priority=True, id="play.new-line",
                tooltip="a new line in the prompt"),
    ]  # fmt: skip

    class Sent(Message):
        """The person wants this answered."""

    def __init__(self, *, id: str) -> None:
        super().__init__(
            id=id, soft_wrap=True, tab_behavior="focus", compact=True, highlight_cursor_line=False, max_checkpoints=200
        )
        self.cursor_blink = False  # each blink would be sent over the wire

    def get_line(self, line_index: int) -> Text:
        """A line as it is drawn: what is not plainly visible becomes one sign, so that columns stay."""
        line = self.document.get_line(line_index)
        plain = line.isascii() and line.isprintable()
        return Text(line if plain else "".join(map(_shown, line)), end="", no_wrap=True)

    def put(self, text: str) -> None:
        """This text in place of what is there, the cursor behind it."""
        if text != self.text:
            self.load_text(text)
        self.move_cursor(self.document.end)

    def action_send(self) -> None:
        self.post_message(self.Sent())

    def action_new_line(self) -> None:
        self.insert("\n")


def _shown(character: str) -> str:
    if character.isprintable() or character == "\t":
        return character
    if ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    return "�" if unicodedata.category(character) in _HIDDEN else character
