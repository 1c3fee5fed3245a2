"""The part of the compare screen that asks for words or a file, copies, and remembers how it was left."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any

from core.errors import RlaifError

from ..background import begin, in_background
from ..clipboard import copy_text
from ..desks.compare import CompareDesk
from ..desks.compare_export import export
from ..desks.compare_rows import ONLY, ORDERS, Item, Query, listing
from ..desks.compare_state import Wish
from ..widgets.rows import RowList
from .compare_rate import RatingView
from .compare_text import duel_text, plain_text
from .samples_ask import AskLine

FILTER_HINT = "words that stand in a prompt, a reply or a reason; all of them"
EXPORT_HINT = "a new file; .csv or .parquet makes a table, .md Markdown, any other name JSON lines"


class AskingView(RatingView):
    """Knows which comparison, pair and prompts are wanted, and takes them out: to the clipboard, to a file."""

    def __init__(self, desk: CompareDesk, *, ascii_only: bool) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self.wish = Wish()
        self.sought = Query()
        self.items: tuple[Item, ...] = ()
        self.chosen: tuple[str, ...] = ()
        """Models for the next comparison, as the person named them."""
        self.marks = True
        """Whether words that differ are marked."""
        self.wanted_row: int | None = None
        """Prompt that the cursor goes to once it is there."""
        self._before = Query()

    @property
    def item(self) -> Item | None:
        """The one under the cursor."""
        at = self.query_one(RowList).cursor if self.is_mounted else None
        return self.items[at] if at is not None and at < len(self.items) else None

    @property
    def labels(self) -> tuple[str, str]:
        """Of the two models that are looked at."""
        comparison = self.look.comparison
        if comparison is None:
            return "A", "B"
        return comparison.models[self.look.left].label, comparison.models[self.look.right].label

    def do(self, work: Callable[[], Coroutine[None, None, None]], group: str) -> None:
        """Work beside the keys; what was begun in this group before is given up."""
        begin(self, partial(self.guarded, work), group=group)

    def ask_for(self, query: Query, *, top: bool = False) -> None:
        """List by this query from now on; the cursor stays on its prompt, or goes to the first one."""
        self.sought = query
        self.items = listing(self.look.items, query)
        self.show_list(top=top)

    def show_list(self, *, top: bool = False) -> None:
        """Draw the list anew."""

    def focus_pane(self) -> None:
        """Back from a field or from a round of votes."""
        (self.query_one("#left") if self.has_class("-open") else self.query_one(RowList)).focus()

    async def action_copy(self) -> None:
        item, comparison = self.item, self.look.comparison
        if item is not None and comparison is not None and self.desk.run is not None:
            models = comparison.models[self.look.left], comparison.models[self.look.right]
            text = plain_text(item, models, duel_text(item, *self.labels))
            self.tell(await copy_text(text, folder=self.desk.run.exports, write_osc52=self.app.copy_to_clipboard))

    def action_search(self) -> None:
        self._before = self.sought
        self.query_one(AskLine).ask("search", self.sought.words, FILTER_HINT)
        self.refresh_bindings()

    def action_export(self) -> None:
        if self.look.comparison is not None:
            path = self.desk.export_path(self.look.comparison)
            self.query_one(AskLine).ask("export", str(path), f"{len(self.items):,} prompts to {EXPORT_HINT}")
            self.refresh_bindings()

    def on_ask_line_typed(self, message: AskLine.Typed) -> None:
        if message.what == "search":
            self.ask_for(Query(self.sought.order, self.sought.only, message.text.strip()))

    async def on_ask_line_given(self, message: AskLine.Given) -> None:
        if message.what == "search":
            self.ask_for(Query(self.sought.order, self.sought.only, message.text.strip()))
        elif not await self._export(message.text):
            return
        self._close_ask()

    def on_ask_line_left(self, message: AskLine.Left) -> None:
        if message.what == "search":
            self.ask_for(self._before)
        self._close_ask()

    def _close_ask(self) -> None:
        self.query_one(AskLine).close()
        self.focus_pane()
        self.refresh_bindings()

    async def _export(self, text: str) -> bool:
        look = self.look
        assert look.comparison is not None
        verdict = self.figures.summary.verdict if self.figures else ""
        path = Path(text.strip()).expanduser()
        try:
            count = await in_background(export, look.comparison, look.left, look.right, self.items, verdict, path)
        except RlaifError as error:
            self.query_one(AskLine).hint(str(error), bad=True)
            return False
        self.tell(f"{count:,} prompts written to {text.strip()}")
        return True

    def memory(self) -> dict[str, Any]:
        item = self.item
        return {
            "record": "" if self.look.newest else self.wish.record,  # one that is newer yet comes before it
            "pair": [self.wish.left, self.wish.right],
            "order": self.sought.order,
            "only": self.sought.only,
            "words": self.sought.words,
            "marks": self.marks,
            "models": list(self.chosen),
            "row": item.row.row if item else self.wanted_row,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        record, pair, row, models = (memory.get(name) for name in ("record", "pair", "row", "models"))
        match pair:
            case [int(left), int(right)]:
                self.wish = Wish(record if isinstance(record, str) else "", left, right)
            case _:
                self.wish = Wish(record if isinstance(record, str) else "")
        self.sought = Query(
            next((known for known in ORDERS if known == memory.get("order")), "prompt"),
            next((known for known in ONLY if known == memory.get("only")), ""),
            str(memory.get("words", "")),
        )
        self.marks = memory.get("marks") is not False
        self.chosen = tuple(str(each) for each in models) if isinstance(models, list) else ()
        self.wanted_row = row if isinstance(row, int) else None
