"""The language of the samples filter: words and fields, all of which must hold; ``or`` between alternatives.

``score<4 step>300 cut -rated "exact words"``: a field is compared with a number, a name of ``STATES`` asks for a state,
anything else is looked for in prompt, response and reason, case ignored. A ``-`` in front turns a term round.
"""

from __future__ import annotations

import difflib
import math
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass

from .samples_rows import Row


class FilterError(ValueError):
    """A filter that cannot be understood: which term, why, and what can be written."""


@dataclass(frozen=True)
class Marks:
    """What of a row is known elsewhere than in its file."""

    rated: float | None = None
    """What the person gave."""
    pinned: bool = False


Test = Callable[[Row, Marks, Callable[[], str]], bool]
_FIELDS: dict[str, Callable[[Row, Marks], float | None]] = {
    "score": lambda row, _: row.score,
    "reward": lambda row, _: row.reward,
    "kl": lambda row, _: row.kl,
    "len": lambda row, _: None if row.problem else row.tokens,
    "step": lambda row, _: row.step,
    "you": lambda _, marks: marks.rated,
}
_ALIASES = {"length": "len", "tok": "len", "tokens": "len", "rating": "you"}
_STATES: dict[str, tuple[Callable[[Row, Marks], bool], str]] = {
    "cut": (lambda row, _: row.cut, "stopped by the token limit"),
    "failed": (lambda row, _: bool(row.failed), "the judge gave no score"),
    "rated": (lambda _, marks: marks.rated is not None, "you gave a score"),
    "flagged": (lambda row, _: bool(row.flags), "the judge marked it"),
    "unused": (lambda row, _: row.used is False, "left out of training"),
    "waiting": (lambda row, _: not row.judged and not row.problem, "not judged yet"),
    "validation": (lambda row, _: row.held_out, "of held-out prompts"),
    "pinned": (lambda _, marks: marks.pinned, "its prompt is pinned"),
}
STATES = {name: meaning for name, (_, meaning) in _STATES.items()}
FIELDS = tuple(_FIELDS)
_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
_TERM = re.compile(r'-?"[^"]*"?|\S+')
_COMPARISON = re.compile(r"^([A-Za-z_]+)(<=|>=|!=|==|<|>|=)(.*)$")


@dataclass(frozen=True)
class Filter:
    """A filter as it was written, understood."""

    written: str = ""
    alternatives: tuple[tuple[Test, ...], ...] = ((),)

    def holds(self, row: Row, marks: Marks, text: Callable[[], str]) -> bool:
        """Whether a row is let through; ``text`` is called only if words are looked for."""
        return any(all(test(row, marks, text) for test in tests) for tests in self.alternatives)


def parse(written: str) -> Filter:
    """Understand a filter; an empty one lets everything through. Raises ``FilterError``."""
    if written.count('"') % 2:
        raise FilterError('a quote is not closed; write "exact words"')
    groups: list[list[Test]] = [[]]
    for term in _TERM.findall(written):
        if term.lower() == "or":
            groups.append([])
        else:
            groups[-1].append(_test(term))
    if len(groups) > 1 and not all(groups):
        raise FilterError("'or' stands between two terms, such as score<4 or failed")
    # Cheap tests first: texts are unpacked for the rows that pass them.
    ordered = [tuple(sorted(group, key=lambda test: isinstance(test, _Words))) for group in groups]
    return Filter(written.strip(), tuple(ordered))


def _test(term: str) -> Test:
    if term.startswith("-") and len(term) > 1:
        inner = _test(term[1:])
        return lambda row, marks, text: not inner(row, marks, text)
    if term.startswith('"'):
        return _Words(term.strip('"'))
    if match := _COMPARISON.match(term):
        return _comparison(term, *match.groups())
    if state := _STATES.get(term.lower()):
        holds = state[0]
        return lambda row, marks, _: holds(row, marks)
    return _Words(term)


@dataclass(frozen=True)
class _Words:
    """Looks for a phrase in the texts of a row."""

    phrase: str

    def __call__(self, row: Row, marks: Marks, text: Callable[[], str]) -> bool:  # noqa: ARG002
        return self.phrase.casefold() in text()


def _comparison(term: str, name: str, sign: str, number: str) -> Test:
    name = _ALIASES.get(name.lower(), name.lower())
    if name not in _FIELDS:
        near = difflib.get_close_matches(name, FIELDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(FIELDS)}"
        raise FilterError(f"'{term}': no field '{name}'; {hint} Quotes look for it as text")
    try:
        limit = float(number)
    except ValueError:
        limit = math.nan
    if math.isnan(limit):
        raise FilterError(f"'{term}': '{number}' is no number; write {name}{sign}4")
    value_of, compare = _FIELDS[name], _OPERATORS[sign]

    def test(row: Row, marks: Marks, _: Callable[[], str]) -> bool:
        value = value_of(row, marks)
        return value is not None and compare(value, limit)

    return test
