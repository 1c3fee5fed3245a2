"""The list of runs: what runs, what finished, what broke and why?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.content import Content
from textual.message import Message
from textual.widgets import Input

from core.errors import RlaifError

from ..background import begin
from ..desks.runs import Entry, RunsDesk, Surroundings
from ..text import one_line
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.run_list import RunList
from . import run_care
from .help import RUNS_HELP
from .overlay import Line
from .run_export import export
from .run_keys import RUN_KEYS
from .run_line import folder, line_fields
from .run_rows import detail_text, identity, is_live, matches, offers, run_row
from .view import View

EMPTY = "No runs yet.  n new run, d offline demo (about a minute, no network)."


class RunsScreen(View):
    """Shows every run under a folder; opens one."""

    CSS_PATH = "runs.tcss"
    AUTO_FOCUS = "#runs"  # Textual would choose the first field, which is hidden
    BINDINGS: ClassVar[list[BindingType]] = RUN_KEYS

    class OpenAsked(Message):
        """The person wants to see this run."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    class RestartAsked(OpenAsked):
        """The person wants this dead run to go on from its last checkpoint."""

    class Moved(OpenAsked):
        """This run has another name now, or none if it was taken out of the folder."""

        def __init__(self, name: str, to: str = "") -> None:
            super().__init__(name)
            self.to = to

    def __init__(self, desk: RunsDesk, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._desk = desk
        self._ascii = ascii_only
        self._entries: dict[str, Entry] = {}
        self._drawn: tuple[object, ...] = ()
        self._around = Surroundings()
        self._wanted = ""
        """Run to put the cursor on once it is in the list."""

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What is known of each run of the folder."""
        return self._entries

    @property
    def chosen(self) -> str | None:
        """Name of the run under the cursor."""
        return self.query_one("#runs", RunList).chosen if self.is_mounted else None

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="where")
        yield Input(placeholder="words of name, state, model or judge", id="filter", compact=True)
        yield RunList(id="runs")
        yield Sentence(id="empty")
        yield Sentence(id="detail")

    def on_mount(self) -> None:
        self.query_one("#where", FieldLine).show([Field("looking for runs…")])
        self.query_one("#runs").focus()

    def memory(self) -> dict[str, Any]:
        if not self.is_mounted:
            return {}
        return {"filter": self._filter, "chosen": self.chosen or self._wanted}

    def recall(self, memory: dict[str, Any]) -> None:
        words, chosen = memory.get("filter"), memory.get("chosen")
        if isinstance(words, str) and words:
            self.query_one("#filter", Input).value = words
            self.add_class("-filtering")
        if isinstance(chosen, str):
            self._wanted = chosen

    async def poll(self) -> None:
        """Names at once, figures as they are read."""
        folder = self._desk.root
        try:
            runs = await self._desk.runs()
        except RlaifError as error:
            self.query_one("#where", FieldLine).show([Field(f"✗ {error}", "$text-warning")])
            self._drawn = ()
            return
        self._take({run.name: self._entries.get(run.name) for run in runs})
        found: dict[str, Entry] = {}
        for run in runs:
            found[run.name] = await self._desk.read(run)
            if self not in self.app.screen_stack or folder != self._desk.root:
                return
        before, self._around = self._around, await self._desk.surroundings()
        if self._around != before:
            self._drawn = ()
        self._take(found)

    def choose(self, name: str) -> None:
        """Put the cursor on this run, as soon as it is there."""
        self._wanted = name
        self._go_to_wanted()

    def in_short(self) -> str:
        live = sum(is_live(entry) for entry in self._entries.values())
        count = len(self._entries)
        return f"{count} run{'' if count == 1 else 's'}, {live} live"

    def explain(self) -> Sequence[Line]:
        return RUNS_HELP

    @property
    def _filter(self) -> str:
        return self.query_one("#filter", Input).value.strip()

    def _take(self, entries: Mapping[str, Entry]) -> None:
        # A state is new whenever anything in it is, so comparing histories would only cost time.
        shape = (self._filter, *((name, identity(entry)) for name, entry in entries.items()))
        if shape == self._drawn:
            return
        self._drawn = shape
        self._entries = dict(sorted(entries.items(), key=lambda item: not is_live(item[1])))
        self._draw()

    def _draw(self) -> None:
        now, words = self._desk.now(), self._filter
        shown = {name: entry for name, entry in self._entries.items() if matches(words, name, entry)}
        rows = [run_row(name, entry, now, ascii_only=self._ascii) for name, entry in shown.items()]
        self.query_one("#runs", RunList).show(rows)
        self.set_class(not rows, "-empty")
        nothing = f"0 of {len(self._entries)} runs match {one_line(words)}; esc shows all" if words else EMPTY
        self.query_one("#empty", Sentence).say("" if rows else nothing)
        self._show_where(f"{len(rows)} of them match {words}" if words else "")
        if self.focused is None:
            self.query_one("#runs").focus()
        self._go_to_wanted()
        self._show_detail()
        self.say_size()

    def _show_where(self, found: str) -> None:
        fields = line_fields(self.in_short(), found, self._around, self._entries.values(), self._desk.now())
        self.query_one("#where", FieldLine).show(fields, folder(self._desk.root))

    def _go_to_wanted(self) -> None:
        if self._wanted in self._entries and self.is_mounted:
            self.query_one("#runs", RunList).choose(self._wanted)
            self._wanted = ""

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

    def on_input_changed(self) -> None:
        self._draw()

    def on_input_submitted(self) -> None:
        self.query_one("#runs").focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return True
        action = str(parameters[0]) if action == "care" else action
        match action:
            case "open" | "export" | "restart" | "rename" | "remove":
                return offers(action, self._entries.get(self.chosen or ""))
            case "demo":
                return not self._entries
            case "filter":
                return bool(self._entries) and self.focused is not self.query_one("#filter")
            case "all":
                return bool(self._filter) or self.has_class("-filtering")
            case _:
                return True

    def action_open(self) -> None:
        if self.chosen:
            self.post_message(self.OpenAsked(self.chosen))

    def action_restart(self) -> None:
        if self.chosen:
            self.post_message(self.RestartAsked(self.chosen))

    def action_care(self, what: str) -> None:
        """Something that asks first, and takes its time: beside the loop of the screen."""
        chosen = self.chosen or ""
        work = getattr(self, f"_{what}")
        begin(self, lambda: work(chosen), group=what)

    async def _rename(self, name: str) -> None:
        self._wanted = await run_care.rename(self, self._desk, name)
        if self._wanted != name:
            self.post_message(self.Moved(name, self._wanted))
        await self.poll()

    async def _remove(self, name: str) -> None:
        if await run_care.remove(self, self._desk, name):
            self.post_message(self.Moved(name))
        await self.poll()

    def action_new(self) -> None:
        self.post_message(self.GoAsked("setup"))

    async def _demo(self, _: str) -> None:
        if name := await run_care.demo(self, self._desk):
            self.post_message(self.OpenAsked(name))

    async def _export(self, name: str) -> None:
        await export(self, self._desk.run(name), self._desk.now())

    async def _folder(self, _: str) -> None:
        if await run_care.open_folder(self, self._desk):
            self._entries, self._drawn = {}, ()
            await self.poll()

    def action_filter(self) -> None:
        self.add_class("-filtering")
        self.query_one("#filter").focus()

    def action_all(self) -> None:
        self.query_one("#filter", Input).value = ""
        self.remove_class("-filtering")
        self.query_one("#runs").focus()
