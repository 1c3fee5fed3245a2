"""What a person chooses in the app, theme and mouse, as they would have written it: a line of ``app.toml``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

Value = str | bool


class ChoiceError(Exception):
    """The file cannot take the choice; the reason is a sentence."""


class Choices:
    """Writes what was changed, and nothing else: comments, order and other keys of the file stay."""

    def __init__(self, file: Path | None, environment: Mapping[str, str] | None = None) -> None:
        self._file = file
        self._environment = os.environ if environment is None else environment
        self._kept: dict[str, Value] | None = None

    def begin(self, **values: Value) -> None:
        """What is in force when the app opens: no choice of anybody's yet."""
        self._kept = values

    def is_due(self, **values: Value) -> bool:
        """Whether something was chosen that has not been written."""
        return self._file is not None and self._kept is not None and values != self._kept

    def save(self, **values: Value) -> str:
        """Write what was changed; what the person should know of that, empty if it simply worked. Never raises."""
        if self._file is None or self._kept is None:
            return ""
        changed = {name: value for name, value in values.items() if self._kept.get(name) != value}
        self._kept = values
        if not changed:
            return ""
        try:
            write(self._file, changed)
        except ChoiceError as error:
            return f"{', '.join(changed)}: for this window only; {error}"
        stronger = [name for name in changed if f"RLAIF_TUI_{name.upper()}" in self._environment]
        names = " and ".join(f"RLAIF_TUI_{name.upper()}" for name in stronger)
        return f"kept in {self._file.name}, but {names} is set and counts more" if stronger else ""


def write(file: Path, values: Mapping[str, Value]) -> None:
    """Set these keys of the file, made if it is not there. Raises ``ChoiceError``; the file is then as before."""
    import tomlkit
    from tomlkit.exceptions import TOMLKitError

    from core.files import write_atomic

    real = file.resolve()  # a link into a folder of dotfiles stays a link
    try:
        try:
            text = real.read_text(encoding="utf-8")
        except FileNotFoundError:
            text = ""
        document = tomlkit.parse(text)
        for name, value in values.items():
            document[name] = value
        data = tomlkit.dumps(document).encode()
        real.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(real, data)
    except (TOMLKitError, UnicodeDecodeError) as error:
        raise ChoiceError(f"{file.name} is not TOML: {error}") from error
    except OSError as error:
        raise ChoiceError(f"{file.name} cannot be written: {error.strerror or error}") from error
