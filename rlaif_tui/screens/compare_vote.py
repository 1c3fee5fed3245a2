"""Voting blind: two responses side by side, which is whose hidden, each preference with a single key."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message

from core.compare.record import Comparison, Reply
from core.compare.votes import Choice, is_swapped, place

from ..desks.compare_rows import Item
from ..desks.compare_state import Look
from ..widgets.response import ResponseFrame

Side = Literal["left", "right", "same"]


@dataclass
class Round:
    """The pairs that are voted on one after the other."""

    look: Look
    """As it was when the round began: a record that grows changes nothing under one's hands."""
    queue: Sequence[Item]
    at: int = 0
    back: list[int] = field(default_factory=list)
    """Places of those that were voted on, for undoing."""

    @property
    def item(self) -> Item | None:
        """The one in view; None once all are done."""
        return self.queue[self.at] if self.at < len(self.queue) else None

    @property
    def comparison(self) -> Comparison:
        assert self.look.comparison is not None
        return self.look.comparison

    def shown(self, item: Item) -> tuple[Reply, Reply]:
        """The two replies as they stand on the screen."""
        return (item.right, item.left) if self._swapped(item) else (item.left, item.right)

    def choice(self, item: Item, side: Side) -> Choice:
        """What a side of the screen means for the right model."""
        if side == "same":
            return "tie"
        return "win" if (side == "left") == self._swapped(item) else "loss"

    def voted(self) -> None:
        """This one got its vote: go on to the next."""
        self.back.append(self.at)
        self.at += 1

    def skip(self) -> None:
        self.at += 1

    def undone(self) -> None:
        """The last vote was taken back: its pair is in view again."""
        self.at = self.back.pop()

    @property
    def last(self) -> Item | None:
        """What was voted on last."""
        return self.queue[self.back[-1]] if self.back else None

    def words(self) -> str:
        """Where the round is; nothing of what was chosen or said."""
        here = min(self.at + 1, len(self.queue))
        return f"BLIND {here} of {len(self.queue)}, sides shuffled, judge hidden   which reply is better?"

    def _swapped(self, item: Item) -> bool:
        return is_swapped(self.comparison, item.row, self.look.left, self.look.right)


def queue_of(look: Look, items: Iterable[Item], first: Item | None = None) -> list[Item]:
    """Those without this person's vote, ``first`` before all, the others in an order that tells nothing.

    Replies that are the same are left out: there is nothing to prefer.
    """
    comparison = look.comparison
    assert comparison is not None
    rest = [item for item in items if item.mine is None and not item.same and item is not first]
    rest.sort(key=lambda item: place(comparison, item.row, look.left, look.right))
    return [first, *rest] if first is not None and not first.same else rest


class VoteFrame(Vertical):
    """The texts. While ``voting`` its keys are votes."""

    voting = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "vote('left')", "Left", key_display="←", id="compare.vote-left", tooltip="the left reply wins"),
        Binding(
            "right", "vote('right')", "Right", key_display="→", id="compare.vote-right", tooltip="the right reply wins"
        ),
        Binding("equals_sign", "vote('same')", "Tie", key_display="=", id="compare.vote-tie", tooltip="neither wins"),
        Binding("s", "ask('skip')", "Skip", id="compare.vote-skip", tooltip="go on without a vote"),
        Binding("u", "ask('undo')", "Undo", id="compare.vote-undo", tooltip="take the last vote back"),
        Binding("down,j", "scroll(1)", "Scroll", show=False, id="compare.vote-down", tooltip="both replies down"),
        Binding("up,k", "scroll(-1)", "Scroll", show=False, id="compare.vote-up", tooltip="both replies up"),
        Binding("escape", "ask('end')", "End", key_display="esc", id="compare.vote-end", tooltip="stop voting"),
    ]

    class Voted(Message):
        """The person prefers this side."""

        def __init__(self, side: Side) -> None:
            super().__init__()
            self.side = side

    class Asked(Message):
        """The person wants to skip, undo or end."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        return self.voting or action not in ("vote", "ask", "scroll")

    def action_vote(self, side: Side) -> None:
        self.post_message(self.Voted(side))

    def action_ask(self, what: str) -> None:
        self.post_message(self.Asked(what))

    def action_scroll(self, by: int) -> None:
        for frame in self.query(ResponseFrame):
            frame.scroll_relative(y=by, animate=False)
