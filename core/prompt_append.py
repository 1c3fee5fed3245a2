"""One more prompt at the end of a CSV or JSONL file, in its own columns, encoding, quoting and line ends.

What is written is read again the way training reads it; a row that does not come back as it was meant is taken out.
"""

from __future__ import annotations

import csv
import fcntl
import io
import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import DataError
from .files import write_all
from .prompt_chat import chat_of
from .prompt_columns import ColumnMap, Columns, map_columns
from .prompt_files import HUB, Table, read_table
from .prompt_split import side_of
from .prompts import load_prompts
from .types import Message

_LOOKED_AT = 65_536
"""Characters in which line ends are looked for."""
_DELIMITED, _LINES = (".csv", ".tsv", ".tab"), (".jsonl", ".ndjson")


@dataclass(frozen=True)
class Row:
    """A row that can be appended, and what should be known before it is."""

    path: str
    columns: Columns
    implied_system: str
    """System prompt that every row gets that brings none."""
    messages: tuple[Message, ...]
    """What the row is as a prompt."""
    data: bytes
    size: int
    """Of the file now, bytes."""
    rows: int
    """Rows there are now."""
    notes: tuple[str, ...]
    """Sentences on what the file has no place for."""


def make_row(path: str, columns: Columns, messages: Sequence[Message], implied_system: str = "") -> Row:
    """The row for a prompt, nothing written. Raises ``DataError`` in one sentence where the file cannot take it."""
    suffix = _require_appendable(path)
    table = read_table(path)
    mapping = map_columns(table, columns)
    if mapping.prompt_in_chosen:
        raise DataError(
            f"{path}: its prompts stand within {mapping.chosen!r}, together with answers; add the row there"
        )
    cells, kept, notes = _cells(path, table, mapping, tuple(messages), implied_system)
    before = Path(path).expanduser().read_bytes()
    old = before.decode(_codec(table), "replace")
    line = _csv_line(table, cells, old) if suffix in _DELIMITED else json.dumps(cells, ensure_ascii=False)
    return Row(
        path=path,
        columns=columns,
        implied_system=implied_system,
        messages=kept,
        data=_encoded(table, line, old),
        size=len(before),
        rows=len(table.frame),
        notes=notes,
    )


def append_row(row: Row) -> int:
    """Write it; returns how many rows there are then. Raises ``DataError``, and then the file is as it was."""
    file = Path(row.path).expanduser()
    try:
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        raise DataError(f"{row.path} cannot be written: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        if os.fstat(descriptor).st_size != row.size:
            raise DataError(f"{row.path} was changed meanwhile; try again")
        try:
            write_all(descriptor, row.data)
            os.fsync(descriptor)
            return _checked(row)
        except BaseException:
            os.ftruncate(descriptor, row.size)
            raise
    except OSError as error:
        raise DataError(f"{row.path} cannot be written: {error.strerror}; it is as it was") from error
    finally:
        os.close(descriptor)


def _require_appendable(path: str) -> str:
    suffix = Path(path).suffix.lower()
    if path.startswith(HUB):
        raise DataError(f"{path} is on the Hub, where nothing is written; download it and give the path of the copy")
    if suffix not in _DELIMITED + _LINES:
        kind = {".parquet": "a Parquet file", ".json": "a JSON list"}.get(suffix, f"{suffix or 'such'} file")
        raise DataError(f"{path}: {kind} cannot be appended to; keep the prompts as CSV or JSONL for that")
    return suffix


def _cells(
    path: str, table: Table, mapping: ColumnMap, messages: tuple[Message, ...], implied_system: str
) -> tuple[dict[str, Any], tuple[Message, ...], tuple[str, ...]]:
    """Cell by column, the prompt that it makes, and what is left out."""
    system = next((m.content for m in messages if m.role == "system"), "")
    turns = [m for m in messages if m.role != "system"]
    cells: dict[str, Any] = {}
    notes = []
    sample = next((c for c in table.frame[mapping.prompt].tolist() if c is not None and str(c).strip()), "")
    keeps_chats = chat_of(sample) is not None
    if not keeps_chats and len(turns) != 1:
        raise DataError(
            f"{path}: each of its prompts is one text, and this chat has {len(turns)} turns; begin a new one"
        )
    if mapping.system is not None:
        cells[mapping.system] = system or None
    elif system != implied_system and not keeps_chats:
        notes.append("the system prompt is left out: the file has no column for it")
        system = implied_system
    kept = (*([Message("system", system or implied_system)] if system or implied_system else []), *turns)
    cells[mapping.prompt] = _chat(path, sample, kept, table) if keeps_chats else turns[0].content
    if mapping.split is not None and (label := _train_label(table, mapping.split)) is not None:
        cells[mapping.split] = label
    return cells, kept, tuple(notes)


def _chat(path: str, sample: Any, messages: tuple[Message, ...], table: Table) -> Any:
    if isinstance(sample, str) and not sample.lstrip().startswith("["):
        raise DataError(f"{path}: its prompts are transcripts (Human: ... Assistant: ...); add the row there by hand")
    first = (json.loads(sample) if isinstance(sample, str) else sample)[0]
    who, what = ("role" if "role" in first else "from"), ("content" if "content" in first else "value")
    names = {"user": "human", "assistant": "gpt"} if who == "from" else {}
    chat = [{who: names.get(m.role, m.role), what: m.content} for m in messages]
    return json.dumps(chat, ensure_ascii=False) if table.delimiter is not None or isinstance(sample, str) else chat


def _train_label(table: Table, column: str) -> Any:
    """What the file calls a row for training: without a label the whole column would not be used any more."""
    return next((label for label in table.frame[column].tolist() if side_of(label) == "train"), None)


def _csv_line(table: Table, cells: dict[str, Any], old: str) -> str:
    text, delimiter = io.StringIO(), table.delimiter or ","
    header = old.lstrip("\ufeff").split("\n", 1)[0].rstrip("\r")
    all_quoted = re.fullmatch(rf'"[^"]*"(?:{re.escape(delimiter)}"[^"]*")*', header) is not None
    writer = csv.writer(
        text, delimiter=delimiter, lineterminator="", quoting=csv.QUOTE_ALL if all_quoted else csv.QUOTE_MINIMAL
    )
    writer.writerow([cells.get(str(name)) or "" for name in table.frame.columns])
    return text.getvalue()


def _codec(table: Table) -> str:
    return table.encoding.removesuffix("-sig")  # the mark belongs at the beginning of the file only


def _encoded(table: Table, line: str, old: str) -> bytes:
    end = "\r\n" if "\r\n" in old[:_LOOKED_AT] else "\n"
    text = ("" if old.endswith(("\n", "\r")) else end) + line + end
    try:
        return text.encode(_codec(table))
    except UnicodeEncodeError as error:
        sign = error.object[error.start : error.start + 1]
        raise DataError(
            f"{table.name} is in {table.encoding}, which has no sign for {sign!r}; save the file as UTF-8"
        ) from error


def _checked(row: Row) -> int:
    """Read the file as training does. Raises ``DataError`` unless the last row is the one that was meant."""
    read = load_prompts(row.path, columns=row.columns, system_prompt=row.implied_system or None)
    count = len(read_table(row.path).frame)

    def plain(messages: Sequence[Message]) -> list[tuple[str, str]]:
        return [(m.role, m.content.replace("\r\n", "\n").replace("\r", "\n")) for m in messages]

    if count != row.rows + 1 or plain(read.prompts[-1].messages) != plain(row.messages):
        raise DataError(f"{row.path}: the row would not be read as it was meant, so it was not added; add it by hand")
    return count
