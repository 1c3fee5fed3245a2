"""``<id>.votes.jsonl`` beside a comparison: which of two responses a person preferred, seen blind.

Lines as ``core.mark_log`` writes them. Of several votes by one person on one pair the last one holds; a last one
without a choice takes the others back. The person's votes are set against what the judge said of the same pairs.
"""

from __future__ import annotations

import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from .. import mark_log
from ..judge.workbench.resampling import Figure, nothing
from ..judge.workbench.statistics import kappa, share
from ..mark_log import person as person
from .record import SUFFIX, Comparison, DuelDone, RowDone

Choice = Literal["win", "tie", "loss"]
"""For the right model of the pair, as in ``DuelDone.outcome``."""
_WORTH: dict[Choice, float] = {"loss": 0.0, "tie": 5.0, "win": 10.0}
"""Three equal steps of the 0-10 scale: quadratic kappa does not depend on their size."""


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said of one pair of responses."""

    row: int
    left: int
    right: int
    """Positions in ``Header.models``; ``left < right``."""
    choice: Choice | None
    """None takes back what this person said before."""
    by: str
    texts: str = ""
    """``fingerprint`` of the two responses: a record that was written anew may hold others."""
    swapped: bool = False
    """The right model's response was shown on the left."""
    time: float = msgspec.field(default_factory=time.time)


Key = tuple[int, int, int, str]
"""Row, left, right, person."""


@dataclass(frozen=True)
class Votes:
    """The folded content of the file."""

    standing: Mapping[Key, Vote] = field(default_factory=dict)
    """Those taken back are left out."""
    damaged: int = 0
    """Lines that could not be read; what they said is as if never written."""

    def of(self, row: RowDone, left: int, right: int, by: str) -> Vote | None:
        """What this person said of this very pair of responses."""
        vote = self.standing.get((row.row, left, right, by))
        return vote if vote is not None and vote.texts in ("", fingerprint(row, left, right)) else None


def votes_file(record: Path) -> Path:
    """Where the votes on the comparison in this file are kept."""
    return record.with_name(f"{record.name.removesuffix(SUFFIX)}.votes{SUFFIX}")


def fingerprint(row: RowDone, left: int, right: int) -> str:
    """12 hex digits of the sha256 of both responses."""
    both = "\0".join((row.replies[left].text, row.replies[right].text))
    return hashlib.sha256(both.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def is_swapped(comparison: Comparison, row: RowDone, left: int, right: int) -> bool:
    """Whether a blind vote shows the right model's response on the left: a coin for each pair, the same each time."""
    return bool(_drawn(comparison, row, left, right)[0] & 1)


def place(comparison: Comparison, row: RowDone, left: int, right: int) -> bytes:
    """Sort key of an order of voting that tells nothing of scores or of the order of the prompts."""
    return _drawn(comparison, row, left, right)[1:]


def _drawn(comparison: Comparison, row: RowDone, left: int, right: int) -> bytes:
    seed = f"{comparison.header.settings.seed}/{comparison.id}/{row.row}/{left}/{right}"
    return hashlib.sha256(seed.encode("utf-8", "surrogatepass")).digest()


def vote(
    comparison: Comparison, row: RowDone, left: int, right: int, choice: Choice | None, by: str | None = None
) -> Vote:
    """Append one vote, durable when this returns; None takes back. Raises ``RunDirError``, then nothing was written."""
    given = Vote(
        row=row.row,
        left=left,
        right=right,
        choice=choice,
        by=person() if by is None else by,
        texts=fingerprint(row, left, right),
        swapped=is_swapped(comparison, row, left, right),
    )
    mark_log.append(votes_file(comparison.path), given, "vote")
    return given


def load_votes(record: Path) -> Votes:
    """Everything that stands, and how many lines could not be read; nothing for a missing file. Raises ``OSError``."""
    standing: dict[Key, Vote] = {}
    damaged = 0
    for given in mark_log.read(votes_file(record), Vote):
        if given is None or not 0 <= given.left < given.right:
            damaged += 1
            continue
        key = given.row, given.left, given.right, given.by
        standing.pop(key, None)  # the newest goes to the end
        if given.choice is not None:
            standing[key] = given
    return Votes(standing, damaged)


def judged(row: RowDone, left: int, right: int, duel: DuelDone | None) -> Choice | None:
    """What the judge said: of the pair where it was asked about, else by its two scores; None where it said nothing."""
    if duel is not None:
        return None if duel.outcome == "error" else duel.outcome
    a, b = row.replies[left].score, row.replies[right].score
    if a is None or b is None:
        return None
    return "win" if b > a else "loss" if b < a else "tie"


@dataclass(frozen=True, kw_only=True)
class Tally:
    """A person's votes beside the judge's word on the same pairs."""

    mine: Mapping[str, int]
    """How many of each choice, over all votes."""
    judge: Mapping[str, int]
    """The judge's, over those pairs of which it said something."""
    n: int
    both: int
    """Pairs of which both said something."""
    agreement: Figure
    """Share of them in which both chose the same, ties included, with Wilson's interval."""
    kappa: Figure
    """Quadratic weighted kappa of loss, tie and win: agreement beyond chance, with an interval over prompts."""


def tally(comparison: Comparison, votes: Votes, left: int, right: int, by: str) -> Tally:
    """One person's votes on a pair of models against the judge."""
    duels = {duel.row: duel for duel in comparison.between(left, right)}
    pairs: list[tuple[Choice, Choice | None, str]] = []
    for row in comparison.rows:
        given = votes.of(row, left, right, by)
        if given is not None and given.choice is not None:
            pairs.append((given.choice, judged(row, left, right, duels.get(row.row)), row.prompt_id))
    both = [(mine, said, prompt) for mine, said, prompt in pairs if said is not None]
    return Tally(
        mine=Counter(mine for mine, _, _ in pairs),
        judge=Counter(said for _, said, _ in both),
        n=len(pairs),
        both=len(both),
        agreement=share(sum(mine == said for mine, said, _ in both), len(both)),
        kappa=_kappa(both),
    )


def _kappa(both: list[tuple[Choice, Choice, str]]) -> Figure:
    if not both:
        return nothing("nothing to compare")
    mine, said = [_WORTH[choice] for choice, _, _ in both], [_WORTH[choice] for _, choice, _ in both]
    return kappa(said, mine, [prompt for _, _, prompt in both])
