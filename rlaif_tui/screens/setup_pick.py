"""Asks what a new run shall begin from: a preset, a run, a draft or a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from ..desks.setup import Origin
from ..widgets.rows import Cell, Column, RowList

_COLUMNS = (Column("from", 6), Column("name", 26), Column("what it is"))


class OriginPicker(ModalScreen[Origin | None]):
    """Returns what was chosen; None: the person left."""

    CSS_PATH = "setup.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape,q", "dismiss(None)", show=False)]

    def __init__(self, origins: Sequence[Origin], *, ascii_only: bool = False) -> None:
        super().__init__()
        self._origins = tuple(origins)
        self._ascii = ascii_only

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield RowList(_COLUMNS, id="origins", ascii_only=self._ascii)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("begin a new run from")
        frame.border_subtitle = Content("enter takes it   esc leaves it")
        self.query_one("#origins", RowList).show(len(self._origins), self._cells)
        self.query_one("#origins").focus()

    def _cells(self, at: int) -> Sequence[Cell]:
        origin = self._origins[at]
        name = "" if origin.kind == "draft" else origin.name
        return Cell(origin.kind, "bold"), Cell(name), Cell(origin.summary, "$foreground 75%")

    def on_row_list_chosen(self, event: RowList.Chosen) -> None:
        event.stop()
        self.dismiss(self._origins[event.index])
