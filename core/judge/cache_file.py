"""One SQLite file of checksummed values that several processes share, and that may break without breaking anything.

Rollback journal: SQLite 3.7.0 to 3.51.2 can corrupt a WAL file when two connections write at once, and WAL does not
work on network file systems. Nothing here raises: a value that cannot be read is absent, one that cannot be written is
not kept, a damaged file is set aside as ``.corrupt-<time>``, and ``warnings`` says each of these once.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, TypeVar

SCHEMA = 1
_BUSY_S = 5.0
_REST_S = 30.0
"""Pause after the file could not be used, so that a stuck program costs one wait and not one a judgement."""
_WHOLE_CHECK_BYTES = 32 << 20
"""A larger file is not read through when it is opened; damage in it is found where it is met."""
_TABLES = (
    "CREATE TABLE replies (key TEXT PRIMARY KEY, created REAL NOT NULL, value BLOB NOT NULL, checksum BLOB NOT NULL)",
    "CREATE TABLE totals (id INTEGER PRIMARY KEY CHECK (id = 1), hits INTEGER NOT NULL, saved_micros INTEGER NOT NULL)",
    "INSERT INTO totals VALUES (1, 0, 0)",
    f"PRAGMA user_version = {SCHEMA}",
)
_TROUBLE = frozenset(
    {
        sqlite3.SQLITE_PERM, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL,
    }
)  # fmt: skip
"""Primary error codes that say nothing against the file itself."""
_FAULTS = (sqlite3.Error, OSError, MemoryError, OverflowError, ValueError)

T = TypeVar("T")


class Figures(NamedTuple):
    """What is in the file. Times are seconds since 1970."""

    entries: int = 0
    hits: int = 0
    saved_micros: int = 0
    oldest: float | None = None
    newest: float | None = None


class CacheFile:
    """Values by key. Threads may share it. With ``writable`` False the file is only read, and never set aside."""

    def __init__(self, path: Path, *, writable: bool = True) -> None:
        self.path = path
        self.warnings: list[str] = []
        self._writable = writable
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._inode = 0
        self._rest_until = {True: 0.0, False: 0.0}
        """When to write and to read again, on the monotonic clock."""

    def read(self, key: str) -> bytes | None:
        """The value, or None where there is none that can be trusted."""
        query = "SELECT value, checksum, created FROM replies WHERE key = ?"
        row = self._do(lambda c: c.execute(query, (key,)).fetchone(), None)
        if row is None:
            return None
        value, checksum, created = row
        if isinstance(value, bytes) and isinstance(created, float) and checksum == _checksum(key, value, created):
            return value
        self._say(f"an answer in the judge cache {self.path} was damaged and is asked for again")
        self._do(lambda c: c.execute("DELETE FROM replies WHERE key = ?", (key,)).rowcount, 0, writes=True)
        return None

    def write(self, key: str, value: bytes, created: float) -> None:
        """Keep a value, in place of an older one."""
        created = float(created)
        row = (key, created, value, _checksum(key, value, created))
        self._do(lambda c: c.execute("INSERT OR REPLACE INTO replies VALUES (?, ?, ?, ?)", row), None, writes=True)

    def add_saved(self, hits: int, micros: int) -> None:
        """Count answers that were not paid for again."""
        query = "UPDATE totals SET hits = hits + ?, saved_micros = saved_micros + ?"
        self._do(lambda c: c.execute(query, (hits, micros)), None, writes=True)

    def figures(self) -> Figures:
        """Counts. A missing file is not made; it has none."""
        if not self.path.exists():
            return Figures()
        return self._do(_count, Figures())

    def delete(self, before: float | None) -> int | None:
        """Drop values made before that time, or all; gives how many, None if it could not be done."""

        def drop(connection: sqlite3.Connection) -> int:
            old = "1" if before is None else "created < ?"
            count = connection.execute(f"DELETE FROM replies WHERE {old}", () if before is None else (before,)).rowcount
            with contextlib.suppress(sqlite3.Error):  # the room is given back another time
                connection.execute("VACUUM")
            return count

        return self._do(drop, None, writes=True) if self.path.exists() else 0

    def close(self) -> None:
        with self._lock:
            self._disconnect()

    def _do(self, action: Callable[[sqlite3.Connection], T], otherwise: T, *, writes: bool = False) -> T:
        """Run a statement; a damaged file is set aside and the statement run on the new one."""
        with self._lock:
            if (writes and not self._writable) or time.monotonic() < self._rest_until[writes]:
                return otherwise
            for _ in range(2):
                try:
                    return action(self._connected())
                except _FAULTS as error:
                    if _is_trouble(error) or not self._writable:
                        self._rest(error, writes)
                        return otherwise
                    self._set_aside(error)
            return otherwise

    def _connected(self) -> sqlite3.Connection:
        """The connection, made anew where another process has set the file aside."""
        if self._connection is not None:
            with contextlib.suppress(FileNotFoundError):
                if self.path.stat().st_ino == self._inode:
                    return self._connection
            self._disconnect()
        if self._writable and not self.path.exists():
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        self._inode = self.path.stat().st_ino
        self._connection = sqlite3.connect(
            f"{self.path.absolute().as_uri()}?mode=rw", uri=True, timeout=_BUSY_S, isolation_level=None,
            check_same_thread=False,
        )  # fmt: skip
        try:
            _prepare(self._connection, self.path.stat().st_size, self._writable)
        except BaseException:
            self._disconnect()
            raise
        return self._connection

    def _disconnect(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None

    def _set_aside(self, error: BaseException) -> None:
        """Move the file away, unless another process has just done so."""
        self._disconnect()
        with contextlib.suppress(OSError), _alone(self.path):
            if self.path.stat().st_ino != self._inode:
                return
            away = self.path.with_name(f"{self.path.name}.corrupt-{time.strftime('%Y%m%dT%H%M%S')}-{os.getpid()}")
            self.path.rename(away)
            with contextlib.suppress(FileNotFoundError):  # a journal without its file would be rolled into the new one
                self.path.with_name(f"{self.path.name}-journal").rename(f"{away}-journal")
            self._say(
                f"the judge cache {self.path} was damaged ({error}); it is kept as {away.name} and a new one is begun,"
                " so answers in it may be paid for again"
            )

    def _rest(self, error: BaseException, writes: bool) -> None:
        until = time.monotonic() + _REST_S
        self._rest_until[True] = until
        if not writes:
            self._rest_until[False] = until
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        loss = "answers are not kept" if writes else "answers are not looked up in it"
        self._say(f"the judge cache {self.path} cannot be used ({reason}); judging goes on, and {loss}")

    def _say(self, sentence: str) -> None:
        if sentence not in self.warnings:
            self.warnings.append(sentence)


def _prepare(connection: sqlite3.Connection, size: int, writable: bool) -> None:
    """Check the file and make its tables if it is new. Raises ``sqlite3.Error``."""
    connection.execute("PRAGMA trusted_schema = OFF")
    connection.execute("PRAGMA cell_size_check = ON")
    if writable:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = NORMAL")
    else:
        connection.execute("PRAGMA query_only = ON")
    if size <= _WHOLE_CHECK_BYTES:
        (found,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if found != "ok":
            raise sqlite3.DatabaseError(" ".join(str(found).split()))
    if _version(connection) == 0 and writable:
        _make_tables(connection)
    if (version := _version(connection)) != SCHEMA:
        raise sqlite3.DatabaseError(f"its layout is {version}, not {SCHEMA}")


def _make_tables(connection: sqlite3.Connection) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,):
            for statement in _TABLES:
                connection.execute(statement)  # else another process was faster
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _count(connection: sqlite3.Connection) -> Figures:
    hits, saved = connection.execute("SELECT hits, saved_micros FROM totals WHERE id = 1").fetchone() or (None, None)
    if not (isinstance(hits, int) and isinstance(saved, int)):
        raise sqlite3.DatabaseError("its totals are not numbers")
    entries, oldest, newest = connection.execute("SELECT count(*), min(created), max(created) FROM replies").fetchone()
    return Figures(entries, hits, saved, oldest, newest)


def _version(connection: sqlite3.Connection) -> int:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return int(version)


def _is_trouble(error: BaseException) -> bool:
    if isinstance(error, sqlite3.Error):
        return getattr(error, "sqlite_errorcode", -1) & 0xFF in _TROUBLE
    return isinstance(error, OSError)


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process at a time. Raises ``OSError``."""
    descriptor = os.open(path.with_name(f"{path.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _checksum(key: str, value: bytes, created: float) -> bytes:
    return hashlib.blake2b(b"%s\0%r\0%s" % (key.encode(), created, value), digest_size=16).digest()
