"""The app: follows run directories, shows them, and turns what screens ask for into commands to the worker.

It owns no training: closing it, however that happens, leaves every run as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from rich.segment import Segments
from rich.traceback import Traceback
from textual.app import App
from textual.binding import Binding, BindingType

from core.commands import CheckpointNow, Command, Pause, Resume
from core.errors import RlaifError
from core.journal import send
from core.run_dir import RunDir, list_runs

from . import words
from .background import in_background
from .feed import RunFeed, log_tail
from .run_state import RunState
from .screens.overlay import Line, Overlay
from .screens.runs import Entry, RunsScreen
from .screens.train import TrainScreen
from .screens.view import View
from .terminal import is_terminal, listen
from .text import one_line

POLL_S = 0.5
_COMMANDS: dict[str, type[Pause | Resume | CheckpointNow]] = {
    "pause": Pause,
    "resume": Resume,
    "checkpoint": CheckpointNow,
}


def start_again(run: RunDir) -> None:
    """Start a worker that resumes this run from its last checkpoint. Raises ``RlaifError``."""
    from .launch import start_worker

    start_worker(run, resume=True)


class RlaifApp(App[str]):
    """Opens on a run, or on the list of runs. ``run()`` returns the line to print afterwards."""

    TITLE = "rlaif-tui"
    CSS_PATH = "app.tcss"
    ENABLE_COMMAND_PALETTE = False
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+q", "quit", "Detach", show=False, priority=True),
        Binding("ctrl+c", "help_quit", show=False, system=True),
    ]

    def __init__(
        self,
        root: Path,
        attach: RunDir | None = None,
        *,
        ascii_only: bool = False,
        now: Callable[[], float] = time.time,
        restart: Callable[[RunDir], None] = start_again,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self._root = root
        self._run = attach
        self._ascii = ascii_only
        self._now = now
        self._restart = restart
        self._feeds: dict[Path, RunFeed] = {}
        self._entries: dict[str, Entry] = {}
        self._view: View = RunsScreen(str(root), ascii_only=ascii_only)
        self._open_log: Overlay | None = None
        self._polling = asyncio.Lock()
        self._restarting: set[Path] = set()

    def on_mount(self) -> None:
        if self._run is not None:
            self._view = TrainScreen(self._run.name, ascii_only=self._ascii)
        self.push_screen(self._view)
        if not self.is_headless:
            self._listen_to_signals()
        self.run_worker(self._follow(), exit_on_error=True)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        listen(
            leave=lambda: loop.call_soon_threadsafe(self.leave),
            interrupted=lambda: loop.call_soon_threadsafe(self.action_help_quit),
        )

    async def _follow(self) -> None:
        has_terminal = is_terminal()
        while True:
            await self.poll_once()
            if has_terminal and not is_terminal():  # hung up, and the signal went elsewhere
                self.leave()
            await asyncio.sleep(POLL_S)

    async def poll_once(self) -> None:
        """Read what is new and draw it if anything is."""
        async with self._polling:
            view, run = self._view, self._run
            if isinstance(view, TrainScreen) and run is not None:
                await self._poll_run(view, run)
            elif isinstance(view, RunsScreen):
                await self._poll_runs(view)

    async def _poll_run(self, view: TrainScreen, run: RunDir) -> None:
        entry = self._entries[run.name] = await self._read(run)
        if isinstance(entry, RunState) and (entry is not view.state or view.problem):
            self._draw(view, lambda: view.show(entry))
        elif isinstance(entry, str) and entry != view.problem:
            self._draw(view, lambda: view.fail(entry))
        if self._open_log is not None and self._open_log.is_attached:
            self._open_log.show(await self._log_lines(run))

    async def _poll_runs(self, view: RunsScreen) -> None:
        runs = await in_background(list_runs, self._root)
        self._entries = {run.name: self._entries.get(run.name) for run in runs}
        if not view.shows(self._entries):  # names at once, figures as they are read
            self._draw(view, lambda: view.show(self._entries, self._now()))
        for run in runs:
            self._entries[run.name] = await self._read(run)
        if not view.shows(self._entries):
            self._draw(view, lambda: view.show(self._entries, self._now()))

    async def _read(self, run: RunDir) -> Entry:
        feed = self._feeds.setdefault(run.path, RunFeed(run, self._now))
        try:
            return await in_background(feed.poll)
        except OSError as error:
            return f"{one_line(str(run.path))} cannot be read: {error.strerror or error}"

    def _draw(self, view: View, draw: Callable[[], None]) -> None:
        """Draw, and if that fails say so: a fault in a view must not close the window on a live run."""
        if view is not self._view or not view.is_mounted:
            return
        try:
            draw()
        except Exception as error:  # noqa: BLE001 the run must stay watchable whatever a widget does
            self.notify(
                f"This view could not be drawn ({type(error).__name__}: {one_line(str(error))[:200]}). "
                "The run is not affected; rlaif-tui status shows it.",
                severity="error",
                markup=False,
            )

    async def _switch(self, view: View, run: RunDir | None) -> None:
        async with self._polling:
            self._view, self._run = view, run
            if isinstance(view, RunsScreen):
                self._entries = {}
            await self.switch_screen(view)
        await self.poll_once()

    async def on_runs_screen_open_asked(self, message: RunsScreen.OpenAsked) -> None:
        await self._switch(TrainScreen(message.name, ascii_only=self._ascii), RunDir(self._root / message.name))

    async def on_train_screen_runs_asked(self) -> None:
        name = self._run.name if self._run else ""
        runs = RunsScreen(str(self._root), ascii_only=self._ascii)
        await self._switch(runs, None)
        runs.choose(name)

    async def on_train_screen_asked(self, message: TrainScreen.Asked) -> None:
        if self._run is None:
            return
        command: Command = _COMMANDS[message.what]()
        try:
            await in_background(send, self._run, command)
        except (RlaifError, OSError) as error:
            self.notify(one_line(str(error)), title=f"{message.what} was not asked for", severity="error", markup=False)
        await self.poll_once()

    def on_train_screen_restart_asked(self) -> None:
        if self._run is not None:
            self.run_worker(self._start_again(self._run))

    def on_runs_screen_restart_asked(self, message: RunsScreen.RestartAsked) -> None:
        self.run_worker(self._start_again(RunDir(self._root / message.name)))

    async def _start_again(self, run: RunDir) -> None:
        if run.path in self._restarting:
            return
        self._restarting.add(run.path)
        self.notify(f"resuming {one_line(run.name)}…", markup=False)
        try:
            await in_background(self._restart, run)
        except (RlaifError, OSError) as error:
            title = f"{one_line(run.name)} was not resumed"
            self.notify(one_line(str(error)), title=title, severity="error", markup=False)
        finally:
            self._restarting.discard(run.path)
        await self.poll_once()

    async def on_train_screen_log_asked(self) -> None:
        if self._run is not None:
            self._open_log = Overlay(f"log: {self._run.name}", await self._log_lines(self._run), at_end=True)
            await self.push_screen(self._open_log)

    async def _log_lines(self, run: RunDir) -> list[Line]:
        entry = self._entries.get(run.name)
        story = [words.log_line(message) for message in entry.messages] if isinstance(entry, RunState) else []
        with contextlib.suppress(OSError):
            if tail := await in_background(log_tail, run.log):
                story += [("", ""), ("worker.log", ""), *(("", line) for line in tail)]
        return story or [("", "Nothing written yet.")]

    def action_help_quit(self) -> None:
        self.notify("q detaches; the run goes on. space pauses it.", markup=False)

    async def action_quit(self) -> None:
        self.leave()

    def leave(self) -> None:
        """Close the app; runs go on."""
        live = {n: e for n, e in self._entries.items() if isinstance(e, RunState) and e.pid is not None}
        if self._run is not None and isinstance(entry := self._entries.get(self._run.name), RunState):
            self.exit(words.farewell(entry, self._run.name))
        else:
            self.exit("\n".join(words.farewell(entry, name) for name, entry in live.items()))

    def _fatal_error(self) -> None:
        # Textual's own prints local variables, which may hold a key.
        traceback = Traceback(show_locals=False, width=None)
        self._exit_renderables.append(Segments(self.console.render(traceback, self.console.options)))
        self._close_messages_no_wait()
