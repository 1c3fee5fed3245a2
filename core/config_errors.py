"""Turns what pydantic found wrong into sentences: the key, the value, what is allowed, the nearest real key."""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic import ValidationError

from .config_schema import keys, nearest, sections
from .errors import ConfigError

_SECRET_NAME = re.compile(
    r"(^|[_.-])(api_?key|key|token|secret|password|passwd|passphrase|credentials?|bearer|authorization)$", re.IGNORECASE
)
_SECRET_VALUE = re.compile(r"^(sk|pk|hf|gh[a-z]|xox[a-z]|AIza|AKIA)[-_A-Za-z0-9]{12,}$")
_LONGEST_SHOWN = 80
_INSIDE = {"string_type": "text", "float_type": "number", "finite_number": "finite number"}
"""What an item of a list or table must be, by the name of pydantic's complaint."""


def describe_error(error: ValidationError, source: str) -> ConfigError:
    """One ``ConfigError`` that tells everything wrong at once, one sentence each; ``source`` is the file or command."""
    problems = list(dict.fromkeys(_sentence(problem) for problem in error.errors(include_url=False)))
    if len(problems) == 1:
        return ConfigError(f"{source}: {problems[0]}")
    return ConfigError("\n  ".join([f"{source} has {len(problems)} problems:", *problems]))


def _sentence(problem: Any) -> str:
    location = tuple(str(part) for part in problem["loc"])
    path = ".".join(location)
    if problem["type"] == "extra_forbidden":
        return _unknown_key(path)
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"]) if not path else f"{path}: {problem['ctx']['error']}"
    if len(location) == 1:
        return f"{path} = {_shown(path, problem['input'])} is not a section; write [{path}] and its keys below"
    key = keys().get(".".join(location[:2]))
    allowed = key.allowed if key and len(location) == 2 else _INSIDE.get(problem["type"], problem["msg"])
    return f"{path} = {_shown(path, problem['input'])} is not allowed; it must be: {allowed}"


def _unknown_key(path: str) -> str:
    if _SECRET_NAME.search(path):
        return f"{path} looks like a secret, and none belongs here: keys come from environment variables; delete it"
    meant = nearest(path)
    kind = "key" if "." in path else "section"
    if not meant:
        known = ", ".join(sections()) if kind == "section" else "'rlaif-tui init' writes a file with every key"
        return f"{path} is not a {kind}; {'there are: ' if kind == 'section' else ''}{known}"
    names = " or ".join(name if "." in name else f"[{name}]" for name in meant)
    return f"{path} is not a {kind}; did you mean {names}?"


def _shown(path: str, value: Any) -> str:
    if _SECRET_NAME.search(path) or (isinstance(value, str) and _SECRET_VALUE.match(value.strip())):
        return "(looks like a secret, not shown)"
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."
