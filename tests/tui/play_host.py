"""The playground alone in an app, and somebody who answers as a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from samples_runs import empty_run
from textual.app import App
from textual.pilot import Pilot
from textual.worker import WorkerState
from tui_logs import T0, screen_text

from core.play.protocol import Ask, Begun, Chunk, Done, Ready, Told
from core.run_dir import RunDir
from rlaif_tui.desks import play
from rlaif_tui.desks.play import PlayDesk
from rlaif_tui.screens.play import PlayScreen

BASE, TRAINED = "Hold paper. Pick a lock.", "It holds sheets together, and, bent open, presses a tiny button."


class Answerer:
    """What the process or the worker would be: says what it is told to say."""

    def __init__(self) -> None:
        self.ready: Ready | None = None
        self.ended = self.closed = False
        self.asks: list[Ask] = []
        self.cancelled: list[int] = []
        self.error: Exception | None = None
        self._news: list[Told] = []

    def ask(self, ask: Ask) -> None:
        if self.error is not None:
            raise self.error
        self.asks.append(ask)

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)

    def read(self) -> list[Told]:
        news, self._news = self._news, []
        return news

    def close(self) -> None:
        self.closed = True

    def says(self, *told: Told) -> None:
        self._news += told

    @property
    def number(self) -> int:
        return self.asks[-1].number

    def begins(self, step: int = 20) -> None:
        """The model is loaded and the first words of both sides have come."""
        self.ready = Ready(step=step, device="CPU, 2 threads")
        number = self.number
        self.says(
            self.ready,
            Begun(number=number, step=step, prompt_tokens=9),
            Chunk(number=number, side="base", text="Hold paper.", tokens=3),
            Chunk(number=number, side="trained", text="It holds sheets", tokens=4),
        )

    def ends(self, base: str = BASE, trained: str = TRAINED, finish: Any = "stop") -> None:
        number = self.number
        self.says(
            Done(number=number, side="base", text=base, tokens=7, finish=finish),
            Done(number=number, side="trained", text=trained, tokens=14, finish=finish, kl=3.125),
        )


class Alone(App[None]):
    """One playground on a run, with two who answer: a process and a live worker."""

    CSS_PATH = str(Path(play.__file__).parents[1] / "app.tcss")
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, folder: Path, run: RunDir | None, memory: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.animation_level = "none"
        self.process, self.worker = Answerer(), Answerer()
        self.started: list[bool] = []
        self.desk = PlayDesk(
            now=lambda: T0, state_dir=folder / "state", start=self._start, join=lambda _: self.worker
        )  # fmt: skip
        self.view = PlayScreen(self.desk)
        self.view.attach(run)
        if memory is not None:
            self.view.recall(memory)

    def _start(self, run: RunDir, on_cpu: bool) -> Answerer:
        self.started.append(on_cpu)
        if self.process.ended or self.process.closed:
            self.process = Answerer()
        return self.process

    def on_mount(self) -> None:
        self.push_screen(self.view)


@asynccontextmanager
async def opened(
    folder: Path, run: RunDir | None, size: tuple[int, int] = (120, 36), **more: Any
) -> AsyncIterator[tuple[Pilot[None], Alone]]:
    app = Alone(folder, run, **more)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        yield pilot, app


async def look(pilot: Pilot[Any]) -> str:
    """Let the screen finish what it began and take up what is new, and read it."""
    app = pilot.app
    for _ in range(2):
        await pilot.pause()
        while any(worker.is_running or worker.state is WorkerState.PENDING for worker in app.workers):
            await asyncio.sleep(0.005)
        await app.view.poll()  # type: ignore[attr-defined]
    await pilot.pause()
    return screen_text(app)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    await pilot.press(*keys)
    return await look(pilot)


async def until(pilot: Pilot[Any], wanted: Callable[[str], bool]) -> str:
    """Look until this is seen."""
    while not wanted(text := await look(pilot)):
        await asyncio.sleep(0.01)
    return text


def told(pilot: Pilot[Any]) -> str:
    """What the messages in the corner say."""
    return "\n".join(message.message for message in pilot.app._notifications)


def play_run(root: Path, data: str = "demo", steps: tuple[int, ...] = (10, 20), **more: Any) -> RunDir:
    """A run of the demo model with (empty) checkpoints of these steps, judged by the offline rules."""
    run = empty_run(root, **more)
    run.config.write_text(
        '[model]\nid = "demo"\n[rollout]\nmax_new_tokens = 64\nbatch_size = 8\n[ppo]\nmini_batch_size = 8\n'
        f"[run]\nseed = 7\n[data]\npath = {str(data)!r}\n"
    )
    for step in steps:
        run.checkpoint(step).mkdir()
    return run
