"""Delimited text to records, with the line each one starts on and a sentence for each one that is not right.

Neither ``csv`` nor ``pandas.read_csv`` is used: both accept an unclosed quote or a short row in silence, and neither
can say on which line a quote was opened. The grammar is RFC 4180's, plus spaces around quoted cells.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from .errors import DataError

MAX_COLUMNS = 10_000
_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}
_QUOTED = re.compile(r'"([^"]*+(?:""[^"]*+)*+)("?)')
_PADDED = re.compile(r'[ ]+"([^"\n]*+(?:""[^"\n]*+)*+)"')


@dataclass(frozen=True)
class Problem:
    """One row that was left out, or one thing about a row that a person should know."""

    row: int
    """1-based: the line of a text file on which the row starts, or the record of a JSON or Parquet file."""
    what: str


@dataclass(frozen=True)
class Records:
    """Rows of a delimited file, all as wide as ``columns``."""

    columns: tuple[str, ...]
    rows: list[list[str]]
    lines: list[int]
    """The line on which each row starts."""
    delimiter: str
    skipped: list[int]
    """Lines of the rows left out; each has a problem."""
    problems: list[Problem]
    notes: list[str]


class _Record(NamedTuple):
    line: int
    cells: list[str]
    last_line: int
    fault: str = ""


def parse_delimited(text: str, extension: str, name: str) -> Records:
    """Parse CSV or TSV ``text`` whose first record is the header. Line ends in cells become ``\\n``.

    Ragged rows and rows with text behind a closing quote become problems. Raises ``DataError`` for a quote that is
    never closed or swallows rows, with the line it was opened on, and for a file without header or rows.
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    declared = re.match(r"sep=([,;\t|:^~])\n", text, re.IGNORECASE)  # Excel's own hint
    delimiter = declared[1] if declared else _sniff(text, "\t" if extension in {".tsv", ".tab"} else ",", name)
    records = _records(text, delimiter, name)
    if declared:
        next(records)
    header = next(records, None)
    if header is None:
        raise DataError(f"{name} is empty; its first line must name the columns")
    if header.fault:
        raise DataError(f"{name}, line {header.line}: the header {header.fault}")
    problems: list[Problem] = []
    columns = _column_names(header, problems, name)
    of_header = len(problems)
    rows, lines = _keep_regular(records, delimiter, columns, problems, name)
    skipped = [problem.row for problem in problems[of_header:]]
    notes = [] if delimiter in {",", "\t"} else [f"Cells are separated by {_plural(delimiter)}."]
    if not rows and not skipped:
        raise DataError(f"{name} has a header and no rows; nothing to train on")
    return _without_empty_unnamed(Records(columns, rows, lines, delimiter, skipped, problems, notes), header)


def _plural(delimiter: str) -> str:
    return _NAMES.get(delimiter, repr(delimiter))


def _sniff(text: str, usual: str, name: str) -> str:
    """The usual delimiter if the header has it, else another one that splits header and first row alike."""
    header_line = re.sub('"[^"]*"', "", text.lstrip("\n").split("\n", 1)[0])
    if usual in header_line:
        return usual
    for other in sorted(_NAMES, key=lambda d: -header_line.count(d)):
        if other in header_line:
            try:
                two = [record for record, _ in zip(_records(text, other, name), range(2), strict=False)]
            except DataError:
                continue
            if len({len(record.cells) for record in two}) == 1:
                return other
    return usual


def _records(text: str, delimiter: str, name: str) -> Iterator[_Record]:
    """Records in order, blank lines left out. A line without a quote costs one find and one split."""
    plain = re.compile(f"[^{re.escape(delimiter)}\n]*+")
    opening = frozenset('" ')
    pos, line, size = 0, 1, len(text)
    while pos < size:
        end = text.find("\n", pos)
        end = size if end < 0 else end
        row = text[pos:end]
        if '"' not in row:
            if row and not row.isspace():
                yield _Record(line, row.split(delimiter), line)
            pos, line = end + 1, line + 1
            continue
        cells: list[str] = []
        first, fault = line, ""
        while True:
            if text[pos : pos + 1] in opening:
                cell, pos, breaks, wrong = _quoted_cell(text, pos, delimiter, plain, f"{name}, line {line}")
                line, fault = line + breaks, fault or wrong
            else:
                pos, start = _plain_end(plain, text, pos), pos
                cell = text[start:pos]
            cells.append(cell)
            if pos >= size or text[pos] == "\n":
                break
            pos += 1
        yield _Record(first, cells, line, fault)
        pos, line = pos + 1, line + 1


def _quoted_cell(text: str, pos: int, delimiter: str, plain: re.Pattern[str], where: str) -> tuple[str, int, int, str]:
    """The cell at ``pos``, a quote or spaces: its text, where it ends, the line breaks in it, what is wrong with it."""
    stop = ("\n", delimiter, "")
    if text[pos] == " ":
        padded = _PADDED.match(text, pos)
        end = _skip_spaces(text, padded.end()) if padded else pos
        if padded and text[end : end + 1] in stop:
            return padded[1].replace('""', '"'), end, 0, ""
        end = _plain_end(plain, text, pos)
        return text[pos:end], end, 0, ""
    quoted = _QUOTED.match(text, pos)
    if quoted is None or not quoted[2]:
        raise DataError(
            f"{where}: the quote that opens a cell here is never closed, so the rest of the file is inside it; "
            f"close it, or double each quote inside a cell"
        )
    breaks = quoted[1].count("\n")
    end = _skip_spaces(text, quoted.end())
    if text[end : end + 1] in stop:
        return quoted[1].replace('""', '"'), end, breaks, ""
    if breaks:
        raise _swallowed(where, breaks)
    fault = "has text behind a closing quote; double each quote inside a quoted cell"
    return "", _plain_end(plain, text, end), 0, fault


def _plain_end(plain: re.Pattern[str], text: str, pos: int) -> int:
    match = plain.match(text, pos)
    return match.end() if match else pos


def _skip_spaces(text: str, pos: int) -> int:
    while text[pos : pos + 1] == " ":
        pos += 1
    return pos


def _swallowed(where: str, breaks: int) -> DataError:
    return DataError(
        f"{where}: the quote that opens a cell here is not closed on its row and swallows {breaks} more "
        f"line{'s' if breaks > 1 else ''}; close it, or double each quote inside a cell"
    )


def _keep_regular(
    records: Iterator[_Record], delimiter: str, columns: tuple[str, ...], problems: list[Problem], name: str
) -> tuple[list[list[str]], list[int]]:
    rows: list[list[str]] = []
    lines: list[int] = []
    width = len(columns)
    for record in records:
        cells = record.cells
        if record.fault:
            problems.append(Problem(record.line, record.fault))
            continue
        if len(cells) > width and not any(cells[width:]):
            cells = cells[:width]
        if len(cells) != width:
            _refuse_swallowed(record, delimiter, width, name)
            what = f"has {len(cells)} cell{'s' if len(cells) != 1 else ''} where the header has {width}"
            cure = f"put cells that hold {_plural(delimiter)} or line breaks in double quotes"
            problems.append(Problem(record.line, f"{what}; {cure}"))
            continue
        rows.append(cells)
        lines.append(record.line)
    return rows, lines


def _refuse_swallowed(record: _Record, delimiter: str, width: int, name: str) -> None:
    """A ragged record whose quoted cell holds a line that is itself a full row: its quote was left open."""
    if width == 1 or record.last_line == record.line:
        return
    line = record.line
    for cell in record.cells:
        inner = cell.split("\n")
        if any(part.count(delimiter) == width - 1 for part in inner[1:]):
            raise _swallowed(f"{name}, line {line}", len(inner) - 1)
        line += len(inner) - 1


def _column_names(header: _Record, problems: list[Problem], name: str) -> tuple[str, ...]:
    """Names made unique: a blank one becomes ``column 3``, a repeated one ``prompt (2)``."""
    cells = [cell.strip() for cell in header.cells]
    if not any(cells):
        raise DataError(f"{name}, line {header.line}: the header names no column; write the names in the first line")
    if len(cells) > MAX_COLUMNS:
        raise DataError(f"{name}, line {header.line}: the header has {len(cells):,} columns; {MAX_COLUMNS:,} at most")
    names: dict[str, None] = {}
    for position, cell in enumerate(cells, start=1):
        unique, number = cell or f"column {position}", 1
        while unique in names:
            number += 1
            unique = f"{cell or f'column {position}'} ({number})"
        if cell and unique != cell:
            problems.append(Problem(header.line, f"the header names {cell!r} twice; column {position} is {unique!r}"))
        names[unique] = None
    return tuple(names)


def _without_empty_unnamed(records: Records, header: _Record) -> Records:
    """Drop unnamed columns that hold nothing (a delimiter at the end of each line); say so of the others."""
    blank = [i for i, cell in enumerate(header.cells) if not cell.strip()]
    empty = {i for i in blank if not any(row[i].strip() for row in records.rows)}
    for i in blank:
        if i not in empty:
            what = f"the header leaves column {i + 1} without a name; it is {records.columns[i]!r}"
            records.problems.append(Problem(header.line, what))
    if not empty:
        return records
    keep = [i for i in range(len(records.columns)) if i not in empty]
    rows = [[row[i] for i in keep] for row in records.rows]
    columns = tuple(records.columns[i] for i in keep)
    return dataclasses.replace(records, columns=columns, rows=rows)
