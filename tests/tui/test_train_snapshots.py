"""Pictures of the Train screen at both sizes; look at a new one before it is accepted with --snapshot-update."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot
from train_host import TrainHost, look
from train_runs import eventful
from tui_logs import T0, ending, life, make_run, started, write

from core.events import Paused
from core.run_dir import RunDir, RunLock

SIZES = pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "narrow"])
Compare = Callable[..., bool]


@pytest.fixture
def full(root: Path) -> Iterator[RunDir]:
    run = eventful(root)
    lock = RunLock(run)
    lock.acquire()
    yield run
    lock.release()


def after(*keys: str) -> Callable[[Pilot[Any]], Awaitable[None]]:
    async def settle(pilot: Pilot[Any]) -> None:
        await look(pilot)
        await pilot.press(*keys)
        await look(pilot)

    return settle


@SIZES
@pytest.mark.parametrize(
    "keys",
    [
        pytest.param((), id="running"),
        pytest.param(("c",), id="page-2"),
        pytest.param(("c", "c"), id="page-3"),
        pytest.param(("c", "c", "c"), id="page-4"),
        pytest.param(("tab", "z"), id="zoomed-chart"),
        pytest.param(("]", "z"), id="zoomed-sample"),
        pytest.param(("t", "0", ".", "x", "tab", "1", "e", "-", "4"), id="tune"),
        pytest.param(("x",), id="stop"),
        pytest.param(("L", "plus", "plus"), id="log-scale"),
        pytest.param(("less_than_sign", "less_than_sign"), id="reading"),
    ],
)
def test_train(full: RunDir, snap_compare: Compare, size: tuple[int, int], keys: tuple[str, ...]) -> None:
    assert snap_compare(TrainHost(full), terminal_size=size, run_before=after(*keys))


@SIZES
def test_paused(full: RunDir, snap_compare: Compare, size: tuple[int, int]) -> None:
    write(full, [Paused(step=28, reason="asked by ana@pts/3")], at=T0 + 57)
    assert snap_compare(TrainHost(full), terminal_size=size, run_before=after())


@SIZES
def test_lost(full: RunDir, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(TrainHost(full, T0 + 200), terminal_size=size, run_before=after())


@SIZES
def test_crashed(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    error = "NaN in the policy loss at step 26; the gradient norm was 41 at step 25"
    run = make_run(root, "calm", [*life(26), *ending("crashed", 26, error)])
    run.log.write_text("step 24 done\nstep 25 done\na warning of a library\nNaN in the policy loss\n")
    assert snap_compare(TrainHost(run), terminal_size=size, run_before=after())


@SIZES
def test_loading(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    run = make_run(root, "calm", [started()])
    lock = RunLock(run)
    lock.acquire()
    assert snap_compare(TrainHost(run), terminal_size=size, run_before=after())
    lock.release()
