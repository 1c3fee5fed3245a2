"""A run as a line of the list, as a sentence, and as words to search. Pure."""

from __future__ import annotations

from .. import words
from ..desks.runs import Entry
from ..run_state import RunState
from ..sentences import number
from ..text import one_line
from ..widgets.run_list import RunRow
from ..widgets.spark import spark

TREND_WIDTH = 8


def is_live(entry: Entry) -> bool:
    """Whether a worker has it, as far as is known."""
    return isinstance(entry, RunState) and entry.word in ("starting", "running", "paused")


def offers(action: str, entry: Entry) -> bool:
    """Whether this can be done to a run: some of it needs to be read first, and no worker in the way."""
    match action:
        case "open" | "export":
            return isinstance(entry, RunState)
        case "restart":
            return isinstance(entry, RunState) and entry.word in ("crashed", "stopped")
        case _:  # another name, another place
            return entry is not None and not is_live(entry)


def identity(entry: Entry) -> object:
    """What tells an entry from the one before: a state is a new object whenever anything in it is new."""
    return id(entry) if isinstance(entry, RunState) else entry


def matches(wanted: str, name: str, entry: Entry) -> bool:
    """Whether name, state, model or judge hold each of these words."""
    about = [name]
    if isinstance(entry, RunState):
        about.append(words.word(entry))
        if entry.started is not None:
            about += [entry.started.model, entry.started.judge]
    text = " ".join(about).lower()
    return all(word in text for word in wanted.lower().split())


def detail_text(entry: Entry) -> str:
    """The chosen run in words: how it is, why it broke, what to press."""
    match entry:
        case None:
            return "reading the log of the run…"
        case str():
            return one_line(entry)
        case _:
            return words.health(entry).text


def run_row(name: str, entry: Entry, now: float, *, ascii_only: bool = False) -> RunRow:
    """A run as cells in the order of the list's columns."""
    if not isinstance(entry, RunState):
        return RunRow(name, ("", name, "…" if entry is None else "unreadable"), "info" if entry is None else "error")
    state = entry
    metrics = state.metrics
    trend = spark([value for _, value in state.series("score_mean")], TREND_WIDTH, ascii_only=ascii_only)
    return RunRow(
        name,
        (
            words.glyph(state, ascii_only=ascii_only),
            name,
            words.word(state),
            words.progress(state),
            words.scores(state),
            trend,
            number(metrics.kl_seq if metrics else None),
            words.cost(state),
            words.day(state.first_time, now),
            state.started.model if state.started else "",
            state.started.judge if state.started else "",
        ),
        "error" if state.word == "crashed" or state.lost else "info",
    )
