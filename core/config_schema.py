"""What the configuration's own types say of each key: its meaning, unit, default and what it allows, in words."""

from __future__ import annotations

import difflib
import functools
from dataclasses import dataclass
from typing import Any, cast

import tomli_w
from pydantic import BaseModel

from .config import RunConfig


@dataclass(frozen=True)
class Key:
    """One key of a run.toml."""

    section: str
    name: str
    meaning: str
    unit: str
    default: Any
    allowed: str
    """In words, such as 'whole number, 1 to 100'."""
    is_text: bool
    """True where the value is a string, so that ``--set`` needs no quotes."""

    @property
    def path(self) -> str:
        return f"{self.section}.{self.name}"


@functools.cache
def sections() -> dict[str, str]:
    """Name of each section with its one-line description, in the order of the file."""
    return {name: (_model(name).__doc__ or "").strip().splitlines()[0] for name in RunConfig.model_fields}


@functools.cache
def keys() -> dict[str, Key]:
    """Every key by its full name, such as ``ppo.kl_coef``."""
    found = {}
    for section in RunConfig.model_fields:
        for name, schema in _model(section).model_json_schema()["properties"].items():
            key = Key(
                section=section,
                name=name,
                meaning=schema.get("description", ""),
                unit=schema.get("unit", ""),
                default=_model(section).model_fields[name].get_default(),
                allowed=_allowed(schema),
                is_text=schema.get("type") == "string",
            )
            found[key.path] = key
    return found


def nearest(path: str) -> list[str]:
    """The real key or section that a wrong one probably means; several only where sections share a name; or none.

    A key of this name in another section comes first, then names of the same section with this word in them, then a
    like one, then the symbol that papers use (``beta``) or the initials (``lr``), then a like name anywhere.
    """
    section, _, name = path.replace("-", "_").lower().rpartition(".")
    known = keys()
    same_name = [key.path for key in known.values() if key.name == name]
    if same_name:
        return same_name
    if parts := [key.path for key in known.values() if key.section == section and name in key.name.split("_")]:
        return parts[:4]
    here = {key.name: key.path for key in known.values() if key.section == section}
    if close := difflib.get_close_matches(name, here, n=1, cutoff=0.6):
        return [here[close[0]]]
    ours_first = sorted(known.values(), key=lambda key: key.section != section)
    for key in ours_first:
        initials = "".join(word[0] for word in key.name.split("_"))
        if f"[{name}]" in key.meaning.lower() or (len(name) > 1 and name == initials):
            return [key.path]
    if not section and (close := difflib.get_close_matches(name, sections(), n=1, cutoff=0.6)):
        return close
    anywhere = {key.name: key.path for key in known.values()}
    close = difflib.get_close_matches(name, anywhere, n=1, cutoff=0.7)
    return [anywhere[name] for name in close]


def toml_value(value: Any) -> str:
    """A value as TOML on one line."""
    match value:
        case list() | tuple():
            return f"[{', '.join(toml_value(item) for item in value)}]"
        case dict():
            inside = ", ".join(f"{toml_value(str(key))} = {toml_value(item)}" for key, item in value.items())
            return f"{{ {inside} }}" if inside else "{}"
        case _:
            return tomli_w.dumps({"v": value}).removeprefix("v = ").rstrip("\n")


def _model(section: str) -> type[BaseModel]:
    return cast("type[BaseModel]", RunConfig.model_fields[section].annotation)


def _allowed(schema: dict[str, Any]) -> str:
    if choices := schema.get("enum", [schema["const"]] if "const" in schema else None):
        return f"one of {', '.join(choices)}" if len(choices) > 1 else f"only {choices[0]}"
    match schema.get("type"):
        case "integer":
            return f"whole number, {_range(schema)}"
        case "number":
            return f"number, {_range(schema)}"
        case "boolean":
            return "true or false"
        case "array":
            return "list of texts, at least one" if schema.get("minItems") else "list of texts"
        case "object":
            return "table of name = number"
        case _ if "pattern" in schema:
            return f"text matching {schema['pattern']}"
        case _:
            return "text, not empty" if schema.get("minLength") else "text"


def _range(schema: dict[str, Any]) -> str:
    low, above = schema.get("minimum"), schema.get("exclusiveMinimum")
    high, below = schema.get("maximum"), schema.get("exclusiveMaximum")
    if low is not None and high is not None:
        return f"{low:.15g} to {high:.15g}"
    parts = [
        f"{word} {limit:.15g}"
        for word, limit in (("at least", low), ("above", above), ("at most", high), ("below", below))
        if limit is not None
    ]
    return " and ".join(parts) or "any"
