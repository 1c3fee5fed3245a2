"""The ground that screens stand on: it opens as it was left, follows the run in view and survives a faulty screen."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from textual.binding import Binding

from core.run_dir import RunDir

from . import themes, words
from .ascii import KEYS, AsciiSigns
from .background import begin, in_background
from .choices import Choices
from .desks.runs import Entry, RunsDesk, start_again
from .head import head_of
from .memory import Memory, MemoryFile
from .places import PLACES, Ground, Place
from .rescue import Rescue
from .run_state import RunState
from .screens.view import View
from .settings import Settings
from .terminal import is_terminal, listen
from .text import one_line

POLL_S = 0.5


class Shell(Rescue):
    """An app of screens; ``poll_once`` brings the one shown up to date."""

    CSS_PATH = "app.tcss"

    def __init__(
        self,
        root: Path,
        attach: RunDir | None = None,
        *,
        ascii_only: bool = False,
        now: Callable[[], float] = time.time,
        restart: Callable[[RunDir], None] = start_again,
        settings: Settings | None = None,
        memory: MemoryFile | None = None,
        places: Sequence[Place] = PLACES,
    ) -> None:
        self._settings = settings or Settings()
        self._ascii = ascii_only or self._settings.ascii_only
        self._desk = RunsDesk(root, now=now, restart=restart)
        super().__init__(places, Ground(self._desk, self._ascii, spot_check_every=self._settings.spot_check_every))
        self.animation_level = "none"
        self._filters += [AsciiSigns()] if self._ascii else []
        self._mouse = self._settings.mouse
        self._choices = Choices(self._settings.file)
        self._run = attach
        self._entry: Entry = None
        self._file = memory
        self._polling = asyncio.Lock()
        self._restarting: set[Path] = set()

    def on_mount(self) -> None:
        for theme in themes.OURS:
            self.register_theme(theme)
        problem = self._recall()
        self.theme = self._settings.theme or (
            self._known.theme if self._known.theme in themes.NAMES else themes.DEFAULT
        )
        self._choices.begin(theme=self.theme, mouse=self._mouse)
        self.set_class(self._ascii, "-ascii")
        self.push_screen(self._first_screen())
        if not self.is_headless:
            self._listen_to_signals()
        self.call_after_refresh(self._check_settings, problem)
        self.call_after_refresh(self._news.set)  # figures follow the first frame at once, not with the next poll
        begin(self, self._follow, fatal=True)
        self.is_open = True

    def _recall(self) -> str:
        """Take up how the app was left; returns what was wrong with that."""
        if self._file is None:
            return ""
        self._known, problem = self._file.load()
        if self._run is None and self._known.run and self._known.root == str(self._desk.root.absolute()):
            run = self._desk.run(self._known.run)
            self._run = run if run.config.is_file() else None
        elif self._run is not None:
            self._known = Memory(theme=self._known.theme, screens=self._known.screens)
        return problem

    def _first_place(self) -> str:
        if self._known.screen in self._places and (self._run is not None or not self._known.run):
            return self._known.screen
        to_run = self._run is not None and not self._known.screen and "train" in self._places
        return "train" if to_run else self.home()

    def _first_screen(self) -> View:
        """The screen of the first place, or the list of runs if that one cannot be made."""
        self._place = self._first_place()
        try:
            return self.build(self._places[self._place])
        except Exception as error:  # noqa: BLE001
            self.call_after_refresh(self.tell_fault, error)
            self._place = self.home()
            return self.build(self._places[self._place])

    def _check_settings(self, problem: str) -> None:
        """Tell in one message whatever of the settings was not taken."""
        problems = [problem] if problem else []
        problems += self._settings.problems
        if self._settings.keys:
            from . import keymap

            modules = [place.module for place in self._places.values() if place.module]
            good, refused = keymap.check(self._settings.keys, keymap.bindings_of(modules))
            self.set_keymap(good)
            problems += refused
        if problems:
            text = "\n".join(one_line(each) for each in problems)
            self.notify(text, title="settings not taken", severity="warning", timeout=15, markup=False)

    def _listen_to_signals(self) -> None:
        loop = asyncio.get_running_loop()
        listen(
            leave=lambda: loop.call_soon_threadsafe(self.leave),
            interrupted=lambda: loop.call_soon_threadsafe(self.interrupted),
        )

    def leave(self, reason: str = "") -> None:
        """Close the app, with a reason if it is not the person's wish; runs go on."""
        self._choices.save(theme=self.theme, mouse=self._mouse)
        if self._file is not None:
            self._file.save(self._memory())
        if self._run is not None and isinstance(self._entry, RunState):
            farewells = [words.farewell(self._entry, self._run.name)]
        else:
            entries = getattr(self._views.get("runs"), "entries", {})
            live = {name: e for name, e in entries.items() if isinstance(e, RunState) and e.pid is not None}
            farewells = [words.farewell(entry, name) for name, entry in live.items()]
        self.exit("\n".join([*([reason] if reason else []), *farewells]), return_code=1 if reason else 0)

    def _memory(self) -> Memory:
        screens = dict(self._known.screens)
        for id_, view in self._views.items():
            if id_ in self._attached and view.is_mounted:
                with contextlib.suppress(Exception):  # how a screen was left is never worth more than leaving it
                    screens[id_] = view.memory()
        return Memory(
            root=str(self._desk.root.absolute()),
            run=self._run.name if self._run and self._run.path.parent == self._desk.root else "",
            screen=self._place,
            theme=self.theme,
            screens=screens,
        )

    async def _follow(self) -> None:
        has_terminal = is_terminal()
        while True:
            await self.guarded(self.poll_once())
            if has_terminal and not is_terminal():  # hung up, and the signal went elsewhere
                self.leave()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), POLL_S)
            self._news.clear()

    async def poll_once(self) -> None:
        """Read what is new of the run in view and have the screens shown do the same."""
        async with self._polling:
            if not self._place or not self._view.is_mounted or self.is_given_up(self._view):
                return
            run, place = self._run, self._place
            if run is not None:
                entry = await self._desk.read(run)
                if run is not self._run or place != self._place:
                    return
                self._entry = entry
            await self.guarded(self._poll_view(place, self._view))
            over = self.screen_stack[-1] if self.screen_stack else None
            if over is not self._view and (poll_over := getattr(over, "poll", None)):
                await self.guarded(poll_over())
            if self._file is not None and self._file.is_due(memory := self._memory()):
                await in_background(self._file.save, memory)
            if self._choices.is_due(theme=self.theme, mouse=self._mouse):
                problem = await in_background(self._choices.save, theme=self.theme, mouse=self._mouse)
                if problem:
                    self.notify(one_line(problem), severity="warning", markup=False)

    async def _poll_view(self, place: str, view: View) -> None:
        first = place not in self._attached
        if first or self._attached[place] != self._run:
            self._attached[place] = self._run
            view.attach(self._run)
        if first and (known := self._known.screens.get(place)):
            view.recall(known)
        self._show_head(view)
        if place == "train":
            self._show_run(view)
        await view.poll()

    def _show_head(self, view: View) -> None:
        name = self._run.name if self._run else ""
        view.show_head(head_of(self._places.values(), self._place, name, self._entry, ascii_only=self._ascii))

    def _show_run(self, view: View) -> None:
        from .screens.train import TrainScreen

        entry = self._entry
        if not isinstance(view, TrainScreen):
            return
        if isinstance(entry, RunState) and (entry is not view.state or view.problem):
            view.show(entry)
        elif isinstance(entry, str) and entry != view.problem:
            view.fail(entry)

    def get_key_display(self, binding: Binding) -> str:
        shown = super().get_key_display(binding)
        return KEYS.get(shown, shown) if self._ascii else shown

    def interrupted(self) -> None:
        """Somebody pressed ctrl+c, or sent its signal: nothing ends for that."""
        self.notify("q detaches; the run goes on. x stops it.", markup=False)
