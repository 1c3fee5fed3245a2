"""What a report is made of: sections of a few kinds of blocks. Texts are as the run gave them; a page makes them safe.

A block knows nothing of HTML or Markdown, so both show the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from ..word_diff import Part
from .chart import Chart

Tone = Literal["plain", "good", "bad", "warn", "quiet"]
Kind = Literal["html", "markdown"]
"""What a report can be written as."""


@dataclass(frozen=True)
class Words:
    """A sentence or two."""

    text: str
    tone: Tone = "plain"


@dataclass(frozen=True)
class Heading:
    """What the blocks below it are about, within a section."""

    text: str


@dataclass(frozen=True)
class Facts:
    """Names and values. A value in ``exact`` is shown letter by letter: a path, a hash, a version."""

    rows: tuple[tuple[str, str], ...]
    exact: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Tiles:
    """The few figures to see first: name, value, and what else there is to say of it."""

    rows: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Table:
    """Rows under names. Columns in ``numbers`` are aligned to the right."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    folded: str = ""
    """What to open it by; empty: it is open."""


@dataclass(frozen=True)
class Listing:
    """A text to be copied: a file, commands."""

    text: str
    language: Literal["toml", "sh", "text"] = "text"
    folded: str = ""
    """What to open it by; empty: it is open."""


@dataclass(frozen=True)
class Side:
    """One of two responses."""

    title: str
    score: str
    parts: tuple[Part, ...]
    """With signs around the words that the other one does not have."""
    reason: str = ""

    @property
    def text(self) -> str:
        return "".join(part.text for part in self.parts)


@dataclass(frozen=True)
class SideBySide:
    """A prompt and what two models said to it."""

    title: str
    prompt: str
    left: Side
    right: Side
    note: str = ""
    """Why no word is marked."""


@dataclass(frozen=True)
class Charts:
    """Curves, drawn as many in a row as there is room."""

    charts: tuple[Chart, ...]
    letters: tuple[tuple[str, str], ...] = ()
    """Letters of the charts and what each stands for."""


Block = Words | Heading | Facts | Tiles | Table | Listing | SideBySide | Charts


@dataclass(frozen=True)
class Section:
    """A part of a report with a name to jump to."""

    id: str
    title: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Report:
    """A whole report."""

    title: str
    subtitle: str
    foot: str
    sections: tuple[Section, ...] = field(default=())
