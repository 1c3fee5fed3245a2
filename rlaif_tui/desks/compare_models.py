"""What can be compared, and what a comparison will take as far as that can be known before."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.compare.record import Comparison
from core.compare.targets import BASE, steps_of
from core.errors import RlaifError
from core.run_dir import RunDir, list_runs

from ..run_state import RunState

MOST_RUNS = 50


@dataclass(frozen=True)
class Candidate:
    """A model by the name that a comparison takes."""

    name: str
    what: str


def candidates(root: Path, run: RunDir) -> tuple[Candidate, ...]:
    """The base, this run's checkpoints, the newest first, and other runs that have one. Never raises."""
    steps = steps_of(run)[::-1]
    mine = [
        Candidate(f"{run.name}@{step}", "newest checkpoint of this run" if step == steps[0] else "checkpoint")
        for step in steps
    ]
    try:
        runs = [other for other in list_runs(root)[:MOST_RUNS] if other.name != run.name]
    except RlaifError:
        runs = []
    others = [Candidate(f"{other.name}@{of[-1]}", "another run") for other in runs if (of := steps_of(other))]
    return Candidate(BASE, "what this run began from"), *mine, *others


def usual(found: Sequence[Candidate]) -> tuple[str, ...]:
    """Base against the newest checkpoint; empty where there is none to compare."""
    return tuple(each.name for each in found[:2]) if len(found) > 1 and found[1].what != "another run" else ()


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What a comparison will take. None: not known before the first one."""

    seconds: float | None = None
    cost_usd: float | None = None


def forecast(n: int, models: int, before: Sequence[Comparison], state: RunState | None) -> Forecast:
    """From the run's newest finished comparison, else from what its training took; pairs asked about in both orders.

    Time and money go with replies: ``models`` of them to each prompt are written and scored, and each pair of models
    is asked about twice.
    """
    done = next((one for one in before if one.finished and not one.finished.error and one.rows), None)
    if done is not None and done.finished is not None:
        scale = n * _judgements(models) / (len(done.rows) * _judgements(len(done.models)))
        return Forecast(
            seconds=scale * max(0.0, done.finished.time - done.header.time), cost_usd=scale * done.finished.cost_usd
        )
    metrics = state.metrics if state else None
    if metrics is None or not metrics.rows:
        return Forecast()
    judgements = n * _judgements(models)
    phases = metrics.phase_seconds
    if not {"generate", "judge"} <= phases.keys():
        return Forecast(cost_usd=judgements * metrics.cost_usd / metrics.rows)
    seconds = n * models * phases["generate"] / metrics.rows + judgements * phases["judge"] / metrics.rows
    return Forecast(seconds=seconds, cost_usd=judgements * metrics.cost_usd / metrics.rows)


def _judgements(models: int) -> int:
    """Per prompt: each reply scored, each pair in both orders."""
    return models + 2 * math.comb(models, 2)
