"""Two judges, the same responses: what changes when one takes the other's place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...types import Judge
from .items import Item
from .resampling import Figure
from .samples import ScoredSample, ScoreReport
from .scoring import score_set
from .statistics import mean, spearman

Side = Literal["old", "new"]


@dataclass(frozen=True)
class Change:
    """One response under both judges; a score is None where that judge gave none."""

    old: ScoredSample
    new: ScoredSample

    @property
    def difference(self) -> float | None:
        """New minus old."""
        return None if self.old.score is None or self.new.score is None else self.new.score - self.old.score

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.old.id,
            "old": self.old.score,
            "new": self.new.score,
            "difference": self.difference,
            "old_reason": self.old.reason,
            "new_reason": self.new.reason,
            "old_status": self.old.status,
            "new_status": self.new.status,
            "prompt": self.old.prompt,
            "response": self.old.response,
        }


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All changes and their sum. ``n`` counts responses with both scores."""

    old: ScoreReport
    new: ScoreReport
    changes: tuple[Change, ...]
    difference: Figure
    """Mean of new minus old, with an interval over prompts."""
    spearman: Figure

    @property
    def n(self) -> int:
        return sum(change.difference is not None for change in self.changes)

    @property
    def cost_usd(self) -> float | None:
        """Both judges' calls together; None where a price is not known."""
        known = [cost for cost in (self.old.cost_usd, self.new.cost_usd) if cost is not None]
        return sum(known) if len(known) == 2 else None

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "difference": self.difference.value,
            "ci95": list(self.difference.ci95) if self.difference.ci95 else None,
            "spearman": self.spearman.value,
            "spearman_ci95": list(self.spearman.ci95) if self.spearman.ci95 else None,
            "spearman_why": self.spearman.why,
            "cost_usd": self.cost_usd,
            "old": _judge_json(self.old),
            "new": _judge_json(self.new),
            "samples": [change.to_json() for change in self.changes],
        }


def _judge_json(report: ScoreReport) -> dict[str, Any]:
    return {key: value for key, value in report.to_json().items() if key != "samples"}


async def compare_judges(
    old: Judge,
    new: Judge,
    items: Sequence[Item],
    *,
    concurrency: int = 8,
    batch: int = 1,
    seed: int = 0,
    on_result: Callable[[Side, ScoredSample], object] | None = None,
) -> Comparison:
    """Let both judges score all items, one judge after the other."""

    def telling(side: Side) -> Callable[[ScoredSample], object]:
        return lambda sample: on_result(side, sample) if on_result is not None else None

    before = await score_set(old, items, concurrency=concurrency, batch=batch, on_result=telling("old"))
    after = await score_set(new, items, concurrency=concurrency, batch=batch, on_result=telling("new"))
    return comparison_of(before, after, seed=seed)


def comparison_of(old: ScoreReport, new: ScoreReport, *, seed: int = 0) -> Comparison:
    """Compare what both have judged, in the order of ``old``; nothing is asked."""
    after = {sample.id: sample for sample in new.samples}
    changes = tuple(Change(sample, after[sample.id]) for sample in old.samples if sample.id in after)
    both = [(c.old.score, c.new.score, c.old.prompt) for c in changes if c.difference is not None]
    before_scores = [a for a, _, _ in both if a is not None]
    after_scores = [b for _, b, _ in both if b is not None]
    prompts = [prompt for _, _, prompt in both]
    gaps = [b - a for a, b in zip(before_scores, after_scores, strict=True)]
    return Comparison(
        old=old,
        new=new,
        changes=changes,
        difference=mean(gaps, prompts, seed=seed),
        spearman=spearman(before_scores, after_scores, prompts, seed=seed),
    )
