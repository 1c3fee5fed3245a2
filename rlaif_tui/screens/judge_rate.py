"""Blind rating: one response after the other, a single key each, the judge hidden until a mark is given."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.screen import ModalScreen

from ..desks.judge_state import Row
from ..text import one_line, wrap
from ..widgets.line import Sentence
from ..widgets.response import ResponseFrame

Keep = Callable[[Row, float | None], Awaitable[str]]
"""Keeps a mark, or takes it back; gives why it could not be kept, or nothing."""
KEYS = "0-9 mark   t ten   s skip   u undo   j k scroll   esc end"


def blind_order(rows: Sequence[Row], most: int = 24) -> list[Row]:
    """At most 24 responses without a mark, spread over what the judge gave, in an order that does not tell it."""
    import random

    open_rows = [row for row in rows if row.mine is None]
    ranked = sorted(open_rows, key=lambda row: row.new.score if row.new and row.new.score is not None else 5.0)
    step = max(1.0, len(ranked) / most)
    drawn = [ranked[int(step * at)] for at in range(min(most, len(ranked)))]
    random.Random(len(rows)).shuffle(drawn)
    return drawn


class RateScreen(ModalScreen[int]):
    """Closes with the number of marks that were given."""

    CSS_PATH = "judge_dialogs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(mark), f"mark({mark})", show=False) for mark in range(10)),
        Binding("t", "mark(10)", show=False),
        Binding("s", "skip", show=False),
        Binding("u", "undo", show=False),
        Binding("escape", "end", show=False),
    ]

    def __init__(self, queue: Sequence[Row], keep: Keep) -> None:
        super().__init__()
        self._queue, self._keep = queue, keep
        self._at = 0
        self._given: list[tuple[int, float | None]] = []
        """(place, mark) in the order of the keys; None: skipped."""
        self._keeping = False

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Sentence(id="where")
            yield ResponseFrame(id="text")
            yield Sentence(id="before")

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("blind rating")
        frame.border_subtitle = Content(KEYS)
        self.query_one("#text").focus()
        self._show()

    def _show(self, problem: str = "") -> None:
        count = len(self._queue)
        here = self._queue[self._at] if self._at < count else None
        words = f"{self._at + 1} of {count}, judge hidden" if here else f"all {count} seen; esc ends"
        self.query_one("#where", Sentence).say(words)
        self.query_one("#before", Sentence).say(f"✗ {one_line(problem)}" if problem else self._before())
        self.query_one("#text", ResponseFrame).show(self._at, "", lambda width: _text(here, width))

    def _before(self) -> str:
        """What the judge said of the response before, once it has a mark."""
        if not self._given or self._given[-1][1] is None:
            return ""
        place, mark = self._given[-1]
        judged = self._queue[place].new
        if judged is None:
            return f"before: you {mark:g}, not judged yet"
        score = "no verdict" if judged.score is None else f"{judged.score:.1f}"
        return f"before: you {mark:g}, judge {score}: {one_line(judged.reason)[:300]}"

    def action_mark(self, mark: int) -> None:
        if self._at < len(self._queue) and not self._keeping:
            self._keeping = True
            self.run_worker(self._give(float(mark)), exit_on_error=False)

    async def _give(self, mark: float) -> None:
        problem = await self._keep(self._queue[self._at], mark)
        if not problem:
            self._given.append((self._at, mark))
            self._at += 1
        self._keeping = False
        if self.is_attached:
            self._show(problem)

    def action_skip(self) -> None:
        if self._at < len(self._queue) and not self._keeping:
            self._given.append((self._at, None))
            self._at += 1
            self._show()

    def action_undo(self) -> None:
        if self._given and not self._keeping:
            self._keeping = True
            self.run_worker(self._take_back(), exit_on_error=False)

    async def _take_back(self) -> None:
        place, mark = self._given[-1]
        problem = await self._keep(self._queue[place], None) if mark is not None else ""
        if not problem:
            self._given.pop()
            self._at = place
        self._keeping = False
        if self.is_attached:
            self._show(problem)

    def action_end(self) -> None:
        self.dismiss(sum(mark is not None for _, mark in self._given))


def _text(row: Row | None, width: int) -> Content:
    if row is None:
        return Content("")
    request = row.item.request
    parts: list[tuple[str, str]] = []
    named = [("prompt", request.task), ("reference", request.reference or ""), ("response", request.response)]
    for name, text in named:
        if text or name == "response":
            parts += [(f"{name}\n", "bold $foreground 75%"), ("\n".join(wrap(text or "(empty)", width)) + "\n\n", "")]
    return Content.assemble(*parts)
