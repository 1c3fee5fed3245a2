"""What the playground hands to its screen and keeps for later: frozen, so that a screen can tell news."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from typing import Literal

import msgspec

from core.commands import Draw
from core.play.protocol import Ending, Side
from core.types import Message, Prompt

from .rated import NONE_RATED, Rated

At = int | Literal["auto", "newest"]
"""Where the trained side stands: a checkpoint's step, the newest one, or ``auto``: a live run's worker itself."""


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """One side's reply so far."""

    text: str = ""
    tokens: int = 0
    finish: Ending | None = None
    """None while it grows."""
    kl: float | None = None
    score: float | None = None
    """The judge's, 0 to 10."""
    reason: str = ""
    """What the judge said, or why it gave no score; empty if it was not asked."""


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt with both replies."""

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex[:12])
    time: float
    messages: tuple[Message, ...]
    draw: Draw
    step: int | None = None
    """Steps that the trained side had behind it; None until that is known."""
    live: bool = False
    """A worker answered between two steps, not a checkpoint."""
    base: Reply = Reply()
    trained: Reply = Reply()
    judge: str = ""
    """Who scored it: a name and, as the last word, a version."""

    @property
    def judge_version(self) -> str:
        """Of the judge that scored it; empty if none has."""
        return self.judge.rpartition(" ")[2]

    @property
    def prompt(self) -> Prompt:
        return Prompt(id="", messages=self.messages)

    @property
    def done(self) -> bool:
        """Whether nothing more comes."""
        return self.base.finish is not None and self.trained.finish is not None

    def reply(self, side: Side) -> Reply:
        return self.base if side == "base" else self.trained

    def having(self, side: Side, reply: Reply) -> Exchange:
        """The same with another reply on this side."""
        if side == "base":
            return msgspec.structs.replace(self, base=reply)
        return msgspec.structs.replace(self, trained=reply)


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a person wants to be answered."""

    draw: Draw = field(default_factory=Draw)
    system: str = ""
    on_cpu: bool = False


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a run was configured with, as far as its playground begins with it."""

    draw: Draw = field(default_factory=Draw)
    system: str = ""
    problem: str = ""
    """Why nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Look:
    """Everything that is to be seen now."""

    exchange: Exchange | None = None
    busy: bool = False
    """An answer is under way."""
    scoring: bool = False
    words: str = ""
    """What is waited for, such as ``loading, 0:08, 1.9 GiB``; empty while text comes or nothing is asked."""
    problem: str = ""
    """Why the last ask, or its scores, came to nothing."""
    live: bool = False
    """A worker has the run and answers between steps."""
    ready: str = ""
    """What the own process runs on, once it has loaded; empty while there is none."""
    steps: tuple[int, ...] = ()
    """Checkpoints there are."""
    now: int = 0
    """Steps that the run has behind it."""
    pinned: bool = False
    known: int = 0
    """Exchanges in the history."""
    rated: Rated = NONE_RATED
    """What this person gave replies of this run's playground."""

    def having(self, **news: object) -> Look:
        """The same with these fields; the same object if nothing is new, so that a screen need not draw."""
        if all(getattr(self, name) == value for name, value in news.items()):
            return self
        return replace(self, **news)  # type: ignore[arg-type]
