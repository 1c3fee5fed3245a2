"""Blind labels of a person: marks 0-9, ``t`` for 10, ``s`` or nothing for one that was skipped."""

from __future__ import annotations

import difflib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import DataError
from ...prompt_files import Table, read_table
from ...types import JudgeRequest
from .items import Item

LABEL_NAMES = ("label", "labels", "score", "mark", "rating", "human")
SKIPPED = frozenset({"", "s", "skip", "-"})
TEN = "t"


@dataclass(frozen=True)
class Labelled:
    """A response and the mark that a person gave it, 0-10."""

    item: Item
    label: float


def load_labels(path: str, items: Sequence[Item] = ()) -> tuple[Labelled, ...]:
    """Read a file with a ``label`` column and either ``id`` (of ``items``) or ``prompt`` and ``response``.

    Raises ``DataError``, one sentence with the row, for a missing column, a label that is no mark, an unknown id, and a
    response that is labelled twice.
    """
    table = read_table(path)
    columns = {str(name).strip().casefold(): str(name) for name in reversed(list(table.frame.columns))}
    label = next((columns[name] for name in LABEL_NAMES if name in columns), None)
    if label is None:
        raise DataError(f"{path} has no column 'label'; it has {_listed(table)}")
    if "prompt" in columns and "response" in columns:
        keys = [columns["prompt"], columns["response"]]
    elif "id" in columns:
        keys = [columns["id"]]
    else:
        raise DataError(f"{path} names no responses: it needs a column 'id', or 'prompt' and 'response'; it has "
                        f"{_listed(table)}")  # fmt: skip
    if table.problems:
        raise DataError(f"{path}, row {table.problems[0].row}: {table.problems[0].what}; repair the file")
    found = _labelled(table, label, keys, _Finder(path, items))
    if not found:
        raise DataError(f"{path}: none of its {len(table.frame):,} rows has a label; write marks 0-9, t for 10")
    return found


def _labelled(table: Table, label: str, keys: list[str], finder: _Finder) -> tuple[Labelled, ...]:
    found: dict[tuple[str, str], tuple[int, Labelled]] = {}
    cells = zip(table.frame[label].tolist(), *(table.frame[key].tolist() for key in keys), strict=True)
    for row, (cell, *names) in zip(table.frame.index.tolist(), cells, strict=True):
        mark = _mark(cell, table.name, row)
        if mark is None:
            continue
        item = finder.find(row, ["" if name is None else str(name) for name in names])
        key = (item.request.task, item.request.response)
        if key in found:
            raise DataError(f"{table.name}, row {row}: labels the response of row {found[key][0]} again; keep one")
        found[key] = (row, Labelled(item, mark))
    return tuple(labelled for _, labelled in found.values())


def _mark(cell: Any, name: str, row: int) -> float | None:
    """The label as a number, None for one that was skipped."""
    text = "" if cell is None else str(cell).strip().casefold()
    if text in SKIPPED:
        return None
    try:
        mark = 10.0 if text == TEN else float(text) if text.isascii() else math.nan
    except ValueError:
        mark = math.nan
    if not 0 <= mark <= 10:
        raise DataError(f"{name}, row {row}: the label is {str(cell)[:40]!r}; give 0-9, t for 10, or s to skip")
    return mark


class _Finder:
    """Finds the response that a row of labels means."""

    def __init__(self, path: str, items: Sequence[Item]) -> None:
        self._path = path
        self._by_id = {item.id: item for item in items}
        self._by_text = {(i.request.task.strip(), i.request.response.strip()): i for i in reversed(items)}

    def find(self, row: int, names: list[str]) -> Item:
        """By id, or by prompt and response; a response that is not in the data is judged as well."""
        if len(names) == 2:
            prompt, response = names
            if not prompt.strip():
                raise DataError(f"{self._path}, row {row}: the prompt is empty")
            known = self._by_text.get((prompt.strip(), response.strip()))
            if known is not None:
                return known
            request = JudgeRequest(task=prompt, response=response)
            return Item(id=f"label-{row}", prompt=prompt, request=request, role="labelled")
        name = names[0].strip()
        if name in self._by_id:
            return self._by_id[name]
        if not self._by_id:
            raise DataError(f"{self._path} gives ids, but there are no responses they could belong to; give --data")
        near = difflib.get_close_matches(name, list(self._by_id), n=1, cutoff=0.0)
        raise DataError(f"{self._path}, row {row}: no response has the id {name[:40]!r}; "
                        f"ids are those of 'judge score --json', such as {near[0]!r}")  # fmt: skip


def _listed(table: Table) -> str:
    return ", ".join(repr(str(name)[:60]) for name in list(table.frame.columns)[:20])


def unique_items(*groups: Sequence[Item]) -> tuple[Item, ...]:
    """All items, each response to a prompt once."""
    seen: dict[tuple[str, str], Item] = {}
    for item in (item for group in groups for item in group):
        seen.setdefault((item.request.task, item.request.response), item)
    return tuple(seen.values())
