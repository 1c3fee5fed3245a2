"""The part of the samples screen that rates by hand."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.errors import RlaifError

from ..desks.checks import NO_CHECKS
from ..desks.samples import SamplesDesk
from ..desks.samples_rows import Row
from ..widgets.line import Field, FieldLine
from .samples_ask import AskLine
from .samples_rating import RatingFrame, Round, shuffled
from .samples_text import detail_content
from .view import View

NOTE_HINT = "a few words on this response, kept with its score; enter keeps, esc leaves"


class RatingView(View):
    """Shows one response after the other without its verdict and keeps what the person gives."""

    def __init__(self, desk: SamplesDesk) -> None:
        super().__init__()
        self.desk = desk
        self.round: Round | None = None
        """The round that is rated now."""
        self.checks = NO_CHECKS
        """What people have said over the run, and whether more is wanted."""

    async def begin_round(self, rows: Sequence[Row], first: Row | None) -> None:
        """Rate these that have no score of this person yet, in an order that tells nothing; ``first`` before all."""
        queue = [row for row in rows if not row.problem and row != first and self.desk.mine(row) is None]
        queue = ([first] if first is not None and not first.problem else []) + shuffled(queue)
        if not queue:
            self.tell("Nothing to rate: every reply in the list has your score.")
            return
        self.round = Round(queue)
        self.add_class("-rating")
        self.query_one(RatingFrame).focus()
        self.refresh_bindings()
        await self._show_next()

    async def begin_fresh_round(self) -> bool:
        """Rate the few fresh replies that are wanted now; whether there are any."""
        fresh = await self.desk.fresh(self.checks.asked) if self.checks.asked is not None else []
        if fresh:
            await self.begin_round(fresh, None)
        return bool(fresh)

    async def check(self) -> None:
        """Take up what people have said, and whether more is wanted. It may take seconds."""
        run = self.desk.run
        found = await self.desk.checks()
        if run is self.desk.run and found != self.checks:
            self.checks = found
            self.checked()
            self.refresh_bindings()

    def checked(self) -> None:
        """Show what has changed."""

    async def action_not_now(self) -> None:
        if self.checks.asked is None:
            return
        try:
            await self.desk.not_now(self.checks.asked)
        except RlaifError as error:
            self.tell(str(error), "error")
        await self.check()

    async def _show_next(self) -> None:
        assert self.round is not None
        row = self.round.row
        if row is None:
            await self._end()
            return
        detail, note = await self.desk.detail(row), self.round.note
        if detail.problem:
            self.tell(detail.problem, "error")
            self.round.skip()
            await self._show_next()
            return
        self.query_one("#status", FieldLine).show([Field(self.round.words(), "bold")])

        def layout(width: int) -> Content:
            return detail_content(detail, width, blind=True, note=note)

        self.query_one(RatingFrame).show(row.key, f"prompt {row.prompt_id}", layout)

    async def on_rating_frame_scored(self, message: RatingFrame.Scored) -> None:
        if self.round is None or self.round.row is None:
            return
        try:
            await self.desk.rate(self.round.row, message.score, self.round.note)
        except RlaifError as error:
            self.tell(str(error), "error")
            return
        self.round.rated(message.score)
        await self._show_next()

    async def on_rating_frame_asked(self, message: RatingFrame.Asked) -> None:
        if self.round is None:
            return
        match message.what:
            case "skip":
                self.round.skip()
                await self._show_next()
            case "undo":
                await self._undo()
            case "note":
                self.query_one(AskLine).ask("note", self.round.note, NOTE_HINT)
            case "end":
                await self._end()

    async def _undo(self) -> None:
        assert self.round is not None
        last = self.round.last
        if last is None:
            self.tell("Nothing of this round to take back.")
            return
        try:
            await self.desk.rate(last[0], None)
        except RlaifError as error:
            self.tell(str(error), "error")
            return
        self.round.undone()
        await self._show_next()

    async def note_given(self, text: str | None) -> None:
        """The note field is closed; None: as it was."""
        if self.round is not None:
            self.round.note = self.round.note if text is None else text.strip()
            self.query_one(RatingFrame).focus()
            await self._show_next()

    async def _end(self) -> None:
        assert self.round is not None
        count = len(self.round.given)
        self.round = None
        self.remove_class("-rating")
        if count:
            self.tell("1 reply rated." if count == 1 else f"{count} replies rated.")
        await self.round_ended()

    async def round_ended(self) -> None:
        """Show again what was there before the round."""
