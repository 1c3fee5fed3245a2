"""What a judge template may use and how much of it: filters, tests, and the budget that they are charged against."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from jinja2 import StrictUndefined

MAX_TEXT = 8_000_000
"""Characters of any text that a template makes."""
MAX_WORK = 300_000
"""Turns of loops plus hundreds of characters worked on."""
MAX_CPU_S = 1.0
TESTS = frozenset(
    {"defined", "undefined", "none", "true", "false", "string", "number", "mapping", "sequence", "iterable", "odd",
     "even", "divisibleby", "eq", "ne", "lt", "le", "gt", "ge", "in", "equalto", "==", "!=", "<", "<=", ">", ">="}
)  # fmt: skip


class OverBudgetError(Exception):
    """A template that does not come to an end."""


class Budget:
    """What one rendering may do."""

    def __init__(self) -> None:
        self._left = MAX_WORK
        self._until = time.thread_time() + MAX_CPU_S

    def spend(self, units: int) -> None:
        """Take ``units`` of work. Raises ``OverBudgetError``."""
        self._left -= units
        if self._left < 0 or time.thread_time() > self._until:
            raise OverBudgetError("it does not come to an end: too many turns of loops or too much text")

    def checked(self, value: Any) -> Any:
        """``value``, charged for its size."""
        size = len(value) if isinstance(value, str | list | tuple | dict) else 0
        if size > MAX_TEXT:
            raise OverBudgetError(f"it makes a text of over {MAX_TEXT:,} characters")
        self.spend(1 + size // 100)
        return value

    def counted(self, values: Iterable[Any]) -> Iterator[Any]:
        """``values``, one unit each."""
        for value in values:
            self.spend(1)
            yield value


def _data(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=str)


def default_to(value: Any, other: Any = "", blank: bool = False) -> Any:
    missing = isinstance(value, StrictUndefined) or (blank and not value)
    return other if missing else value


def _join(values: Iterable[Any], between: str = "") -> str:
    texts = [str(value) for value in values]
    if sum(map(len, texts)) + len(texts) * len(between) > MAX_TEXT:
        raise OverBudgetError(f"it makes a text of over {MAX_TEXT:,} characters")
    return between.join(texts)


def _replace(text: str, old: str, new: str) -> str:
    if len(text) + text.count(old) * len(new) > MAX_TEXT:
        raise OverBudgetError(f"it makes a text of over {MAX_TEXT:,} characters")
    return text.replace(old, new)


def _truncate(text: str, length: int = 255) -> str:
    return text if len(text) <= length else text[: max(0, int(length) - 1)] + "…"


def _round(value: float, digits: int = 0) -> float:
    return round(float(value), max(-15, min(15, int(digits))))


FILTERS: Mapping[str, Callable[..., Any]] = {
    "data": _data,
    "tojson": _data,
    "default": default_to,
    "d": default_to,
    "join": _join,
    "replace": _replace,
    "truncate": _truncate,
    "round": _round,
    "length": len,
    "count": len,
    "trim": lambda text: str(text).strip(),
    "upper": lambda text: str(text).upper(),
    "lower": lambda text: str(text).lower(),
    "title": lambda text: str(text).title(),
    "capitalize": lambda text: str(text).capitalize(),
    "string": str,
    "int": int,
    "float": float,
    "first": lambda values: next(iter(values), ""),
    "last": lambda values: next(iter(reversed(values)), ""),
    "list": list,
    "sort": sorted,
    "wordcount": lambda text: len(str(text).split()),
}
