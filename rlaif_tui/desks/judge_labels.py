"""Marks that a person gave blind: a CSV of the user, the same that ``rlaif-tui judge calibrate --labels`` reads.

Marks of a run's responses go to the run's ratings as well, so that the Samples screen and this one agree.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DataError
from core.files import write_atomic
from core.run_dir import RunDir

if TYPE_CHECKING:
    from core.judge.workbench.items import Item
    from core.judge.workbench.labels import Labelled

Key = tuple[str, str]
"""Task and response."""
COLUMNS = ("label", "prompt", "response")
_MAX_CELL = 16 * 1024 * 1024


def read_marks(path: Path) -> dict[Key, float]:
    """Mark by task and response; nothing for a missing file. Raises ``DataError`` for one that is not ours."""
    try:
        text = path.read_bytes().decode("utf-8", "surrogatepass")
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; move it away to begin anew") from error
    csv.field_size_limit(_MAX_CELL)
    marks: dict[Key, float] = {}
    for number, row in enumerate(csv.reader(io.StringIO(text, newline=""))):
        if number == 0 and tuple(row[:3]) == COLUMNS:
            continue
        try:
            label, prompt, response = row[:3]
            mark = float(label)
        except ValueError:
            raise DataError(f"{path}, row {number}: is no mark with prompt and response; repair the file") from None
        if not 0 <= mark <= 10:
            raise DataError(f"{path}, row {number}: the label {mark:g} is outside 0 to 10; repair the file")
        marks[prompt, response] = mark
    return marks


def keep_mark(path: Path, key: Key, mark: float | None) -> dict[Key, float]:
    """Note a mark, or take it back with None; gives all there are. Raises ``DataError``, ``OSError``."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two terminals may rate at once
        marks = read_marks(path)
        marks.pop(key, None)
        if mark is not None:
            marks[key] = mark
        _write(path, marks)
    finally:
        os.close(lock)
    return marks


def _write(path: Path, marks: Mapping[Key, float]) -> None:
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((f"{mark:g}", prompt, response) for (prompt, response), mark in marks.items())
    write_atomic(path, out.getvalue().encode("utf-8", "surrogatepass"))


def key_of(item: Item) -> Key:
    return item.request.task, item.request.response


def is_held(item: Item) -> bool:
    """Whether a response is of the third that is kept for measuring: never shown to the judge as an exemplar.

    A prompt's hash decides, so that it is the same third in every set and session, and no prompt is on both sides.
    """
    return hashlib.sha256(item.request.task.encode("utf-8", "surrogatepass")).digest()[0] % 3 == 0


def rate_in_run(run: RunDir, item: Item, mark: float | None) -> None:
    """Keep the mark of a run's response with the run. Raises ``RunDirError``."""
    from core.ratings import fingerprint, rate

    rate(run, item.id, mark, text=fingerprint(item.request.response))


def marks_in_run(run: RunDir, items: tuple[Item, ...]) -> dict[Key, float]:
    """What this person rated of these responses of a run. Raises ``OSError``."""
    from core.ratings import fingerprint, person, read_ratings

    given = read_ratings(run, person())
    found: dict[Key, float] = {}
    for item in items:
        rating = given.get(item.id)
        if rating and rating.score is not None and rating.text in ("", fingerprint(item.request.response)):
            found[key_of(item)] = rating.score
    return found


def labelled(marks: Mapping[Key, float], items: tuple[Item, ...]) -> tuple[Labelled, ...]:
    """The marks of these responses, each once, as calibration takes them."""
    from core.judge.workbench.labels import Labelled, unique_items

    return tuple(Labelled(item, marks[key_of(item)]) for item in unique_items(items) if key_of(item) in marks)
