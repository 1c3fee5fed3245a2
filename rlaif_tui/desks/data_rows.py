"""The rows of a data file as a person looks at them: what is wrong with each, which are wanted, in which order."""

from __future__ import annotations

import dataclasses
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal

from core.prompt_csv import Problem
from core.prompts import Columns, DataReport, Side
from core.types import Prompt

Show = Literal["all", "repeated", "unusable", "too long", "special tokens", "training", "validation"]
Order = Literal["of the file", "longest first", "shortest first"]
SHOWS: tuple[Show, ...] = ("all", "repeated", "unusable", "too long", "special tokens", "training", "validation")
ORDERS: tuple[Order, ...] = ("of the file", "longest first", "shortest first")
BUILT_IN = "demo"


@dataclass(frozen=True, kw_only=True)
class Source:
    """Which data, read how, and for which model. The defaults are those of a run's configuration."""

    path: str
    columns: Columns = field(default_factory=Columns)
    system_prompt: str = ""
    model: str = "demo"
    revision: str = "main"
    max_prompt_tokens: int = 512
    max_new_tokens: int = 256
    validation_fraction: float = 0.1
    validation_prompts: int = 64
    max_rows: int = 0
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Entry:
    """A row: its number in the file, and its prompt or what is wrong with it."""

    number: int
    prompt: Prompt | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class Listing:
    """What is known of a data file so far. Sequences go with ``entries``, one item each, once they are filled."""

    source: Source
    report: DataReport
    fingerprint: str
    entries: tuple[Entry, ...]
    is_head: bool = False
    """Only the first rows were read so far."""
    repeats: tuple[int, ...] = ()
    """Number of the first row with the same prompt; 0: this is the first."""
    lengths: tuple[int | None, ...] = ()
    """Tokens with the chat template, as far as they were counted; None where there is no count."""
    ordered: tuple[int, ...] = ()
    """The known lengths from the shortest to the longest."""
    sides: tuple[Side | None, ...] = ()
    specials: frozenset[int] = frozenset()
    """Indices of rows whose own text holds special tokens of the model."""
    limit: int = 0
    """Longest prompt that is trained on, in tokens."""
    notes: tuple[str, ...] = ()
    """Sentences on model, template and split."""
    done: bool = False

    def length(self, at: int) -> int | None:
        return self.lengths[at] if at < len(self.lengths) else None

    def is_too_long(self, at: int) -> bool:
        return (self.length(at) or 0) > self.limit

    @property
    def too_long(self) -> int:
        """Rows over the limit, of those counted so far."""
        return len(self.ordered) - bisect_right(self.ordered, self.limit)

    def side(self, at: int) -> Side | None:
        return self.sides[at] if at < len(self.sides) else None

    def repeat_of(self, at: int) -> int:
        return self.repeats[at] if at < len(self.repeats) else 0

    def flag(self, at: int) -> str:
        """What is wrong with a row, in a few words; empty: nothing."""
        entry = self.entries[at]
        if entry.prompt is None:
            return entry.problem
        if self.is_too_long(at):
            return f"over {self.limit:,} tokens: is dropped"
        if at in self.specials:
            return "holds special tokens of the model"
        return f"same as row {self.repeats[at]:,}" if self.repeat_of(at) else ""


@dataclass(frozen=True)
class Query:
    """Which rows, in which order."""

    find: str = ""
    show: Show = "all"
    order: Order = "of the file"


def select(listing: Listing, query: Query) -> Sequence[int]:
    """Indices of the wanted rows in the wanted order."""
    chosen: Sequence[int] = range(len(listing.entries))
    if query.show != "all":
        wanted = _TESTS[query.show]
        chosen = [at for at in chosen if wanted(listing, at)]
    if query.find:
        text = query.find.casefold()
        chosen = [at for at in chosen if _holds(listing.entries[at], text)]
    if query.order != "of the file":
        sign = -1 if query.order == "longest first" else 1
        unknown = float("inf")
        lengths = [listing.length(at) for at in range(len(listing.entries))]
        rank = [unknown if length is None else sign * length for length in lengths]
        chosen = sorted(chosen, key=rank.__getitem__)
    return chosen


_TESTS: dict[Show, Callable[[Listing, int], bool]] = {
    "repeated": lambda listing, at: listing.repeat_of(at) > 0,
    "unusable": lambda listing, at: listing.entries[at].prompt is None,
    "too long": Listing.is_too_long,
    "special tokens": lambda listing, at: at in listing.specials,
    "training": lambda listing, at: listing.side(at) == "train",
    "validation": lambda listing, at: listing.side(at) == "validation",
}


def _holds(entry: Entry, text: str) -> bool:
    if entry.prompt is None:
        return text in entry.problem.casefold()
    answers = (entry.prompt.reference, entry.prompt.chosen, entry.prompt.rejected)
    return any(text in message.content.casefold() for message in entry.prompt.messages) or any(
        text in answer.casefold() for answer in answers if answer
    )


def entries_of(prompts: Sequence[Prompt], rows: Sequence[int], problems: Sequence[Problem]) -> tuple[Entry, ...]:
    """Usable rows and those that were left out, in the order of the file."""
    found = [Entry(number, prompt) for number, prompt in zip(rows, prompts, strict=True)]
    found += [Entry(problem.row, None, problem.what) for problem in problems]
    return tuple(sorted(found, key=lambda entry: entry.number)) if problems else tuple(found)


def histogram(ordered: Sequence[int], most: int) -> tuple[int, ...]:
    """How many of these lengths, sorted, are in each of at most ``most`` parts of 0..longest; empty if there are none.

    Parts have one whole width (the smallest that will do), or counts would differ by how many integers each holds.
    """
    if not ordered or most < 1:
        return ()
    values = ordered[-1] + 1
    width = -(-values // most)
    edges = [bisect_left(ordered, at) for at in range(0, values, width)]
    return tuple(after - before for before, after in pairwise([*edges, len(ordered)]))


@dataclass(frozen=True)
class Told:
    """What a sentence is about, the sentence, and whether something should be done about it."""

    about: str
    sentence: str
    is_bad: bool = True


def warnings_of(listing: Listing) -> list[Told]:
    """Everything a person should know, what concerns the whole file first."""
    report = listing.report
    said = [Told("columns", sentence, is_bad=False) for sentence in report.guessed]
    said += [Told("file", sentence, is_bad=False) for sentence in report.notes]
    said += [Told("model", sentence) for sentence in listing.notes]
    if report.duplicates:
        rows = _rows(report.duplicates, "repeats", "repeat")
        said.append(Told("repeats", f"{rows} an earlier prompt, white space and case apart."))
    if listing.too_long:
        rows = _rows(listing.too_long, "is", "are")
        said.append(Told("length", f"{rows} over {listing.limit:,} tokens and will be dropped."))
    if listing.specials:
        rows = _rows(len(listing.specials), "holds", "hold")
        said.append(Told("tokens", f"{rows} special tokens of the model, which will read them as such."))
    said += [Told(f"row {problem.row:,}", problem.what) for problem in report.problems]
    if report.problem_count > len(report.problems):
        said.append(Told("more", f"{report.problem_count - len(report.problems):,} further rows cannot be used."))
    return said


def _rows(count: int, one: str, more: str) -> str:
    return f"1 row {one}" if count == 1 else f"{count:,} rows {more}"


def report_json(listing: Listing) -> dict[str, Any]:
    """The import report as plain values, with what the model and the split make of it."""
    return {
        **listing.report.to_json(),
        "fingerprint_sha256": listing.fingerprint,
        "model": listing.source.model,
        "tokens_with_template": {"counted": len(listing.ordered), **percentiles(listing.ordered)},
        "limit_tokens": listing.limit,
        "over_limit": listing.too_long,
        "with_special_tokens": len(listing.specials),
        "training_rows": sum(side == "train" for side in listing.sides),
        "validation_rows": sum(side == "validation" for side in listing.sides),
        "model_notes": list(listing.notes),
    }


def percentiles(ordered: Sequence[int]) -> dict[str, int]:
    """Nearest-rank p50 and p95 of sorted lengths, and the longest; empty where nothing was counted."""
    if not ordered:
        return {}
    return {f"p{q}": ordered[-(-q * len(ordered) // 100) - 1] for q in (50, 95)} | {"max": ordered[-1]}


def measured(listing: Listing, lengths: Sequence[int | None]) -> Listing:
    """The listing with these lengths, as far as they are known."""
    ordered = sorted(length for length in lengths if length is not None)
    return dataclasses.replace(listing, lengths=tuple(lengths), ordered=tuple(ordered))
