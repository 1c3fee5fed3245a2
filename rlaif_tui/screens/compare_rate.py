"""The part of the compare screen that rates single replies by hand, with nothing that tells whose they are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Literal

from core.compare.record import Reply, RowDone
from core.errors import RlaifError

from ..desks.compare import CompareDesk
from ..desks.compare_rows import Item
from ..desks.compare_state import Look
from ..widgets.line import Field, FieldLine
from ..widgets.response import ResponseFrame
from .compare_text import blind_content, prompt_content
from .compare_voting import VotingView
from .samples_rating import RateableFrame

Pane = Literal["left", "right"]


@dataclass
class Marking:
    """The replies to one prompt that are rated one after the other."""

    look: Look
    row: RowDone
    replies: dict[Pane, tuple[int, Reply]]
    """By where it stands on the screen: the model's position, and what it wrote."""
    queue: tuple[Pane, ...]
    at: int = 0

    @property
    def pane(self) -> Pane:
        return self.queue[self.at]

    def words(self) -> str:
        """Which reply; nothing of what the judge said or of whose it is."""
        return f"RATING the {self.pane} reply, {self.at + 1} of {len(self.queue)}, 0 to 10, judge and models hidden"


class RatingView(VotingView):
    """Gives the keys to the scores of one reply after the other, and back to where they were."""

    def __init__(self, desk: CompareDesk, *, ascii_only: bool) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self.marking: Marking | None = None
        """What is rated now."""

    @property
    def by_hand(self) -> bool:
        """A person votes or rates: what the judge said and which model is which stays hidden."""
        return self.round is not None or self.marking is not None

    def begin_rating(self, item: Item) -> None:
        """Rate the reply of the pane in use, else both, as they stand."""
        round_ = self.round
        focused: list[Pane] = [pane for pane in _PANES if self.query_one(f"#{pane}").has_focus]
        look = round_.look if round_ else self.look
        both = ((look.left, item.left), (look.right, item.right))
        if round_ is not None and round_.choice(item, "left") == "win":  # the right model's stands on the left
            both = both[::-1]
        replies = dict(zip(_PANES, both, strict=True))
        self.marking = Marking(look, item.row, replies, tuple(focused or _PANES))
        self.set_voting(False)
        self.add_class("-voting")  # the prompt and both replies, and nothing else
        self._show_marking()

    def _show_marking(self) -> None:
        marking = self.marking
        assert marking is not None
        self.query_one("#status", FieldLine).show([Field(marking.words(), "bold")])
        prompt = self.query_one("#prompt", ResponseFrame)
        prompt.can_focus = False
        prompt.show(("blind", marking.row.row), "prompt", partial(prompt_content, marking.row, "", blind=True))
        for pane in _PANES:
            frame, rated = self.query_one(f"#{pane}", RateableFrame), pane == marking.pane
            # With the focus elsewhere a digit would be another key: it would leave this screen.
            frame.rating = frame.can_focus = rated
            title = "rate this one" if rated else "the other one"
            frame.show(("blind", marking.row.row), title, partial(blind_content, marking.replies[pane][1]))
        self.query_one(f"#{marking.pane}").focus()
        self.refresh_bindings()

    async def on_rating_frame_scored(self, message: RateableFrame.Scored) -> None:
        marking = self.marking
        if marking is None or not await self._give(marking, message.score):
            return
        if marking.at + 1 < len(marking.queue):
            marking.at += 1
            self._show_marking()
        else:
            await self._end_rating(marking)

    async def _give(self, marking: Marking, score: float | None) -> bool:
        try:
            await self.desk.rate(marking.look, marking.row, marking.replies[marking.pane][0], score)
        except RlaifError as error:
            self.tell(str(error), "error")
            return False
        return True

    async def on_rating_frame_asked(self, message: RateableFrame.Asked) -> None:
        if self.marking is None:
            return
        if message.what == "end":
            await self._end_rating(self.marking)
        elif message.what == "undo":
            await self._take_back(self.marking)

    async def _take_back(self, marking: Marking) -> None:
        """The score of the reply before, or one that was given to this reply earlier."""
        marking.at = max(0, marking.at - 1)
        if not await self.desk.has_rated(marking.look, marking.row, marking.replies[marking.pane][0]):
            self.tell("Nothing to take back: you have not rated this reply.")
        elif await self._give(marking, None):
            self.tell("Your score is taken back.")
        self._show_marking()

    async def _end_rating(self, marking: Marking) -> None:
        self.forget_rating()
        if self.round is not None:
            self.set_voting(True)
            await self.show_next()
            return
        self.set_voting(False)
        await self.round_ended()
        if len(marking.queue) == 1:
            self.query_one(f"#{marking.pane}").focus()

    def forget_rating(self) -> None:
        """The keys are no scores any more."""
        self.marking = None
        for pane in _PANES:
            self.query_one(f"#{pane}", RateableFrame).rating = False


_PANES: tuple[Pane, ...] = ("left", "right")
