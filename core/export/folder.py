"""A folder that is complete or as it was."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ..errors import RlaifError, RunDirError

_MARKS = ("adapter_config.json", "config.json")
"""One of these is in every export."""


def write_folder(folder: Path, fill: Callable[[Path], None], force: bool) -> None:
    """Have ``fill`` make the content beside ``folder``, then put it in place.

    An empty folder gives way, with ``force`` an earlier export as well, once the new one is complete. Raises
    ``RunDirError``, and the ``RlaifError`` that ``fill`` raises.
    """
    folder = folder.expanduser().absolute()
    _require_place(folder, force)
    beside, old = (folder.with_name(f".{folder.name}.{os.getpid()}.{what}") for what in ("part", "old"))
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        beside.mkdir()
        fill(beside)
        _swap(beside, folder, old)
    except RlaifError:
        raise
    except Exception as error:  # safetensors reports a full disk as an error of its own
        raise RunDirError(f"{folder} cannot be written: {' '.join(str(error).split())}") from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _swap(beside: Path, folder: Path, old: Path) -> None:
    if not folder.exists():
        beside.rename(folder)
        return
    folder.rename(old)
    try:
        beside.rename(folder)
    except OSError:
        old.rename(folder)
        raise
    shutil.rmtree(old)


def _require_place(folder: Path, force: bool) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise RunDirError(f"{folder} is a file; give the name of a folder")
    held = list(folder.iterdir())
    if not held:
        return
    if not force:
        raise RunDirError(f"{folder} exists already and is not empty; give another name, or --force to replace it")
    if any(path.is_dir() for path in held) or not any((folder / name).is_file() for name in _MARKS):
        raise RunDirError(f"{folder} holds other things than an earlier export; give another name")
