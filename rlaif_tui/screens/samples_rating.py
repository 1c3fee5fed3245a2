"""Rating by hand: one response after the other, the judge hidden until a score is given, each with a single key."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message

from ..desks.samples_rows import Row
from ..sentences import number
from ..widgets.response import ResponseFrame


@dataclass
class Round:
    """The responses that are rated one after the other."""

    queue: Sequence[Row]
    at: int = 0
    given: dict[int, float] = field(default_factory=dict)
    """Scores of this round by place in the queue."""
    back: list[int] = field(default_factory=list)
    """Places in the order in which they were rated, for undoing."""
    note: str = ""
    """For the response in view."""

    @property
    def row(self) -> Row | None:
        """The one in view; None once all are done."""
        return self.queue[self.at] if self.at < len(self.queue) else None

    def rated(self, score: float) -> None:
        """This one got its score: go on to the next."""
        self.given[self.at] = score
        self.back.append(self.at)
        self.skip()

    def skip(self) -> None:
        self.at, self.note = self.at + 1, ""

    def undone(self) -> None:
        """The last score was taken back: its response is in view again."""
        self.at, self.note = self.back.pop(), ""
        del self.given[self.at]

    @property
    def last(self) -> tuple[Row, float] | None:
        """What was rated last and its score."""
        return (self.queue[self.back[-1]], self.given[self.back[-1]]) if self.back else None

    def words(self) -> str:
        """Where the round is, and what the judge said of the response before."""
        text = f"RATING {min(self.at + 1, len(self.queue))} of {len(self.queue)}, judge hidden"
        if self.last is not None:
            row, score = self.last
            judge = f"judge {number(row.score, '.1f')}" if row.judged else "not judged yet"
            text += f"   before: you {score:g}, {judge}"
        return text


def shuffled(rows: Iterable[Row]) -> list[Row]:
    """The rows in an order that tells nothing of their scores or steps, and is the same each time."""
    return sorted(rows, key=lambda row: hashlib.sha256(row.key.encode("utf-8", "replace")).digest())


class RatingFrame(ResponseFrame):
    """A response without what the judge said of it; its keys are scores."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("0", "score(0)", "Score", key_display="0-9", id="rating.score", tooltip="score from 0 to 9"),
        *(Binding(str(score), f"score({score})", "Score", show=False) for score in range(1, 10)),
        Binding("t", "score(10)", "Ten", id="rating.score-10", tooltip="score 10"),
        Binding("s", "ask('skip')", "Skip", id="rating.skip", tooltip="go on without a score"),
        Binding("u", "ask('undo')", "Undo", id="rating.undo", tooltip="take the last score back"),
        Binding("m", "ask('note')", "Note", id="rating.note", tooltip="a few words that are kept with the score"),
        Binding("escape", "ask('end')", "End", key_display="esc", id="rating.end", tooltip="stop rating"),
    ]

    class Scored(Message):
        """The person gives this score."""

        def __init__(self, score: float) -> None:
            super().__init__()
            self.score = score

    class Asked(Message):
        """The person wants to skip, undo, note or end."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    _noting = False
    """A note is asked for: keys that a slow line brings in one burst with that are letters of it, not scores."""

    def on_focus(self) -> None:
        self._noting = False

    def action_score(self, score: int) -> None:
        if not self._noting:
            self.post_message(self.Scored(float(score)))

    def action_ask(self, what: str) -> None:
        if not self._noting:
            self._noting = what == "note"
            self.post_message(self.Asked(what))


class RateableFrame(RatingFrame):
    """A reply that is rated where it stands: its keys are scores only while ``rating``, without a queue behind it."""

    rating = False

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if action == "score":
            return self.rating
        if action == "ask":
            return self.rating and parameters[0] in ("undo", "end")
        return super().check_action(action, parameters)
