"""What models turned out to reject: found once, remembered for a week, shared by all processes of a user.

A parameter that is dropped is one without which a score keeps its meaning. Log-probabilities, label constraints and
the decisions protocol are never in this table: without them the score would be another one.
"""

from __future__ import annotations

import json
import logging
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import platformdirs

from ..files import write_atomic
from .endpoint import CallError

MAX_DROPS = 4
"""Parameters given up in one call at most."""
KEEP_S = 7 * 24 * 3600.0
LIMIT_NAMES = ("max_tokens", "max_completion_tokens")
RENAMED = "renamed:output_limit"
DROPPABLE: dict[str, tuple[str, ...]] = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "seed": ("seed",),
    "effort": ("reasoning_effort", "reasoning", "output_config.effort"),
    "thinking": ("thinking", "chat_template_kwargs"),
    "prompt_cache_key": ("prompt_cache_key",),
    "store": ("store",),
    "response_format": ("response_format", "text", "output_config.format"),
}
"""Name that is remembered -> where the parameter stands in the bodies of the protocols."""
_FILE_VERSION = 1
_REJECTED = frozenset({"unsupported_parameter", "unsupported_value", "unknown_parameter"})
_REFUSING = re.compile(
    r"unsupported|not supported|n[o']t support|not permitted|not allowed|unknown|unrecogni[sz]ed|unexpected|extra"
    r"|deprecated|cannot be (?:used|set|specified)|no longer|not available|invalid",
    re.IGNORECASE,
)
_log = logging.getLogger(__name__)
_lock = threading.Lock()
"""One for all tables of a process: they may share a file."""


class Capabilities:
    """Rejected parameters per (base_url, model). With a path they are kept in that JSON file, else in memory."""

    def __init__(self, path: Path | None = None, *, now: Callable[[], float] = time.time) -> None:
        self._path = path
        self._now = now
        self._own: dict[str, dict[str, float]] = {}
        self._stamp: tuple[int, int, int] | None = None

    @classmethod
    def of_user(cls) -> Capabilities:
        """The user's own table, in the cache folder."""
        return cls(Path(platformdirs.user_cache_dir("rlaif-tui", appauthor=False)) / "judge-capabilities.json")

    def dropped(self, base_url: str, model: str) -> frozenset[str]:
        """Names of ``DROPPABLE`` (and ``RENAMED``) that this model has rejected within the last week."""
        with _lock:
            self._refresh()
            known = self._own.get(_place(base_url, model), {})
            oldest = self._now() - KEEP_S
            return frozenset(name for name, at in known.items() if oldest < at <= self._now() + KEEP_S)

    def remember(self, base_url: str, model: str, name: str) -> None:
        """Note that a model rejects a parameter. A folder that cannot be written costs one call per process."""
        with _lock:
            self._stamp = None  # another process may have written in the same tick of the clock
            self._refresh()
            self._own.setdefault(_place(base_url, model), {})[name] = self._now()
            if self._path is None:
                return
            oldest = self._now() - KEEP_S
            models = {
                place: kept
                for place, names in self._own.items()
                if (kept := {name: at for name, at in names.items() if at > oldest})
            }
            data = json.dumps({"version": _FILE_VERSION, "models": models}, indent=1, sort_keys=True).encode()
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
                write_atomic(self._path, data)
            except OSError as error:
                _log.warning("cannot write %s: %s", self._path, error.strerror)

    def _refresh(self) -> None:
        """Take in what the file says if it has changed; what this process found stays."""
        if self._path is None:
            return
        try:
            facts = self._path.stat()
            stamp = (facts.st_mtime_ns, facts.st_size, facts.st_ino)
            if stamp == self._stamp:
                return
            found = _models_in(self._path.read_bytes())
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("cannot read %s: %s", self._path, error.strerror)
            return
        except (ValueError, RecursionError):
            self._set_aside()
            return
        self._stamp = stamp
        for place, names in found.items():
            mine = self._own.setdefault(place, {})
            for name, at in names.items():
                mine[name] = max(at, mine.get(name, at))

    def _set_aside(self) -> None:
        assert self._path is not None
        aside = self._path.with_name(f"{self._path.name}.damaged-{os.getpid()}")
        try:
            self._path.rename(aside)
            _log.warning("%s was damaged and is set aside as %s; it fills itself again", self._path, aside.name)
        except OSError as error:
            _log.warning("%s is damaged: %s", self._path, error.strerror)


def rejected_by(error: CallError, body: dict[str, Any]) -> str | None:
    """The parameter of ``body`` that this refusal is about: a name of ``DROPPABLE``, ``RENAMED``, or None.

    OpenAI says it with ``code`` and ``param``; for others the name in the message decides, if the message refuses.
    """
    if error.kind != "bad_request" or error.http_status not in (400, 422):
        return None
    said = str(error)
    if error.param:
        if error.code not in _REJECTED and not _REFUSING.search(said):
            return None
        return _named_by_param(error.param, body)
    if error.code not in _REJECTED and not _REFUSING.search(said):
        return None
    return _named_in_text(said, body)


def prune(body: dict[str, Any], dropped: frozenset[str]) -> dict[str, Any]:
    """A copy of a body without what the model rejects, and with the output limit under the name that it takes."""
    kept = {k: dict(v) if isinstance(v, dict) else v for k, v in body.items()}
    for name in dropped & DROPPABLE.keys():
        for path in DROPPABLE[name]:
            _remove(kept, path)
    if RENAMED in dropped:
        for old, new in (LIMIT_NAMES, LIMIT_NAMES[::-1]):
            if old in body:
                kept[new] = kept.pop(old)
                break
    return kept


def _named_by_param(param: str, body: dict[str, Any]) -> str | None:
    if param in LIMIT_NAMES:
        return RENAMED if param in body else None
    for name, path in _present(body):
        if param == path or param.startswith(f"{path}.") or path.startswith(f"{param}."):
            return name
    return None


def _named_in_text(said: str, body: dict[str, Any]) -> str | None:
    found = [
        (match.start(), name)
        for name, path in _present(body)
        if (match := re.search(rf"(?<![\w]){re.escape(path)}(?!\w)", said))
        and (path != "text" or "text.format" in said)
    ]
    limits = [
        (match.start(), RENAMED)
        for limit in LIMIT_NAMES
        if limit in body and (match := re.search(rf"(?<!\w){limit}(?!\w)", said))
    ]
    return min(found + limits, default=(0, None))[1]


def _present(body: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, paths in DROPPABLE.items():
        for path in paths:
            head, _, tail = path.partition(".")
            inner = body.get(head)
            if head in body and (not tail or (isinstance(inner, dict) and tail in inner)):
                yield name, path


def _remove(body: dict[str, Any], path: str) -> None:
    head, _, tail = path.partition(".")
    if not tail:
        body.pop(head, None)
    elif isinstance(inner := body.get(head), dict):
        inner.pop(tail, None)
        if not inner:
            del body[head]


def _place(base_url: str, model: str) -> str:
    return f"{base_url.rstrip('/')} {model}"


def _models_in(data: bytes) -> dict[str, dict[str, float]]:
    """The table of a file. Raises ``ValueError`` for anything else than one."""
    found = json.loads(data)
    if (
        not isinstance(found, dict)
        or found.get("version") != _FILE_VERSION
        or not isinstance(found.get("models"), dict)
    ):
        raise ValueError("not a table of capabilities")
    allowed = {*DROPPABLE, RENAMED}
    return {
        str(place): {n: float(at) for n, at in names.items() if n in allowed and isinstance(at, int | float)}
        for place, names in found["models"].items()
        if isinstance(names, dict)
    }
