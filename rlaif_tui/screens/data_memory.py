"""What the data screen remembers, as plain values; what an older version left behind and no longer fits is ignored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from core.prompts import Columns

from ..desks.data_rows import ORDERS, SHOWS, Query, Source


@dataclass(frozen=True)
class Kept:
    """How the screen was left."""

    opened: Source | None = None
    """The file that was opened; None: the data of the run in view."""
    beside: str = ""
    """Name of the run in view when it was opened."""
    query: Query = field(default_factory=Query)
    row: int = 0
    """Number of the row under the cursor; 0: none."""
    next_path: str = ""
    """The file that the next run shall train on; empty: none was chosen."""
    next_columns: Columns = field(default_factory=Columns)


def to_memory(kept: Kept) -> dict[str, Any]:
    """Plain values for ``from_memory``."""
    opened = kept.opened
    return {
        "path": opened.path if opened else "",
        "columns": dataclasses.asdict(opened.columns) if opened else {},
        "run": kept.beside,
        **dataclasses.asdict(kept.query),
        "row": kept.row,
        "next_path": kept.next_path,
        "next_columns": dataclasses.asdict(kept.next_columns),
    }


def from_memory(memory: dict[str, Any]) -> Kept:
    """What was kept, as far as it can be used."""
    path = _text(memory.get("path"))
    show, order, row = (memory.get(name) for name in ("show", "order", "row"))
    return Kept(
        opened=Source(path=path, columns=_columns(memory.get("columns"))) if path else None,
        beside=_text(memory.get("run")),
        query=Query(
            _text(memory.get("find")),
            show if show in SHOWS else "all",
            order if order in ORDERS else "of the file",
        ),
        row=row if type(row) is int else 0,
        next_path=_text(memory.get("next_path")),
        next_columns=_columns(memory.get("next_columns")),
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _columns(value: Any) -> Columns:
    given = value if isinstance(value, dict) else {}
    return Columns(**{role.name: _text(given.get(role.name)) for role in dataclasses.fields(Columns)})
