"""One look of the playground at what others write: the run's state, the answers, the checkpoints, the pins."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from core.errors import RlaifError
from core.play.protocol import Ask, Ready, Told, checkpoint_steps

from .. import pins
from ..feed import RunFeed
from ..run_state import RunState
from .play_state import Exchange
from .rated import Rated, RatedReader


class Line(Protocol):
    """Somebody who answers."""

    @property
    def ready(self) -> Ready | None: ...
    @property
    def ended(self) -> bool: ...
    def ask(self, ask: Ask) -> None: ...
    def cancel(self, number: int) -> None: ...
    def read(self) -> list[Told]: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class Seen:
    """What one look at files and pipes found."""

    state: RunState | None
    news: Iterable[Told]
    steps: tuple[int, ...]
    pinned: bool
    rated: Rated
    over: Line | None
    """The process, if it had ended before its news was read: then nothing more comes from it."""


def see(
    feed: RunFeed, ratings: RatedReader, line: Line | None, process: Line | None, exchange: Exchange | None
) -> Seen:
    """Reads what is new. Blocks."""
    run = feed.run
    try:
        state: RunState | None = feed.poll()
    except (OSError, RlaifError):
        state = None
    over = process if process is not None and process.ended else None
    news: list[Told] = []
    with contextlib.suppress(OSError):  # a run that was moved or deleted
        news = line.read() if line is not None else []
    if process is not None and process is not line:
        process.read()  # of an ask that was given up
    text = exchange.prompt.text if exchange else ""
    pinned = bool(text) and pins.is_pinned(pins.load(run), "", text)
    return Seen(state, news, tuple(checkpoint_steps(run)), pinned, ratings.read(), over)


def is_live(state: RunState | None) -> bool:
    """Whether a worker has the run and may answer."""
    return state is not None and state.pid is not None and state.word in ("starting", "running", "paused")
