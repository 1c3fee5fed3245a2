"""A data file to a table of cells, each row with the number a person finds it by. The file is only ever read.

CSV, TSV, JSON, JSONL and Parquet, from a disk or from the Hub (``hf://datasets/owner/name/file``). The table is a
pandas frame of plain Python objects: cells are never converted, so ``NA``, ``007`` and ``1.0`` stay what was written.
"""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .errors import DataError
from .prompt_csv import Problem, parse_delimited
from .prompt_json import parse_json
from .prompt_text import decode

if TYPE_CHECKING:
    import pandas as pd

HUB = "hf://"
_DELIMITED = {".csv", ".tsv", ".tab"}
_SURROGATE = re.compile("[\ud800-\udfff]")
_LINES = {".jsonl", ".ndjson"}
_KINDS = "CSV, TSV, JSON, JSONL or Parquet"


@dataclass(frozen=True)
class Table:
    """What a file holds, before any column has a meaning."""

    name: str
    """The path as the user gave it; starts every message."""
    frame: pd.DataFrame
    """Cells as Python objects (None: absent); the index is the row number in the file."""
    skipped: tuple[int, ...]
    """Numbers of the rows that could not be read; each has a problem."""
    encoding: str
    """Python's name of the text encoding; ``parquet`` for Parquet."""
    delimiter: str | None
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    fingerprint: str
    """sha256 of the file's bytes."""

    def head(self, count: int) -> Table:
        """The first ``count`` readable rows, with the problems up to the last of them."""
        if count >= len(self.frame):
            return self
        frame = self.frame.iloc[:count]
        last = int(frame.index[-1])
        problems = tuple(problem for problem in self.problems if problem.row <= last)
        note = f"Only the first {count:,} rows are used."
        skipped = tuple(row for row in self.skipped if row <= last)
        return dataclasses.replace(self, frame=frame, skipped=skipped, problems=problems, notes=(*self.notes, note))


def read_table(path: str) -> Table:
    """Read ``path``, a local file or ``hf://datasets/owner/name/file``.

    A row that cannot be read becomes a problem. Raises ``DataError``, one sentence with file, line and cure, where the
    file as a whole cannot be read: missing, a folder, empty, binary, an unclosed quote, damaged.
    """
    data = _hub_bytes(path) if path.startswith(HUB) else _local_bytes(path)
    suffix = _suffix(path)
    fingerprint = hashlib.sha256(data).hexdigest()
    if suffix == ".parquet":
        columns, numbers = _parquet(data, path)
        return _table(path, columns, numbers, fingerprint, encoding="parquet")
    decoded = decode(data, path)
    if not decoded.text.strip():
        raise DataError(f"{path} holds only blank lines; export the data again")
    encoding, notes = decoded.encoding, [decoded.note] if decoded.note else []
    if suffix not in _DELIMITED:
        columns, numbers, problems = parse_json(decoded.text, suffix, path)
        return _table(
            path,
            columns,
            numbers,
            fingerprint,
            encoding=encoding,
            notes=notes,
            problems=problems,
            skipped=[p.row for p in problems],
        )
    records = parse_delimited(decoded.text, suffix, path)
    cells = zip(*records.rows, strict=True) if records.rows else ((),) * len(records.columns)
    columns = {name: list(column) for name, column in zip(records.columns, cells, strict=True)}
    notes += records.notes
    table = _table(path, columns, records.lines, fingerprint, encoding=encoding, notes=notes, problems=records.problems)
    return dataclasses.replace(table, skipped=tuple(records.skipped), delimiter=records.delimiter)


def _table(
    name: str,
    columns: dict[str, list[Any]],
    numbers: list[int],
    fingerprint: str,
    *,
    encoding: str,
    notes: Sequence[str] = (),
    problems: Sequence[Problem] = (),
    skipped: Sequence[int] = (),
) -> Table:
    import pandas as pd

    # A name is shown to people, so it must be printable: half characters become the replacement mark.
    columns = {_SURROGATE.sub("\ufffd", key): cells for key, cells in columns.items()}
    index = pd.Index(numbers, name="row", dtype="int64")
    frame = pd.DataFrame(columns, index=index, columns=pd.Index(list(columns), dtype=object), dtype=object)
    return Table(name, frame, tuple(skipped), encoding, None, tuple(problems), tuple(notes), fingerprint)


def _local_bytes(path: str) -> bytes:
    try:
        file = Path(path).expanduser()
        if file.is_dir():
            raise DataError(f"{path} is a folder; give the path of a file in it ({_KINDS})")
        if not file.exists():
            raise DataError(f"{path} does not exist{_sibling(file)}")
        if not file.is_file():
            raise DataError(f"{path} is not an ordinary file; give the path of a {_KINDS} file")
        _suffix(path)
        return file.read_bytes()
    except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: ~name of nobody
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DataError(f"{path} cannot be read: {reason}; check the path and its permissions") from error


def _suffix(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in _DELIMITED | _LINES | {".json", ".parquet"}:
        raise DataError(f"{path}: the ending {suffix or '(none)'!r} says no known kind of file; use {_KINDS}")
    return suffix


def _sibling(file: Path) -> str:
    try:
        names = [entry.name for entry in file.parent.iterdir() if entry.is_file()]
    except OSError:
        return "; check the path"
    near = difflib.get_close_matches(file.name, names, n=1)
    return f"; did you mean {near[0]!r}, which is there?" if near else "; check the path"


def _hub_bytes(path: str) -> bytes:
    parts = path.removeprefix(HUB).split("/")
    if parts[0] != "datasets" or len(parts) < 4 or not all(parts):
        raise DataError(f"{path}: a Hub file is written hf://datasets/owner/name/file.parquet")
    _suffix(path)
    from huggingface_hub import HfFileSystem
    from huggingface_hub import errors as hub

    try:
        data: bytes = HfFileSystem().cat_file(path)
    except hub.OfflineModeIsEnabled as error:
        raise DataError(f"{path}: HF_HUB_OFFLINE is set; unset it, or download the file and give its path") from error
    except (hub.GatedRepoError, PermissionError) as error:
        raise DataError(f"{path}: access is refused; accept the data set's terms and log in with a token") from error
    except (hub.RepositoryNotFoundError, hub.RevisionNotFoundError, FileNotFoundError) as error:
        raise DataError(f"{path} is not on the Hub, or is private; check owner, name and file") from error
    except Exception as error:
        # The transport's own exceptions share no base class with OSError and differ by version.
        reason = str(error).split("\n", 1)[0]
        raise DataError(f"{path}: the Hub cannot be reached ({reason}); download the file and give its path") from error
    return data


def _parquet(data: bytes, name: str) -> tuple[dict[str, list[Any]], list[int]]:
    """pandas' own reader turns whole numbers with gaps into floats, so Arrow's Python objects are taken as they are."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(io.BytesIO(data))
        columns: dict[str, list[Any]] = {}
        for position, column in enumerate(table.column_names, start=1):
            key = column if column not in columns else f"{column} ({position})"
            columns[key] = table.column(position - 1).to_pylist()
    except (pa.ArrowException, OSError, ValueError, OverflowError) as error:
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise DataError(f"{name} is no readable Parquet file ({reason}); export it again") from error
    if table.num_rows == 0 or not columns:
        raise DataError(f"{name} has no rows; nothing to train on")
    return columns, list(range(1, table.num_rows + 1))
