"""The prompts of a comparison as rows of a list: which, and in which order. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from core.compare.record import Comparison, DuelDone, Reply, RowDone
from core.compare.votes import Choice, Votes, judged
from core.types import Verdict

Order = Literal["prompt", "gain", "regression"]
ORDERS: tuple[Order, ...] = ("prompt", "gain", "regression")
Only = Literal["", "loss", "win", "tie", "inconsistent"]
ONLY: tuple[Only, ...] = ("", "loss", "win", "tie", "inconsistent")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One prompt with the replies of the two models that are looked at; wins are those of the right one."""

    row: RowDone
    left: Reply
    right: Reply
    duel: DuelDone | None = None
    outcome: Choice | None = None
    """The judge's; None where it said nothing, or nothing yet."""
    mine: Choice | None = None

    @property
    def difference(self) -> float | None:
        """Right score minus left score, points."""
        if self.left.score is None or self.right.score is None:
            return None
        return self.right.score - self.left.score

    @property
    def inconsistent(self) -> bool:
        """The two orders disagree."""
        return self.duel is not None and self.duel.inconsistent

    @property
    def failed(self) -> bool:
        """The judge was asked about the pair and gave no verdict."""
        return self.duel is not None and self.duel.outcome == "error"

    @property
    def same(self) -> bool:
        """Both models wrote the same."""
        return self.left.text == self.right.text


@dataclass(frozen=True)
class Query:
    """Which prompts are wanted, and in which order."""

    order: Order = "prompt"
    only: Only = ""
    words: str = ""
    """All of them stand in the prompt, a reply or a reason; upper and lower case are one."""

    @property
    def narrowed(self) -> bool:
        return bool(self.only or self.words)


def items_of(comparison: Comparison, left: int, right: int, votes: Votes, by: str) -> tuple[Item, ...]:
    """Every prompt that is done, in the order of the data."""
    duels = {duel.row: duel for duel in comparison.between(left, right)}
    paired = bool(comparison.header.pair_judge)
    return tuple(_item(row, left, right, duels.get(row.row), votes, by, paired=paired) for row in comparison.rows)


def _item(row: RowDone, left: int, right: int, duel: DuelDone | None, votes: Votes, by: str, *, paired: bool) -> Item:
    mine = votes.of(row, left, right, by)
    # Where pairs are asked about, the scores must not speak for a pair whose turn is still to come.
    outcome = None if paired and duel is None else judged(row, left, right, duel)
    return Item(
        row=row,
        left=row.replies[left],
        right=row.replies[right],
        duel=duel,
        outcome=outcome,
        mine=mine.choice if mine else None,
    )


def listing(items: Sequence[Item], query: Query) -> tuple[Item, ...]:
    """The rows that the query asks for; those without a difference come last where it is sorted by."""
    words = query.words.casefold().split()
    found = [item for item in items if _kept(item, query.only) and (not words or _has(item, words))]
    if query.order == "prompt":
        return tuple(found)
    sign = -1.0 if query.order == "gain" else 1.0
    return tuple(sorted(found, key=_by_difference(sign)))


def _kept(item: Item, only: Only) -> bool:
    return item.inconsistent if only == "inconsistent" else not only or item.outcome == only


def _by_difference(sign: float) -> Callable[[Item], tuple[bool, float, float]]:
    worth = {"win": 1.0, "tie": 0.0, "loss": -1.0, None: 0.0}

    def key(item: Item) -> tuple[bool, float, float]:
        nothing = item.difference is None and item.outcome is None
        return nothing, sign * (item.difference or 0.0), sign * worth[item.outcome]

    return key


def _has(item: Item, words: Sequence[str]) -> bool:
    parts = [item.row.prompt, item.left.text, item.right.text, reason(item.left), reason(item.right)]
    text = "\n".join(parts).casefold()
    return all(word in text for word in words)


def reason(reply: Reply) -> str:
    """Why the judge gave its score, or why it gave none."""
    result = reply.result
    return "" if result is None else result.reason if isinstance(result, Verdict) else result.message
