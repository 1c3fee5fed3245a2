"""A run's figures as TensorBoard event files, by TensorBoard's own writer, an extra: ``rlaif-tui[tensorboard]``."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from core.errors import RunDirError
from core.run_dir import RunDir

from .export_tables import OutputError
from .feed import RunFeed
from .run_state import RunState

Scalar = tuple[float, int, str, float]
"""Seconds since the epoch, step, tag, value."""
_PATTERN = "events.out.tfevents.*"


def export_tensorboard(run: RunDir, folder: Path, force: bool) -> int:
    """One scalar per figure and step; returns how many. Figures that a step does not have are left out.

    With ``force`` earlier event files in the folder give way; other files are never touched. Raises ``OutputError``
    where the folder cannot be written or the extra is not installed, ``RunDirError`` for a run without a step.
    """
    folder = folder.expanduser()
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file; give the name of a folder")
    earlier = list(folder.glob(_PATTERN))
    if earlier and not force:
        raise OutputError(f"{folder} holds event files already; give another name, or --force to replace them")
    state = RunFeed(run).poll()
    if not len(state.steps) and not state.validations:
        raise RunDirError(f"{run.name} has completed no step, so there are no metrics")
    try:
        return _write(folder, earlier, state)
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error.strerror or error}") from error


def scalars(state: RunState) -> Iterator[Scalar]:
    """Everything measured, by subject: ``train``, ``seconds``, ``validation``, ``referee``."""
    for done in state.steps:
        figures = msgspec.structs.asdict(done.metrics)
        phases = figures.pop("phase_seconds")
        named = {f"train/{name}": value for name, value in figures.items()}
        named |= {f"seconds/{name}": value for name, value in phases.items()}
        named["train/cost_total_usd"] = done.cost_total_usd
        yield from ((done.time, done.step, tag, float(v)) for tag, v in named.items() if isinstance(v, int | float))
    for scored in state.validations:
        ends = dict(zip(("low", "high"), scored.ci95, strict=True)) if scored.ci95 else {}
        values = {"score": scored.mean, "difference": scored.difference, **ends}
        yield from ((scored.time, scored.step, f"validation/{k}", v) for k, v in values.items() if v is not None)
    for seen in state.referee:
        values = {"judge_mean": seen.judge_mean, "referee_mean": seen.referee_mean, "drift": seen.drift}
        yield from ((seen.time, seen.step, f"referee/{k}", v) for k, v in values.items() if v is not None)


def _write(folder: Path, earlier: list[Path], state: RunState) -> int:
    """Into a folder beside the old files, which are removed once the new ones are whole."""
    try:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.summary.writer.event_file_writer import EventFileWriter
    except ImportError as error:
        raise OutputError(
            "TensorBoard's writer is not installed; 'pip install tensorboard' adds it, and --metrics FILE works without"
        ) from error
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{os.getpid()}.part"
    count = 0
    try:
        writer = EventFileWriter(str(part))
        try:
            for moment, step, tag, value in scalars(state):
                summary = Summary(value=[Summary.Value(tag=tag, simple_value=value)])
                writer.add_event(Event(wall_time=moment, step=step, summary=summary))
                count += 1
        finally:
            writer.close()
        for path in earlier:
            path.unlink(missing_ok=True)
        for path in part.iterdir():
            path.rename(folder / path.name)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return count
