"""A run's checkpoint, read without disturbing its worker. No torch until tensors are read."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from .. import checkpoint
from ..config import RunConfig
from ..config_file import from_dict
from ..errors import RunDirError
from ..events import CheckpointRejected
from ..run_dir import RunDir


def read_run(run: RunDir, step: int | None) -> tuple[checkpoint.Snapshot, RunConfig]:
    """The newest whole checkpoint, or that of ``step``, and the configuration it was trained with."""
    rejected: list[CheckpointRejected] = []
    with _pinned(run, step) as pinned:
        found = checkpoint.find_latest(pinned, rejected.append)
        if found is None:
            raise RunDirError(_no_checkpoint(run, step, rejected))
        snapshot = checkpoint.load(found)
    return snapshot, from_dict(snapshot.values["worker"]["config"], source=f"checkpoint of step {snapshot.step}")


@contextlib.contextmanager
def _pinned(run: RunDir, step: int | None) -> Iterator[RunDir]:
    """The run's checkpoints, or one of them, under second names.

    A live worker may delete what it no longer keeps, and only the worker may set damaged ones aside.
    """
    wanted = "step_*" if step is None else run.checkpoint(step).name
    try:
        place = Path(tempfile.mkdtemp(prefix=".tmp-", dir=run.exports))
    except OSError as error:
        raise RunDirError(f"cannot write to {run.exports}: {error.strerror}") from error
    try:
        pinned = RunDir(place)
        pinned.checkpoints.mkdir()
        for source in sorted(run.checkpoints.glob(wanted)):
            with contextlib.suppress(FileNotFoundError):  # deleted since it was listed
                _link(source, pinned.checkpoints / source.name)
        yield pinned
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _link(source: Path, target: Path) -> None:
    target.mkdir()
    for file in source.iterdir():
        try:
            os.link(file, target / file.name)
        except PermissionError:  # a disk without hard links
            shutil.copyfile(file, target / file.name)


def _no_checkpoint(run: RunDir, step: int | None, rejected: list[CheckpointRejected]) -> str:
    steps = sorted(int(path.name.removeprefix("step_")) for path in run.checkpoints.glob("step_*"))
    there_are = f"there are: {', '.join(map(str, steps))}"
    if rejected:
        damage = "; ".join(f"step {event.step}: {event.reason}" for event in rejected)
        return f"run '{run.name}': the checkpoint to export is damaged ({damage}); {there_are}, see --step"
    if steps:
        return f"run '{run.name}' has no checkpoint of step {step}; {there_are}"
    return f"run '{run.name}' has no checkpoint yet; 'rlaif-tui checkpoint {run.name}' makes one"
