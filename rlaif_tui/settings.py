"""What a person sets: flags over ``RLAIF_TUI_*`` over ``app.toml`` over the defaults. A bad value costs one sentence.

``app.toml`` lies in the user's folder of settings::

    theme = "calm-light"        # calm-dark, calm-light, ansi-dark or ansi-light
    mouse = false               # true: the app takes the mouse, and the terminal no longer selects text
    ascii = false               # true: no braille, no boxes
    [keys]                      # another key for a binding, by the name that the help shows
    "runs.resume" = "f5"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import themes

_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True)
class Settings:
    """Values in force, and what was wrong with those that were not taken."""

    theme: str = ""
    """Empty: the one used last, else the default."""
    mouse: bool = False
    ascii_only: bool = False
    keys: Mapping[str, str] = field(default_factory=dict)
    """Key or keys by the id of a binding, not yet checked against the screens."""
    problems: tuple[str, ...] = ()
    """One sentence for each value that was refused, naming its key."""


def settings_file() -> Path:
    """Where ``app.toml`` is looked for."""
    import platformdirs

    return Path(platformdirs.user_config_dir("rlaif-tui")) / "app.toml"


def load(file: Path, environment: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> Settings:
    """The settings from everywhere; ``ascii_only`` is the flag. Never raises: problems are told in the result."""
    known = _from_file(file)
    known = _from_environment(known, os.environ if environment is None else environment)
    return replace(known, ascii_only=True) if ascii_only else known


def _from_file(file: Path) -> Settings:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return Settings()
    except OSError as error:
        return Settings(problems=(f"{file.name} cannot be read: {error.strerror}",))
    import tomllib

    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return Settings(problems=(f"{file.name} is not TOML: {error}",))
    settings = Settings()
    for key, value in values.items():
        settings = _taken(settings, key, value, f"{file.name}: {key}")
    return settings


def _from_environment(settings: Settings, environment: Mapping[str, str]) -> Settings:
    for key in ("theme", "mouse", "ascii"):
        name = f"RLAIF_TUI_{key.upper()}"
        if name not in environment:
            continue
        text = environment[name].strip()
        value: Any = text
        if key != "theme":
            value = True if text.lower() in _YES else False if text.lower() in _NO else text
        settings = _taken(settings, key, value, name)
    return settings


def _taken(settings: Settings, key: str, value: Any, where: str) -> Settings:
    """The settings with this value, or with a sentence on why it was refused."""
    match key, value:
        case "theme", str() if value in themes.NAMES or not value:
            return replace(settings, theme=value)
        case "theme", _:
            return _refused(settings, f"{where} = {value!r}: there are {', '.join(themes.NAMES)}")
        case "mouse", bool():
            return replace(settings, mouse=value)
        case "ascii", bool():
            return replace(settings, ascii_only=value)
        case (("mouse" | "ascii"), _):
            return _refused(settings, f"{where} = {value!r}: true or false")
        case "keys", dict():
            return _keys(settings, value, where)
        case "keys", _:
            return _refused(settings, f"{where}: a table such as [keys]")
        case _:
            return _refused(settings, f"{where}: no such setting; there are theme, mouse, ascii and keys")


def _keys(settings: Settings, table: Mapping[str, Any], where: str) -> Settings:
    good: dict[str, str] = {}
    for name, key in flat(table).items():
        if isinstance(key, str) and key.strip():
            good[name] = key.strip()
        else:
            settings = _refused(settings, f"{where}.{name} = {key!r}: the name of a key, such as f5")
    return replace(settings, keys={**settings.keys, **good})


def flat(table: Mapping[str, Any], before: str = "") -> dict[str, Any]:
    """``{"runs": {"open": "o"}}`` as ``{"runs.open": "o"}``: TOML reads an unquoted dot as a table."""
    result: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict):
            result |= flat(value, f"{before}{name}.")
        else:
            result[before + name] = value
    return result


def _refused(settings: Settings, sentence: str) -> Settings:
    return replace(settings, problems=(*settings.problems, sentence))
