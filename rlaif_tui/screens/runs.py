"""The list of runs: what runs, what finished, what broke and why?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message

from .. import words
from ..run_state import RunState
from ..sentences import number
from ..text import one_line
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.run_list import RunList, RunRow
from .help import RUNS_HELP, help_lines
from .overlay import Overlay
from .view import View

Entry = RunState | str | None
"""What is known of a run: its state, why it cannot be read, or nothing yet."""
EMPTY = "No runs yet. Start one with: rlaif-tui demo"


class RunsScreen(View):
    """Shows every run under a folder; opens one."""

    CSS_PATH = "runs.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "open", "Open", key_display="enter", id="runs.open", tooltip="watch this run"),
        Binding("r", "restart", "Resume", id="runs.restart", tooltip="a new worker goes on from the last checkpoint"),
        Binding("question_mark", "help", "Help", key_display="?", id="runs.help", tooltip="this page"),
        Binding("q", "app.quit", "Detach", id="runs.detach", tooltip="leave; the runs go on"),
    ]

    class OpenAsked(Message):
        """The person wants to see this run."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class RestartAsked(OpenAsked):
        """The person wants this dead run to go on from its last checkpoint."""

    def __init__(self, folder: str, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._folder = folder
        self._ascii = ascii_only
        self._entries: dict[str, Entry] = {}
        self._drawn = False

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="head")
        yield FieldLine(id="where")
        yield RunList(id="runs")
        yield Sentence(id="empty")
        yield Sentence(id="detail")

    def on_mount(self) -> None:
        self.query_one("#head", FieldLine).show([Field("rlaif  Runs", "bold")])
        self.query_one("#where", FieldLine).show([Field("looking for runs…")])
        self.query_one("#runs").focus()

    def shows(self, entries: Mapping[str, Entry]) -> bool:
        """Whether these very states are what was drawn last."""
        return self._drawn and _identities(entries) == _identities(self._entries)

    def show(self, entries: Mapping[str, Entry], now: float) -> None:
        """Draw these runs from now on, those with a live worker first."""
        ordered = sorted(entries.items(), key=lambda item: not _is_live(item[1]))
        self._entries = dict(ordered)
        self._drawn = True
        rows = [run_row(name, entry, now, ascii_only=self._ascii) for name, entry in ordered]
        self.query_one("#runs", RunList).show(rows)
        self.set_class(not rows, "-empty")
        self.query_one("#empty", Sentence).say("" if rows else EMPTY)
        self.query_one("#where", FieldLine).show(
            [Field(self.in_short()), Field(f"in {self._folder}", "$foreground 75%")]
        )
        self._show_detail()
        self.say_size()

    def choose(self, name: str) -> None:
        """Put the cursor on this run."""
        self.query_one("#runs", RunList).choose(name)

    def in_short(self) -> str:
        live = sum(_is_live(entry) for entry in self._entries.values())
        count = len(self._entries)
        return f"{count} run{'' if count == 1 else 's'}, {live} live"

    @property
    def chosen(self) -> str | None:
        """Name of the run under the cursor."""
        return self.query_one("#runs", RunList).chosen

    def on_run_list_chosen(self) -> None:
        self._show_detail()

    def _show_detail(self) -> None:
        name = self.chosen
        detail = self.query_one("#detail", Sentence)
        detail.display = name is not None
        if name is not None:
            detail.border_title = Content(one_line(name))
            detail.say(detail_text(self._entries[name]))
        self.refresh_bindings()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        if action not in ("open", "restart") or not self.is_mounted:
            return True
        entry = self._entries.get(self.chosen or "")
        return isinstance(entry, RunState) and (action == "open" or entry.word in ("crashed", "stopped"))

    def action_open(self) -> None:
        if self.chosen:
            self.post_message(self.OpenAsked(self.chosen))

    def action_restart(self) -> None:
        if self.chosen:
            self.post_message(self.RestartAsked(self.chosen))

    def action_help(self) -> None:
        self.app.push_screen(Overlay("help: Runs", help_lines(self, RUNS_HELP)))


def _identities(entries: Mapping[str, Entry]) -> dict[str, object]:
    # A state is new whenever anything in it is, so comparing histories would only cost time.
    return {name: id(entry) if isinstance(entry, RunState) else entry for name, entry in entries.items()}


def _is_live(entry: Entry) -> bool:
    return isinstance(entry, RunState) and entry.word in ("starting", "running", "paused")


def detail_text(entry: Entry) -> str:
    """The chosen run in words."""
    match entry:
        case None:
            return "reading the log of the run…"
        case str():
            return one_line(entry)
        case _:
            return words.health(entry).text


def run_row(name: str, entry: Entry, now: float, *, ascii_only: bool = False) -> RunRow:
    """A run as cells in the order of the list's columns."""
    if not isinstance(entry, RunState):
        return RunRow(name, ("", name, "…" if entry is None else "unreadable"), "info" if entry is None else "error")
    state = entry
    metrics = state.metrics
    return RunRow(
        name,
        (
            words.glyph(state, ascii_only=ascii_only),
            name,
            words.word(state),
            words.progress(state),
            words.scores(state),
            words.day(state.first_time, now),
            number(metrics.kl_seq if metrics else None),
            words.cost(state),
            state.started.model if state.started else "",
        ),
        "error" if state.word == "crashed" or state.lost else "info",
    )
