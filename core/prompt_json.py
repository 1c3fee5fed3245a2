"""JSON and JSON lines to numbered records, with a sentence for each one that is not an object."""

from __future__ import annotations

import json
from typing import Any

from .errors import DataError
from .prompt_chat import kind_of
from .prompt_csv import MAX_COLUMNS, Problem

_LINES = {".jsonl", ".ndjson"}
_WRAPPERS = ("data", "rows", "examples", "train", "prompts")
_MAX_CELLS = 50_000_000

Numbered = list[tuple[int, dict[str, Any]]]


def parse_json(text: str, suffix: str, name: str) -> tuple[dict[str, list[Any]], list[int], list[Problem]]:
    """Columns (None where a record lacks the field), row numbers and problems of a JSON or JSONL ``text``.

    Row numbers are lines in JSONL and positions in the list in JSON, from 1. A ``.json`` file may hold JSON lines and a
    ``.jsonl`` file a list. Raises ``DataError`` for what is not JSON, with line and column, and for what is no table.
    """
    problems: list[Problem] = []
    objects = _json_objects(text, suffix, name, problems)
    return _columns_of([item for _, item in objects], name), [number for number, _ in objects], problems


def _json_objects(text: str, suffix: str, name: str, problems: list[Problem]) -> Numbered:
    if suffix in _LINES and not text.lstrip().startswith("["):
        return _json_lines(text, name, problems)
    try:
        return _json_records(json.loads(text), name, problems)
    except json.JSONDecodeError as error:
        if suffix not in _LINES and error.msg == "Extra data":
            return _json_lines(text, name, problems)
        what = f"{name}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        raise DataError(f"{what}; repair the file or export it again") from None
    except (ValueError, RecursionError) as error:
        raise DataError(f"{name}: not usable JSON ({error}); export it as a list of flat objects") from None


def _json_lines(text: str, name: str, problems: list[Problem]) -> Numbered:
    objects: Numbered = []
    # Only at \n: splitlines would also split at characters that stand inside JSON strings.
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            what = f"not JSON ({error.msg}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else error
            problems.append(Problem(number, f"is {what}; each line must be one JSON object"))
            continue
        _add_record(number, value, objects, problems)
    if not objects:
        raise DataError(f"{name}, line {problems[0].row}: {problems[0].what}; no line of the file is usable")
    return objects


def _json_records(value: Any, name: str, problems: list[Problem]) -> Numbered:
    """Records of a list of objects, of one wrapped in an object, or of an object of columns."""
    if isinstance(value, dict):
        wrapped = next((value[key] for key in _WRAPPERS if _is_records(value.get(key))), None)
        value = wrapped if wrapped is not None else _transpose(value, name)
    if not isinstance(value, list):
        raise DataError(f"{name} holds only {kind_of(value)}; the importer reads a list of objects")
    if not value:
        raise DataError(f"{name} holds an empty list; nothing to train on")
    objects: Numbered = []
    for number, item in enumerate(value, start=1):
        _add_record(number, item, objects, problems)
    if not objects:
        raise DataError(f"{name}, record 1: {problems[0].what}; no record of the file is usable")
    return objects


def _add_record(number: int, value: Any, objects: Numbered, problems: list[Problem]) -> None:
    if isinstance(value, dict):
        objects.append((number, value))
    else:
        problems.append(Problem(number, f"is {kind_of(value)}, not an object with named fields"))


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], dict)


def _transpose(value: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """An object of columns, each a list or an object keyed by row, to records; anything else is one record."""
    columns = dict(value)
    if value and all(isinstance(v, dict) for v in value.values()):
        keys = [list(v) for v in value.values()]
        columns = {k: list(v.values()) for k, v in value.items()} if all(k == keys[0] for k in keys) else {}
    if not columns or not all(isinstance(column, list) for column in columns.values()):
        return [value]
    lengths = {key: len(column) for key, column in columns.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{key!r} {length}" for key, length in list(lengths.items())[:8])
        raise DataError(f"{name}: its columns differ in length ({listed}); export it as a list of objects")
    return [dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def _columns_of(objects: list[dict[str, Any]], name: str) -> dict[str, list[Any]]:
    keys = dict.fromkeys(key for item in objects for key in item)
    if len(keys) * len(objects) > _MAX_CELLS or len(keys) > MAX_COLUMNS:
        raise DataError(f"{name}: its {len(objects):,} records have {len(keys):,} different fields; that is no table")
    return {key: [item.get(key) for item in objects] for key in keys}
