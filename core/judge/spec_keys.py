"""What the types of a judge say of each key of ``judge.toml``: meaning, unit, default and what it allows, in words."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel

from .spec import JudgeSpec


@dataclass(frozen=True)
class Key:
    """One key of a judge.toml."""

    path: str
    """Such as ``parameters.temperature``; ``criteria.weight`` is that of any criterion."""
    meaning: str
    unit: str
    default: Any
    allowed: str
    """In words, such as 'number, 0 to 2'."""
    may_be_left_out: bool
    """Whether an empty text leaves it out, so that the server's own default holds."""
    is_table: bool

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


@functools.cache
def keys() -> dict[str, Key]:
    """Every key by its full name, in the order of the file."""
    return {key.path: key for key in _keys_of(JudgeSpec, "")}


def nearest(path: str) -> str:
    """The real key that a wrong one means, or nothing: its name elsewhere, a like one in its table, or anywhere."""
    table, _, name = path.replace("-", "_").lower().rpartition(".")
    here = [key.path for key in keys().values() if key.path.rpartition(".")[0] == table]
    if same := next((one for one in keys() if one.rpartition(".")[2] == name), ""):
        return same
    for known in (here, list(keys())):
        names = {one.rpartition(".")[2]: one for one in reversed(known)}
        if close := difflib.get_close_matches(name, names, n=1, cutoff=0.6):
            return names[close[0]]
    return ""


def _keys_of(model: type[BaseModel], before: str) -> list[Key]:
    found = []
    properties = model.model_json_schema()["properties"]
    for name, field in model.model_fields.items():
        schema = properties[name]
        inner = _model_in(field.annotation)
        null = {"type": "null"} in schema.get("anyOf", [])
        found.append(
            Key(
                path=before + name,
                meaning=schema.get("description", ""),
                unit=schema.get("unit", ""),
                default=None if field.is_required() else field.get_default(),
                allowed=_allowed(schema) if inner is None else _tables(field.annotation, before + name),
                may_be_left_out=null and before != "exemplars.",
                is_table=inner is not None,
            )
        )
        if inner is not None:
            found += _keys_of(inner, f"{before}{name}.")
    return found


def _model_in(annotation: Any) -> type[BaseModel] | None:
    for one in (annotation, *get_args(annotation)):
        if isinstance(one, type) and issubclass(one, BaseModel):
            return one
    return None


def _tables(annotation: Any, path: str) -> str:
    return f"tables, each headed [[{path}]]" if get_args(annotation) else f"a table, headed [{path}]"


def _allowed(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        inner = next(one for one in schema["anyOf"] if one != {"type": "null"})
        return f'{_allowed(inner)}; "" leaves it out'
    if choices := schema.get("enum"):
        return f"one of {', '.join(choices)}"
    match schema.get("type"):
        case "integer":
            return f"whole number{_range(schema)}"
        case "number":
            return f"number{_range(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return "list of texts"
        case "object":
            return "table of name = number" if schema.get("additionalProperties") != True else "table"  # noqa: E712
    return "text" + (
        f" of {schema.get('minLength', 0)} to {schema['maxLength']} characters" if "maxLength" in schema else ""
    )


def _range(schema: dict[str, Any]) -> str:
    words = (
        ("at least", schema.get("minimum")),
        ("above", schema.get("exclusiveMinimum")),
        ("at most", schema.get("maximum")),
    )
    parts = [f"{word} {limit:.15g}" for word, limit in words if limit is not None]
    return ", " + " and ".join(parts) if parts else ""
