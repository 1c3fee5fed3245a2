"""What a person sets: flags over ``RLAIF_TUI_*`` over ``app.toml`` over the defaults. A bad value costs one sentence.

``app.toml`` lies in the user's folder of settings::

    theme = "calm-light"        # calm-dark, calm-light, ansi-dark or ansi-light
    mouse = false               # true: the app takes the mouse, and the terminal no longer selects text
    ascii = false               # true: no braille, no boxes; without this line: true where the font lacks them
    spot_check_every = 50       # steps between two requests to rate a few replies blind; 0: never
    [keys]                      # another key for a binding, by the name that the help shows
    "runs.resume" = "f5"

A theme or the mouse that is chosen in the app is written there as well (``choices``).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from . import themes
from .ascii import has_few_colours, is_plain_terminal

SPOT_CHECK_EVERY = 50
_YES, _NO = ("1", "true", "yes", "on"), ("0", "false", "no", "off", "")


@dataclass(frozen=True)
class Settings:
    """Values in force, and what was wrong with those that were not taken."""

    theme: str = ""
    """Empty: the one used last, else the default of the app."""
    mouse: bool = False
    ascii_only: bool = False
    spot_check_every: int = SPOT_CHECK_EVERY
    """Steps between two requests to rate a few fresh replies; 0: none."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """Key or keys by the id of a binding, not yet checked against the screens."""
    problems: tuple[str, ...] = ()
    """One sentence for each value that was refused, naming its key."""
    file: Path | None = field(default=None, compare=False)
    """Where they were looked for, and where what is chosen in the app is written; None: nowhere."""


def settings_file() -> Path:
    """Where ``app.toml`` is looked for."""
    import platformdirs

    return Path(platformdirs.user_config_dir("rlaif-tui")) / "app.toml"


def load(file: Path, environment: Mapping[str, str] | None = None, *, ascii_only: bool = False) -> Settings:
    """The settings from everywhere; ``ascii_only`` is the flag. Never raises: problems are told in the result.

    The defaults are those that this terminal can show: ASCII and its own colours on a Linux console or a VT100.
    """
    environment = os.environ if environment is None else environment
    theme = "ansi-dark" if has_few_colours(environment) else ""
    known = _from_file(file, Settings(theme=theme, ascii_only=is_plain_terminal(environment)))
    known = _from_environment(known, environment)
    return replace(known, file=file, ascii_only=ascii_only or known.ascii_only)


def _from_file(file: Path, settings: Settings) -> Settings:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return settings
    except OSError as error:
        return _refused(settings, f"{file.name} cannot be read: {error.strerror}")
    import tomllib

    try:
        values = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        return _refused(settings, f"{file.name} is not TOML: {error}")
    for key, value in values.items():
        settings = _taken(settings, key, value, f"{file.name}: {key}")
    return settings


def _from_environment(settings: Settings, environment: Mapping[str, str]) -> Settings:
    for key in ("theme", "mouse", "ascii", "spot_check_every"):
        name = f"RLAIF_TUI_{key.upper()}"
        if name not in environment:
            continue
        text = environment[name].strip()
        value: Any = text
        if key == "spot_check_every":
            value = int(text) if text.isdecimal() and len(text) < 10 else text
        elif key != "theme":
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
        case "spot_check_every", int() if not isinstance(value, bool) and value >= 0:
            return replace(settings, spot_check_every=value)
        case "spot_check_every", _:
            return _refused(settings, f"{where} = {value!r}: a whole number of steps, 0 for never")
        case (("mouse" | "ascii"), _):
            return _refused(settings, f"{where} = {value!r}: true or false")
        case "keys", dict():
            return _keys(settings, value, where)
        case "keys", _:
            return _refused(settings, f"{where}: a table such as [keys]")
        case _:
            return _refused(
                settings, f"{where}: no such setting; there are theme, mouse, ascii, spot_check_every and keys"
            )


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
