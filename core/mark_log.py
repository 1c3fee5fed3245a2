"""Lines that people append to one file, whoever they are and whether or not a worker is alive: ratings, votes.

Many writers, nobody owns the file: each mark is one ``os.write`` of one whole line ``{"crc":C,...}``, where C is the
CRC-32 of the object without that key. What was torn or damaged is passed over and counted, and costs no other line.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import os
import re
import zlib
from pathlib import Path
from typing import TypeVar

import msgspec

from .errors import RunDirError
from .events import encode
from .files import read_lines

MAX_LINE_BYTES = 64 * 1024
_PREFIX = re.compile(rb'^\{"crc":(\d{1,10}),')
Mark = TypeVar("Mark", bound=msgspec.Struct)


def person() -> str:
    """The user of this process: one person, whichever terminal they sit at."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def append(path: Path, mark: msgspec.Struct, what: str) -> None:
    """Append one mark, durable when this returns. Raises ``RunDirError``, then nothing was written.

    ``what``: the thing that is kept, for the message, such as ``rating``.
    """
    body = encode(mark)[1:]
    line = b'{"crc":%d,' % zlib.crc32(body) + body + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise RunDirError(f"{what} of {len(line)} bytes; at most {MAX_LINE_BYTES} can be kept: shorten the note")
    try:
        _append(path, line)
    except OSError as error:
        raise RunDirError(f"cannot write to {path}: {error.strerror}; the {what} is not kept") from error


def _append(path: Path, line: bytes) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":  # another writer died in the middle of its line
            line = b"\n" + line
        try:
            if os.write(descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def read(path: Path, kind: type[Mark]) -> list[Mark | None]:
    """Every whole line in order, None for one that cannot be read; nothing for a missing file. Raises ``OSError``."""
    decoder = msgspec.json.Decoder(kind)
    return [_decode(raw, decoder) for raw in read_lines(path)]


def _decode(raw: bytes, decoder: msgspec.json.Decoder[Mark]) -> Mark | None:
    match = _PREFIX.match(raw)
    if match is None or zlib.crc32(raw[match.end() :]) != int(match[1]):
        return None
    try:
        return decoder.decode(b"{" + raw[match.end() :])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
