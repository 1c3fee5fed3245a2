"""The line above the list of runs: how many, disk, today's judging, GPUs, and where they lie. Pure."""

from __future__ import annotations

import bisect
import time
from collections.abc import Iterable
from pathlib import Path

from ..desks.runs import Entry, Surroundings
from ..machine_words import gpu_line
from ..run_state import RunState
from ..sentences import UNKNOWN
from ..widgets.line import Field

LITTLE_GIB = 2.0
"""Less free disk than this is said in the colour of a warning: a checkpoint of a large adapter takes as much."""


def line_fields(counts: str, found: str, around: Surroundings, entries: Iterable[Entry], now: float) -> list[Field]:
    """Fields from the left; ``found`` tells how many runs match a filter."""
    free = around.free_gib
    little = free is not None and free < LITTLE_GIB
    disk = "" if free is None else f"disk {free:.1f} GiB free" if free < 10 else f"disk {free:.0f} GiB free"
    return [
        Field(counts),
        Field(found, "bold"),
        Field(disk, "$text-warning" if little else ""),
        Field(f"judge today {spent_today(entries, now)}"),
        Field(gpu_line(around.gpus)),
    ]


def folder(root: Path) -> Field:
    """Where the runs lie, the user's own folder as ``~``."""
    path, home = root.absolute(), Path.home()
    shown = f"~/{path.relative_to(home)}" if path.is_relative_to(home) and path != home else str(root)
    return Field(f"in {shown}", "$foreground 75%")


def spent_today(entries: Iterable[Entry], now: float) -> str:
    """Dollars that the judges of these runs cost since midnight; a dash while not every run has been read."""
    midnight = time.mktime((*time.localtime(now)[:3], 0, 0, 0, 0, 0, -1))
    total = 0.0
    for entry in entries:
        if entry is None:
            return UNKNOWN
        if isinstance(entry, RunState):
            total += spent_since(entry, midnight)
    return f"${total:.2f}"


def spent_since(state: RunState, moment: float) -> float:
    """Dollars that the judge of a run cost from a moment on: all, but for what the last step before it tells."""
    if state.last_time < moment:
        return 0.0
    steps = tuple(state.steps)
    before = bisect.bisect_left(steps, moment, key=lambda done: done.time)
    return max(0.0, state.cost_usd - (steps[before - 1].cost_total_usd if before else 0.0))
