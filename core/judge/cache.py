"""Replies that were paid for, kept for every later run of the same user.

Only a reply that held a verdict is put here; that is the caller's duty. Losing the file costs money, never correctness.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import time
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from ..errors import JudgeError
from ..types import CostSource, Usage
from .cache_file import SCHEMA, CacheFile, Figures
from .endpoint import Effective

CacheMode = Literal["rw", "replay", "off"]
FILE_NAME = "judge.sqlite"
_HITS_PER_NOTE = 50
"""Money saved is noted in batches: a hit must not cost a write."""
_DAY_S = 86_400.0

T = TypeVar("T")


class CacheMiss(JudgeError):  # noqa: N818  not a defect
    """Replay asks nobody, and this was never asked before."""


class CachedReply(msgspec.Struct, frozen=True, kw_only=True):
    """A reply as it came, and what it cost when it was asked for."""

    body: dict[str, Any]
    usage: Usage | None
    model_returned: str
    cost_micros: int | None
    cost_source: CostSource
    question_id: str
    """The id that its verdict echoes."""
    created: float
    """Seconds since 1970."""


@dataclass(frozen=True, kw_only=True)
class CacheStats:
    """What a cache holds. ``saved_usd``: what its hits would have cost."""

    path: Path
    entries: int
    bytes: int
    hits: int
    saved_usd: float
    oldest: float | None
    newest: float | None


class JudgeCache:
    """``rw`` reads and keeps; ``replay`` only reads, and a miss is an error; ``off`` does nothing.

    Only ``CacheMiss`` is ever raised by ``get`` and ``put``. They do not block the event loop.
    """

    def __init__(self, path: Path, mode: CacheMode = "rw") -> None:
        self.path, self.mode = path, mode
        self._file = CacheFile(path, writable=mode == "rw")
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="judge-cache")
        self._unnoted = _Unnoted(self._file)
        self._close = weakref.finalize(self, _close, self._file, self._threads, self._unnoted)

    @property
    def warnings(self) -> list[str]:
        """What went wrong so far, one sentence each."""
        return self._file.warnings

    async def get(self, key: str) -> CachedReply | None:
        """The reply kept under a key of ``cache_key``. Raises ``CacheMiss`` in replay if there is none."""
        if self.mode == "off" or not self._close.alive:
            return None
        reply = await self._in_thread(lambda: self._look_up(key))
        if reply is None and self.mode == "replay":
            why = f" ({self.warnings[-1]})" if self.warnings else ""
            raise CacheMiss(
                f"replay: an answer is not in the judge cache {self.path}{why}; judge it once without replay"
            )
        return reply

    async def put(self, key: str, reply: CachedReply) -> None:
        """Keep a reply that held a verdict. When this returns, a kill no longer loses it."""
        if self.mode == "rw" and self._close.alive:
            await self._in_thread(lambda: self._keep(key, reply))

    def stats(self) -> CacheStats:
        """Counts and sizes."""
        if self._close.alive:
            self._threads.submit(self._unnoted.note).result()
        figures = self._file.figures() if self.mode != "off" else Figures()
        size = self.path.stat().st_size if self.path.is_file() else 0
        return CacheStats(
            path=self.path, entries=figures.entries, bytes=size, hits=figures.hits,
            saved_usd=figures.saved_micros / 1e6, oldest=figures.oldest, newest=figures.newest,
        )  # fmt: skip

    def clear(self, older_than_days: int | None = None) -> int:
        """Drop all entries, or those older than so many days; gives how many. Raises ``JudgeError`` if it cannot."""
        before = None if older_than_days is None else time.time() - older_than_days * _DAY_S
        dropped = self._file.delete(before) if self.mode == "rw" else None
        if dropped is None:
            raise JudgeError(self.warnings[-1] if self.warnings else f"the judge cache {self.path} is read only")
        return dropped

    def close(self) -> None:
        """Note what was saved and close the file. Happens by itself at the end of the process."""
        self._threads.shutdown(wait=True)
        self._close()

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _look_up(self, key: str) -> CachedReply | None:
        data = self._file.read(key)
        if data is None:
            return None
        try:
            reply = msgspec.convert(json.loads(data), CachedReply)
        except (ValueError, RecursionError):  # msgspec's errors among them
            return None
        self._unnoted.hits += 1
        self._unnoted.micros += reply.cost_micros or 0
        if self._unnoted.hits >= _HITS_PER_NOTE:
            self._unnoted.note()
        return reply

    def _keep(self, key: str, reply: CachedReply) -> None:
        try:  # not msgspec: a server's JSON may hold NaN and lone surrogates, and must come back as it was
            data = json.dumps(msgspec.to_builtins(reply)).encode("ascii")
        except (ValueError, TypeError, RecursionError):
            self.warnings.append("a judge's reply could not be kept in the cache: it is no JSON")
            return
        self._file.write(key, data, reply.created)


@dataclass
class _Unnoted:
    """Hits that the file does not know of yet."""

    file: CacheFile
    hits: int = 0
    micros: int = 0

    def note(self) -> None:
        if self.hits:
            self.file.add_saved(self.hits, self.micros)
            self.hits = self.micros = 0


def _close(file: CacheFile, threads: ThreadPoolExecutor, unnoted: _Unnoted) -> None:
    threads.shutdown(wait=False)  # nothing is pending; and this may run in the very thread
    unnoted.note()
    file.close()


def cache_key(backend: str, effective: Effective, canonical: str, judge_version: str, repeat: int) -> str:
    """SHA-256 of all that can change a verdict. ``canonical``: the messages with their id blanked."""
    parts = {
        "schema": SCHEMA,
        "backend": backend,
        "base_url": effective.base_url,
        "model": effective.model,
        "parameters": effective.parameters,
        "messages": canonical,
        "judge_version": judge_version,
        "repeat": repeat,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode("ascii")).hexdigest()


def default_cache_path() -> Path:
    """``judge.sqlite`` in the folder ``RLAIF_TUI_CACHE``, else in the user's cache folder."""
    if from_environment := os.environ.get("RLAIF_TUI_CACHE"):
        return Path(from_environment).expanduser() / FILE_NAME
    import platformdirs

    return Path(platformdirs.user_cache_dir("rlaif-tui")) / FILE_NAME
