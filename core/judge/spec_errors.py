"""What is wrong with a ``judge.toml``, as sentences: the file, the line, the key, what is allowed, the nearest key."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from ..errors import JudgeError
from .spec_keys import keys, nearest

_PLACE = re.compile(r" \(at line (\d+), column (\d+)\)$")
_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\-\"' ]+?)\s*=")
_SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|key|token|secret|password|passwd|passphrase|credentials?|bearer|authorization)$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(r"^(sk|pk|hf|gh[a-z]|xox[a-z]|AIza|AKIA)[-_A-Za-z0-9]{12,}$")
_LONGEST_SHOWN = 80
_INSIDE = {"string_type": "text", "float_type": "number", "finite_number": "finite number", "missing": "given"}

Loc = Sequence[str | int]


def looks_secret(text: str) -> bool:
    """Whether a text looks like a key of a provider rather than anything that belongs into a file."""
    return bool(_SECRET_VALUE.match(text.strip()))


class TomlText:
    """The text of a judge file, and where its keys are."""

    def __init__(self, text: str, source: str) -> None:
        self._text = text
        self.source = source

    def parse(self) -> dict[str, Any]:
        """Raises ``JudgeError`` with line and column."""
        try:
            return tomllib.loads(self._text)
        except tomllib.TOMLDecodeError as error:
            message = str(error)
            found = _PLACE.search(message)
            where = f", line {found[1]}, column {found[2]}" if found else ""
            raise JudgeError(f"{self.source}{where}: not valid TOML: {_PLACE.sub('', message)}") from None
        except (RecursionError, ValueError) as error:
            raise JudgeError(f"{self.source}: not valid TOML: {error}") from None

    def place(self, loc: Loc) -> str:
        """``FILE, line N`` of a key, or of the table it should be in; the file alone where neither is found."""
        best, best_line = 0, 0
        for path, line in self._paths():
            length = min(len(path), len(loc))
            if length > best and tuple(loc[:length]) == path[:length]:
                best, best_line = length, line
        return f"{self.source}, line {best_line}" if best_line else self.source

    def _paths(self) -> Iterator[tuple[tuple[str | int, ...], int]]:
        """The path of each key and header with its line. Lines inside of long texts are passed over."""
        table: tuple[str | int, ...] = ()
        counts: dict[str, int] = {}
        fence = ""
        for number, line in enumerate(self._text.split("\n"), 1):
            if fence:
                fence = "" if fence in line else fence
                continue
            if header := _HEADER.match(line):
                name = header[2].replace('"', "").replace("'", "").replace(" ", "")
                table = tuple(name.split("."))
                if header[1] == "[[":
                    counts[name] = counts.get(name, -1) + 1
                    table = (*table, counts[name])
                yield table, number
            elif key := _KEY.match(line):
                yield (*table, *(part.strip(" \"'") for part in key[1].split("."))), number
                fence = next((f for f in ('"""', "'''") if line.count(f) % 2), "")


def describe_error(error: ValidationError, toml: TomlText) -> JudgeError:
    """One ``JudgeError`` that tells everything wrong at once."""
    found = [(toml.place(problem["loc"]), _sentence(problem)) for problem in error.errors(include_url=False)]
    sentences = list(dict.fromkeys(f"{where}: {what}" for where, what in found))
    if len(sentences) == 1:
        return JudgeError(sentences[0])
    return JudgeError("\n  ".join([f"{toml.source} has {len(sentences)} problems:", *sentences]))


def _sentence(problem: Any) -> str:
    loc: Loc = problem["loc"]
    path = ".".join(part for part in loc if isinstance(part, str))
    kind = problem["type"]
    if kind == "extra_forbidden":
        return _unknown(path)
    if kind == "value_error":
        return f"{path}: {problem['ctx']['error']}" if path else str(problem["ctx"]["error"])
    if kind == "missing":
        return f"{path} is missing; it must be: {keys()[path].allowed}" if path in keys() else f"{path} is missing"
    key = keys().get(path)
    inner = isinstance(loc[-1], int) if loc else False
    allowed = key.allowed if key and not inner else _INSIDE.get(kind, problem["msg"])
    return f"{path} = {_shown(path, problem['input'])} is not allowed; it must be: {allowed}"


def _unknown(path: str) -> str:
    if _SECRET_NAME.search(path):
        return f"{path} looks like a secret, and none belongs here: keys come from environment variables; delete it"
    near = nearest(path)
    return f"{path} is not a key; " + (
        f"did you mean {near}?" if near else "'rlaif-tui judge init' writes a file with every key"
    )


def _shown(path: str, value: Any) -> str:
    if _SECRET_NAME.search(path) or (isinstance(value, str) and looks_secret(value)):
        return "(looks like a secret, not shown)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
