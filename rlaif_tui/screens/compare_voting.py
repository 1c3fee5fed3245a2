"""The part of the compare screen that takes blind votes."""

from __future__ import annotations

from functools import partial

from core.errors import RlaifError

from ..desks.compare import CompareDesk
from ..desks.compare_rows import Item
from ..desks.compare_state import Figures, Look
from ..text import one_line
from ..widgets.line import Field, FieldLine
from ..widgets.response import ResponseFrame
from .compare_text import blind_content, prompt_content
from .compare_vote import Round, VoteFrame, queue_of
from .compare_words import vote_fields
from .overlay import Overlay
from .view import View


class VotingView(View):
    """Shows one pair after the other with nothing that tells which is whose, and keeps what the person prefers."""

    def __init__(self, desk: CompareDesk, *, ascii_only: bool) -> None:
        super().__init__()
        self.desk = desk
        self.ascii_only = ascii_only
        self.look = Look()
        self.figures: Figures | None = None
        self.round: Round | None = None
        """The round that is voted on now."""

    async def begin_round(self, items: tuple[Item, ...], first: Item | None) -> None:
        """Vote on these that have no vote of this person's yet."""
        queue = queue_of(self.look, items, first)
        if not queue:
            self.tell("Nothing to vote on: each pair in the list has your vote, or its replies are the same.")
            return
        self.round = Round(self.look, queue)
        self.set_voting(True)
        await self.show_next()

    def set_voting(self, voting: bool) -> None:
        """Give the keys to the votes, or back to the panes."""
        frame = self.query_one(VoteFrame)
        frame.voting = frame.can_focus = voting
        for pane in frame.query(ResponseFrame):
            pane.can_focus = not voting
        self.set_class(voting, "-voting")
        if voting:
            frame.focus()
        self.refresh_bindings()

    async def show_next(self) -> None:
        """Bring the next pair into view; at the end of the queue the round ends."""
        assert self.round is not None
        item = self.round.item
        if item is None:
            await self._end()
            return
        self.query_one("#status", FieldLine).show([Field(self.round.words(), "bold")])
        self.query_one("#prompt", ResponseFrame).show(
            ("blind", item.row.row), "prompt", partial(prompt_content, item.row, "", blind=True)
        )
        arrows = ("<-", "->") if self.ascii_only else ("←", "→")
        for side, arrow, reply in zip(("left", "right"), arrows, self.round.shown(item), strict=True):
            frame = self.query_one(f"#{side}", ResponseFrame)
            frame.show(("blind", item.row.row), f"{arrow} this one", partial(blind_content, reply))

    async def on_vote_frame_voted(self, message: VoteFrame.Voted) -> None:
        round_ = self.round
        if round_ is None or round_.item is None:
            return
        try:
            await self.desk.vote(round_.look, round_.item, round_.choice(round_.item, message.side))
        except RlaifError as error:
            self.tell(str(error), "error")
            return
        round_.voted()
        await self.show_next()

    async def on_vote_frame_asked(self, message: VoteFrame.Asked) -> None:
        if self.round is None:
            return
        match message.what:
            case "skip":
                self.round.skip()
                await self.show_next()
            case "undo":
                await self._undo(self.round)
            case "end":
                await self._end()

    async def _undo(self, round_: Round) -> None:
        last = round_.last
        if last is None:
            self.tell("Nothing of this round to take back.")
            return
        try:
            await self.desk.vote(round_.look, last, None)
        except RlaifError as error:
            self.tell(str(error), "error")
            return
        round_.undone()
        await self.show_next()

    async def _end(self) -> None:
        round_, self.round = self.round, None
        if round_ is None:
            return
        self.set_voting(False)
        await self.round_ended()
        if round_.back and self.figures is not None:
            self._tell_tally()

    def _tell_tally(self) -> None:
        """The person's votes beside the judge's, once nothing can be influenced by it any more."""
        comparison = self.look.comparison
        assert self.figures is not None
        assert comparison is not None
        models = (comparison.models[self.look.left], comparison.models[self.look.right])
        fields = vote_fields(self.figures.tally, models[0].label, models[1].label)
        lines = [("", f"{model.label} is {one_line(model.title)}") for model in models]
        self.app.push_screen(Overlay("your blind votes", [*lines, ("", ""), *(("", each.text) for each in fields)]))

    async def round_ended(self) -> None:
        """Show again what was there before the round, with the new votes."""
