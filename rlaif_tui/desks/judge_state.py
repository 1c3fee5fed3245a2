"""What the judge's desk hands to its screen: frozen, so that a screen can tell news from what it has drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from core.judge.workbench.items import Item, Pair
    from core.judge.workbench.samples import ScoredSample

SetKind = Literal["built-in", "run", "data"]
What = Literal["score", "diff", "canaries", "trust"]


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What is known of the text in the editor without asking anybody."""

    text: str = ""
    name: str = ""
    backend: str = ""
    model: str = ""
    version: str = ""
    """Empty for a text that is no judge."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    exemplars: frozenset[tuple[str, str]] = frozenset()
    """Task and response of those that the judge is shown; they say nothing of how it scores."""
    takes_exemplars: bool = True
    """Whether what it is sent has a place for them."""
    scale: tuple[float, float] = (0.0, 10.0)
    """Lowest and highest mark that it gives."""


@dataclass(frozen=True, kw_only=True)
class Version:
    """A judge as text, and where it is from."""

    text: str
    version: str
    name: str
    origin: str
    """Such as ``saved 14:03``, ``the run's``, ``built in``."""
    folder: Path = Path()
    """Where the template files that it names are looked for."""
    path: Path | None = None
    """The user's own file, if it was opened from one."""


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What the editor begins with."""

    base: Version
    """Saved: what the text is compared with."""
    draft: str = ""
    """Unsaved text that a closed or lost terminal left behind; empty: there is none."""
    draft_age_s: float = 0.0
    problem: str = ""
    """Why the run's own judge is not the one."""


@dataclass(frozen=True, kw_only=True)
class SampleSet:
    """The responses that versions are tried on."""

    kind: SetKind = "built-in"
    title: str = ""
    items: tuple[Item, ...] = ()
    pairs: tuple[Pair, ...] = ()
    notes: tuple[str, ...] = ()
    known: tuple[ScoredSample, ...] = ()
    """Scores that a run has paid for already."""
    known_version: str = ""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One response, what the person gives it, and what two versions of the judge do."""

    item: Item
    mine: float | None = None
    old: ScoredSample | None = None
    new: ScoredSample | None = None
    held: bool = False
    """Of the third that is kept for measuring and never shown to the judge."""
    exemplar: bool = False
    """The judge in the editor is shown it, so it is not scored."""

    @property
    def shown(self) -> ScoredSample | None:
        """What is known of it, under the new version if that has judged it."""
        return self.new or self.old

    @property
    def change(self) -> float | None:
        """New minus old; None unless both gave a score."""
        if self.old is None or self.new is None or self.old.score is None or self.new.score is None:
            return None
        return self.new.score - self.old.score


@dataclass(frozen=True, kw_only=True)
class Work:
    """What is being asked right now."""

    what: What
    done: int
    total: int
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Everything to the right of the editor."""

    set: SampleSet = SampleSet()
    rows: tuple[Row, ...] = ()
    work: Work | None = None
    spent_usd: float = 0.0
    cap_usd: float | None = None
    repeats: int = 1
    canaries: Mapping[str, float | None] | None = None
    """Highest canary by version of the judge; None where no canary was judged."""
    sums: tuple[str, ...] = ()
    """What the last work came to, a line each."""
    light: str = ""
    """``green``, ``amber`` or ``red``, of the last calibration."""
    report: tuple[str, ...] = ()
    """The whole report of the last work, for reading."""
    problem: str = ""
    """Why the last work ended without a result, or the set cannot be read."""
    warnings: tuple[str, ...] = ()
    """What went wrong beside the last work, such as a cache that could not be written."""
