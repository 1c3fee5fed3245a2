"""``ratings.jsonl``: what people say of a run's responses, 0 to 10, kept in the run directory.

Many writers, nobody owns the file: each rating is one ``os.write`` of one whole line ``{"crc":C,...}``, where C is the
CRC-32 of the object without that key, so ratings count with no worker alive. Of several ratings by one person for one
response the last one holds, and a last one without a score takes the others back.
"""

from __future__ import annotations

import errno
import fcntl
import getpass
import hashlib
import os
import re
import time
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from .errors import RunDirError
from .events import encode
from .files import read_lines
from .run_dir import RunDir
from .types import SCORE_HIGH, SCORE_LOW

if TYPE_CHECKING:
    from .judge.workbench.resampling import Figure

MAX_LINE_BYTES = 64 * 1024
_PREFIX = re.compile(rb'^\{"crc":(\d{1,10}),')


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said of one response."""

    rollout_id: str
    """As ``rating_id`` gives it."""
    score: float | None
    """0 to 10; None takes back what this person said before."""
    by: str
    note: str = ""
    text: str = ""
    """``fingerprint`` of the response that was rated: after a rollback its id may belong to another one."""
    time: float = msgspec.field(default_factory=time.time)


@dataclass(frozen=True)
class Ratings:
    """The folded content of the file."""

    standing: Mapping[tuple[str, str], Rating] = field(default_factory=dict)
    """By id of the response and by person, in the order in which they were given; those taken back are left out."""
    damaged: int = 0
    """Lines that could not be read; what they said is as if never written."""

    def newest(self, by: str | None = None) -> dict[str, Rating]:
        """One rating per response: the newest that stands, of this person where one is named."""
        return {id_: rating for (id_, who), rating in self.standing.items() if by in (None, who)}


def ratings_file(run: RunDir) -> Path:
    return run.path / "ratings.jsonl"


def rating_id(rollout_id: str, *, held_out: bool = False) -> str:
    """Id of a response within the ratings. A validation numbers its rollouts as the step of the same number does."""
    return f"validation:{rollout_id}" if held_out else rollout_id


def fingerprint(response: str) -> str:
    """12 hex digits of the response's sha256."""
    return hashlib.sha256(response.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def person() -> str:
    """The user of this process: one person, whichever terminal they sit at."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def rate(
    run: RunDir, rollout_id: str, score: float | None, by: str | None = None, note: str = "", *, text: str = ""
) -> Rating:
    """Append one rating, durable when this returns; None takes back. Raises ``RunDirError``, then nothing was written.

    ``ValueError`` for a score outside 0..10. ``text``: the ``fingerprint`` of the response.
    """
    if score is not None and not SCORE_LOW <= score <= SCORE_HIGH:  # NaN fails this too
        raise ValueError(f"a rating of {score} is outside {SCORE_LOW:g}..{SCORE_HIGH:g}")
    rating = Rating(rollout_id=rollout_id, score=score, by=person() if by is None else by, note=note, text=text)
    body = encode(rating)[1:]
    line = b'{"crc":%d,' % zlib.crc32(body) + body + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise RunDirError(f"rating of {len(line)} bytes; at most {MAX_LINE_BYTES} can be kept: shorten the note")
    path = ratings_file(run)
    try:
        _append(path, line)
    except OSError as error:
        raise RunDirError(f"cannot write to {path}: {error.strerror}; the rating is not kept") from error
    return rating


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


def load_ratings(run: RunDir) -> Ratings:
    """Everything that stands, and how many lines could not be read; nothing for a missing file. Raises ``OSError``."""
    standing: dict[tuple[str, str], Rating] = {}
    damaged = 0
    for raw in read_lines(ratings_file(run)):
        rating = _decode(raw)
        if rating is None:
            damaged += 1
            continue
        key = rating.rollout_id, rating.by
        standing.pop(key, None)  # the newest goes to the end
        if rating.score is not None:
            standing[key] = rating
    return Ratings(standing, damaged)


def read_ratings(run: RunDir, by: str | None = None) -> dict[str, Rating]:
    """The newest rating that stands of each response, by ``rating_id``; of one person where one is named."""
    return load_ratings(run).newest(by)


def agreement(rated: Iterable[tuple[float, float, str]]) -> Figure:
    """Spearman's rank correlation of (rating, judge's score, prompt id) with its 95 % interval over prompts."""
    from .judge.workbench.statistics import spearman

    rows = list(rated)
    return spearman([row[1] for row in rows], [row[0] for row in rows], [row[2] for row in rows])


_decoder: msgspec.json.Decoder[Rating] = msgspec.json.Decoder(Rating)


def _decode(raw: bytes) -> Rating | None:
    match = _PREFIX.match(raw)
    if match is None or zlib.crc32(raw[match.end() :]) != int(match[1]):
        return None
    try:
        rating = _decoder.decode(b"{" + raw[match.end() :])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
    return rating if rating.score is None or SCORE_LOW <= rating.score <= SCORE_HIGH else None
