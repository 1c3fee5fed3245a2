"""What every screen has: the line of tabs, a size below which it says so, and a place for an error of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, runtime_checkable

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.notifications import SeverityLevel
from textual.screen import Screen

from core.errors import RlaifError
from core.run_dir import RunDir

from ..text import one_line
from ..widgets.keybar import KeyBar
from ..widgets.line import Sentence
from ..widgets.tabs import Head, HeadLine
from .overlay import Line

LEAST_WIDTH, LEAST_HEIGHT = 60, 16


@runtime_checkable
class TellsFaults(Protocol):
    """An app that can say what went wrong in a screen and stay open."""

    def tell_fault(self, error: Exception) -> None: ...


class View(Screen[None]):
    """A screen with tabs, a body, a line of keys, and one sentence instead of all where there is no room."""

    DEFAULT_CSS = """
    View { background: $background; }
    View #body { height: 1fr; width: 1fr; }
    View #too-small {
        display: none; width: 1fr; height: 1fr; content-align: center middle; text-align: center; padding: 0 1;
    }
    View.-thin #body, View.-flat #body { display: none; }
    View.-thin #too-small, View.-flat #too-small { display: block; }
    """
    # Textual declares these as instance variables, so they cannot be ClassVar here.
    HORIZONTAL_BREAKPOINTS = [  # noqa: RUF012
        (0, "-thin"),
        (LEAST_WIDTH, "-narrow"),
        (110, "-wide"),
    ]
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (LEAST_HEIGHT, "-low"), (22, "-mid"), (30, "-tall")]  # noqa: RUF012

    class GoAsked(Message):
        """The person wants another screen, named by the id of its place."""

        def __init__(self, screen: str) -> None:
            super().__init__()
            self.screen = screen

    def attach(self, run: RunDir | None) -> None:
        """The run in view changed; None: none is."""

    async def poll(self) -> None:
        """Called twice a second while this screen is shown: look for news, draw only what changed."""

    def memory(self) -> dict[str, Any]:
        """Plain values that bring this screen back as it was: filter, order, place, layout."""
        return {}

    def recall(self, memory: dict[str, Any]) -> None:
        """Take up what ``memory`` gave, perhaps of an older version: what does not fit is ignored."""

    def tell(self, text: str, severity: SeverityLevel = "information") -> None:
        """A message in the corner; its text may be anyone's."""
        self.notify(one_line(text), severity=severity, markup=False)

    async def guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Do this; an expected error is one sentence, any other is told and does not close the window on a live run."""
        try:
            await work()
        except RlaifError as error:
            self.tell(str(error), "error")
        except Exception as error:  # noqa: BLE001 a fault in what one key does must not end anything else
            self.tell(f"This could not be done ({type(error).__name__}: {str(error)[:200]})", "error")

    def explain(self) -> Sequence[Line]:
        """What the figures here mean, for the help: (name, one sentence)."""
        return ()

    def compose(self) -> ComposeResult:
        with Vertical(id="body"):
            yield HeadLine()
            yield from self.compose_body()
            yield KeyBar()
        yield Sentence(id="too-small")

    def compose_body(self) -> ComposeResult:
        """The widgets between the line of tabs and the line of keys."""
        yield from ()

    def show_head(self, head: Head) -> None:
        """Say in the first line which screens there are and how the run in view is."""
        self.query_one(HeadLine).show(head)

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

    async def _dispatch_message(self, message: Message) -> None:
        # An error in a handler would end the loop of the screen and with it the app; the run must stay watchable.
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if not self.is_mounted or not isinstance(self.app, TellsFaults):
                raise
            self.app.tell_fault(error)
