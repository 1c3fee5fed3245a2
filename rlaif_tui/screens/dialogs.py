"""Small questions over a screen: one line of text, or a choice by single keys. esc always leaves things as they are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..text import one_line, safe


class AskText(ModalScreen[str | None]):
    """Asks for one line; None: the person left."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(None)", show=False)]

    def __init__(self, title: str, text: str, value: str = "") -> None:
        super().__init__()
        self._title, self._text, self._value = title, text, value

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Static(Content(safe(self._text)), id="text", markup=False)
            yield Input(self._value, id="answer", compact=True)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(self._title))
        frame.border_subtitle = Content("enter does it   esc leaves it")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.dismiss(event.value.strip() or None)


@dataclass(frozen=True)
class Choice:
    """One of the things that can be done."""

    key: str
    result: str
    text: str


class AskChoice(ModalScreen[str | None]):
    """Asks which of a few things to do; None: none of them."""

    CSS_PATH = "dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", show=False)]

    def __init__(self, title: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__()
        self._title, self._text, self._choices = title, text, tuple(choices)

    def compose(self) -> ComposeResult:
        lines = [safe(self._text), "", *(f"  {choice.key}    {one_line(choice.text)}" for choice in self._choices)]
        with Vertical(id="frame"):
            yield Static(Content("\n".join(lines)), id="text", markup=False)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(self._title))
        frame.border_subtitle = Content("esc leaves everything as it is")

    def on_key(self, event: events.Key) -> None:
        for choice in self._choices:
            if event.character == choice.key:
                event.stop()
                self.dismiss(choice.result)
