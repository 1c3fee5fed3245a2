"""What the app knows again when it is opened: the run in view, the screen, and each screen's own state."""

from __future__ import annotations

import contextlib
import json
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SAVE_EVERY_S = 5.0
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Memory:
    """A whole state; every part may be missing."""

    root: str = ""
    """Folder of runs that it belongs to; run and screen are of no use in another."""
    run: str = ""
    screen: str = ""
    theme: str = ""
    screens: dict[str, dict[str, Any]] = field(default_factory=dict)
    """What ``View.memory`` gave, by id of the screen."""


def memory_file() -> Path:
    """Where the state lies."""
    import platformdirs

    return Path(platformdirs.user_state_dir("rlaif-tui")) / "app.json"


class MemoryFile:
    """Reads the state once and writes it when it has changed, at most every five seconds and at the end."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written: Memory | None = None
        self._last = 0.0

    def load(self) -> tuple[Memory, str]:
        """(the state, what was wrong with it). A file that makes no sense is set aside under another name."""
        try:
            with self.path.open("rb") as file:
                data = file.read(_MOST_BYTES + 1)
        except FileNotFoundError:
            return Memory(), ""
        except OSError as error:
            return Memory(), f"{self.path.name}, which holds how the app was left, cannot be read: {error.strerror}"
        try:
            return _decoded(data), ""
        except (ValueError, TypeError, RecursionError):
            aside = self.path.with_name(f"{self.path.name}.broken")
            with contextlib.suppress(OSError):
                self.path.replace(aside)
            return (
                Memory(),
                f"{self.path.name}, which holds how the app was left, is damaged; set aside as {aside.name}",
            )

    def is_due(self, memory: Memory) -> bool:
        """Whether it differs from what is on disk and the last writing is long enough ago."""
        return memory != self._written and time.monotonic() - self._last >= SAVE_EVERY_S

    def save(self, memory: Memory) -> None:
        """Write it, complete or not at all. Silent if the disk refuses: nothing of a run depends on it."""
        if memory == self._written:
            return
        self._written, self._last = memory, time.monotonic()
        from core.files import write_atomic

        with contextlib.suppress(OSError, ValueError, TypeError):
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_atomic(self.path, json.dumps({"version": 1, **vars(memory)}).encode("ascii"))


def _decoded(data: bytes) -> Memory:
    """Raises ``ValueError`` or ``TypeError`` if it is not a state."""
    if len(data) > _MOST_BYTES:
        raise ValueError("too long")
    values = json.loads(data)
    screens = values.get("screens", {}) if isinstance(values, dict) else None
    if not isinstance(screens, dict):
        raise TypeError("not a state")
    texts = {name: values.get(name, "") for name in ("root", "run", "screen", "theme")}
    if not all(isinstance(text, str) for text in texts.values()):
        raise TypeError("not a state")
    own = {name: value for name, value in screens.items() if isinstance(value, dict)}
    return Memory(**texts, screens=own)
