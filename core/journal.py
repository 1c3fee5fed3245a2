"""The two logs of a run: events (one writer, the worker) and commands (many writers).

``events.jsonl`` is written by the worker that holds the run's lock. Each record is one ``os.write`` of one line
``{"seq":N,"crc":C,"kind":...}``; C is the CRC-32, started from N, of the object without those two keys. A reader stops
at the last newline, so a torn line is held back; a bad checksum or an unknown kind is skipped and counted.
"""

from __future__ import annotations

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

from .commands import MAX_LINE_BYTES, Command, CommandError
from .commands import decode as decode_command
from .errors import RunDirError
from .events import Event, EventError, decode, encode
from .files import AppendLog, last_line_end, read_lines, sync_folder, write_all, write_atomic
from .run_dir import RunDir

__all__ = [
    "AppendLog",
    "CommandReader",
    "EventLog",
    "EventReader",
    "Received",
    "last_seq",
    "read_events",
    "read_lines",
    "send",
    "sync_folder",
    "write_all",
    "write_atomic",
]

# Digits are bounded: int() refuses thousands of them with an error of its own.
_PREFIX = re.compile(rb'^\{"seq":(\d{1,18}),"crc":(\d{1,10}),')
_READ_BYTES = 1 << 20


class EventLog:
    """The writer of ``events.jsonl``; threads of one worker may share it."""

    def __init__(self, run: RunDir, seq: int | None = None) -> None:
        """Open for appending behind event ``seq``, which is looked up if it is not given."""
        self._log = AppendLog(run.events)
        self._seq = last_seq(run.events) if seq is None else seq
        self._lock = threading.Lock()
        self.last_write = time.monotonic()

    @property
    def seq(self) -> int:
        """Sequence number of the last event written."""
        return self._seq

    def write(self, event: Event) -> None:
        """Stamp and append one event; fsynced only where ``sync`` is called. Raises ``OSError``, nothing written."""
        stamped = msgspec.structs.replace(event, time=time.time())
        body = encode(stamped)[1:]
        with self._lock:
            seq = self._seq + 1
            self._log.append(b'{"seq":%d,"crc":%d,' % (seq, zlib.crc32(body, seq & 0xFFFFFFFF)) + body)
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
    for _ in reader.scan():
        continue
    return reader.last_seq


def read_events(path: Path) -> Iterator[Event]:
    """Every intact event of a log from its beginning, torn tail left out."""
    return EventReader(path).scan()


@dataclass
class EventReader:
    """Follows an event log from where it left off. Starts over when the file is replaced or shrinks."""

    path: Path
    offset: int = 0
    last_seq: int = 0
    damaged: int = 0
    """Lines with a bad checksum or without one."""
    unknown: int = 0
    """Intact lines of a kind this version does not know."""
    missing: int = 0
    """Sequence numbers that never appeared."""
    restarts: int = 0
    """Times the reader had to start over from the beginning."""
    _inode: int = field(default=0, repr=False)

    @classmethod
    def at_end(cls, path: Path) -> EventReader:
        """A reader of what is written from now on."""
        reader = cls(path)
        try:
            with path.open("rb") as file:
                info = os.fstat(file.fileno())
                reader.offset, reader._inode = last_line_end(file.fileno(), info.st_size), info.st_ino
        except FileNotFoundError:
            pass
        return reader

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

    def scan(self) -> Iterator[Event]:
        """All complete events from here to the end, however many of the lines between are damaged."""
        before = -1
        while self.offset != before:
            before = self.offset
            yield from self.read()

    def _restart_if_replaced(self, info: os.stat_result) -> None:
        if (self._inode and info.st_ino != self._inode) or info.st_size < self.offset:
            self.offset = self.last_seq = self.damaged = self.unknown = self.missing = 0
            self.restarts += 1
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
    """Ask the worker for something. Whole lines only: writers take turns under a lock.

    Raises ``RunDirError`` if the command could not be written; then nothing of it was.
    """
    line = encode(command) + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise RunDirError(f"command of {len(line)} bytes; at most {MAX_LINE_BYTES} can be sent")
    try:
        descriptor = os.open(run.commands, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            _append_whole(descriptor, line)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise RunDirError(f"cannot write to {run.commands}: {error.strerror}") from error


def _append_whole(descriptor: int, line: bytes) -> None:
    size = os.fstat(descriptor).st_size
    if size and os.pread(descriptor, 1, size - 1) != b"\n":  # another sender died in the middle of its line
        line = b"\n" + line
    try:
        write_all(descriptor, line)
    except OSError:
        os.ftruncate(descriptor, size)
        raise


@dataclass(frozen=True)
class Received:
    """One line of the command file."""

    start: int
    """Offset of its first byte."""
    end: int
    """Offset of the byte behind its newline."""
    command: Command | CommandError
    """What was asked, or why the line is no command."""


@dataclass
class CommandReader:
    """Reads ``commands.jsonl`` from an offset; from the beginning if the file became shorter than that."""

    path: Path
    offset: int = 0

    def read(self) -> list[Received]:
        """New complete lines, at most 1 MiB of them."""
        try:
            with self.path.open("rb") as file:
                if os.fstat(file.fileno()).st_size < self.offset:
                    self.offset = 0
                file.seek(self.offset)
                block = file.read(_READ_BYTES)
        except FileNotFoundError:
            return []
        end = block.rfind(b"\n") + 1
        if end == 0 and len(block) == _READ_BYTES:  # one endless line: pass over it
            end = len(block)
        received, start = [], self.offset
        for line in block[:end].split(b"\n"):
            if line.strip():
                received.append(Received(start, start + len(line) + 1, _command(line)))
            start += len(line) + 1
        self.offset += end
        return received


def _command(line: bytes) -> Command | CommandError:
    try:
        return decode_command(line)
    except CommandError as error:
        return error
