"""What a comparison says: figures with their intervals, and a verdict in a sentence. Pure; no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from ..judge.workbench.resampling import Figure
from .record import Comparison

Standing = Literal["better", "worse", "unclear"]


@dataclass(frozen=True, kw_only=True)
class Group:
    """Duels of one source of prompts, or of one third of the prompts by length."""

    name: str
    n: int
    win_rate: Figure


@dataclass(frozen=True, kw_only=True)
class PairSummary:
    """The right model against the left one; wins are those of the right one. Failed judgements are in no figure."""

    left: int
    right: int
    n: int
    """Duels that were decided or tied."""
    wins: int
    losses: int
    ties: int
    """The inconsistent ones among them."""
    inconsistent: int
    errors: int
    win_rate: Figure
    """(wins + ties / 2) / n, 0.5 without a difference, bootstrapped over prompts."""
    length_controlled: Figure
    """The win rate to expect at equal length."""
    first_position: Figure
    """Share of preferences, over both orders, for what was shown first: 0.5 without position bias."""
    mean_left: Figure
    mean_right: Figure
    """Judge scores, 0 to 10."""
    difference: Figure
    """Right minus left, paired by prompt, points."""
    length_left: float | None
    length_right: float | None
    """Mean tokens of a response."""
    by_length: tuple[Group, ...] = ()
    by_source: tuple[Group, ...] = ()
    standing: Standing
    """By the win rate where pairs were judged, else by the difference of scores."""
    verdict: str
    """One sentence for a person, with how many more prompts it would take where nothing is certain yet."""
    needed: int | None
    """Prompts that would settle a difference of the size seen; None where it is settled, or there is none to settle."""


@dataclass(frozen=True, kw_only=True)
class Rank:
    """A model among all compared: Bradley-Terry strength in log-odds against the first one."""

    model: int
    strength: Figure


@dataclass(frozen=True, kw_only=True)
class Ranking:
    """All models, the best first."""

    ranks: tuple[Rank, ...]
    note: str = ""
    """Why there is none."""


def summarise(comparison: Comparison, left: int = 0, right: int = 1, *, seed: int = 0) -> PairSummary:
    """The figures of two of the models."""
    raise NotImplementedError


def ranking(comparison: Comparison, *, seed: int = 0) -> Ranking:
    """All models in one order."""
    raise NotImplementedError


def to_json(comparison: Comparison, *, seed: int = 0) -> dict[str, Any]:
    """The object of ``rlaif-tui compare --json``; with more than two models, ``pairs`` and ``ranking`` besides."""
    raise NotImplementedError
