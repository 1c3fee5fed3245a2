"""Unsaved text of the judge's editor on disk, so that no closed terminal takes it away. One file per process."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from core.files import write_atomic

_SAME_S = 2.0
"""Clocks give the start of a process to about a hundredth of a second; a reused number is further off."""
_ASIDE = 20


@dataclass(frozen=True)
class Draft:
    """Text that was never saved."""

    text: str
    time: float
    path: Path
    aside: bool = False
    """Put away on purpose: listed, but not brought back by itself."""


class Drafts:
    """The drafts in one folder; this process writes one of them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder / f"{os.getpid()}-{secrets.token_hex(4)}.json"

    def keep(self, text: str, now: float) -> None:
        """Write the text; complete or as before whatever happens. Raises ``OSError``."""
        self._write(self._path, {"text": text, "time": now, "born": psutil.Process().create_time()})

    def set_aside(self, text: str, now: float) -> None:
        """Keep a text that makes room for another one. Raises ``OSError``."""
        path = self._folder / f"aside-{secrets.token_hex(4)}.json"
        self._write(path, {"text": text, "time": now, "born": 0.0, "aside": True})
        for old in [draft for draft in self.left_behind() if draft.aside][_ASIDE:]:
            old.path.unlink(missing_ok=True)

    def _write(self, path: Path, draft: dict[str, Any]) -> None:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, json.dumps(draft | {"pid": os.getpid()}).encode())

    def drop(self) -> None:
        """The text is saved or given up. Raises ``OSError``."""
        self._path.unlink(missing_ok=True)

    def left_behind(self) -> list[Draft]:
        """Drafts whose process is gone, or is this one before the screen was built anew; the newest first."""
        found = []
        for path in self._folder.glob("*.json"):
            draft = _read(path)
            if draft is not None and path != self._path:
                found.append(draft)
        return sorted(found, key=lambda draft: draft.time, reverse=True)

    def take_over(self, draft: Draft, now: float) -> None:
        """From now on this process keeps that text. Raises ``OSError``, then the old file is still there."""
        self.keep(draft.text, now)
        draft.path.unlink(missing_ok=True)


def _read(path: Path) -> Draft | None:
    """The draft in a file; None where it cannot be read or its process is at work."""
    try:
        held = json.loads(path.read_bytes())
        text, time, pid, born = held["text"], float(held["time"]), int(held["pid"]), float(held["born"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(text, str) or (pid != os.getpid() and _lives(pid, born)):
        return None
    return Draft(text, time, path, bool(held.get("aside")))


def _lives(pid: int, born: float) -> bool:
    try:
        return bool(abs(psutil.Process(pid).create_time() - born) < _SAME_S)
    except (psutil.Error, ValueError, OverflowError):
        return False
