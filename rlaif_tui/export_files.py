"""What a run measured and wrote, as files for a spreadsheet or a script: everything is in the run directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from core.compare import record
from core.errors import RunDirError
from core.ratings import Ratings
from core.rollout_log import read_rollouts
from core.run_dir import RunDir

from .export_rows import (
    COMPARISON_COLUMNS,
    ROLLOUT_COLUMNS,
    comparison_rows,
    metric_columns,
    metric_rows,
    recorded_rows,
    rollout_rows,
    step_files,
)
from .export_tables import Column, OutputError, format_of, spreadsheet_safe, write_table
from .feed import RunFeed

__all__ = [
    "NEWEST",
    "OutputError",
    "export_chosen",
    "export_comparison",
    "export_metrics",
    "export_rollouts",
    "spreadsheet_safe",
]

NEWEST = "newest"
"""Stands for the id of a run's newest comparison."""


def export_metrics(run: RunDir, path: Path, force: bool) -> int:
    """One row per completed step; returns how many. Raises ``OutputError``, ``RunDirError``."""
    format_of(path)
    steps = list(RunFeed(run).poll().steps)
    if not steps:
        raise RunDirError(f"{run.name} has completed no step, so there are no metrics")
    columns = metric_columns(steps)
    return write_table(path, columns, metric_rows(steps, columns), force=force)


def export_rollouts(run: RunDir, path: Path, force: bool) -> int:
    """One row per rollout of every step, read step by step; returns how many. Raises as above."""
    format_of(path)
    files = step_files(run)
    if not files:
        raise RunDirError(f"{run.name} has recorded no rollout yet")
    return write_table(path, ROLLOUT_COLUMNS, rollout_rows(files), force=force)


def export_comparison(run: RunDir, id_: str, path: Path, force: bool) -> int:
    """One row per prompt and model of a comparison, ``newest`` or by its id; returns how many. Raises as above."""
    format_of(path)
    files = {file.stem: file for file in record.comparisons(run)}
    if not files:
        raise RunDirError(f"{run.name} has no comparison yet; 'rlaif-tui compare base {run.name}' makes one")
    chosen = next(iter(files.values())) if id_ == NEWEST else files.get(id_)
    if chosen is None:
        raise RunDirError(f"{run.name} has no comparison '{id_}'; there are: {', '.join(list(files)[:8])}")
    found = record.read(chosen)
    if found is None or not found.rows:
        raise RunDirError(f"the comparison {chosen.stem} holds no answered prompt yet")
    return write_table(path, COMPARISON_COLUMNS, comparison_rows(found), force=force)


def export_chosen(chosen: Mapping[Path, Mapping[str, str]], ratings: Ratings, path: Path) -> int:
    """The rollouts with these ids of these files, each id with its ``rating_id``, step by step; returns how many.

    Written as the name ends: a CSV table, Parquet, else JSON lines. Raises ``OutputError``.
    """
    if path.expanduser().exists():
        raise OutputError(f"{path} exists already; give another name")
    given: dict[str, dict[str, float | None]] = {}
    for (key, by), rating in ratings.standing.items():
        given.setdefault(key, {})[by] = rating.score

    def rows() -> Iterator[dict[str, Any]]:
        for source in sorted(chosen):
            keys = chosen[source]
            for row in recorded_rows(read_rollouts(source)):
                if row["id"] in keys:
                    yield {**row, "file": source.name, "ratings": given.get(keys[row["id"]], {})}

    columns = (*ROLLOUT_COLUMNS, Column("file"), Column("ratings", "json"))
    return write_table(path, columns, rows(), force=False, otherwise="jsonl")
