"""JSON objects in a reply that may hold other text. Strict about what is in an object, in linear time.

A duplicate key makes an object broken: two readers would disagree about it. So does nesting deeper than a verdict
needs. An object inside a broken one is never taken for a verdict: it may be a quotation.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

MAX_BROKEN = 32
"""Broken objects in one reply before it is given up; each costs at most one pass over the reply."""
MAX_DEPTH = 64
MAX_DIGITS = 40

OPENING = re.compile(r'\{\s*"')
BRACE = re.compile(r"[{}\[\]]")


class Number(float):
    """A JSON number that knows how it was written: an id of digits may come back without quotes."""

    written: str

    def __new__(cls, written: str) -> Number:
        number = super().__new__(cls, written if len(written) <= MAX_DIGITS else "nan")
        number.written = written[:MAX_DIGITS]
        return number


class _Pairs(dict[str, object]):
    """An object with all its pairs, also where a key is there twice."""

    pairs: list[tuple[str, object]]


@dataclass(frozen=True)
class Found:
    """One top-level object. ``broken``: not to be read; ``cut``: broken because the reply ends inside it."""

    values: dict[str, object] = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    """Every value under the key ``id``, blanks and case removed."""
    has_score: bool = False
    broken: bool = False
    cut: bool = False
    span: str = ""
    """The text of a broken object, so that one can see whose verdict it was meant to be."""


class TooBrokenError(ValueError):
    """More broken objects than anybody writes."""


def objects_in(text: str) -> Iterator[Found]:
    """The top-level objects of ``text``, in order. Raises ``TooBrokenError``."""
    twice: list[str] = []
    decoder = json.JSONDecoder(
        object_pairs_hook=lambda pairs: _object(pairs, twice),
        parse_float=Number,
        parse_int=Number,
        parse_constant=lambda _: math.nan,
        strict=False,
    )
    position, broken = 0, 0
    while (opening := OPENING.search(text, position)) is not None:
        start = opening.start()
        twice.clear()
        try:
            value, position = decoder.raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            close = _end_of(text, start)
            position = max(start + 1, getattr(error, "pos", 0), len(text) if close is None else close)
            yield Found(broken=True, cut=close is None, span=text[start:position])
            if (broken := broken + 1) > MAX_BROKEN:
                raise TooBrokenError(f"the reply holds more than {MAX_BROKEN} broken JSON objects") from None
        else:
            yield _found(value, broken=bool(twice) or _depth(text[start:position]) > MAX_DEPTH)


def _object(pairs: list[tuple[str, object]], twice: list[str]) -> _Pairs:
    made = _Pairs(pairs)
    made.pairs = pairs
    if len(made) < len(pairs):
        twice.append("")
    return made


def _found(value: _Pairs, *, broken: bool) -> Found:
    ids = tuple(_id_text(v) for k, v in value.pairs if k == "id")
    return Found(dict(value), ids, "score" in value, broken)


def _id_text(value: object) -> str:
    if isinstance(value, Number):
        return value.written.lower()
    return value.strip().lower() if isinstance(value, str) else ""


def _end_of(text: str, start: int) -> int | None:
    """Where the bracket opened at ``start`` is closed, by counting brackets in strings too; None: never."""
    depth = 0
    for bracket in BRACE.finditer(text, start):
        depth += 1 if bracket[0] in "{[" else -1
        if depth <= 0:
            return bracket.end()
    return None


def _depth(text: str) -> int:
    return max(accumulate(1 if bracket[0] in "{[" else -1 for bracket in BRACE.finditer(text)), default=0)
