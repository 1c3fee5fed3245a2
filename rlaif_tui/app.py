"""The app: a shell of screens over run directories. It shows them, and turns what screens ask for into work.

It owns no training: closing it, however that happens, leaves every run as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.actions import ActionParseResult, SkipAction
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widgets import Input, TextArea

from core.errors import RlaifError
from core.journal import send
from core.run_dir import RunDir

from . import themes
from .background import begin, in_background
from .palette import commands
from .screens.help import help_lines
from .screens.overlay import Overlay
from .screens.runs import RunsScreen
from .screens.view import View
from .shell import Shell
from .terminal import take_mouse
from .text import one_line

if TYPE_CHECKING:
    from .screens.data import DataScreen
    from .screens.judge_view import JudgeView
    from .screens.train import TrainScreen

_ELSEWHERE = {"setup": "A new run starts from the command line: rlaif-tui init run.toml, then rlaif-tui train run.toml"}


class RlaifApp(Shell):
    """Opens on a run, on the list of runs, or as it was left. ``run()`` returns the line to print afterwards."""

    TITLE = "rlaif-tui"
    ENABLE_COMMAND_PALETTE = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(n), f"place('{n}')", show=False, id=f"app.screen-{n}") for n in range(1, 9)),
        Binding(
            "colon,ctrl+p", "command_palette", "Commands", show=False, id="app.commands", tooltip="everything, by name"
        ),
        Binding("l", "logs", "Log", id="app.logs", tooltip="what happened, and the worker's log"),
        Binding("T", "next_theme", "Theme", show=False, id="app.theme", tooltip="the next colours, kept in app.toml"),
        Binding(
            "m",
            "mouse",
            "Mouse",
            show=False,
            id="app.mouse",
            tooltip="the mouse for the app, kept in app.toml",
        ),
        Binding(
            "escape", "back", "Runs", show=False, id="app.back", tooltip="leave a field, or go to the list of runs"
        ),
        Binding("ctrl+q", "quit", "Detach", show=False, priority=True),
        Binding("ctrl+c", "help_quit", show=False, system=True),
        Binding("f1", "help", show=False, id="app.help-too"),
        Binding("question_mark", "help", "Help", key_display="?", id="app.help", tooltip="this page"),
        Binding("q", "quit", "Detach", id="app.detach", tooltip="leave; runs go on"),
    ]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "place":
                return any(place.key == parameters[0] for place in self._places.values())
            case "back":
                return self._place != "runs" or isinstance(self.focused, Input | TextArea)
            case _:
                return True

    async def run_action(
        self,
        action: str | ActionParseResult,
        default_namespace: DOMNode | None = None,
        namespaces: Mapping[str, DOMNode] | None = None,
    ) -> bool:
        # An error in what a key does would end the app.
        try:
            return await super().run_action(action, default_namespace, namespaces)
        except SkipAction:
            raise
        except Exception as error:  # noqa: BLE001
            self.tell_fault(error)
            return True

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        return commands(self, screen, self._places.values())

    def action_place(self, key: str) -> None:
        for place in self._places.values():
            if place.key == key:
                self.post_message(View.GoAsked(place.id))

    async def action_back(self) -> None:
        if isinstance(self.focused, Input | TextArea):
            self.screen.set_focus(None)
        else:
            self.post_message(View.GoAsked("runs"))

    async def action_logs(self) -> None:
        """The log of the run in view, or of the one under the cursor."""
        from .desks.logs import LogsDesk
        from .screens.logs import LogsScreen

        if isinstance(self.screen, LogsScreen):
            return
        run = self._chosen() if self._place == "runs" else self._run
        if run is None:
            self.notify("No run in view, so there is no log: choose one in 1 Runs.", markup=False)
            return
        await self.push_screen(LogsScreen(LogsDesk(run)))
        self._news.set()

    def action_help(self) -> None:
        if self.screen is self._view:
            title = self._places[self._place].title
            self.push_screen(Overlay(f"help: {title}", help_lines(self._view, self._view.explain())))

    def action_next_theme(self) -> None:
        self.theme = themes.after(self.theme)
        self.notify(f"theme {self.theme}", markup=False, timeout=2)

    def action_mouse(self) -> None:
        wanted = not self._mouse
        if self._driver is None or not take_mouse(self._driver, wanted):
            self.notify("The mouse cannot be switched in this terminal.", severity="warning", markup=False)
            return
        self._mouse = wanted
        how = "the app's: click and scroll; shift selects text" if wanted else "the terminal's: it selects text"
        self.notify(f"The mouse is {how}.", markup=False, timeout=4)

    def action_help_quit(self) -> None:
        self.interrupted()

    async def action_quit(self) -> None:
        self.leave()

    def _chosen(self) -> RunDir | None:
        """The run under the cursor of the list, else the run in view."""
        runs = self._views.get("runs")
        name = runs.chosen if isinstance(runs, RunsScreen) else None
        return self._desk.run(name) if name else self._run

    def _watch(self, run: RunDir) -> None:
        """Make this the run in view; a screen is told when it is next shown."""
        if run != self._run:
            self._run, self._entry = run, None

    async def _go(self, id_: str) -> None:
        """Show another screen."""
        place = self._places.get(id_)
        if place is None:
            self.notify(_ELSEWHERE.get(id_, "There is no such screen."), markup=False)
            return
        if self._run is None and id_ != "runs" and (chosen := self._chosen()):
            self._watch(chosen)
        try:
            view = self.build(place)
        except Exception as error:  # noqa: BLE001 one screen that is broken must not take the others away
            self.tell_fault(error)
            return
        while self.screen is not self._view:
            await self.pop_screen()
        if place.id == self._place:
            return
        self._place = place.id
        await self.switch_screen(view)
        if isinstance(view, RunsScreen) and self._run is not None:
            view.choose(self._run.name)
        self._news.set()

    async def on_view_go_asked(self, message: View.GoAsked) -> None:
        await self._go(message.screen)

    async def on_runs_screen_open_asked(self, message: RunsScreen.OpenAsked) -> None:
        self._watch(self._desk.run(message.name))
        await self._go("train")

    def on_runs_screen_restart_asked(self, message: RunsScreen.RestartAsked) -> None:
        self._resume(self._desk.run(message.name))

    def on_runs_screen_moved(self, message: RunsScreen.Moved) -> None:
        if self._run == self._desk.run(message.name):
            self._run, self._entry = self._desk.run(message.to) if message.to else None, None
            self._news.set()

    async def on_train_screen_asked(self, message: TrainScreen.Asked) -> None:
        if self._run is None:
            return
        try:
            await in_background(send, self._run, message.command)
        except (RlaifError, OSError) as error:
            self._refused(f"{message.what} was not asked for", error)
        self._news.set()

    async def on_train_screen_judge_asked(self, message: TrainScreen.JudgeAsked) -> None:
        if self._run is None:
            return
        from .desks.train import replace_judge

        try:
            await replace_judge(self._run, message.path)
        except (RlaifError, OSError) as error:
            self._refused("the judge was not asked for", error)
        self._news.set()

    async def on_judge_view_adopt_asked(self, message: JudgeView.AdoptAsked) -> None:
        if self._run is None:
            self.notify("No run in view that could take this judge: choose one in 1 Runs.", markup=False)
            return
        from .desks.adopt import adopt

        try:
            version = await adopt(self._run, message.spec_text)
        except (RlaifError, OSError) as error:
            self._refused("the judge was not asked for", error)
        else:
            self.notify(f"asked {one_line(self._run.name)} for judge {version}; 5 Train shows the answer", markup=False)

    async def on_data_screen_use_asked(self, message: DataScreen.UseAsked) -> None:
        from .screens.setup import SetupScreen

        view = self.build(self._places["setup"]) if "setup" in self._places else None
        if isinstance(view, SetupScreen):
            columns = {f"data.{name}_column": column for name, column in vars(message.columns).items()}
            await view.use_data({"data.path": message.path, **columns})
        judge = self.build(self._places["judge"]) if "judge" in self._places else None
        if judge is not None and (offer := getattr(judge, "use_data", None)):
            offer(message.path)

    def on_train_screen_restart_asked(self) -> None:
        if self._run is not None:
            self._resume(self._run)

    def _resume(self, run: RunDir) -> None:
        begin(self, lambda: self._start_again(run), fatal=True)

    async def _start_again(self, run: RunDir) -> None:
        if run.path in self._restarting:
            return
        self._restarting.add(run.path)
        self.notify(f"resuming {one_line(run.name)}…", markup=False)
        try:
            await self._desk.resume(run)
        except (RlaifError, OSError) as error:
            self._refused(f"{run.name} was not resumed", error)
        finally:
            self._restarting.discard(run.path)
        self._news.set()

    def _refused(self, title: str, error: Exception) -> None:
        self.notify(one_line(str(error)), title=one_line(title), severity="error", markup=False)
