"""What every screen has: a size below which it says so, and a place for an error of its own."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import Screen

from ..widgets.keybar import KeyBar
from ..widgets.line import Sentence

LEAST_WIDTH, LEAST_HEIGHT = 60, 16


class View(Screen[None]):
    """A screen with a body, a line of keys, and one sentence instead of both where there is no room."""

    # Textual declares these as instance variables, so they cannot be ClassVar here.
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-thin"),
        (LEAST_WIDTH, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST_HEIGHT, "-low"), (22, "-mid"), (30, "-tall")]  # noqa: RUF012

    def compose(self) -> ComposeResult:
        with Vertical(id="body"):
            yield from self.compose_body()
            yield KeyBar()
        yield Sentence(id="too-small")

    def compose_body(self) -> ComposeResult:
        """The widgets above the line of keys."""
        yield from ()

    def in_short(self) -> str:
        """What matters most, for a terminal that is too small."""
        return ""

    def on_resize(self) -> None:
        self.say_size()

    def say_size(self) -> None:
        """Bring the sentence of the small screen up to date."""
        have = f"{self.size.width}x{self.size.height}"
        words = (
            f"{LEAST_WIDTH}x{LEAST_HEIGHT} needed, {have} now",
            self.in_short(),
            "rlaif-tui status works at any size",
        )
        self.query_one("#too-small", Sentence).say("; ".join(part for part in words if part))
