"""The first line from what is known: screens, and the run in view."""

from __future__ import annotations

from collections.abc import Iterable

from . import words
from .desks.runs import Entry
from .places import Place
from .run_state import RunState
from .widgets.tabs import Head


def head_of(places: Iterable[Place], current: str, run: str, entry: Entry, *, ascii_only: bool) -> Head:
    """The first line for the screen with the id ``current``."""
    ordered = sorted(places, key=lambda place: place.key)
    here = next((place.key for place in ordered if place.id == current), "")
    tabs = tuple((place.key, place.title) for place in ordered)
    if not run or entry is None:
        return Head(tabs, here, run)
    if not isinstance(entry, RunState):
        return Head(tabs, here, run, "unreadable", "?")
    sign = words.glyph(entry, ascii_only=ascii_only)
    done = "" if entry.word == "completed" else words.progress(entry)
    return Head(tabs, here, run, f"{sign} {words.word(entry)} {done}".rstrip(), f"{sign} {words.percent(entry)}")
