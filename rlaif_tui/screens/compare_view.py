"""The part of the compare screen that follows a comparison and draws it."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from functools import lru_cache, partial

from textual.app import ComposeResult
from textual.containers import Container

from core.compare.rated import rated_id
from core.run_dir import RunDir

from ..desks.compare import CompareDesk
from ..desks.compare_models import forecast, usual
from ..desks.compare_rows import Item, listing
from ..desks.compare_state import Look, Wish
from ..text import one_line, safe
from ..widgets.line import FieldLine, Sentence
from ..widgets.response import ResponseFrame
from ..widgets.rows import Cell, RowList
from ..word_diff import Diff, Part, compare
from .compare_list import cells, columns
from .compare_running import RunningView
from .compare_text import (
    LEFT_STYLE,
    RIGHT_STYLE,
    duel_text,
    pane_title,
    prompt_content,
    prompt_title,
    reply_content,
)
from .compare_vote import VoteFrame
from .compare_words import (
    about_fields,
    empty_text,
    forecast_text,
    rated_fields,
    status_fields,
    verdict_text,
    vote_fields,
)
from .samples_ask import AskLine
from .samples_rating import RateableFrame

EXPECTED_EVERY_S = 5.0
"""A run that trains makes its first checkpoint at some time, and then there is something to compare."""
differences = lru_cache(maxsize=32)(compare)


class ShowingView(RunningView):
    """The answer with its intervals, a list of the prompts, and both replies of the one under the cursor."""

    def __init__(self, desk: CompareDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self._columns = columns("A", "B")
        self._expected: tuple[tuple[str, ...], str] | None = None
        """What would be compared at first, on how many prompts and what it would take."""
        self._expected_at = 0.0
        self._shown_item: Item | None = None
        self._read_at = 0.0
        self._touched = False
        self._figuring = False
        self._figured: Look | None = None
        """The look whose figures are shown."""

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="status")
        yield Sentence(id="verdict")
        yield AskLine(id="ask")
        with Container(id="panes"):
            yield RowList(self._columns, id="rows", ascii_only=self.ascii_only)
            with VoteFrame(id="texts"):
                yield ResponseFrame(id="prompt")
                with Container(id="replies"):
                    yield RateableFrame(id="left")
                    yield RateableFrame(id="right")
        yield Sentence(id="empty")
        yield FieldLine(id="about")
        yield FieldLine(id="votes")

    def on_mount(self) -> None:
        self.query_one(RowList).focus()
        self.show_look(self.look)

    def attach(self, run: RunDir | None) -> None:
        self.desk.attach(run)
        self.wish, self.chosen, self.figures, self.round, self._figured = Wish(), (), None, None, None
        self._expected, self._expected_at, self.wanted_row, self._shown_item = None, 0.0, None, None
        if self.is_mounted:
            self.remove_class("-open")
            self.forget_rating()
            self.set_voting(False)
            self.show_look(Look())
            self.focus_pane()

    async def poll(self) -> None:
        run = self.desk.run
        look = await self.desk.look(self.wish)
        if run is not self.desk.run or self.by_hand:
            return
        if look is not self.look:
            self.show_look(look)
        elif look.working or look.problem:
            self._show_words()  # how long it is at work, or how old what is shown
        self._want_figures()
        if run is not None and not look.count and time.monotonic() > self._expected_at:
            self._expected_at = math.inf
            self.do(self._expect, "")

    async def reload(self) -> None:
        await self.poll()

    async def _expect(self) -> None:
        run = self.desk.run
        try:
            names, state = usual(await self.desk.candidates()), await self.desk.state()
        finally:
            self._expected_at = time.monotonic() + EXPECTED_EVERY_S
        if run is not self.desk.run:
            return
        n = state.ready.validation_prompts if state and state.ready else 0
        takes = forecast_text(forecast(n, len(names), (), state)) if names and n else ""
        words = f"{n:,} held-out prompts" if n else "held-out prompts"
        words += f": {takes}" if takes else ""
        self._expected = names, words
        self._show_empty()

    def show_look(self, look: Look) -> None:
        other = self._identity(look) != self._identity(self.look)
        self.look = look
        if other:
            self.figures, self._touched = None, False
        self.items = listing(look.items, self.sought)
        # Prompts are not done in their order: until somebody moves the cursor it stays above all.
        self.show_list(top=look.working and not self._touched)
        self._want_figures()

    @staticmethod
    def _identity(look: Look) -> tuple[object, ...]:
        return (look.comparison.path if look.comparison else None, look.left, look.right)

    def _want_figures(self) -> None:
        # One computation at a time and none given up: a record may grow faster than its figures are computed.
        if not self._figuring and self._figured is not self.look and self.look.comparison is not None:
            self._figuring = True
            self.do(self._figure, "")

    async def _figure(self) -> None:
        try:
            look = self.look
            figures = await self.desk.figures(look)
        finally:
            self._figuring = False
        if self._identity(look) != self._identity(self.look):
            return
        self.figures = figures
        self._figured = look if figures is None or figures.is_of(look) else None
        if not self.by_hand:
            self._show_words()

    def show_list(self, *, top: bool = False) -> None:
        rows, wanted = self.query_one(RowList), self.wanted_row
        if wanted is None and not top and rows.row_count and self._shown_item is not None:
            wanted = self._shown_item.row.row
        at = next((at for at, item in enumerate(self.items) if item.row.row == wanted), None)
        if at is not None:
            self.wanted_row = None
        if (fresh := columns(*self.labels)) != self._columns:
            self._columns = fresh
            rows.set_columns(fresh)
        rows.show(len(self.items), self._cells)
        rows.move_to(at or 0)
        self.set_class(not self.items, "-empty")
        self._show_empty()
        self._show_words()
        self._show_item()
        self.refresh_bindings()
        self.say_size()

    def _cells(self, index: int) -> Sequence[Cell]:
        return cells(self.items[index], *self.labels)

    def _show_empty(self) -> None:
        names, words = self._expected or ((), "")
        if self.look.items and not self.items:
            text = f"0 of {len(self.look.items):,} prompts match; esc clears"
        elif self.look.comparison is None and not self.look.count and self.desk.run and self._expected is None:
            text = "loading"
        else:
            text = empty_text(self.look, names, words, attached=self.desk.run is not None)
        self.query_one("#empty", Sentence).say("" if self.items else one_line(text))

    def _show_words(self) -> None:
        """The lines around the list."""
        if self.by_hand:
            return
        look, figures, now = self.look, self.figures, self.desk.now()
        self._read_at = self._read_at if look.problem else now
        self.query_one("#status", FieldLine).show(status_fields(look, figures, self.sought))
        self.query_one("#verdict", Sentence).say(verdict_text(look, figures, now, self._read_at))
        self.set_class(bool(look.problem), "-stale")
        self.query_one("#about", FieldLine).show(about_fields(look, figures))
        votes = vote_fields(figures.tally if figures else None, *self.labels) + rated_fields(look)
        self.query_one("#votes", FieldLine).show(votes)
        self.set_class(bool(votes), "-voted")

    def on_row_list_highlighted(self, message: RowList.Highlighted) -> None:
        self._touched = self._touched or message.index > 0
        self._show_item()

    def _show_item(self) -> None:
        item, comparison = self.item, self.look.comparison
        self._shown_item = item
        if item is None or comparison is None or self.by_hand:
            return
        key = (comparison.path.name, self.look.left, self.look.right, item.row.row)
        duel = duel_text(item, *self.labels)
        at = self.query_one(RowList).cursor or 0
        title = prompt_title(item, at + 1, len(self.items))
        self.query_one("#prompt", ResponseFrame).show(key, title, partial(prompt_content, item.row, duel))
        diff = self._diff(item)
        sides = (
            ("#left", self.look.left, item.left, diff.left, LEFT_STYLE),
            ("#right", self.look.right, item.right, diff.right, RIGHT_STYLE),
        )
        for id_, place, reply, parts, style in sides:
            frame = self.query_one(id_, ResponseFrame)
            layout = partial(reply_content, reply, parts, style, diff.note)
            mine = self.look.rated.score(rated_id(comparison, item.row, place), reply.text)
            frame.show(key, pane_title(comparison.models[place], reply, mine), layout)

    def _diff(self, item: Item) -> Diff:
        if self.marks:
            return differences(item.left.text, item.right.text)
        return Diff((Part(safe(item.left.text)),), (Part(safe(item.right.text)),))

    def in_short(self) -> str:
        return verdict_text(self.look, self.figures, self.desk.now(), self._read_at).replace("\n", "; ")
