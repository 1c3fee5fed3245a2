"""Which words of two texts differ. Pure; a marked run carries signs besides its colour, so that no colour is needed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from .text import safe

LEFT_SIGNS, RIGHT_SIGNS = ("[-", "-]"), ("{+", "+}")
"""As wdiff writes what is only in the first and only in the second text."""
_EXACT_UP_TO = 250_000
"""Words of one text times words of the other up to which frequent words are compared as well: 0.2 s at most."""
_LEAST_COMMON = 0.15
"""Share of words in common below which marks would cover everything and show nothing."""
# A letter of a script without spaces is a word of its own.
_WORD = re.compile(r"([\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\s\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+)(\s*)")


@dataclass(frozen=True)
class Part:
    """A piece of a text; its marks stand in it."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class Diff:
    """Two texts, safe to show, in pieces that join to the whole."""

    left: tuple[Part, ...]
    right: tuple[Part, ...]
    note: str = ""
    """Why nothing is marked: the texts are the same, or have too little in common."""


def compare(left: str, right: str) -> Diff:
    """Mark the words that are only in one of the two; how many blanks stand between words does not matter."""
    left, right = safe(left), safe(right)
    if left == right:
        return Diff((Part(left),), (Part(right),), "word for word the same")
    a, b = _words(left), _words(right)
    same = _common(a.words, b.words)
    common = sum(size for _, _, size in same)
    if 2 * common < _LEAST_COMMON * (len(a.words) + len(b.words)):
        return Diff((Part(left),), (Part(right),), "hardly a word in common, so none is marked")
    return Diff(
        _parts(a, [(at, size) for at, _, size in same], LEFT_SIGNS),
        _parts(b, [(at, size) for _, at, size in same], RIGHT_SIGNS),
    )


@dataclass(frozen=True)
class _Words:
    before: str
    words: Sequence[str]
    gaps: Sequence[str]
    """What stands behind each word."""


def _words(text: str) -> _Words:
    found = _WORD.findall(text)
    before = text[: len(text) - len(text.lstrip())]
    return _Words(before, [word for word, _ in found], [gap for _, gap in found])


def _common(a: Sequence[str], b: Sequence[str]) -> list[tuple[int, int, int]]:
    """(place in a, place in b, length) of the runs that both have."""
    start = 0
    while start < min(len(a), len(b)) and a[start] == b[start]:
        start += 1
    end = 0
    while end < min(len(a), len(b)) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    middle_a, middle_b = a[start : len(a) - end], b[start : len(b) - end]
    # Repeated words make the exact comparison take quadratic time and more.
    junk = len(middle_a) * len(middle_b) > _EXACT_UP_TO
    blocks = SequenceMatcher(None, middle_a, middle_b, autojunk=junk).get_matching_blocks()
    middle = [(start + block.a, start + block.b, block.size) for block in blocks if block.size]
    head = [(0, 0, start)] if start else []
    return [*head, *middle, *([(len(a) - end, len(b) - end, end)] if end else [])]


def _parts(text: _Words, same: Sequence[tuple[int, int]], signs: tuple[str, str]) -> tuple[Part, ...]:
    parts = [Part(text.before)] if text.before else []
    at = 0
    for start, size in (*same, (len(text.words), 0)):
        if start > at:
            run = _joined(text, at, start)
            inner = run.rstrip()
            parts += [Part(signs[0] + inner + signs[1], marked=True), Part(run[len(inner) :])]
        parts.append(Part(_joined(text, start, start + size)))
        at = start + size
    return tuple(part for part in parts if part.text)


def _joined(text: _Words, start: int, end: int) -> str:
    return "".join(word + gap for word, gap in zip(text.words[start:end], text.gaps[start:end], strict=True))
