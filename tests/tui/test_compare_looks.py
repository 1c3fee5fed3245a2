"""Pictures of the compare screen; look at a new one before it is accepted with --snapshot-update."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from compare_app import Alone, held, ready, run_with_checkpoints
from compare_records import compared, growing
from samples_runs import empty_run
from shell_pilot import both_sizes, press, read_until
from textual.pilot import Pilot

Compare = Callable[..., bool]


@both_sizes
@pytest.mark.parametrize("state", ["list", "open", "blind", "empty", "growing", "start"])
def test_picture(root: Path, snap_compare: Compare, size: tuple[int, int], state: str) -> None:
    run = run_with_checkpoints(root) if state in ("empty", "start") else empty_run(root)
    if state in ("list", "open", "blind"):
        compared(run)
    record = growing(run) if state == "growing" else run.events
    keys = {"open": ["enter"], "blind": ["b"], "start": ["R"]}
    wait_for = {"empty": "Nothing compared. R", "growing": "so far: ", "start": "at most, $", "blind": "BLIND 1"}

    async def before(pilot: Pilot[Any]) -> None:
        await ready(pilot)
        if state in ("empty", "start"):
            await read_until(pilot, "R compares")
        await press(pilot, *keys.get(state, []))
        await read_until(pilot, wait_for.get(state, "A base"))

    with held(record):
        assert snap_compare(Alone(root, run), terminal_size=size, run_before=before)
