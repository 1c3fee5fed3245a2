"""The append-only files of a run: events (one writer), commands (many writers), and atomic whole files.

``events.jsonl`` is written by the worker that holds the run's lock. Each record is one ``os.write`` of one line
``{"seq":N,"crc":C,"kind":...}``; C is the CRC-32, started from N, of the object without those two keys. A reader stops
at the last newline, so a torn line is held back; a bad checksum or an unknown kind is skipped and counted.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .commands import Command, CommandError
from .commands import decode as decode_command
from .events import Event, EventError, decode, encode
from .run_dir import RunDir

_PREFIX = re.compile(rb'^\{"seq":(\d+),"crc":(\d+),')
_READ_BYTES = 1 << 20


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that it is either complete or as before: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".tmp-{path.name}-{os.getpid()}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        write_all(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.rename(path)
    sync_folder(path.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """``os.write`` until everything is written; a short write on a full disk raises ``OSError`` on the next turn."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class AppendLog:
    """One writer of a JSONL file. A torn tail is cut when it opens; a short write is undone before it raises."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._end = _cut_torn_tail(self._descriptor)

    def append(self, line: bytes) -> None:
        """Write one record (without newline). Raises ``OSError`` with the file as it was before."""
        data = line + b"\n"
        try:
            written = os.write(self._descriptor, data)
            if written != len(data):
                raise OSError(28, f"disk full: {written} of {len(data)} bytes written", str(self.path))
        except OSError:
            os.ftruncate(self._descriptor, self._end)
            raise
        self._end += len(data)

    def sync(self) -> None:
        os.fsync(self._descriptor)

    def close(self) -> None:
        os.close(self._descriptor)


def _cut_torn_tail(descriptor: int) -> int:
    size = os.fstat(descriptor).st_size
    position = size
    while position > 0:
        start = max(0, position - _READ_BYTES)
        block = os.pread(descriptor, position - start, start)
        newline = block.rfind(b"\n")
        if newline >= 0:
            end = start + newline + 1
            break
        position = start
    else:
        end = 0
    if end != size:
        os.ftruncate(descriptor, end)
    return end


class EventLog:
    """The writer of ``events.jsonl``; threads of one worker may share it."""

    def __init__(self, run: RunDir) -> None:
        self._log = AppendLog(run.events)
        self._seq = last_seq(run.events)
        self._lock = threading.Lock()
        self.last_write = time.monotonic()

    def write(self, event: Event) -> None:
        """Stamp and append one event; fsynced only where ``sync`` is called."""
        stamped = msgspec.structs.replace(event, time=time.time())
        body = encode(stamped)[1:]
        with self._lock:
            seq = self._seq + 1
            self._log.append(b'{"seq":%d,"crc":%d,' % (seq, zlib.crc32(body, seq)) + body)
            self._seq = seq
            self.last_write = time.monotonic()

    def sync(self) -> None:
        with self._lock:
            self._log.sync()

    def close(self) -> None:
        with self._lock:
            self._log.close()


def last_seq(path: Path) -> int:
    """Sequence number of the last intact event, 0 for an empty or missing log."""
    reader = EventReader(path)
    while reader.read():
        continue
    return reader.last_seq


@dataclass
class EventReader:
    """Follows an event log from where it left off. Restarts when the file is replaced or shrinks."""

    path: Path
    offset: int = 0
    last_seq: int = 0
    damaged: int = 0
    """Lines with a bad checksum or without one."""
    unknown: int = 0
    """Intact lines of a kind this version does not know."""
    missing: int = 0
    """Sequence numbers that never appeared."""
    _inode: int = field(default=0, repr=False)

    def read(self, limit: int = _READ_BYTES) -> list[Event]:
        """New complete events, at most ``limit`` bytes of them (or one longer line); [] when there is nothing new."""
        try:
            with self.path.open("rb") as file:
                self._restart_if_replaced(os.fstat(file.fileno()))
                file.seek(self.offset)
                block = file.read(limit)
                while block and b"\n" not in block and (more := file.read(limit)):
                    block += more
        except FileNotFoundError:
            return []
        end = block.rfind(b"\n") + 1
        self.offset += end
        return [event for line in block[:end].split(b"\n")[:-1] if (event := self._parse(line)) is not None]

    def _restart_if_replaced(self, info: os.stat_result) -> None:
        if (self._inode and info.st_ino != self._inode) or info.st_size < self.offset:
            self.offset = self.last_seq = self.damaged = self.unknown = self.missing = 0
        self._inode = info.st_ino

    def _parse(self, line: bytes) -> Event | None:
        match = _PREFIX.match(line)
        if match is None:
            self.damaged += 1
            return None
        seq, crc, body = int(match[1]), int(match[2]), line[match.end() :]
        if zlib.crc32(body, seq & 0xFFFFFFFF) != crc:
            self.damaged += 1
            return None
        self.missing += max(0, seq - self.last_seq - 1)
        self.last_seq = max(self.last_seq, seq)
        try:
            return decode(b"{" + body)
        except EventError:
            self.unknown += 1
            return None


def send(run: RunDir, command: Command) -> None:
    """Ask the worker for something. Whole lines only: writers take turns under a lock."""
    with contextlib.closing(_Descriptor(run.commands, os.O_WRONLY | os.O_CREAT | os.O_APPEND)) as file:
        fcntl.flock(file.number, fcntl.LOCK_EX)
        write_all(file.number, encode(command) + b"\n")


@dataclass
class CommandReader:
    """Reads ``commands.jsonl`` from an offset. A line that is not a command is returned as its error."""

    path: Path
    offset: int = 0

    def read(self) -> list[Command | CommandError]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.offset)
                block = file.read(_READ_BYTES)
        except FileNotFoundError:
            return []
        end = block.rfind(b"\n") + 1
        if end == 0 and len(block) == _READ_BYTES:  # one endless line: pass over it
            end = len(block)
        self.offset += end
        return [_command(line) for line in block[:end].split(b"\n") if line.strip()]


def _command(line: bytes) -> Command | CommandError:
    try:
        return decode_command(line)
    except CommandError as error:
        return error


class _Descriptor:
    def __init__(self, path: Path, flags: int) -> None:
        self.number = os.open(path, flags, 0o600)

    def close(self) -> None:
        os.close(self.number)


def read_lines(path: Path) -> Iterator[bytes]:
    """Complete lines of a JSONL file; a torn last line is left out. A missing file has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return
    end = data.rfind(b"\n") + 1
    yield from (line for line in data[:end].split(b"\n") if line)
