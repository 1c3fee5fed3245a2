"""The part of the playground that rates a reply by hand, before or after the judge, which is hidden meanwhile."""

from __future__ import annotations

from functools import partial

from core.play.protocol import SIDES, Side

from ..desks.play import PlayDesk
from ..desks.play_rated import rated_id
from ..desks.play_state import Exchange
from ..widgets.line import Field, FieldLine
from .play_ask import AskView
from .play_field import PromptField
from .play_text import rating_words
from .samples_rating import RateableFrame


class RateView(AskView):
    """Gives the keys to the scores of one reply, and back."""

    def __init__(self, desk: PlayDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self.rated: tuple[Exchange, Side] | None = None
        """The reply that is rated now."""

    def draw(self) -> None:
        """Show what was seen last."""

    def draw_status(self) -> None:
        if self.rated is None:
            super().draw_status()
        elif self.is_mounted:
            self.query_one("#status", FieldLine).show([Field(rating_words(*self.rated), "bold")])

    def action_rate(self) -> None:
        exchange = self.seen.exchange
        if exchange is not None and exchange.done:
            side: Side = "base" if self.query_one("#base").has_focus else "trained"
            self._begin_rating(exchange, side)

    def _begin_rating(self, exchange: Exchange, side: Side) -> None:
        self.rated = (exchange, side)
        # With the focus elsewhere a digit would be another key: it would leave this screen.
        self.query_one(PromptField).can_focus = False
        for each in SIDES:
            frame = self.query_one(f"#{each}", RateableFrame)
            frame.rating = frame.can_focus = each == side
        self.query_one(f"#{side}").focus()
        self.draw()
        self.refresh_bindings()

    def end_rating(self) -> None:
        """The keys are those of the playground again, and the judge is seen."""
        if self.rated is None:
            return
        self.rated = None
        self.query_one(PromptField).can_focus = True
        for side in SIDES:
            frame = self.query_one(f"#{side}", RateableFrame)
            frame.rating, frame.can_focus = False, True
        self.draw()
        self.refresh_bindings()

    def on_rating_frame_scored(self, message: RateableFrame.Scored) -> None:
        if self.rated is not None:
            exchange, side = self.rated
            self.end_rating()
            self.do(partial(self._give, exchange, side, message.score))

    async def _give(self, exchange: Exchange, side: Side, score: float) -> None:
        await self.desk.rate(exchange, side, score)
        if exchange.reply(side).score is None:
            self.tell(f"{score:g} is kept; it counts once the judge has scored the reply: s")

    def on_rating_frame_asked(self, message: RateableFrame.Asked) -> None:
        if self.rated is None:
            return
        if message.what == "end":
            self.end_rating()
        elif message.what == "undo":
            self.do(partial(self._take_back, *self.rated))

    async def _take_back(self, exchange: Exchange, side: Side) -> None:
        if self.seen.rated.score(rated_id(exchange, side), exchange.reply(side).text) is None:
            self.tell("You have not rated this reply.")
            return
        await self.desk.rate(exchange, side, None)
        self.tell("Your score is taken back.")
