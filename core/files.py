"""Files that are complete or absent: whole ones written beside and renamed, append-only ones mended when opened."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

from .errors import RunDirError

DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
"""Codes of an ``OSError`` that a person mends by making room."""
_BLOCK_BYTES = 1 << 20


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is either complete or as before: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    try:
        write_synced(temporary, data)
        temporary.rename(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def write_synced(path: Path, data: bytes) -> None:
    """Write a whole file, readable by its owner only, and fsync it. Raises ``OSError``."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_all(descriptor: int, data: bytes) -> None:
    """``os.write`` until everything is written; a short write on a full disk raises ``OSError`` on the next turn."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendLog:
    """One writer of a JSONL file. A torn tail is cut when it opens; a short write is undone before it raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            raise RunDirError(f"cannot write {path}: {error.strerror}; check the folder's permissions") from error
        self._end = _cut_torn_tail(self._descriptor)

    def append(self, line: bytes) -> None:
        """Write one record (without newline). Raises ``OSError`` with the file as it was before."""
        data = line + b"\n"
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"{written} of {len(data)} bytes written", str(self.path))
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(data)

    def sync(self) -> None:
        """Make all that was appended durable."""
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _cut_torn_tail(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    end = last_line_end(descriptor, size)
    if end != size:
        os.ftruncate(descriptor, end)
    return end


def last_line_end(descriptor: int, size: int) -> int:
    """Offset just behind the last newline of the first ``size`` bytes; 0 if there is none."""
    position = size
    while position > 0:
        start = max(0, position - _BLOCK_BYTES)
        newline = os.pread(descriptor, position - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        position = start
    return 0


def read_lines(path: Path) -> Iterator[bytes]:
    """Complete lines of a JSONL file; a torn last line is left out. A missing file has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    end = data.rfind(b"\n") + 1
    yield from (line for line in data[:end].split(b"\n") if line)
