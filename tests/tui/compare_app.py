"""The compare screen alone in an app."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from compare_records import compared
from shell_pilot import until
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input
from tui_logs import T0, life, make_run, screen_text

import rlaif_tui
from core.compare.job import Job
from core.run_dir import RunDir
from rlaif_tui.desks.compare import CompareDesk
from rlaif_tui.desks.runs import RunsDesk
from rlaif_tui.screens.compare import CompareScreen

WIDE, NARROW = (120, 36), (80, 24)


class Alone(App[None]):
    """The compare screen on a run. Comparisons that it asks for are noted, and recorded as finished at once."""

    CSS_PATH = str(Path(rlaif_tui.__file__).parent / "app.tcss")
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, root: Path, run: RunDir | None, memory: dict[str, Any] | None = None) -> None:
        super().__init__()
        self.animation_level = "none"
        self.asked: list[Job] = []
        self.run_dir = run
        runs = RunsDesk(root, now=lambda: T0 + 100)
        self.view = CompareScreen(CompareDesk(runs, begin=self._begin))
        self.view.attach(run)
        if memory is not None:
            self.view.recall(memory)

    def on_mount(self) -> None:
        self.push_screen(self.view)

    def _begin(self, job: Job) -> Path:
        assert self.run_dir is not None
        self.asked.append(msgspec.json.decode(msgspec.json.encode(job), type=Job))
        return compared(self.run_dir, name=f"asked{len(self.asked)}", rows=4)


@asynccontextmanager
async def opened(
    root: Path, run: RunDir | None, size: tuple[int, int] = WIDE, memory: dict[str, Any] | None = None
) -> AsyncIterator[Pilot[None]]:
    """The screen once it has nothing left to read."""
    app = Alone(root, run, memory)
    async with app.run_test(size=size) as pilot:
        await ready(pilot)
        yield pilot


async def ready(pilot: Pilot[None]) -> str:
    """The screen once the figures of what it shows are there."""
    view = pilot.app.view  # type: ignore[attr-defined]
    return await until(
        pilot,
        lambda: view.figures is not None or not (view.look.comparison and view.look.comparison.rows),
    )


async def give(pilot: Pilot[None], text: str) -> None:
    """Put this into the field that has the focus."""
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.value = text
    await pilot.pause()


def words(pilot: Pilot[Any]) -> str:
    """What is read now, each run of blanks and frames as one blank."""
    return " ".join(screen_text(pilot.app).translate(str.maketrans("│╭╰╮╯─", "      ")).split())


@contextmanager
def held(record: Path) -> Iterator[None]:
    """As if the process of this record were at work: it holds the lock."""
    descriptor = os.open(record, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(descriptor)


def run_with_checkpoints(root: Path) -> RunDir:
    run = make_run(root, "calm", life(12))
    run.config.write_text('[model]\nid = "demo"\n')
    for step in (5, 10):
        run.checkpoint(step).mkdir()
    return run
