"""``pins.json``: the prompts of a run that are followed, kept in its directory and shared by all who look at it.

Everything here blocks, so it is for a background thread. The file is written whole or not at all; a lock on the
directory keeps two people who pin at the same moment from undoing each other.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from core.errors import RunDirError
from core.files import write_atomic
from core.run_dir import RunDir

MOST_PINS = 32
"""Nobody follows more than a few, and each is looked for in every step."""
TEXT_CHARACTERS = 2000
"""As many of a prompt as a sample of the event log has, so that the two can be compared."""
_MOST_BYTES = 1 << 20


@dataclass(frozen=True)
class Pin:
    """A prompt that is followed."""

    prompt_id: str
    """Id of the prompt in the run's data; empty for one that is not in it or whose id is not known."""
    text: str
    """What the screens show of it; only its first ``TEXT_CHARACTERS`` count."""

    def fits(self, prompt_id: str, text: str) -> bool:
        """Whether this is that prompt: by the id where both are known, else by the text."""
        if self.prompt_id and prompt_id:
            return self.prompt_id == prompt_id
        return self.text[:TEXT_CHARACTERS] == text[:TEXT_CHARACTERS]


def pins_file(run: RunDir) -> Path:
    return run.path / "pins.json"


def load(run: RunDir) -> tuple[Pin, ...]:
    """The pinned prompts, oldest pin first. A missing file has none, and so has a damaged one; never raises."""
    try:
        with pins_file(run).open("rb") as file:
            return _decoded(file.read(_MOST_BYTES + 1))
    except (OSError, ValueError, RecursionError):
        return ()


def is_pinned(pins: tuple[Pin, ...], prompt_id: str, text: str) -> bool:
    """Whether a prompt is among them."""
    return any(pin.fits(prompt_id, text) for pin in pins)


def toggle(run: RunDir, pin: Pin) -> bool:
    """Pin the prompt, or let go of it; whether it is pinned now.

    A damaged file is set aside as ``pins.json.broken``. Raises ``RunDirError`` in one sentence if ``MOST_PINS`` are
    pinned already or the directory cannot be written.
    """
    pin = Pin(pin.prompt_id, pin.text[:TEXT_CHARACTERS])
    path = pins_file(run)
    try:
        with _locked(run.path):
            pins = _load_to_change(path)
            others = tuple(known for known in pins if not known.fits(pin.prompt_id, pin.text))
            pinned = len(others) == len(pins)
            if pinned and len(pins) >= MOST_PINS:
                raise RunDirError(f"{MOST_PINS} prompts are pinned already; let go of one first")
            write_atomic(path, _encoded((*pins, pin) if pinned else others))
    except OSError as error:
        raise RunDirError(f"pins cannot be kept in {path}: {error.strerror or error}") from error
    return pinned


def _load_to_change(path: Path) -> tuple[Pin, ...]:
    try:
        return _decoded(path.read_bytes())
    except FileNotFoundError:
        return ()
    except (ValueError, RecursionError):
        path.replace(path.with_name(f"{path.name}.broken"))
        return ()


def _encoded(pins: tuple[Pin, ...]) -> bytes:
    values = [{"prompt_id": pin.prompt_id, "text": pin.text} for pin in pins]
    # ASCII escapes, because a prompt may hold a lone surrogate, which UTF-8 has no bytes for.
    return json.dumps({"version": 1, "pins": values}, indent=1).encode("ascii")


def _decoded(data: bytes) -> tuple[Pin, ...]:
    """Raises ``ValueError`` if it is not a file of pins."""
    if len(data) > _MOST_BYTES:
        raise ValueError("too long")
    values = json.loads(data)
    rows = values.get("pins") if isinstance(values, dict) else None
    if not isinstance(rows, list):
        raise ValueError("no list of pins")
    return tuple(map(_pin, rows))


def _pin(row: object) -> Pin:
    id_, text = (row.get("prompt_id"), row.get("text")) if isinstance(row, dict) else (None, None)
    if not isinstance(id_, str) or not isinstance(text, str):
        raise ValueError("not a pin")
    return Pin(id_, text)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the file is whole all the same
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
