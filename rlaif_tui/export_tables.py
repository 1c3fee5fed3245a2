"""Rows as CSV, JSON lines or Parquet, as the file's name ends. Written row by row, put in place once complete.

JSON lines and Parquet hold every text as it is. CSV is for spreadsheets, which take some texts for formulas and run
them: a text cell that begins like one gets a ``'`` in front. Numbers stay numbers.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from core.errors import RlaifError
from core.events import scrub

Row = Mapping[str, Any]
Format = Literal["csv", "jsonl", "parquet"]
Kind = Literal["whole", "number", "yes", "text", "messages", "json"]
FORMATS: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet"}
# What spreadsheets take for the beginning of a formula, in East Asian locales also the wide forms; a tab or a line end
# before it is dropped by some of them.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
ROW_GROUP = 1000
"""Rows of a Parquet file that are held in memory at once."""


class OutputError(RlaifError):
    """A file that was asked for cannot be written, or would replace another."""


@dataclass(frozen=True)
class Column:
    """A column. ``json``: a value of any shape, JSON text in CSV and Parquet; ``messages``: a list of role, content."""

    name: str
    kind: Kind = "text"


def format_of(path: Path, otherwise: Format | None = None) -> Format:
    """By the name's ending. Raises ``OutputError`` for an unknown one, unless there is something to fall back on."""
    known = FORMATS.get(path.suffix.lower(), otherwise)
    if known is None:
        raise OutputError(f"{path}: the name must end in .csv, .jsonl or .parquet")
    return known


def write_table(
    path: Path, columns: Sequence[Column], rows: Iterable[Row], *, force: bool, otherwise: Format | None = None
) -> int:
    """Write all rows; returns how many. Raises ``OutputError``; then nothing has changed."""
    fillers = {"csv": _fill_csv, "jsonl": _fill_jsonl, "parquet": _fill_parquet}
    fill = fillers[format_of(path, otherwise)]
    count = 0

    def counted() -> Iterator[Row]:
        nonlocal count
        for row in rows:
            count += 1
            yield row

    put_in_place(path, lambda temporary: fill(temporary, columns, counted()), force)
    return count


def put_in_place(path: Path, fill: Callable[[Path], object], force: bool) -> None:
    """Fill a file beside ``path`` and put it in place once complete; nothing is replaced without ``force``."""
    path = path.expanduser()
    require_free(path, force)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        try:
            fill(temporary)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror or error}") from error


def require_free(path: Path, force: bool) -> None:
    """Raises ``OutputError`` unless a file may be put there."""
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    if path.exists() and not force:
        raise OutputError(f"{path} exists already; give another name, or --force to replace it")


def spreadsheet_safe(cell: Any) -> Any:
    """A text cell that a spreadsheet would take for a formula gets a ``'`` in front; numbers stay numbers."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


def _fill_csv(path: Path, columns: Sequence[Column], rows: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        plain = csv.writer(file, lineterminator="\n")
        # Without quotes a reader would end the row at a lone carriage return, and the plain writer sets none for it.
        careful = csv.writer(file, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC)
        plain.writerow([spreadsheet_safe(column.name) for column in columns])
        for row in rows:
            cells = [spreadsheet_safe(_flat(row[column.name], column)) for column in columns]
            returns = any(isinstance(cell, str) and "\r" in cell for cell in cells)
            (careful if returns else plain).writerow(cells)


def _fill_jsonl(path: Path, columns: Sequence[Column], rows: Iterator[Row]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps({column.name: row[column.name] for column in columns}) + "\n")


def _fill_parquet(path: Path, columns: Sequence[Column], rows: Iterator[Row]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    types = {
        "whole": pa.int64(), "number": pa.float64(), "yes": pa.bool_(), "text": pa.string(), "json": pa.string(),
        "messages": pa.list_(message),
    }  # fmt: skip
    schema = pa.schema([(column.name, types[column.kind]) for column in columns])
    # A file of our own: pyarrow's errors of opening one have no plain reason.
    with path.open("wb") as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(rows, ROW_GROUP)):
            values = {column.name: [_native(row[column.name], column) for row in group] for column in columns}
            writer.write_table(pa.table(values, schema=schema))


def _flat(value: Any, column: Column) -> Any:
    """What a cell of a spreadsheet can hold."""
    if value is not None and column.kind in ("json", "messages"):
        return json.dumps(value)
    return scrub(value) if isinstance(value, str) else value


def _native(value: Any, column: Column) -> Any:
    match column.kind:
        case "messages":
            return [{key: scrub(str(text)) for key, text in message.items()} for message in value or ()]
        case "number":
            return None if value is None else float(value)
        case _:
            return _flat(value, column)
