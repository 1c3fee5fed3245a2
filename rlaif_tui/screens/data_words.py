"""The data screen's lines: what was read, what is shown, each row, in a person's words."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from textual.content import Content

from ..desks.data import Seen
from ..desks.data_rows import BUILT_IN, Entry, Listing, Query, histogram, percentiles, warnings_of
from ..sentences import UNKNOWN
from ..text import one_line
from ..widgets.histogram import spark
from ..widgets.line import Field
from ..widgets.rows import Cell
from .overlay import Line

T = TypeVar("T")
_FIRST = 400
"""Characters of a prompt that can appear in the list."""
FULL_CHARACTERS = 200_000
_SIDES = {"train": "train", "validation": "valid"}
HELP: tuple[Line, ...] = (
    ("#", "number of the row in the file: the line it starts on, or the record of a JSON or Parquet file"),
    ("tok", "tokens of the prompt with the model's chat template, which is what the limit counts"),
    ("split", "whether a run would train on the row or hold it out for validation; blank: it is dropped"),
    ("! and ✗", "something to know about the row, and a row that cannot be used; w lists all of them"),
    ("as … sees it", "the prompt after the chat template; special tokens stand out, ⏎ is a line end"),
    ("same as row", "the prompt repeats an earlier one, white space and case apart; repeats stay on one side"),
    ("special tokens", "the row's own text holds what the model reads as a token of its template"),
)


def name_of(path: str) -> str:
    """What a person calls a data file."""
    return "built-in sample" if path == BUILT_IN else one_line(Path(path).name or path)


def following(choices: Sequence[T], now: T) -> T:
    """The choice after this one, around the end."""
    return choices[(choices.index(now) + 1) % len(choices)]


def reading(name: str, seconds: float) -> str:
    whole = int(seconds)
    return f"reading {name}… {whole // 60}:{whole % 60:02d}"


def trouble(problem: str, key: str, can_return: bool) -> str:
    """An error and what can be done here; ``key`` opens another file."""
    return f"{problem.rstrip('.')}. {key} opens another file{', r goes back to the data of the run' * can_return}."


def place_of(listing: Listing, selected: Sequence[int], number: int) -> int | None:
    """Where the row of this number is among the selected ones."""
    entry = bisect_left(listing.entries, number, key=lambda one: one.number)
    if not number or entry >= len(listing.entries):
        return None
    try:
        return selected.index(entry)
    except ValueError:
        return None


def what_line(listing: Listing) -> list[Field]:
    """File, counts, warnings, columns."""
    report = listing.report
    more = "+" if listing.is_head else ""
    mapping = report.mapping
    used = [("prompt", mapping.prompt), ("reference", mapping.reference), ("system", mapping.system)]
    used += [("chosen", mapping.chosen), ("rejected", mapping.rejected)]
    lost = report.problem_count - report.empty
    bad = sum(told.is_bad for told in warnings_of(listing))
    return [
        Field(name_of(listing.source.path), "bold"),
        Field(f"{report.usable:,}{more} rows, {report.duplicates:,} twice, {report.empty:,} empty"),
        Field(f"{lost:,} unusable" if lost else "", "$text-warning"),
        Field(f"{bad} warning{'' if bad == 1 else 's'}" if bad else "", "$text-warning"),
        *(Field(f"{role}={column}", "$foreground 75%") for role, column in used if column),
    ]


def how_line(
    listing: Listing, query: Query, count: int, reading_now: str, *, lengths: bool, ascii_only: bool
) -> tuple[list[Field], Field]:
    """Which rows are shown, how they are split, what is being read; with ``lengths`` a spark of them at the right."""
    parts: list[str] = []
    if query.show != "all":
        parts.append(query.show)
    if query.find:
        parts.append(f"with “{query.find}”")
    shown = f"{count:,} of {len(listing.entries):,}: {', '.join(parts)}" if parts else "all rows"
    order = "" if query.order == "of the file" else query.order
    held_out = sum(side == "validation" for side in listing.sides)
    sides = f"{len(listing.sides) - listing.sides.count(None) - held_out:,} train, {held_out:,} validation"
    fields = [
        Field(shown, "bold" if parts else "$foreground 75%"),
        Field(order, "bold"),
        Field(counting(listing, reading_now), "$foreground 75%"),
        Field(sides if listing.sides else "", "$foreground 75%"),
    ]
    if not lengths:
        return fields, Field("")
    line = spark(histogram(listing.ordered, 10), ascii_only=ascii_only)
    figures = percentiles(listing.ordered)
    text = f"tokens p50 {figures['p50']:,} max {figures['max']:,} {line}" if figures else ""
    return fields, Field(text, "$foreground 75%")


def counting(listing: Listing, reading_now: str) -> str:
    """What goes on, with how far it is."""
    if listing.done or not reading_now:
        return ""
    if listing.lengths:
        return f"counting tokens {len(listing.lengths):,}/{len(listing.entries):,}"
    return reading_now


def lengths_title(listing: Listing) -> Content:
    figures = percentiles(listing.ordered)
    words = "  ".join(f"{name} {value:,}" for name, value in figures.items())
    return Content(f"tokens per prompt   {words}" if words else "tokens per prompt")


def row_cells(listing: Listing, at: int) -> tuple[Cell, ...]:
    """A row in the order of the list's columns; what is wrong with it stands before its text."""
    entry = listing.entries[at]
    number = Cell(f"{entry.number:,}", "$foreground 60%")
    if entry.prompt is None:
        return number, Cell(UNKNOWN), Cell(""), Cell(f"✗ {entry.problem}", "$text-error")
    length, flag, side = listing.length(at), listing.flag(at), listing.side(at)
    tokens = Cell(UNKNOWN if length is None else f"{length:,}", "$text-warning" if listing.is_too_long(at) else "")
    text = entry.prompt.messages[-1].content[:_FIRST].strip()
    return (
        number,
        tokens,
        Cell(_SIDES[side] if side else "", "$accent" if side == "validation" else "$foreground 60%"),
        Cell(f"! {flag} · {text}" if flag else text, "$text-warning" if flag else ""),
    )


def full_text(entry: Entry, seen: Seen | None) -> list[Line]:
    """Everything of a row."""
    if seen is None or entry.prompt is None:
        return [("This row is not used", ""), ("", entry.problem)]
    title = f"As {seen.by} sees it" if seen.by else "Plain text"
    lines: list[Line] = [(title, ""), *([("", seen.note)] if seen.note else [])]
    lines.append(("", seen.text[:FULL_CHARACTERS]))
    if len(seen.text) > FULL_CHARACTERS:
        lines.append(("", f"… {len(seen.text) - FULL_CHARACTERS:,} more characters; y copies all"))
    for name, answer in answers_of(entry):
        lines += [("", ""), (name, ""), ("", answer[:FULL_CHARACTERS])]
    return lines


def answers_of(entry: Entry) -> list[tuple[str, str]]:
    """(name, text) of the answers that came with a row."""
    prompt = entry.prompt
    if prompt is None:
        return []
    found = (("reference", prompt.reference), ("chosen", prompt.chosen), ("rejected", prompt.rejected))
    return [(name, answer) for name, answer in found if answer]
