"""When to ask a person for a few fresh blind ratings, which replies to ask about, and who does not want to be asked.

Every so many steps there is a mark. From it on a handful of replies to its prompts are asked for, until this person has
rated so many or says "not now", which is kept in the run's ``spot-checks.jsonl`` and holds until the next mark.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from . import mark_log
from .agreement import step_of
from .ratings import load_ratings, ratings_file
from .run_dir import RunDir

HANDFUL = 4
_T = TypeVar("_T")


class NotNow(msgspec.Struct, frozen=True, kw_only=True):
    """This person does not want to be asked again at this mark."""

    step: int
    by: str
    time: float = msgspec.field(default_factory=time.time)


@dataclass(frozen=True)
class Asked:
    """What is asked for: ``left`` more ratings of replies of step ``step``."""

    step: int
    left: int

    @property
    def words(self) -> str:
        return "1 fresh reply to rate" if self.left == 1 else f"{self.left} fresh replies to rate"


def file_of(run: RunDir) -> Path:
    return run.path / "spot-checks.jsonl"


def mark_at(step: int, every: int) -> int:
    """The newest mark at a step; 0 for none."""
    return step - step % every if every > 0 else 0


def asked(step: int, every: int, rated: Sequence[int], refused: int) -> Asked | None:
    """What to ask for after so many steps.

    ``rated``: the steps whose replies this person has rated. ``refused``: the newest mark that was not wanted.
    """
    mark = mark_at(step, every)
    left = HANDFUL - sum(of >= mark for of in rated)
    return Asked(mark, left) if mark > 0 and left > 0 and refused < mark else None


def not_now(run: RunDir, step: int, by: str) -> None:
    """Keep that this person will not rate at this mark. Raises ``RunDirError``, then nothing was written."""
    mark_log.append(file_of(run), NotNow(step=step, by=by), "answer")


def chosen(scored: Sequence[tuple[float, str, _T]], count: int) -> list[_T]:
    """So many of (score, name, thing), one from each part of the range of scores, by a coin that the name decides.

    Few replies can tell something of a rank correlation only if their scores differ.
    """
    order = sorted(scored, key=lambda each: (each[0], each[1]))
    count = min(count, len(order))
    picks = []
    for part in range(count):
        stratum = order[part * len(order) // count : (part + 1) * len(order) // count]
        picks.append(min(stratum, key=lambda each: hashlib.sha256(each[1].encode("utf-8", "replace")).digest())[2])
    return picks


class SpotChecks:
    """Follows one run for one person; cheap while nothing changes."""

    def __init__(self, run: RunDir, by: str) -> None:
        self._run, self._by = run, by
        self._stamps: tuple[object, ...] = ()
        self._rated: tuple[int, ...] = ()
        self._refused = 0

    def look(self, step: int, every: int) -> Asked | None:
        """What is asked for after so many steps; blocking."""
        stamps = tuple(_stamp(path) for path in (ratings_file(self._run), file_of(self._run)))
        if stamps != self._stamps:
            try:
                mine = load_ratings(self._run).newest(self._by).values()
                marks = [mark for mark in mark_log.read(file_of(self._run), NotNow) if mark and mark.by == self._by]
            except OSError:  # it is tried again at the next look
                return None
            steps = (step_of(rating) for rating in mine)
            self._rated = tuple(of for of in steps if of is not None)
            self._refused = max((mark.step for mark in marks), default=0)
            self._stamps = stamps
        return asked(step, every, self._rated, self._refused)


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns
