"""A run directory as a thing: renamed, put away, deleted. Only while no worker has it, and none can start meanwhile."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.errors import RunDirError
from core.run_dir import NAME_PATTERN, RunDir, RunLock

ARCHIVE = ".archive"
"""Folder beside the runs for those put away; it is a folder of runs itself."""


def rename_run(run: RunDir, name: str) -> RunDir:
    """Give the run another name. Raises ``RunDirError`` if it is bad, taken, or the run has a live worker."""
    if not NAME_PATTERN.fullmatch(name):
        raise RunDirError(f"'{name}': use 1 to 64 of a-z, 0-9 and '-', not starting with '-'")
    if (run.path.parent / name).exists():
        raise RunDirError(f"'{name}' exists already in this folder")
    return _moved(run, run.path.parent / name)


def archive_run(run: RunDir) -> Path:
    """Put the run into the archive beside it and return where it is. Raises ``RunDirError``."""
    folder = run.path.parent / ARCHIVE
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise RunDirError(f"cannot make {folder}: {error.strerror}") from error
    place = folder / run.name
    if place.exists():
        place = folder / f"{run.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    return _moved(run, place).path


def delete_run(run: RunDir) -> None:
    """Remove the run's directory for ever. Raises ``RunDirError``."""
    # Under another name first: what a broken deletion leaves must not look like a run.
    doomed = _moved(run, run.path.with_name(f".deleted-{run.name}-{os.getpid()}")).path
    try:
        shutil.rmtree(doomed)
    except OSError as error:
        raise RunDirError(f"{run.name} is deleted but for a rest in {doomed}: {error.strerror}") from error


def _moved(run: RunDir, place: Path) -> RunDir:
    with _held(run):
        try:
            run.path.rename(place)
        except OSError as error:
            raise RunDirError(f"{run.path} cannot be moved: {error.strerror}") from error
    return RunDir(place)


@contextmanager
def _held(run: RunDir) -> Iterator[None]:
    """The run's lock, so that no worker has it and none can start. Raises ``RunDirError`` naming the worker."""
    if not run.path.is_dir() or run.path.is_symlink():
        raise RunDirError(f"{run.path} is not a run directory any more")
    lock = RunLock(run)
    try:
        lock.acquire(patience_s=0.2)
        yield
    finally:
        lock.release()
