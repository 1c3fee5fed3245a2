"""What a run measured and wrote, as files for a spreadsheet or a script: everything is in the run directory."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO

import msgspec

from core.errors import RlaifError, RunDirError
from core.events import StepCompleted, StepMetrics
from core.ratings import Ratings
from core.rollout_log import Recorded, read_rollouts
from core.run_dir import RunDir
from core.types import JudgeFailure, Rollout, Verdict

from .feed import RunFeed

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
_STEP_FILE = re.compile(r"^step_(\d+)\.jsonl$")


class OutputError(RlaifError):
    """A file that was asked for cannot be written, or would replace another."""


def export_metrics(run: RunDir, path: Path, force: bool) -> int:
    """One CSV row per completed step; returns how many. Raises ``OutputError``, ``RunDirError``."""
    steps = list(RunFeed(run).poll().steps)
    if not steps:
        raise RunDirError(f"{run.name} has completed no step, so there are no metrics")
    phases = sorted({name for event in steps for name in event.metrics.phase_seconds})

    def fill(file: TextIO) -> None:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([spreadsheet_safe(name) for name in _columns(phases)])
        for event in steps:
            writer.writerow([spreadsheet_safe(cell) for cell in _cells(event, phases)])

    _write(path, fill, force)
    return len(steps)


def export_rollouts(run: RunDir, path: Path, force: bool) -> int:
    """One JSON object per rollout of every step, texts as they are; returns how many. Raises as above."""
    files = sorted(p for p in run.rollouts(0).parent.glob("step_*.jsonl") if _STEP_FILE.match(p.name))
    if not files:
        raise RunDirError(f"{run.name} has recorded no rollout yet")
    count = 0

    def fill(file: TextIO) -> None:
        nonlocal count
        for source in files:
            for row in _rollout_rows(read_rollouts(source)):
                file.write(json.dumps(row) + "\n")
                count += 1

    _write(path, fill, force)
    return count


def export_chosen(chosen: Mapping[Path, Mapping[str, str]], ratings: Ratings, path: Path) -> int:
    """The rollouts with these ids of these files, each id with its ``rating_id``, step by step; returns how many.

    A path that ends in ``.csv`` becomes a table, any other one JSON lines. Raises ``OutputError``.
    """
    if path.expanduser().exists():
        raise OutputError(f"{path} exists already; give another name")
    given: dict[str, dict[str, float | None]] = {}
    for (key, by), rating in ratings.standing.items():
        given.setdefault(key, {})[by] = rating.score
    count = 0

    def rows() -> Iterator[dict[str, Any]]:
        nonlocal count
        for source in sorted(chosen):
            keys = chosen[source]
            for row in _rollout_rows(read_rollouts(source)):
                if row["id"] in keys:
                    count += 1
                    yield {**row, "file": source.name, "ratings": given.get(keys[row["id"]], {})}

    def fill(file: TextIO) -> None:
        if path.suffix.lower() == ".csv":
            _fill_table(file, rows())
        else:
            file.writelines(json.dumps(row) + "\n" for row in rows())

    _write(path, fill, force=False)
    return count


def _fill_table(file: TextIO, rows: Iterator[dict[str, Any]]) -> None:
    writer = csv.writer(file, lineterminator="\n")
    for number, row in enumerate(rows):
        if number == 0:
            writer.writerow(row)
        cells = (json.dumps(cell) if isinstance(cell, list | dict) else cell for cell in row.values())
        writer.writerow([spreadsheet_safe(cell) for cell in cells])


def spreadsheet_safe(cell: Any) -> Any:
    """A text cell that a spreadsheet would take for a formula gets a ``'`` in front; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _columns(phases: list[str]) -> list[str]:
    figures = [name for name in StepMetrics.__struct_fields__ if name != "phase_seconds"]
    return ["step", "time", "warmup", "cost_total_usd", *figures, *(f"seconds_{name}" for name in phases)]


def _cells(event: StepCompleted, phases: list[str]) -> list[Any]:
    figures = msgspec.structs.asdict(event.metrics)
    seconds = figures.pop("phase_seconds")
    first = [event.step, event.time, event.warmup, event.cost_total_usd]
    return [*first, *figures.values(), *(seconds.get(name) for name in phases)]


def _rollout_rows(recorded: Recorded) -> Iterator[dict[str, Any]]:
    for rollout in sorted(recorded.rollouts.values(), key=lambda one: one.row):
        measures = recorded.measures.get(rollout.id)
        yield {
            **_said(rollout),
            **_judged(recorded.results.get(rollout.id)),
            "final_reward": measures.reward if measures else None,
            "kl": measures.kl if measures else None,
            "used": measures.used if measures else None,
        }


def _said(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "step": rollout.step,
        "row": rollout.row,
        "prompt_id": rollout.prompt.id,
        "messages": msgspec.to_builtins(rollout.prompt.messages),
        "reference": rollout.prompt.reference,
        "response": rollout.response,
        "finish": rollout.finish,
        "prompt_tokens": len(rollout.prompt_tokens),
        "response_tokens": len(rollout.response_tokens),
    }


def _judged(result: Verdict | JudgeFailure | None) -> dict[str, Any]:
    verdict = result if isinstance(result, Verdict) else None
    failure = result if isinstance(result, JudgeFailure) else None
    return {
        "score": verdict.score if verdict else None,
        "reward": verdict.reward if verdict else None,
        "reason": verdict.reason if verdict else None,
        "criteria": verdict.criteria if verdict else {},
        "failure": f"{failure.status}: {failure.message}" if failure else None,
        "judge": result.backend if result else None,
        "judge_version": result.judge_version if result else None,
    }


def _write(path: Path, fill: Callable[[TextIO], None], force: bool) -> None:
    """Fill a file beside ``path`` and put it in place once complete; nothing is replaced without ``force``."""
    path = path.expanduser()
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; give another name, or --force to replace it")
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            with temporary.open("w", encoding="utf-8", newline="") as file:
                fill(file)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
