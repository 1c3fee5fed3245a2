"""Earlier prompts with both replies, a file a run in the app's state folder. Everything here blocks."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import msgspec

from core.errors import RunDirError
from core.events import encode
from core.files import write_atomic
from core.run_dir import RunDir

from .play_state import Exchange

MOST = 200
_MOST_BYTES = 64 << 20


class _File(msgspec.Struct, frozen=True):
    run: str
    exchanges: tuple[Exchange, ...]
    version: int = 1


def history_file(state_dir: Path, run: RunDir) -> Path:
    """Named by where the run lies: two folders of runs may have a run of the same name."""
    name = hashlib.sha256(str(run.path.absolute()).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    return state_dir / "play" / f"{name}.json"


def load(path: Path) -> tuple[Exchange, ...]:
    """The newest last. A missing file has none; a damaged one neither, and is set aside as ``.broken``."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(_MOST_BYTES), type=_File).exchanges
    except OSError:
        return ()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        with contextlib.suppress(OSError):
            path.replace(path.with_name(f"{path.name}.broken"))
        return ()


def keep(path: Path, run: RunDir, exchange: Exchange) -> int:
    """Add an exchange, or put it in place of what it was before; returns how many are kept. Raises ``RunDirError``."""
    known = load(path)
    if any(old.id == exchange.id for old in known):
        kept = tuple(exchange if old.id == exchange.id else old for old in known)
    else:
        kept = (*known, exchange)[-MOST:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, encode(_File(str(run.path.absolute()), kept)))
    except OSError as error:
        raise RunDirError(f"the history cannot be kept in {path}: {error.strerror}") from error
    return len(kept)
