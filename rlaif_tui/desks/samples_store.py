"""All rows of a run, read a little at a time, newest step first; new steps are taken up while the run goes on."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Literal

from core.ratings import Rating, Ratings, load_ratings, person, ratings_file
from core.run_dir import RunDir
from core.spot_checks import Asked, chosen

from ..pins import Pin, load, pins_file
from .samples_filter import Filter, Marks
from .samples_rows import FILE, FileRows, Row, Stamp, first_words, read_file

Order = Literal["step", "score", "reward", "length", "kl"]
ORDERS: tuple[Order, ...] = ("step", "score", "reward", "length", "kl")
_VALUES: dict[Order, tuple[Callable[[Row], float | None], bool]] = {
    "score": (lambda row: row.score, False),
    "reward": (lambda row: row.reward, False),
    "length": (lambda row: None if row.problem else row.tokens, True),
    "kl": (lambda row: row.kl, True),
}


@dataclass(frozen=True)
class Query:
    """Which rows are wanted, and in which order."""

    filter: Filter = field(default_factory=Filter)
    order: Order = "step"
    turned: bool = False
    """The other way round than usual."""
    flagged: bool = False
    prompt_id: str = ""
    """Only responses to this prompt and all of them, whatever else is asked; oldest first."""

    @property
    def narrowed(self) -> bool:
        return bool(self.filter.written or self.flagged or self.prompt_id)


@dataclass(frozen=True)
class News:
    """What is known of the run's responses as a whole. ``version`` changes with anything that a list could show."""

    version: int = 0
    total: int = 0
    """Responses read so far."""
    files: int = 0
    left: int = 0
    """Files that are still to be read."""
    rated: int = 0
    damaged_ratings: int = 0
    ratings_version: int = 0
    """Changes with any rating of anybody."""
    problem: str = ""
    """Why the folder cannot be read."""


@dataclass(frozen=True)
class Listing:
    """The rows that were asked for."""

    rows: tuple[Row, ...] = ()
    total: int = 0
    query: Query = field(default_factory=Query)
    version: int = 0


class Store:
    """Not for several threads at once. Reads ``rollouts/`` and ``ratings.jsonl`` of one run."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.me = person()
        self.ratings = Ratings()
        self._pins: frozenset[str] = frozenset()
        """Of each pinned prompt its id, or its first words if it has none."""
        self._pins_stamp: Stamp | None = None
        self._folder = run.rollouts(0).parent
        self._files: dict[str, FileRows] = {}
        self._rated: dict[str, Rating] = {}
        self._rated_stamp: tuple[int, int, int] | None = None
        self._version = self._ratings_version = self._total = 0
        self._asked: tuple[object, ...] = ()
        self._found: dict[str, tuple[Row, ...]] = {}
        """What was asked last matches in each file, so that a new step costs no second search of the others."""

    def read(self, enough: Callable[[], bool]) -> News:
        """Look for what is new until that is enough; at least one file is read if one is new."""
        try:
            found = self._find()
        except OSError as error:
            return self._news(0, f"{self._folder} cannot be read: {error.strerror or error}")
        for name in list(self._files.keys() - found.keys()):  # set aside by a rollback
            self._put(name, None)
        new = [name for name, stamp in found.items() if name not in self._files or self._files[name].stamp != stamp]
        new.sort(key=_newest_first)
        done = 0
        for name in new:
            self._put(name, read_file(self._folder / name, found[name]))
            done += 1
            if enough():
                break
        self._read_ratings()
        self._read_pins()
        return self._news(len(new) - done, "")

    def _news(self, left: int, problem: str) -> News:
        return News(
            version=self._version,
            total=self._total,
            files=len(self._files),
            left=left,
            rated=len(self._rated),
            damaged_ratings=self.ratings.damaged,
            ratings_version=self._ratings_version,
            problem=problem,
        )

    def _find(self) -> dict[str, Stamp]:
        found = {}
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if FILE.match(entry.name):
                        try:
                            info = entry.stat()
                        except FileNotFoundError:  # set aside since it was listed
                            continue
                        found[entry.name] = Stamp(info.st_ino, info.st_size, info.st_mtime_ns)
        except FileNotFoundError:
            return {}
        return found

    def _put(self, name: str, rows: FileRows | None) -> None:
        old = self._files.pop(name, None)
        self._found.pop(name, None)
        self._total -= _responses(old)
        self._total += _responses(rows)
        if rows is not None:
            self._files[name] = rows
        self._version += 1

    def _read_ratings(self) -> None:
        try:
            info = ratings_file(self.run).stat()
        except OSError:
            stamp = None
        else:
            stamp = info.st_ino, info.st_size, info.st_mtime_ns
        if stamp != self._rated_stamp:
            try:
                self.ratings = load_ratings(self.run)
            except OSError:  # it is tried again at the next look
                return
            self._rated_stamp = stamp
            self._rated = self.ratings.newest(self.me)
            self._ratings_version += 1
            self._version += 1

    def _read_pins(self) -> None:
        path = pins_file(self.run)
        try:
            info = path.stat()
        except OSError:
            stamp = None
        else:
            stamp = Stamp(info.st_ino, info.st_size, info.st_mtime_ns)
        if stamp != self._pins_stamp:
            self._pins_stamp = stamp
            self._pins = frozenset(_pin_key(pin) for pin in load(self.run))
            self._version += 1

    def pinned(self, row: Row) -> bool:
        """Whether the row's prompt is pinned."""
        return bool(self._pins) and (row.prompt_id in self._pins or f"text:{row.prompt}" in self._pins)

    def mine(self, row: Row) -> Rating | None:
        """What this person gave this very response."""
        rating = self._rated.get(row.key)
        return rating if rating is not None and rating.text in ("", row.text) else None

    def listing(self, query: Query) -> Listing:
        """The rows that the query asks for, sorted; rows without the value in question come last."""
        return Listing(tuple(_sorted(list(self._matching(query)), query)), self._total, query, self._version)

    def _matching(self, query: Query) -> Iterator[Row]:
        asked = (query.filter, query.flagged, query.prompt_id, self._pins, self.ratings)
        if asked != self._asked:
            self._asked, self._found = asked, {}
        for name in sorted(self._files, key=_newest_first):
            file = self._files[name]
            known = self._found.get(name)
            if known is None:
                known = self._found[name] = tuple(self._matching_in(file, query))
            yield from known

    def _matching_in(self, file: FileRows, query: Query) -> Iterator[Row]:
        unpacked: list[str] = []

        def text(at: int) -> str:
            if not unpacked:
                unpacked.extend(file.texts() or [""] * len(file.rows))
            return unpacked[at]

        for at, row in enumerate(file.rows):
            if query.prompt_id:
                if row.prompt_id == query.prompt_id:
                    yield row
                continue
            if query.flagged and not row.flags:
                continue
            rated = self.mine(row) if self._rated else None
            marks = Marks(rated.score if rated else None, self.pinned(row))
            if query.filter.holds(row, marks, partial(text, at)):
                yield row

    def fresh(self, asked: Asked) -> list[Row]:
        """As many replies of a step as are asked for, of all kinds of scores, none of which this person has rated."""
        files = (file for file in self._files.values() if file.step == asked.step and not file.held_out)
        rows = (row for file in files for row in file.rows if not row.problem and self.mine(row) is None)
        return chosen([(row.score, row.key, row) for row in rows if row.score is not None], asked.left)

    def pairs(self) -> list[tuple[float, float, str]]:
        """(rating, judge's score, prompt id) of every response that has both, those of other screens among them."""
        rows = (row for file in self._files.values() for row in file.rows if row.key in self._rated)
        both = ((self.mine(row), row) for row in rows)
        here = [
            (rating.score, row.score, row.prompt_id)
            for rating, row in both
            if rating is not None and rating.score is not None and row.score is not None
        ]
        elsewhere = (rating for rating in self._rated.values() if rating.step is not None)
        return here + [
            (rating.score, rating.judge, rating.prompt_id)
            for rating in elsewhere
            if rating.score is not None and rating.judge is not None
        ]


def _pin_key(pin: Pin) -> str:
    return pin.prompt_id or f"text:{first_words(pin.text)}"


def _responses(file: FileRows | None) -> int:
    return sum(not row.problem for row in file.rows) if file else 0


def _newest_first(name: str) -> tuple[int, str]:
    match = FILE.match(name)
    return (-int(match[2]) if match else 0), name


def _oldest_first(row: Row) -> tuple[int, bool, int]:
    return row.step, row.held_out, row.number


def _sorted(rows: list[Row], query: Query) -> list[Row]:
    if query.prompt_id:
        return sorted(rows, key=_oldest_first)
    if query.order == "step":
        return sorted(rows, key=_oldest_first) if query.turned else rows
    value_of, downwards = _VALUES[query.order]
    sign = -1.0 if downwards != query.turned else 1.0

    def key(row: Row) -> float:
        value = value_of(row)
        return math.inf if value is None or math.isnan(value) else sign * value

    return sorted(rows, key=key)
