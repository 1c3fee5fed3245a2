"""A run.toml in, a ``RunConfig`` out, and back. What is wrong is told in sentences, all of it at once."""

from __future__ import annotations

import copy
import hashlib
import json
import re
import textwrap
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from .config import RunConfig
from .config_errors import describe_error
from .config_schema import Key, keys, sections, toml_value
from .errors import ConfigError

MAX_BYTES = 1_000_000
_WITHOUT_EFFECT_ON_RESULTS = {"run": {"name", "keep_checkpoints"}}
_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")


def load_config(path: Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read and validate a run.toml, then apply ``overrides`` such as ``ppo.kl_coef=0.05``.

    A relative ``data.path``, judge file or model folder is looked for beside the file, then in the current folder, and
    made absolute where it exists. Raises ``ConfigError``.
    """
    table = _parse(_read(path), str(path))
    return _absolute(from_dict(table, overrides, source=str(path)), path.absolute().parent)


def from_dict(data: Mapping[str, Any], overrides: Sequence[str] = (), source: str = "configuration") -> RunConfig:
    """Validate a nested mapping with ``overrides`` on top. Raises ``ConfigError`` naming ``source``."""
    table = copy.deepcopy(dict(data))
    for override in overrides:
        _override(table, override)
    try:
        return RunConfig.model_validate(table, strict=True)
    except ValidationError as error:
        raise describe_error(error, source) from None


def to_toml(config: RunConfig) -> str:
    """The whole configuration as TOML, every key written out. ``from_dict`` of it is the same configuration."""
    return tomli_w.dumps(config.model_dump())


def commented_toml(config: RunConfig, title: str) -> str:
    """A run.toml to edit: each key with its meaning, unit, default and what it allows."""
    lines = [f"# {line}" if line else "#" for line in title.splitlines()]
    values = config.model_dump()
    for section, meaning in sections().items():
        lines += ["", f"# {meaning}", f"[{section}]"]
        for key in keys().values():
            if key.section == section:
                lines += ["", *_comment(key), f"{key.name} = {toml_value(values[section][key.name])}"]
    return "\n".join(lines) + "\n"


def config_hash(config: RunConfig) -> str:
    """sha256 over everything that can change a result: all but the run's name and how many checkpoints are kept."""
    values = config.model_dump(exclude=_WITHOUT_EFFECT_ON_RESULTS)
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _comment(key: Key) -> list[str]:
    facts = [*([key.unit] if key.unit else []), f"default {toml_value(key.default)}", key.allowed]
    meaning = textwrap.wrap(key.meaning, 110, break_long_words=False, break_on_hyphens=False)
    return [*(f"# {line}" for line in meaning), f"#   {'; '.join(facts)}"]


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; 'rlaif-tui init {path.name}' writes one") from None
    except IsADirectoryError:
        raise ConfigError(f"{path} is a folder; give the run.toml inside it") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"{path}: over {MAX_BYTES:,} bytes is not a run configuration")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def _parse(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        place = _PLACE.search(message)
        where = f", line {place[1]}, column {place[2]}" if place else ""
        raise ConfigError(f"{source}{where}: not valid TOML: {_PLACE.sub('', message)}") from None
    except (RecursionError, ValueError) as error:
        raise ConfigError(f"{source}: not valid TOML: {error}") from None


def _override(table: dict[str, Any], text: str) -> None:
    path, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not path:
        raise ConfigError(f"--set {text}: write KEY=VALUE, such as --set ppo.kl_coef=0.05")
    *parents, name = path.split(".")
    target = table
    for parent in parents:
        inner = target.setdefault(parent, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {text}: {parent} is a value and has no key {name}")
        target = inner
    key = keys().get(path)
    target[name] = _override_value(value, text_wanted=key is not None and key.is_text)


def _override_value(text: str, text_wanted: bool) -> Any:
    try:
        parsed = tomllib.loads(f"value = {text}")
    except (ValueError, RecursionError):
        return text
    value = parsed["value"]
    plain = len(parsed) == 1 and (isinstance(value, str) or not text_wanted)
    return value if plain else text


def _absolute(config: RunConfig, base: Path) -> RunConfig:
    data, model, judge = config.data, config.model, config.judge
    if data.path != "demo" and (found := _first(data.path, base, "")):
        data = data.model_copy(update={"path": found})
    if model.id != "demo" and (found := _first(model.id, base, "config.json")):
        model = model.model_copy(update={"id": found})
    for key in ("file", "referee"):
        name = getattr(judge, key)
        if name.endswith(".toml") and (found := _first(name, base, "")):
            judge = judge.model_copy(update={key: found})
    return config.model_copy(update={"data": data, "model": model, "judge": judge})


def _first(name: str, base: Path, inside: str) -> str | None:
    if "://" in name:
        return None
    path = Path(name).expanduser()
    for candidate in (base / path, Path.cwd() / path):
        if (candidate / inside).exists():
            return str(candidate)
    return None
