"""One run, live: is it healthy, how far is it, what does the model write?"""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Grid
from textual.message import Message

from .. import words
from ..run_state import RunState
from ..text import one_line
from ..widgets.chart import MetricChart, Plot
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.sample import SampleCard, Shown
from .figures import CHARTS, plots, status_fields
from .help import TRAIN_HELP, help_lines
from .overlay import Overlay
from .view import View

_SIGNS = {"info": "", "warning": "! ", "error": "✗ "}


class TrainScreen(View):
    """Follows one run; asks for things by messages."""

    CSS_PATH = "train.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "pause", "Pause", id="train.pause", tooltip="wait after this step"),
        Binding("space", "go_on", "Go on", id="train.go-on", tooltip="go on after a pause"),
        Binding("r", "restart", "Resume", id="train.restart", tooltip="a new worker goes on from the last checkpoint"),
        Binding("s", "checkpoint", "Save", id="train.checkpoint", tooltip="save a checkpoint after this step"),
        Binding(
            "left_square_bracket",
            "sample(-1)",
            "Sample",
            key_display="[",
            id="train.sample-previous",
            tooltip="the sample before",
        ),
        Binding(
            "right_square_bracket",
            "sample(1)",
            "Sample",
            key_display="]",
            id="train.sample-next",
            tooltip="the next sample",
        ),
        Binding("z", "zoom", "Zoom", id="train.zoom", tooltip="samples over the whole screen, and back"),
        Binding("l", "log", "Log", id="train.log", tooltip="what happened, and the worker's log"),
        Binding("escape", "runs", "Runs", key_display="esc", id="train.runs", tooltip="the list of runs"),
        Binding("question_mark", "help", "Help", key_display="?", id="train.help", tooltip="this page"),
        Binding("q", "app.quit", "Detach", id="train.detach", tooltip="leave; the run goes on"),
    ]

    class Asked(Message):
        """The person wants something of the worker: pause, resume or checkpoint."""

        def __init__(self, what: str) -> None:
            super().__init__()
            self.what = what

    class RestartAsked(Message):
        """The person wants a dead run to go on from its last checkpoint."""

    class LogAsked(Message):
        """The person wants to read the log."""

    class RunsAsked(Message):
        """The person wants the list of runs."""

    def __init__(self, run_name: str, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.run_name = run_name
        self.state: RunState | None = None
        self.problem = ""
        """Why the run cannot be read, empty if it can."""
        self._ascii = ascii_only
        self._index = 0
        self._held: RunState | None = None
        """While zoomed: the state whose samples are being read."""

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="head")
        yield FieldLine(id="status")
        yield Sentence("reading the log of the run…", id="health")
        with Grid(id="charts"):
            for id_, title, *_ in CHARTS:
                yield MetricChart(Plot(title), id=id_, ascii_only=self._ascii)
        yield SampleCard(id="sample")

    def on_mount(self) -> None:
        self.query_one("#head", FieldLine).show([Field(f"rlaif  Runs › {self.run_name}", "bold")])
        self.query_one("#sample").focus()

    def show(self, state: RunState) -> None:
        """Draw this state from now on."""
        before = self.state
        self.state, self.problem = state, ""
        self._show_head(state)
        self._show_status(state)
        self._show_health(state)
        if before is None or _figures(before) != _figures(state):
            for chart, plot in zip(CHARTS, plots(state, ascii_only=self._ascii), strict=True):
                self.query_one(f"#{chart[0]}", MetricChart).show(plot)
        self._show_sample()
        self.set_class(state.lost or state.word == "crashed", "-stale")
        self.refresh_bindings()
        self.say_size()

    def fail(self, problem: str) -> None:
        """Say that the run cannot be read; what was shown stays."""
        self.problem = problem
        health = self.query_one("#health", Sentence)
        health.say(f"✗ {one_line(problem)}")
        health.add_class("-bad")

    def in_short(self) -> str:
        if self.state is None:
            return ""
        sign = words.glyph(self.state, ascii_only=self._ascii)
        return f"{sign} {words.word(self.state)} {words.percent(self.state)}"

    def _show_head(self, state: RunState) -> None:
        about = [f"model {state.started.model}", f"judge {state.started.judge}"] if state.started else []
        if state.ready:
            about.append(state.ready.device)
        self.query_one("#head", FieldLine).show(
            [Field(f"rlaif  Runs › {self.run_name}", "bold")], Field("   ".join(about), "$foreground 75%")
        )

    def _show_status(self, state: RunState) -> None:
        wide = self.has_class("-wide")
        self.query_one("#status", FieldLine).show(status_fields(state, 28 if wide else 8, ascii_only=self._ascii))

    def _show_health(self, state: RunState) -> None:
        health = words.health(state)
        line = self.query_one("#health", Sentence)
        line.say(_SIGNS[health.severity] + health.text)
        line.set_class(health.severity != "info", "-bad")

    def _show_sample(self) -> None:
        state = self._held or self.state
        if state is None:
            return
        card = self.query_one("#sample", SampleCard)
        if not state.samples:
            card.show(None, "No samples yet: they appear after the first step.")
            return
        self._index %= len(state.samples)
        card.show(Shown(state.samples[self._index], self._index, len(state.samples), state.samples_step))

    def on_resize(self) -> None:
        super().on_resize()
        if self.state is not None:
            self.call_after_refresh(self._show_status, self.state)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        word = self.state.word if self.state else "starting"
        match action:
            case "pause":
                return word in ("starting", "running")
            case "go_on":
                return word == "paused"
            case "checkpoint":
                return word in ("starting", "running", "paused")
            case "restart":
                return word in ("crashed", "stopped")
            case _:
                return True

    def action_pause(self) -> None:
        self.post_message(self.Asked("pause"))

    def action_go_on(self) -> None:
        self.post_message(self.Asked("resume"))

    def action_checkpoint(self) -> None:
        self.post_message(self.Asked("checkpoint"))

    def action_restart(self) -> None:
        self.post_message(self.RestartAsked())

    def action_sample(self, by: int) -> None:
        self._index += by
        self._show_sample()

    def action_zoom(self) -> None:
        zoomed = not self.has_class("-zoomed")
        self.set_class(zoomed, "-zoomed")
        self._held = self.state if zoomed else None
        self.query_one("#sample", SampleCard).zoom(zoomed)
        self._show_sample()

    def action_log(self) -> None:
        self.post_message(self.LogAsked())

    def action_runs(self) -> None:
        if self.has_class("-zoomed"):
            self.action_zoom()
        else:
            self.post_message(self.RunsAsked())

    def action_help(self) -> None:
        marks = words.marker_help(tuple(self.state.markers)) if self.state else ""
        self.app.push_screen(Overlay("help: Train", help_lines(self, TRAIN_HELP, marks)))


def _figures(state: RunState) -> tuple[int, ...]:
    # Histories are new objects whenever something was added to them.
    return id(state.steps), id(state.markers), state.total_steps
