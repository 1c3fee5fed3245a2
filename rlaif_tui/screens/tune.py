"""Asks for new values of what can be changed while a run goes on, each checked beside its field."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from core.commands import SETTINGS, Setting

from ..sentences import UNKNOWN
from ..text import one_line

LIMITS: dict[Setting, tuple[float, float]] = {
    "kl_coef": (0.0, 100.0),
    "learning_rate": (0.0, 1.0),
    "critic_learning_rate": (0.0, 1.0),
    "judge_cap_usd": (0.0, 1e9),
}
"""What the worker takes."""
_LABELS: dict[Setting, str] = {
    "kl_coef": "KL price",
    "learning_rate": "learning rate",
    "critic_learning_rate": "critic's rate",
    "judge_cap_usd": "judge cap, $",
}
_HINTS: dict[Setting, str] = {
    "kl_coef": "higher: stays nearer its start",
    "learning_rate": "how far one update may move it",
    "critic_learning_rate": "how fast the critic learns",
    "judge_cap_usd": "0: no cap",
}
_FAR = 10.0

Wish = tuple[Setting, float]


def check_setting(name: Setting, text: str, now: float | None) -> tuple[float | None, str]:
    """The value, or None with what is wrong; with a value the text says what to think of. An empty text is no wish."""
    text = text.strip()
    if not text:
        return None, ""
    try:
        value = float(text.removeprefix("$"))
    except ValueError:
        return None, "not a number (0.1, 1e-5)"
    low, high = LIMITS[name]
    if not math.isfinite(value) or not low <= value <= high:
        return None, f"must be from {low:g} to {high:g}"
    if now and value and not 1 / _FAR < value / now < _FAR:
        return value, f"{value / now:.3g} times the present one"
    return value, "as it is now" if now == value else ""


class TuneDialog(ModalScreen[tuple[Wish, ...]]):
    """Returns what the person wants changed; nothing if they left."""

    CSS_PATH = "tune.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, run_name: str, now: Mapping[Setting, float | None]) -> None:
        super().__init__()
        self._run_name = run_name
        self._now = dict(now)

    def compose(self) -> ComposeResult:
        with Vertical(id="frame"):
            yield Static(Content(f"{'':<15}{'now':<11}{'from the next step on':<24}"), classes="dim", markup=False)
            for name in SETTINGS:
                value = self._now.get(name)
                told = UNKNOWN if value is None else "no cap" if _no_cap(name, value) else f"{value:g}"
                with Horizontal(classes="row"):
                    yield Static(Content(f"{_LABELS[name]:<15}{told:<11}"), classes="now", markup=False)
                    yield Input(id=name, compact=True)
                    yield Static(Content(_HINTS[name]), id=f"{name}-says", classes="says", markup=False)
            yield Static(Content("A request: it counts once the worker has confirmed it."), classes="dim", markup=False)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content(one_line(f"tune {self._run_name}"))
        frame.border_subtitle = Content("tab next   enter asks   esc leaves it")
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#kl_coef").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        for name in SETTINGS:
            if name == event.input.id:
                self._say(name)

    def _say(self, name: Setting) -> float | None:
        text = self.query_one(f"#{name}", Input).value
        value, words = check_setting(name, text, self._now.get(name))
        bad = bool(text.strip()) and value is None
        says = self.query_one(f"#{name}-says", Static)
        says.update(Content(("✗ " if bad else "") + words if text.strip() else _HINTS[name]))
        says.set_class(bad, "-bad")
        return value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        wishes: list[Wish] = []
        for name in SETTINGS:
            field = self.query_one(f"#{name}", Input)
            value = self._say(name)
            if value is None and field.value.strip():
                field.focus()
                return
            if value is not None and value != self._now.get(name):
                wishes.append((name, value))
        self.dismiss(tuple(wishes))

    def action_leave(self) -> None:
        self.dismiss(())


def _no_cap(name: Setting, value: float) -> bool:
    return name == "judge_cap_usd" and value == 0
