"""Runs and data as files, made up: what the app is shown while it is measured. Nothing here starts a worker."""

from __future__ import annotations

import json
import math
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from core import journal
from core.events import (
    Event,
    PhaseStarted,
    RunFinished,
    RunStarted,
    Sample,
    SamplesShown,
    StepCompleted,
    StepMetrics,
    WorkerReady,
)
from core.run_dir import RunDir, create

EVENTS_PER_STEP = 5
_TEXTS = (
    "Sunlight looks white, but it is made of many colours, and air bends the blue part more than the red part.",
    "It holds sheets together; bent open, it presses the tiny button that resets a router.",
    "A third of 96 is 32, because three times 32 is 96.",
)


def step_events(step: int) -> list[Event]:
    """What a worker writes over one step with three phases, eight of its responses, and all of its figures."""
    phases: list[Event] = [PhaseStarted(step=step, phase=name, total=64) for name in ("generate", "judge", "update")]
    return [*phases, SamplesShown(step=step, samples=tuple(_sample(step, row) for row in range(8))), completed(step)]


def completed(step: int) -> StepCompleted:
    """The end of a step: figures that rise and fall as those of a real run, with noise from step to step."""
    noise = math.sin(12.9898 * step) * 43758.5453 % 1 - 0.5
    figures: dict[str, Any] = {f.name: 0.1 + 0.01 * noise for f in msgspec.structs.fields(StepMetrics) if f.required}
    figures |= {
        "score_mean": 8 - 4 * math.exp(-step / 300) + 0.4 * noise,
        "kl_seq": 4 - 4 * math.exp(-step / 200) + 0.3 * noise,
        "policy_loss": -0.01 + 0.02 * noise, "value_loss": 0.3 + math.exp(-step / 100) + 0.1 * noise,
        "entropy": 2 + 0.1 * noise, "rows": 64, "failed": 0, "updates": 16, "skipped": 0, "early_stopped": False,
        "tokens": 6000 + int(100 * noise), "tokens_per_s": 800 + 50 * noise, "seconds": 11.8, "phase_seconds": {},
    }  # fmt: skip
    return StepCompleted(step=step, metrics=StepMetrics(**figures), cost_total_usd=0.003 * step)


def _sample(step: int, row: int) -> Sample:
    text = _TEXTS[(step + row) % len(_TEXTS)]
    return Sample(
        rollout_id=f"{step}-{row}", prompt=f"Prompt {row}: say something that is true.", response=f"{text} ({step})",
        score=float((step + row) % 11), reason="right and clear", tokens=40, finish="stop", kl=1.5,
    )  # fmt: skip


def life(events: int, total_steps: int) -> Iterator[Event]:
    """So many events from the start of a run on."""
    yield RunStarted(
        name="long", total_steps=total_steps, pid=os.getpid(), host=socket.gethostname(), model="tiny", judge="rubric",
        data="demo",
    )  # fmt: skip
    yield WorkerReady(
        device="CPU, 1 threads", parameters=2_000_000, trainable=120_000, train_prompts=300, validation_prompts=64,
        dropped_prompts=0,
    )  # fmt: skip
    for step in range(1, (events - 2) // EVENTS_PER_STEP + 1):
        yield from step_events(step)


def make_run(root: Path, name: str, events: int, total_steps: int, *, ended: bool = False) -> RunDir:
    """A run directory with a log of so many events, one completed step every 12 s up to now."""
    run = create(root, name)
    run.config.write_text("")
    clock, steps = journal.time, events // EVENTS_PER_STEP
    log = journal.EventLog(run)
    try:
        moment = time.time() - 12.0 * steps
        journal.time = type("Clock", (), {"time": lambda: moment, "monotonic": time.monotonic})  # type: ignore[assignment]
        for event in life(events, total_steps):
            log.write(event)
            moment += 12.0 / EVENTS_PER_STEP
        if ended:
            log.write(RunFinished(outcome="completed", step=steps, seconds=12.0 * steps, cost_usd=0.003 * steps))
    finally:
        journal.time = clock
        log.close()
    return run


def make_data(path: Path, rows: int) -> None:
    """A JSONL file of prompts; each says its number."""
    with path.open("w", encoding="utf-8") as file:
        for row in range(1, rows + 1):
            text = f"question {row:06d}: {_TEXTS[row % len(_TEXTS)]}"
            file.write(json.dumps({"prompt": text, "reference": str(row)}) + "\n")
