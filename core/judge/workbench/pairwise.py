"""Two answers side by side, each pair asked in both orders: what only holds in one order is no win."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from ...types import Judge, JudgeFailure, JudgeRequest, Verdict
from .resampling import Figure
from .statistics import mean, share

Winner = Literal["A", "B", "tie"]


class PairVerdict(Protocol):
    """A preference. ``A`` is the response that was shown first."""

    @property
    def winner(self) -> Winner: ...
    @property
    def cost_usd(self) -> float: ...


class PairJudge(Protocol):
    """Says which of two responses is better. A bad pair is a ``JudgeFailure``, never an exception."""

    async def compare(self, request: JudgeRequest, other_response: str) -> PairVerdict | JudgeFailure:
        """``request.response`` is A and shown first, ``other_response`` is B."""
        ...


@dataclass(frozen=True)
class Preference:
    """A preference as plain values."""

    winner: Winner
    cost_usd: float = 0.0


class ScoredPairJudge:
    """A judge of single responses as a judge of pairs: the higher score wins, equal ones tie.

    ``finer`` decides between equal scores, where the judge sees more than its score says: caps make scores equal.
    """

    def __init__(self, judge: Judge, finer: Callable[[Verdict], float] = lambda _: 0.0) -> None:
        self._judge, self._finer = judge, finer

    async def compare(self, request: JudgeRequest, other_response: str) -> PairVerdict | JudgeFailure:
        other = JudgeRequest(
            task=request.task, response=other_response, reference=request.reference, system=request.system
        )
        results = await self._judge.judge([request, other])
        for result in results:
            # A blank response plainly loses; it is the one failure that says something of the response.
            if isinstance(result, JudgeFailure) and result.status != "skipped_empty":
                return result
        blank = (-1.0, 0.0)
        first, second = (
            blank if isinstance(result, JudgeFailure) else (result.score, self._finer(result)) for result in results
        )
        winner: Winner = "tie" if first == second else "A" if first > second else "B"
        return Preference(winner, math.fsum(result.cost_usd for result in results))


@dataclass(frozen=True)
class Duel:
    """One pair under both orders. ``first`` is the preference with our response shown first."""

    request: JudgeRequest
    other_response: str
    first: Winner | JudgeFailure
    second: Winner | JudgeFailure
    """With our response shown second: ``B`` is ours."""
    cost_usd: float = 0.0

    @property
    def outcome(self) -> Literal["win", "tie", "loss", "error"]:
        """A win or a loss only if both orders say so."""
        match self.first, self.second:
            case (JudgeFailure(), _) | (_, JudgeFailure()):
                return "error"
            case "A", "B":
                return "win"
            case "B", "A":
                return "loss"
            case _:
                return "tie"

    @property
    def inconsistent(self) -> bool:
        """The two orders do not say the same."""
        return self.outcome == "tie" and (self.first, self.second) != ("tie", "tie")

    @property
    def flipped(self) -> bool:
        """The same place won in both orders: the answer to a question about places."""
        return self.first == self.second and self.first in ("A", "B")


@dataclass(frozen=True, kw_only=True)
class PairReport:
    """Wins, ties and losses of our responses. Errors are counted and in no rate."""

    duels: tuple[Duel, ...]
    errors: int
    win: Figure
    tie: Figure
    loss: Figure
    net: Figure
    """Mean of win 1, tie 0, loss -1, with an interval over prompts: above 0 ours are better."""
    inconsistent: int
    flip_rate: Figure
    first_position: Figure
    """Share of preferences, over both orders, for what was shown first: 0.5 without position bias."""

    @property
    def n(self) -> int:
        return len(self.duels) - self.errors

    def count(self, outcome: str) -> int:
        """How many duels ended so."""
        return sum(duel.outcome == outcome for duel in self.duels)

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "wins": self.count("win"),
            "ties": self.count("tie"),
            "losses": self.count("loss"),
            "errors": self.errors,
            "inconsistent": self.inconsistent,
            "win_rate": self.win.to_json(),
            "tie_rate": self.tie.to_json(),
            "loss_rate": self.loss.to_json(),
            "net": self.net.to_json(),
            "flip_rate": self.flip_rate.to_json(),
            "first_position_rate": self.first_position.to_json(),
            "cost_usd": math.fsum(duel.cost_usd for duel in self.duels),
        }


async def compare_pairs(
    judge: PairJudge,
    pairs: Sequence[tuple[JudgeRequest, str]],
    *,
    concurrency: int = 8,
    seed: int = 0,
    on_result: Callable[[Duel], object] | None = None,
) -> PairReport:
    """Ask about every pair (our response in its request, the other one) in both orders."""
    gate = asyncio.Semaphore(concurrency)

    async def one(request: JudgeRequest, other: str) -> Duel:
        async with gate:
            result = await duel(judge, request, other)
        if on_result is not None:
            on_result(result)
        return result

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(request, other)) for request, other in pairs]
    return pairs_of([task.result() for task in tasks], seed=seed)


async def duel(judge: PairJudge, request: JudgeRequest, other_response: str) -> Duel:
    """One pair in both orders."""
    swapped = JudgeRequest(
        task=request.task, response=other_response, reference=request.reference, system=request.system
    )
    first = await judge.compare(request, other_response)
    second = await judge.compare(swapped, request.response)
    cost = first.cost_usd + second.cost_usd
    return Duel(request, other_response, _said(first), _said(second), cost)


def _said(result: PairVerdict | JudgeFailure) -> Winner | JudgeFailure:
    return result if isinstance(result, JudgeFailure) else result.winner


def pairs_of(duels: Sequence[Duel], *, seed: int = 0) -> PairReport:
    """A report of the duels there are; nothing is asked."""
    good = [duel for duel in duels if duel.outcome != "error"]
    outcomes = [duel.outcome for duel in good]
    places = [place for duel in good for place in (duel.first, duel.second) if place in ("A", "B")]
    worth = {"win": 1.0, "tie": 0.0, "loss": -1.0}
    return PairReport(
        duels=tuple(duels),
        errors=len(duels) - len(good),
        win=share(outcomes.count("win"), len(good)),
        tie=share(outcomes.count("tie"), len(good)),
        loss=share(outcomes.count("loss"), len(good)),
        net=mean([worth[outcome] for outcome in outcomes], [duel.request.task for duel in good], seed=seed),
        inconsistent=sum(duel.inconsistent for duel in good),
        flip_rate=share(sum(duel.flipped for duel in good), len(good)),
        first_position=share(places.count("A"), len(places)),
    )
