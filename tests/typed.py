"""Typing commands in this process, on run directories that hold real files."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.config import RunConfig
from core.config_file import to_toml
from core.events import (
    CheckpointSaved,
    Event,
    RunFinished,
    RunStarted,
    StepCompleted,
    StepMetrics,
    ValidationCompleted,
    WorkerReady,
)
from core.journal import EventLog
from core.run_dir import RunDir, create
from rlaif_tui.cli import main

RESULT_KEYS = {"run", "outcome", "steps", "seconds", "weights_sha256", "cost_usd", "validation"}
STATUS_KEYS = {"run", "state", "step", "total_steps", "last_checkpoint_step", "pid"}


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value = json.loads(self.out)
        assert isinstance(value, dict)
        return value


class Cli:
    """Types a command; runs lie in ``root``, and the current folder is an empty one."""

    def __init__(self, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = place / "runs"
        self._capsys, self._monkeypatch = capsys, monkeypatch
        monkeypatch.setenv("RLAIF_TUI_RUNS", str(self.root))
        monkeypatch.setenv("XDG_STATE_HOME", str(place / "state"))
        monkeypatch.chdir(place)

    def __call__(self, *words: str) -> Said:
        self._monkeypatch.setattr(sys, "argv", ["rlaif-tui", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = self._capsys.readouterr()
        return Said(int(ended.value.code or 0), printed.out, printed.err)


def a_step(number: int) -> StepCompleted:
    figures: dict[str, Any] = dict.fromkeys(StepMetrics.__struct_fields__)
    figures |= {"score_mean": 5.5, "kl_seq": 1.25, "learning_rate": 1e-3, "kl_coef": 0.05, "rows": 4, "failed": 0}
    figures |= {"updates": 2, "skipped": 0, "early_stopped": False, "tokens": 90, "cost_usd": 0.25, "seconds": 1.0}
    figures |= {"phase_seconds": {"generate": 0.5}}
    return StepCompleted(step=number, metrics=msgspec.convert(figures, StepMetrics), cost_total_usd=0.25 * number)


START = RunStarted(name="r", total_steps=2, pid=os.getpid(), host="h", model="demo", judge="rubric", data="demo")
READY = WorkerReady(device="cpu", parameters=9, trainable=3, train_prompts=2, validation_prompts=2, dropped_prompts=0)
BEFORE = ValidationCompleted(step=0, n=8, mean=2.0)
AFTER = ValidationCompleted(step=2, n=8, mean=6.0, difference=4.0, ci95=(3.0, 5.0))
DONE = RunFinished(outcome="completed", step=2, seconds=12.5, cost_usd=0.5, weights_sha256="ab" * 32)
FINISHED = [
    START,
    READY,
    BEFORE,
    a_step(1),
    a_step(2),
    CheckpointSaved(step=2, path="p", size_mb=1, seconds=1),
    AFTER,
    DONE,
]


def make_run(root: Path, name: str, events: list[Event]) -> RunDir:
    run = create(root, name)
    run.config.write_text(to_toml(RunConfig()), encoding="utf-8")
    log = EventLog(run)
    for event in events:
        log.write(event)
    log.close()
    return run
