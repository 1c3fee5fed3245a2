"""One line to type into, with a line below that says what can be typed or what is wrong with it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input

from ..text import one_line
from ..widgets.line import Sentence


class AskField(Input):
    """The field itself."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "submit", "Keep", key_display="enter", tooltip="take what is typed"),
    ]


class AskLine(Vertical):
    """Asks for one thing at a time: a filter, a note, a file name."""

    DEFAULT_CSS = """
    AskLine { display: none; height: auto; padding: 0 1; }
    AskLine.-asking { display: block; }
    AskLine > Input { width: 1fr; background: $foreground 12%; padding: 0 1; }
    AskLine > Sentence { height: auto; max-height: 3; padding: 0 1; color: $foreground 75%; }
    AskLine > Sentence.-bad { color: $text-warning; text-style: bold; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", "Leave", key_display="esc", tooltip="leave it as it was"),
    ]

    class Typed(Message):
        """The text changed."""

        def __init__(self, what: str, text: str) -> None:
            super().__init__()
            self.what = what
            self.text = text

    class Given(Typed):
        """The person keeps what is typed."""

    class Left(Typed):
        """The person wants it as it was."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.what = ""
        """What is asked for now; empty: nothing."""

    def compose(self) -> ComposeResult:
        field = AskField(compact=True, select_on_focus=False)
        field.cursor_blink = False  # each blink would be sent over the wire
        yield field
        yield Sentence(id="ask-hint")

    def ask(self, what: str, text: str, hint: str) -> None:
        """Open with this text in the field."""
        self.what = what
        self.add_class("-asking")
        field = self.query_one(Input)
        with field.prevent(Input.Changed):
            field.value = text
        field.cursor_position = len(text)
        self.hint(hint)
        field.focus()

    def hint(self, text: str, *, bad: bool = False) -> None:
        """Say this below the field."""
        line = self.query_one("#ask-hint", Sentence)
        line.say(one_line(text))
        line.set_class(bad, "-bad")

    def close(self) -> None:
        self.what = ""
        self.remove_class("-asking")

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.what:
            self.post_message(self.Typed(self.what, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if self.what:
            self.post_message(self.Given(self.what, event.value))

    def action_leave(self) -> None:
        if self.what:
            self.post_message(self.Left(self.what, self.query_one(Input).value))
