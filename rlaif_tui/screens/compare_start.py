"""Asks how to compare: how many prompts, which judge, how much it may cost; and says what it will take."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..desks.compare_models import Forecast
from ..text import one_line
from ..widgets.line import Sentence
from .compare_words import forecast_text
from .dialogs import AskChoice, Choice

MOST_PROMPTS = 1_000_000
DEFAULT_PROMPTS = 200
_FIELDS: tuple[tuple[str, str, str], ...] = (
    ("n", "prompts", "a number, or all"),
    ("data", "data", "empty: the run's held-out prompts"),
    ("judge", "judge", "a judge file or built-in; empty: the run's"),
    ("pairs", "pairs", "yes: judge pairs too, in both orders"),
    ("cap", "at most, $", "empty: what the run's judge may cost"),
)


@dataclass(frozen=True)
class StartWish:
    """How the person wants it compared."""

    n: int
    """0: all there are."""
    data: str
    judge: str
    pairs: bool
    cap_usd: float | None


def check_n(text: str) -> tuple[int | None, str]:
    """(number of prompts, 0 for all; what is wrong)."""
    text = text.strip().casefold()
    if text in ("", "all"):
        return 0, ""
    if text.isascii() and text.isdigit() and 1 <= len(text) <= 7 and 1 <= int(text) <= MOST_PROMPTS:
        return int(text), ""
    return None, f"'{text[:20]}' is no number of prompts; write 200, or all"


def check_pairs(text: str) -> tuple[bool | None, str]:
    """(whether pairs are judged; what is wrong)."""
    known = {"yes": True, "y": True, "no": False, "n": False, "": True}.get(text.strip().casefold())
    return known, "" if known is not None else "pairs: write yes or no"


def check_cap(text: str) -> tuple[float | None, str]:
    """(most dollars, None for what the run's judge may cost; what is wrong)."""
    text = text.strip().removeprefix("$").strip()
    if not text:
        return None, ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        return None, f"'{text[:20]}' is no amount in dollars; write 2.50, or nothing"
    return value, ""


class StartDialog(ModalScreen[StartWish | None]):
    """Gives what the person wants; None: they left."""

    CSS_PATH = "compare_pick.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(
        self, models: Sequence[str], held_out: int | None, expect: Callable[[int], Forecast], data: str = ""
    ) -> None:
        super().__init__()
        self._models = tuple(models)
        self._held_out = held_out
        self._expect = expect
        few = held_out is not None and held_out <= DEFAULT_PROMPTS
        self._values = {"n": "all" if few else str(DEFAULT_PROMPTS), "pairs": "yes", "data": data}

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Sentence(one_line("   ".join(self._named())), id="models")
            for name, label, hint in _FIELDS:
                with Horizontal(classes="row"):
                    yield Static(Content(label), classes="label", markup=False)
                    yield Input(self._values.get(name, ""), id=name, compact=True)
                    yield Static(Content(hint), classes="says", markup=False)
            yield Sentence(id="takes")
            yield Sentence(id="problem")

    def _named(self) -> list[str]:
        return [f"{letter} {name}" for letter, name in zip("ABCDEFGHIJ", self._models, strict=False)]

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("compare")
        frame.border_subtitle = Content("tab next   enter starts it   esc leaves it")
        for field in self.query(Input):
            field.cursor_blink = False  # each blink would be sent over the wire
        self.query_one("#n").focus()
        self._say_takes()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self._say_takes()

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _say_takes(self) -> None:
        n, problem = check_n(self._value("n"))
        at_most = self._held_out if not self._value("data") else None
        count = n if n is None or at_most is None else min(n or at_most, at_most)
        self.query_one("#problem", Sentence).say(one_line(problem))
        known = forecast_text(self._expect(count)) if count else ""
        prompts = "all prompts" if count == 0 else f"{count:,} prompts" if count else ""
        takes = f"{prompts}: {known}" if known else f"{prompts}: how long it takes is known after the first comparison"
        self.query_one("#takes", Sentence).say(takes if prompts else "")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        (n, bad_n), (pairs, bad_pairs), (cap, bad_cap) = (
            check_n(self._value("n")),
            check_pairs(self._value("pairs")),
            check_cap(self._value("cap")),
        )
        for name, problem in (("n", bad_n), ("pairs", bad_pairs), ("cap", bad_cap)):
            if problem:
                self.query_one("#problem", Sentence).say(one_line(problem))
                self.query_one(f"#{name}").focus()
                return
        assert n is not None
        assert pairs is not None
        self.dismiss(StartWish(n, self._value("data"), self._value("judge"), pairs, cap))


def when_dialog(run_name: str) -> AskChoice:
    """Asks when, while the run trains."""
    choices = (
        Choice("n", "now", "now: training and comparison share the machine, both are slower"),
        Choice("p", "pause", "when it is paused or ends"),
        Choice("e", "end", "only when it has ended"),
    )
    return AskChoice("when?", f"{run_name} is training.", choices)
