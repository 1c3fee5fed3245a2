"""A small app around the Train screen: it follows one run and hands on what the screen asks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual.app import App
from textual.pilot import Pilot
from tui_logs import T0, screen_text

from core.commands import Command
from core.errors import RlaifError
from core.journal import CommandReader
from core.run_dir import RunDir
from rlaif_tui.background import in_background
from rlaif_tui.desks.train import ask, replace_judge
from rlaif_tui.feed import RunFeed
from rlaif_tui.screens.train import TrainScreen
from rlaif_tui.screens.view import View


class TrainHost(App[None]):
    """Shows ``run`` at a fixed time."""

    def __init__(self, run: RunDir, now: float = T0 + 60, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.animation_level = "none"
        self.run_dir, self.moment = run, now
        self.feed = RunFeed(run, lambda: self.moment)
        self.view = TrainScreen(run.name, now=lambda: self.moment, ascii_only=ascii_only)
        self.went: list[str] = []
        """Screens and restarts that were asked for."""

    async def on_mount(self) -> None:
        self.view.attach(self.run_dir)
        await self.push_screen(self.view)

    async def poll_once(self) -> None:
        state = await in_background(self.feed.poll)
        if state is not self.view.state:
            self.view.show(state)
        await self.view.poll()
        await self.workers.wait_for_complete()

    async def on_train_screen_asked(self, message: TrainScreen.Asked) -> None:
        await ask(self.run_dir, message.command)

    async def on_train_screen_judge_asked(self, message: TrainScreen.JudgeAsked) -> None:
        try:
            await replace_judge(self.run_dir, message.path)
        except RlaifError as error:
            self.notify(str(error), markup=False)

    def on_train_screen_restart_asked(self) -> None:
        self.went.append("restart")

    def on_view_go_asked(self, message: View.GoAsked) -> None:
        self.went.append(message.screen)


@asynccontextmanager
async def opened(
    run: RunDir, size: tuple[int, int], now: float = T0 + 60, *, ascii_only: bool = False
) -> AsyncIterator[Pilot[None]]:
    app = TrainHost(run, now, ascii_only=ascii_only)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        yield pilot


async def look(pilot: Pilot[None]) -> str:
    """Let the app read the run, and read the screen."""
    await pilot.app.poll_once()  # type: ignore[attr-defined]
    await pilot.pause()
    await pilot.pause()
    return screen_text(pilot.app)


async def press(pilot: Pilot[None], *keys: str) -> str:
    await pilot.press(*keys)
    return await look(pilot)


def asked(run: RunDir) -> list[Command]:
    return [line.command for line in CommandReader(run.commands).read() if not isinstance(line.command, Exception)]


def told(pilot: Pilot[None]) -> str:
    """What the messages in the corner say."""
    return "\n".join(message.message for message in pilot.app._notifications)
