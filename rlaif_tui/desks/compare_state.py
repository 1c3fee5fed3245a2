"""What is wanted of a comparison, what there is to see, and what it says in numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from core.compare.record import Comparison
from core.compare.votes import Tally, Votes

from .compare_rows import Item
from .rated import NONE_RATED, Rated

if TYPE_CHECKING:
    from core.compare.summary import PairSummary


@dataclass(frozen=True)
class Wish:
    """What a person wants to look at."""

    record: str = ""
    """Name of the record's file; empty: the newest."""
    left: int = 0
    right: int = 1


@dataclass(frozen=True, kw_only=True)
class Look:
    """What there is to see. ``version`` changes with anything that a list could show."""

    version: int = 0
    count: int = 0
    """Comparisons of the run."""
    newest: bool = True
    """This is the newest of them."""
    comparison: Comparison | None = None
    working: bool = False
    """Its process is at work."""
    left: int = 0
    right: int = 1
    items: tuple[Item, ...] = ()
    votes: Votes = field(default_factory=Votes)
    rated: Rated = NONE_RATED
    """What this person gave single replies of this run's comparisons."""
    problem: str = ""
    """Why what is shown is not up to date, or why there is nothing."""

    @property
    def died(self) -> bool:
        """Its process is gone without a last word."""
        return self.comparison is not None and self.comparison.finished is None and not self.working


@dataclass(frozen=True)
class Figures:
    """What a look says in numbers."""

    look: Look
    """What they are of."""
    summary: PairSummary
    tally: Tally

    def is_of(self, look: Look) -> bool:
        """Whether they would come out the same for that one."""
        return self._rows(self.look) == self._rows(look) and self.is_near(look)

    def is_near(self, look: Look) -> bool:
        """Whether they are of the same pair and votes, though perhaps of fewer prompts."""
        return self._pair(self.look) == self._pair(look) and self.look.votes is look.votes

    @staticmethod
    def _pair(look: Look) -> tuple[object, ...]:
        return look.comparison.path if look.comparison else None, look.left, look.right

    @staticmethod
    def _rows(look: Look) -> tuple[int, int]:
        return (len(look.comparison.rows), len(look.comparison.duels)) if look.comparison else (0, 0)
