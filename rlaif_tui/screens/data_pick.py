"""Choosing a data file, and which of its columns is what."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input

from core.prompts import Columns

from ..desks.data import DataDesk, Folder, Item
from ..text import one_line
from ..widgets.line import Sentence
from ..widgets.rows import Cell, Column, RowList

HUB = "hf:"
UP = ".."
ENDINGS = frozenset({".csv", ".tsv", ".tab", ".json", ".jsonl", ".ndjson", ".parquet"})
_UNITS = ("B", "kB", "MB", "GB", "TB")
ROLES: tuple[tuple[str, str], ...] = (
    ("prompt", "what the model answers"),
    ("system", "a system prompt per row"),
    ("reference", "the known right answer"),
    ("chosen", "the better of two answers"),
    ("rejected", "the worse of two answers"),
)


class FilePicker(ModalScreen[str | None]):
    """A path to type, and under it what is there; gives a path, a name of the Hub, or None."""

    CSS_PATH = "data_pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
    ]

    def __init__(self, desk: DataDesk, folder: str) -> None:
        super().__init__()
        self._desk = desk
        self._folder = Folder(folder, ())
        self._items: tuple[Item, ...] = ()

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Input(id="path", placeholder="type to filter, or a path, or hf://datasets/owner/name/file.parquet")
            yield RowList((Column("name"), Column("size", 9, "right"), Column("changed", 16)), id="names")
            yield Sentence(id="problem")

    async def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_subtitle = Content("up down choose   enter open   esc close")
        self.query_one("#names").can_focus = False
        self.query_one("#path").focus()
        await self._go_to(self._folder.path)

    async def _go_to(self, path: str) -> None:
        self._folder = await self._desk.folder(path)
        self.query_one("#frame").border_title = Content(one_line(self._folder.path))
        self.query_one("#problem", Sentence).say(one_line(self._folder.problem))
        self._filter()

    async def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        text = event.value.strip()
        if "/" in text and not text.startswith(HUB):
            folder = await self._desk.folder(str(self._base() / Path(text[: text.rindex("/") + 1]).expanduser()))
            if event.value != event.input.value:
                return  # more was typed meanwhile
            if not folder.problem and folder.path != self._folder.path:
                with event.input.prevent(Input.Changed):
                    event.input.value = text[text.rindex("/") + 1 :]
                    event.input.cursor_position = len(event.input.value)
                self._folder = folder
                self.query_one("#frame").border_title = Content(one_line(folder.path))
            self.query_one("#problem", Sentence).say(one_line(folder.problem))
        else:
            self.query_one("#problem", Sentence).say("")
        self._filter()

    def _filter(self) -> None:
        text = self.query_one("#path", Input).value.strip()
        elsewhere = text.startswith(HUB) or "/" in text  # a name of the Hub, or a folder that is not there
        found = [] if elsewhere else [item for item in self._folder.items if text.casefold() in item.name.casefold()]
        # Data files and folders first: one looks for nothing else here.
        found.sort(key=lambda item: not item.is_folder and Path(item.name).suffix.lower() not in ENDINGS)
        up = [] if text else [Item(UP, True)]
        self._items = (*up, *found)
        rows = self.query_one("#names", RowList)
        rows.show(len(self._items), lambda at: item_cells(self._items[at]))
        rows.move_to(len(up) if len(self._items) > len(up) else 0)

    def action_move(self, by: int) -> None:
        self.query_one("#names", RowList).action_move(by)

    def action_page(self, by: int) -> None:
        self.query_one("#names", RowList).action_page(by)

    def action_leave(self) -> None:
        self.dismiss(None)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        await self._take()

    async def on_row_list_chosen(self) -> None:
        await self._take()

    async def _take(self) -> None:
        typed = self.query_one("#path", Input).value.strip()
        at = self.query_one("#names", RowList).cursor
        if typed.startswith(HUB):
            self.dismiss(typed)
        elif at is None:
            if typed:
                self.dismiss(str(self._base() / Path(typed).expanduser()))
        elif self._items[at].is_folder:
            self.query_one("#path", Input).value = ""
            await self._go_to(str(self._base() / self._items[at].name))
        else:
            self.dismiss(str(self._base() / self._items[at].name))

    def _base(self) -> Path:
        return Path(self._folder.path)


def item_cells(item: Item) -> tuple[Cell, ...]:
    """A name of a folder as the picker shows it."""
    if item.is_folder:
        return (Cell(f"{item.name}/", "bold"),)
    style = "" if Path(item.name).suffix.lower() in ENDINGS else "$foreground 50%"
    changed = time.strftime("%Y-%m-%d %H:%M", time.localtime(item.modified))
    return Cell(item.name, style), Cell(size_text(item.size), style), Cell(changed, style)


def size_text(size: int) -> str:
    """Bytes as a person reads them, in powers of 1000."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.0f} {_UNITS[unit]}" if unit == 0 or value >= 9.95 else f"{value:.1f} {_UNITS[unit]}"


class ColumnPicker(ModalScreen[Columns | None]):
    """First a role, then the column for it; gives the new choice, or None."""

    CSS_PATH = "data_pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", show=False),
        Binding("q", "leave", show=False),
    ]

    def __init__(self, columns: Sequence[str], chosen: Columns, in_use: Columns) -> None:
        super().__init__()
        self._names = tuple(columns)
        self._chosen = chosen
        self._in_use = in_use
        self._role = ""

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield RowList((Column("role", 12), Column("column"), Column("", 28)), id="names")

    def on_mount(self) -> None:
        self.query_one("#names").focus()
        self._show()

    def _show(self, place: int = 0) -> None:
        frame, rows = self.query_one("#frame"), self.query_one("#names", RowList)
        frame.border_title = Content(f"which column is the {self._role}?" if self._role else "which column is what?")
        frame.border_subtitle = Content("enter choose   esc back" if self._role else "enter change   esc close")
        if self._role:
            rows.set_columns((Column("column"), Column("", 12)))
            now = getattr(self._in_use, self._role)
            rows.show(len(self._names) + 1, lambda at: self._column_cells(at, now))
            place = self._names.index(now) + 1 if now in self._names else 0
        else:
            rows.set_columns((Column("role", 12), Column("column"), Column("", 28)))
            rows.show(len(ROLES), self._role_cells)
        rows.move_to(place)

    def _role_cells(self, at: int) -> tuple[Cell, ...]:
        role, meaning = ROLES[at]
        named, used = getattr(self._chosen, role), getattr(self._in_use, role)
        how = used if named or not used else f"{used} (guessed)"
        return Cell(role, "bold"), Cell(how or "none"), Cell(meaning, "$foreground 60%")

    def _column_cells(self, at: int, now: str) -> tuple[Cell, ...]:
        if at == 0:
            return (Cell("guess by its name", "italic"),)
        name = self._names[at - 1]
        return Cell(name), Cell("now" if name == now else "")

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        message.stop()
        if not self._role:
            self._role = ROLES[message.index][0]
            self._show()
            return
        name = self._names[message.index - 1] if message.index else ""
        self.dismiss(dataclasses.replace(self._chosen, **{self._role: name}))

    def action_back(self) -> None:
        if not self._role:
            self.dismiss(None)
            return
        place = [role for role, _ in ROLES].index(self._role)
        self._role = ""
        self._show(place)

    def action_leave(self) -> None:
        self.dismiss(None)
