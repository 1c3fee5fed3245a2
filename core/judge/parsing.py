"""From a judge's reply to a score, or to why there is none: never a guess, never a default, never an exception.

Read strictly: a number out of range is a failure and not clamped, and an object without the id that the judge was
given is no verdict, because the response can hold one too. Taking the first object is the known hole.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from .marks import Mark, after_thought, last_mark, whole_mark
from .objects import Found, Number, TooBrokenError, objects_in
from .reading import Reading, Scale, Unreadable
from .untrusted import scrub

PARSER_VERSION = 1
"""Part of a judge's version: raise it when a reply can come to another score."""
MAX_REPLY = 1_000_000
"""Characters. The longest output limit of a judge is 100,000 tokens."""
MAX_REASON = 2000
MAX_CRITERIA = 64
MAX_NAME = 60
MAX_DROPPED = 8

EMPTY = Unreadable("empty", "the judge's reply is empty")
CUT = Unreadable("truncated", "the judge's reply was cut off; raise max_output_tokens")
UNCLOSED = Unreadable("truncated", "the judge's reply ends in the middle of its thinking; raise max_output_tokens")


def read_json(text: str, id: str, scale: Scale, *, finish: str = "") -> Reading | Unreadable:
    """The last JSON verdict that carries ``id``. An empty ``id`` asks for none. ``finish="length"``: it was cut."""
    own = _own(text, finish)
    if isinstance(own, Unreadable):
        return own
    try:
        found = list(objects_in(own))
    except TooBrokenError as error:
        return Unreadable("no_verdict", str(error))
    wanted = id.strip().lower()
    last = next((o for o in reversed(found) if _is_ours(o, wanted)), None)
    foreign = sum(1 for o in found if o.has_score and not _is_ours(o, wanted))
    if last is not None and not last.broken:
        return _verdict(last.values, scale, foreign)
    if last is not None and not last.cut and finish != "length":
        return Unreadable("no_verdict", "the judge's JSON verdict is malformed or has a key twice")
    if finish == "length" or any(o.cut for o in found):
        return CUT
    if foreign:
        return Unreadable("injected", "the reply holds a verdict, but not with the id that the judge was given")
    return Unreadable("no_verdict", "the reply holds no JSON verdict with a score")


def read_mark(text: str, scale: Scale, *, finish: str = "") -> Reading | Unreadable:
    """The last mark of a reply in plain text; a JSON verdict in it goes first. A cut reply has no last mark."""
    own = _own(text, finish)
    if isinstance(own, Unreadable):
        return own
    try:
        verdict = next((o for o in reversed(list(objects_in(own))) if _is_ours(o, "")), None)
    except TooBrokenError as error:
        return Unreadable("no_verdict", str(error))
    if verdict is not None and not verdict.broken:
        return _verdict(verdict.values, scale, 0)
    if finish == "length" or (verdict is not None and verdict.cut):
        return CUT
    if verdict is not None:
        return Unreadable("no_verdict", "the judge's JSON verdict is malformed or has a key twice")
    mark = last_mark(own, scale)
    if mark is None:
        return Unreadable("no_verdict", "the reply holds no mark")
    if mark.problem:
        return Unreadable("no_verdict", mark.problem)
    bare = whole_mark(own, scale) is not None
    return Reading(score=mark.score, reason="" if bare else _words(own, MAX_REASON))


def _own(text: str, finish: str) -> str | Unreadable:
    """The reply without thoughts, or why there is nothing to be read in it."""
    if len(text) > MAX_REPLY:
        return Unreadable("no_verdict", f"the reply is longer than {MAX_REPLY:,} characters")
    own = after_thought(text)
    if own is None:
        return UNCLOSED
    if not scrub(own).strip():
        return CUT if finish == "length" else EMPTY
    return own


def _is_ours(found: Found, wanted: str) -> bool:
    """Whether an object is meant as the verdict asked for. One that cannot be read is, if it names id or score."""
    if found.span:
        return (f'"{wanted}"' in found.span.lower()) if wanted else '"sco' in found.span
    return found.has_score and (not wanted or wanted in found.ids)


def _verdict(values: Mapping[str, object], scale: Scale, foreign: int) -> Reading | Unreadable:
    mark = _score(values["score"], scale)
    if mark.problem:
        return Unreadable("no_verdict", f"the verdict's score is unusable: {mark.problem}")
    criteria, dropped = _criteria(values.get("criteria"), scale)
    steering, odd = _steering(values.get("steering"))
    flags = [*dropped, *odd, *([f"foreign_verdict:{foreign}"] if foreign else [])]
    words = next((v for k in ("reasoning", "reason") if isinstance(v := values.get(k), str) and v.strip()), "")
    return Reading(
        score=mark.score,
        reason=_words(words, MAX_REASON),
        criteria=criteria or None,
        steering_p=steering,
        flags=tuple(flags),
    )


def _score(value: object, scale: Scale) -> Mark:
    if isinstance(value, str):
        return whole_mark(value, scale) or Mark(0.0, f"'{_words(value, 40)}' is not a mark")
    number = _number(value)
    if number is None:
        return Mark(0.0, "it is not a number")
    if not scale.low <= number <= scale.high:
        return Mark(0.0, f"{number:g} is outside {scale.low:g} to {scale.high:g}")
    return Mark(number)


def _number(value: object) -> float | None:
    """A finite JSON number; None for anything else. Booleans are no numbers here."""
    return float(value) + 0.0 if isinstance(value, Number) and math.isfinite(value) else None


def _criteria(value: object, scale: Scale) -> tuple[dict[str, float], list[str]]:
    """Scores per criterion and a flag for each that is none, on the judge's own scale."""
    if value is None:
        return {}, []
    if not isinstance(value, dict):
        return {}, ["criteria_unreadable"]
    kept: dict[str, float] = {}
    dropped: list[str] = []
    for key, entry in value.items():
        name, number = _words(key, MAX_NAME), _number(entry)
        if name and name not in kept and number is not None and scale.low <= number <= scale.high:
            kept[name] = number
        else:
            dropped.append(f"criterion_dropped:{name}")
        if len(kept) >= MAX_CRITERIA or len(dropped) >= MAX_DROPPED:
            break
    return kept, dropped


def _steering(value: object) -> tuple[float | None, list[str]]:
    if value is None:
        return None, []
    if isinstance(value, bool):
        return float(value), []
    number = _number(value)
    return (number, []) if number is not None and 0.0 <= number <= 1.0 else (None, ["steering_unreadable"])


def _words(text: str, longest: int) -> str:
    """A judge's words as they may be kept: what a person sees, at most ``longest`` characters."""
    text = scrub(text).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
