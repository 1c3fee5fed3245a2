"""One response: prompt, response, and what the judge said, as plain text; or one prompt through time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from core.events import Sample

from ..sentences import number
from ..text import one_line, wrap, wrap_at_most

Row = tuple[str, str, list[str]]
"""A letter, a style, and the lines beside the letter."""


@dataclass(frozen=True)
class Shown:
    """Which sample of how many is shown, and of which step."""

    sample: Sample
    index: int
    count: int
    step: int
    kind: str = ""
    """``held out``, ``pinned`` or both; empty for one of the step's own."""
    story: tuple[tuple[int, Sample], ...] = ()
    """The same prompt at other steps, oldest first, for who looks closer."""


class SampleCard(VerticalScroll, can_focus=True, inherit_bindings=False):
    """Fits the sample to its height; zoomed, shows it whole and scrolls."""

    DEFAULT_CSS = """
    SampleCard {
        border: round $foreground 35%;
        border-title-color: $foreground;
        padding: 0 1;
        scrollbar-size-vertical: 1;
    }
    SampleCard:focus { border: round $foreground 80%; }
    SampleCard > Static { height: auto; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j,down", "scroll_down", show=False),
        Binding("k,up", "scroll_up", show=False),
        Binding("pagedown", "page_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("g,home", "scroll_home", show=False),
        Binding("G,end", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self._shown: Shown | None = None
        self._empty = ""
        self._zoomed = False

    def compose(self) -> ComposeResult:
        yield Static(markup=False)

    def show(self, shown: Shown | None, empty: str = "") -> None:
        """Show this sample, or these words where there is none."""
        if (shown, empty) != (self._shown, self._empty):
            self._shown, self._empty = shown, empty
            self._lay_out()

    def zoom(self, zoomed: bool) -> None:
        """Whole text with scrolling, or fitted."""
        self._zoomed = zoomed
        self.scroll_home(animate=False)
        self.call_after_refresh(self._lay_out)

    def on_resize(self) -> None:
        # A text set while the screen is being laid out keeps its old height.
        self.call_after_refresh(self._lay_out)

    def _lay_out(self) -> None:
        if not self.is_mounted:
            return
        self.border_title = Content(title(self._shown))
        width, height = self.scrollable_content_region.size
        self.query_one(Static).update(self._text(max(8, width), height))

    def _text(self, width: int, height: int) -> Content:
        if self._shown is None:
            return Content.styled("\n".join(wrap(self._empty, width)), "dim")
        if self._zoomed and len(self._shown.story) > 1:
            rows = through_time(self._shown, width - 3)
        else:
            rows = share_rows(self._shown.sample, width - 3, 100_000 if self._zoomed else height)
        return Content("\n").join(
            Content.assemble((letter if at == 0 else " ", "bold"), ("  ", ""), (line, style))
            for letter, style, lines in rows
            for at, line in enumerate(lines)
        )


def title(shown: Shown | None) -> str:
    """What is known of the sample besides its texts."""
    if shown is None:
        return "samples"
    sample = shown.sample
    return "   ".join(
        (
            f"sample {shown.index + 1}/{shown.count}",
            *([shown.kind] if shown.kind else []),
            f"step {shown.step}",
            *_figures(sample),
        )
    )


def _figures(sample: Sample) -> tuple[str, ...]:
    return (
        f"score {number(sample.score, '.1f')}",
        f"KL {number(sample.kl)}",
        f"{sample.tokens} tokens",
        "cut at the limit" if sample.finish == "length" else one_line(sample.finish),
    )


def share_rows(sample: Sample, width: int, height: int) -> list[Row]:
    """Lines for prompt, response and reason that fill at most ``height`` rows; the response gets what is left."""
    reason = wrap_at_most(sample.reason or "no reason given", width, max(1, height // 4))
    prompt = wrap_at_most(sample.prompt, width, max(1, height // 4))
    response = wrap_at_most(sample.response or "(empty)", width, max(1, height - len(prompt) - len(reason)))
    return [("P", "$foreground 75%", prompt), ("R", "", response), ("J", "$foreground 75%", reason)]


def through_time(shown: Shown, width: int) -> list[Row]:
    """The prompt once, then what was answered to it at each step, the newest first."""
    rows: list[Row] = [("P", "$foreground 75%", wrap(shown.sample.prompt, width))]
    for step, sample in reversed(shown.story):
        rows += [
            ("", "", [""]),
            (" ", "bold", ["   ".join((f"step {step}", *_figures(sample)))]),
            ("R", "", wrap(sample.response or "(empty)", width)),
            ("J", "$foreground 75%", wrap(sample.reason or "no reason given", width)),
        ]
    return rows
