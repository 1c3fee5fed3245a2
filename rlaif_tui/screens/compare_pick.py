"""Small lists over the compare screen: which models to compare, which comparison to look at."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from core.compare.record import Comparison

from ..desks.compare_models import Candidate
from ..text import one_line
from ..widgets.line import Sentence
from ..widgets.rows import Cell, Column, RowList
from .dialogs import AskText

LETTERS = "ABCDE"
Check = Callable[[tuple[str, ...]], Awaitable[str]]
"""Why these names cannot be compared; empty if they can."""


class ModelPicker(ModalScreen[tuple[str, ...] | None]):
    """Gives the models to compare, A first; None: as it was."""

    CSS_PATH = "compare_pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(letter.lower(), f"mark('{letter}')", show=False) for letter in LETTERS),
        Binding("x", "unmark", show=False),
        Binding("t", "type", show=False),
        Binding("escape,q", "dismiss(None)", show=False),
    ]

    def __init__(
        self, found: Sequence[Candidate], chosen: Sequence[str], check: Check, *, ascii_only: bool = False
    ) -> None:
        super().__init__()
        self._ascii = ascii_only
        self._found = list(found)
        self._check = check
        self._marks = dict(zip(LETTERS, chosen, strict=False))
        for name in chosen:
            self._know(name)

    def _know(self, name: str) -> int:
        """Place of this name in the list; a new one goes to its end."""
        names = [each.name for each in self._found]
        if name not in names:
            self._found.append(Candidate(name, "as typed"))
            return len(names)
        return names.index(name)

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            columns = (Column("", len(LETTERS)), Column("model"), Column("what it is", 30))
            yield RowList(columns, id="names", ascii_only=self._ascii)
            yield Sentence(id="problem")
            yield Sentence(
                "a b c d e  mark the model under the cursor   x  take its mark off   t  type a run, folder or id",
                id="keys-here",
            )

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("which models? B and later ones are measured against A")
        frame.border_subtitle = Content("enter done   esc leaves it")
        self._show()
        self.query_one("#names").focus()

    def _show(self) -> None:
        self.query_one("#names", RowList).show(len(self._found), self._cells)

    def _cells(self, at: int) -> tuple[Cell, ...]:
        candidate = self._found[at]
        letters = "".join(letter for letter, name in self._marks.items() if name == candidate.name)
        return Cell("".join(sorted(letters)), "bold"), Cell(candidate.name), Cell(candidate.what, "$foreground 60%")

    def _say(self, problem: str) -> None:
        self.query_one("#problem", Sentence).say(one_line(problem))

    def action_mark(self, letter: str) -> None:
        at = self.query_one("#names", RowList).cursor
        if at is not None:
            self._marks[letter] = self._found[at].name
            self._say("")
            self._show()

    def action_unmark(self) -> None:
        at = self.query_one("#names", RowList).cursor
        if at is not None:
            self._marks = {letter: name for letter, name in self._marks.items() if name != self._found[at].name}
            self._show()

    def action_type(self) -> None:
        text = "RUN, RUN@STEP, base, a folder with an adapter or a model, or a model's id (organisation/name)"
        self.app.push_screen(AskText("another model", text), self._typed)

    def _typed(self, name: str | None) -> None:
        if name is not None:
            at = self._know(name)
            self._show()
            self.query_one("#names", RowList).move_to(at)

    async def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        message.stop()
        letters = sorted(self._marks)
        if letters[:2] != ["A", "B"] or letters != list(LETTERS[: len(letters)]):
            self._say("mark at least two, A and B, and leave no letter out")
            return
        names = tuple(self._marks[letter] for letter in letters)
        problem = await self._check(names)
        if problem:
            self._say(problem)
        else:
            self.dismiss(names)


class RecordPicker(ModalScreen[str | None]):
    """Gives the name of the record to look at; None: as it was."""

    CSS_PATH = "compare_pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", show=False)]

    def __init__(self, found: Sequence[Comparison], current: str, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._ascii = ascii_only
        self._found = tuple(found)
        self._current = current

    def compose(self) -> ComposeResult:
        columns = (Column("begun", 16), Column("models"), Column("prompts", 9, "right"), Column("judge", 18))
        with Vertical(id="frame"):
            yield RowList(columns, id="names", ascii_only=self._ascii)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("comparisons of this run")
        frame.border_subtitle = Content("enter look at it   esc leaves it")
        rows = self.query_one("#names", RowList)
        rows.show(len(self._found), self._cells)
        rows.move_to(next((at for at, one in enumerate(self._found) if one.path.name == self._current), 0))
        rows.focus()

    def _cells(self, at: int) -> tuple[Cell, ...]:
        one = self._found[at]
        models = "  ".join(f"{model.label} {model.title}" for model in one.models)
        when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.header.time))
        ended = "" if one.finished and not one.finished.error else "!"
        return Cell(when), Cell(models), Cell(f"{ended}{len(one.rows)}"), Cell(one.header.judge)

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        message.stop()
        self.dismiss(self._found[message.index].path.name)
