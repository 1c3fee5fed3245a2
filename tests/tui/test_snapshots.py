"""Pictures of both screens at both sizes; look at a new one before it is accepted with --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell_pilot import look
from test_runs_screen import five_runs
from textual.pilot import Pilot
from tui_logs import T0, life, make_run

from core.events import Advice, PhaseStarted
from core.run_dir import RunLock
from rlaif_tui.app import RlaifApp

SIZES = pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "narrow"])
Compare = Callable[..., bool]


async def settle(pilot: Pilot[Any]) -> None:
    await look(pilot)


@SIZES
def test_train(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    advice = Advice(step=26, code="length", message="replies grow while the score rises; look at the samples")
    run = make_run(root, "calm", [*life(26), advice, PhaseStarted(step=27, phase="judge", total=32)])
    lock = RunLock(run)
    lock.acquire()
    app = RlaifApp(root, run, now=lambda: T0 + 90)
    assert snap_compare(app, terminal_size=size, run_before=settle)
    lock.release()


@SIZES
def test_runs(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    lock = five_runs(root)

    async def choose_the_broken_one(pilot: Pilot[Any]) -> None:
        await look(pilot)
        await pilot.press("j", "j", "j")
        await look(pilot)

    app = RlaifApp(root, now=lambda: T0 + 70)
    assert snap_compare(app, terminal_size=size, run_before=choose_the_broken_one)
    lock.release()
