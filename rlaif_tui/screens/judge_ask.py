"""Small dialogs of the judge's screen: one line of text, or one of a few things."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from ..text import one_line, safe
from ..widgets.line import Sentence
from ..widgets.rows import Cell, Column, RowList

Try = Callable[[str, bool], Awaitable[str]]
"""Does what was asked with the text, the second time in a row with True; gives why it could not be done, or nothing."""


class AskScreen(ModalScreen[bool]):
    """Asks for one line. Closes with True once it could be used; what could not says why and stays."""

    CSS_PATH = "judge_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss(False)", "Back", show=False)]

    def __init__(self, title: str, words: str, value: str, attempt: Try) -> None:
        super().__init__()
        self._title, self._words, self._value, self._attempt = title, words, value, attempt
        self._before: str | None = None
        self._trying = False

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Sentence(safe(self._words), id="words")
            yield Input(self._value, id="line", compact=True)
            yield Sentence(id="problem")

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(self._title))
        frame.border_subtitle = Content("enter accept   esc back")
        line = self.query_one("#line", Input)
        line.cursor_blink = False
        line.focus()

    def on_input_submitted(self, message: Input.Submitted) -> None:
        if not self._trying and message.value.strip():
            self._trying = True
            self.run_worker(self._try(message.value.strip()), exit_on_error=False)

    async def _try(self, text: str) -> None:
        again, self._before = text == self._before, text
        try:
            problem = await self._attempt(text, again)
        except Exception as error:  # noqa: BLE001  a dialog must say what went wrong, not hang
            problem = f"{type(error).__name__}: {error}"
        self._trying = False
        if not self.is_current:
            return
        if problem:
            self.query_one("#problem", Sentence).say(f"✗ {one_line(problem)}")
        else:
            self.dismiss(True)


class PickScreen(ModalScreen[int]):
    """One of a few things; closes with its index, or with -1."""

    CSS_PATH = "judge_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(-1)", "Back", show=False)]

    def __init__(
        self, title: str, words: str, columns: Sequence[Column], rows: Sequence[Sequence[str]], *, ascii_only: bool
    ) -> None:
        super().__init__()
        self._title, self._words, self._columns, self._rows = title, words, columns, rows
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Sentence(safe(self._words), id="words")
            yield RowList(self._columns, id="choices", ascii_only=self._ascii)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(self._title))
        frame.border_subtitle = Content("enter choose   esc back")
        choices = self.query_one("#choices", RowList)
        choices.styles.height = min(12, len(self._rows) + 1)
        choices.show(len(self._rows), lambda at: [Cell(text) for text in self._rows[at]])
        choices.focus()

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        self.dismiss(message.index)
