"""Asks how both models are sampled, each value checked beside its field."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from msgspec.structs import replace as with_values
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Input, Static

from ..desks.play_state import Options
from ..text import one_line


@dataclass(frozen=True)
class _Kind:
    label: str
    hint: str
    low: float = 0.0
    high: float = 0.0
    whole: bool = False


KINDS: dict[str, _Kind] = {
    "temperature": _Kind("temperature", "0: always the likeliest token", 0.0, 10.0),
    "top_p": _Kind("top p", "1: off; only the likeliest tokens of this share", 0.001, 1.0),
    "top_k": _Kind("top k", "0: off; only so many of the likeliest tokens", 0, 10_000_000, True),
    "max_new_tokens": _Kind("max tokens", "of a reply", 1, 131_072, True),
    "seed": _Kind("seed", "the same for both sides", 0, 2**63 - 1, True),
    "system": _Kind("system prompt", "empty: none"),
    "device": _Kind("runs on", "auto or cpu; a live run's worker: where it is"),
}


def check(name: str, text: str) -> tuple[object, str]:
    """(value, ""), or (None, what is wrong with the text)."""
    kind, text = KINDS[name], text.strip()
    if name == "system":
        return text, ""
    if name == "device":
        return (text.lower() == "cpu", "") if text.lower() in ("auto", "cpu") else (None, "auto or cpu")
    try:
        value: float = int(text) if kind.whole else float(text)
    except ValueError:
        return None, "not a whole number" if kind.whole else "not a number"
    if not math.isfinite(value) or not kind.low <= value <= kind.high:
        return None, f"must be from {kind.low:g} to {kind.high:,.0f}"
    return value, ""


class OptionsDialog(ModalScreen[Options | None]):
    """Returns the options as the person wants them; None if they left."""

    CSS_PATH = "play_options.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", show=False),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    def __init__(self, now: Options) -> None:
        super().__init__()
        self._now = now

    def compose(self) -> ComposeResult:
        values = {
            **{name: getattr(self._now.draw, name) for name in list(KINDS)[:5]},
            "system": self._now.system.replace("\n", " "),
            "device": "cpu" if self._now.on_cpu else "auto",
        }
        with Vertical(id="frame"):
            for name, kind in KINDS.items():
                value = values[name]
                with Horizontal(classes="row"):
                    yield Static(Content(kind.label), classes="label", markup=False)
                    yield Input(f"{value:g}" if isinstance(value, float) else str(value), id=name, compact=True)
                    yield Static(Content(kind.hint), id=f"{name}-says", classes="says", markup=False)

    def on_mount(self) -> None:
        frame = self.query_one("#frame")
        frame.border_title = Content("how both models are sampled")
        frame.border_subtitle = Content("tab next   enter takes them   esc leaves them")
        for field in self.query(Input):
            field.cursor_blink = False
        self.query_one("#temperature").focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if event.input.id in KINDS:
            self._say(event.input.id)

    def _say(self, name: str) -> object:
        value, words = check(name, self.query_one(f"#{name}", Input).value)
        says = self.query_one(f"#{name}-says", Static)
        says.update(Content(one_line(f"✗ {words}" if words else KINDS[name].hint)))
        says.set_class(bool(words), "-bad")
        return value

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        values = {}
        for name in KINDS:
            values[name] = self._say(name)
            if values[name] is None:
                self.query_one(f"#{name}", Input).focus()
                return
        system, on_cpu = str(values.pop("system")), values.pop("device") is True
        if system == self._now.system.replace("\n", " "):
            system = self._now.system  # its line ends were only hidden
        self.dismiss(replace(self._now, draw=with_values(self._now.draw, **values), system=system, on_cpu=on_cpu))
