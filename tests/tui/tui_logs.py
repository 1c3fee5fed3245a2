"""Run directories as a worker would leave them, written through ``EventLog`` at fixed times, and what a screen says."""

from __future__ import annotations

import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from textual.app import App

from core import journal
from core.events import (
    CheckpointSaved,
    Event,
    PhaseStarted,
    RunFinished,
    RunStarted,
    Sample,
    SamplesShown,
    StepCompleted,
    StepMetrics,
    ValidationCompleted,
    WorkerReady,
)
from core.run_dir import RunDir, create

T0 = 1_750_000_000.0
"""2025-06-15 15:06:40 UTC."""


def metrics(**known: Any) -> StepMetrics:
    """Figures of a step; everything that is not given is unknown or zero."""
    figures: dict[str, Any] = {f.name: None for f in msgspec.structs.fields(StepMetrics) if f.required}
    figures.update(
        learning_rate=1e-5, kl_coef=0.05, rows=32, failed=0, updates=8, skipped=0, early_stopped=False,
        tokens=1200, cost_usd=0.0, seconds=2.0, phase_seconds={},
    )  # fmt: skip
    return StepMetrics(**{**figures, **known})


def started(name: str = "calm", steps: int = 40, resumed_from: int | None = None) -> RunStarted:
    return RunStarted(
        name=name, total_steps=steps, pid=4711, host="box", model="tiny", judge="rubric", data="demo",
        resumed_from=resumed_from,
    )  # fmt: skip


def ready() -> WorkerReady:
    return WorkerReady(
        device="cpu", parameters=2_000_000, trainable=120_000, train_prompts=300, validation_prompts=64,
        dropped_prompts=0,
    )  # fmt: skip


def sample(index: int, step: int) -> Sample:
    prompts = ("Why is the sky blue?", "Give two uses of a paper clip.", "What is a third of 96?")
    responses = (
        "Air bends blue light more than red light, so blue light comes from every side of the sky. " * 4,
        "It holds sheets together, and it presses a reset button.",
        "32",
    )
    return Sample(
        rollout_id=f"{step}-{index}", prompt=prompts[index], response=responses[index], score=8.0 - 2 * index,
        reason=f"reason {index}", tokens=40 + index, finish="length" if index == 0 else "stop", kl=1.5,
    )  # fmt: skip


def step(number: int) -> list[Event]:
    """What a worker writes over one step: its score rises from 4 towards 6."""
    figures = metrics(
        score_mean=6 - 2 * math.exp(-number / 10), kl_seq=0.1 * number, policy_loss=-0.01 + 0.002 * (number % 3),
        value_loss=0.8 * math.exp(-number / 8), entropy=2.1, clip_fraction=0.08, tokens_per_s=800.0,
    )  # fmt: skip
    return [
        PhaseStarted(step=number, phase="generate", total=32),
        SamplesShown(step=number, samples=tuple(sample(index, number) for index in range(3))),
        StepCompleted(step=number, metrics=figures, cost_total_usd=0.01 * number),
    ]


def life(steps: int, name: str = "calm", total: int = 40) -> list[Event]:
    """A run from its start to the end of this many steps, a checkpoint each ten."""
    events: list[Event] = [started(name, total), ready()]
    events.append(ValidationCompleted(step=0, n=64, mean=4.1))
    for number in range(1, steps + 1):
        events += step(number)
        if number % 10 == 0:
            events.append(CheckpointSaved(step=number, path=f"step_{number}", size_mb=3.0, seconds=0.4))
    return events


def ending(outcome: Any, step: int, error: str = "") -> list[Event]:
    """The last words of a worker; a completed run validates first."""
    last = RunFinished(outcome=outcome, step=step, seconds=80.0, cost_usd=0.4, weights_sha256="ab" * 32, error=error)
    if outcome != "completed":
        return [last]
    return [ValidationCompleted(step=step, n=64, mean=5.9, difference=1.8, ci95=(1.5, 2.1)), last]


def write(run: RunDir, events: Iterable[Event], at: float = T0) -> float:
    """Append events one second apart from ``at`` on; returns the time of the last."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.time, "time", lambda: at)
        log = journal.EventLog(run)
        for event in events:
            at += 1
            log.write(event)
        log.close()
    return at


def make_run(root: Path, name: str, events: Iterable[Event], at: float = T0) -> RunDir:
    """A run directory with this log."""
    run = create(root, name)
    run.config.write_text("")
    write(run, list(events), at)
    return run


def screen_text(app: App[Any]) -> str:
    """What a person reads now, line by line."""
    return "\n".join(strip.text.rstrip() for strip in app.screen._compositor.render_strips())
