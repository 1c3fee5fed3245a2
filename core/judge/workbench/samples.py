"""Samples that a judge has scored, and their sums."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...types import CostSource, Judge, JudgeStatus, Usage
from .items import Role

CERTAINTY: tuple[CostSource, ...] = ("unknown", "table", "user", "provider", "free")
"""Where prices come from, the least certain first: a sum is as certain as its least certain part."""


@dataclass(frozen=True, kw_only=True)
class ScoredSample:
    """One response and what came of judging it."""

    id: str
    prompt: str
    response: str
    role: Role
    score: float | None
    """0-10; None without a verdict."""
    reward: float | None
    """What training would have read: -1 to 1, None for a response that would have been left out."""
    spread: float | None
    """Deviation of repeated judgements, else of the judge's distribution."""
    reason: str
    """The judge's words, or what went wrong."""
    status: Literal["ok"] | JudgeStatus
    kind: str = ""
    fatal: bool = False
    repeat_scores: tuple[float, ...] = ()
    latency_s: float = 0.0
    cached: bool = False
    requests: int = 0
    cost_usd: float = 0.0
    cost_source: CostSource = "free"
    usage: Usage | None = None
    flags: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        known = self.cost_source != "unknown"
        return {
            "id": self.id,
            "score": self.score,
            "reason": self.reason,
            "status": self.status,
            "kind": self.kind,
            "role": self.role,
            "spread": self.spread,
            "repeat_scores": list(self.repeat_scores),
            "reward": self.reward,
            "latency_s": self.latency_s,
            "cached": self.cached,
            "requests": self.requests,
            "cost_usd": self.cost_usd if known else None,
            "flags": list(self.flags),
            "prompt": self.prompt,
            "response": self.response,
        }


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """All samples so far, and their sums. ``n`` counts what was to be judged, also where it never came to that."""

    judge: str
    judge_version: str
    n: int
    samples: tuple[ScoredSample, ...]
    seconds: float
    stopped: str = ""
    """Why the rest was not asked: a fault that would have met every response."""

    @property
    def good(self) -> list[ScoredSample]:
        return [s for s in self.samples if s.score is not None]

    @property
    def scores(self) -> list[float]:
        return [s.score for s in self.samples if s.score is not None]

    @property
    def failures(self) -> Counter[str]:
        """How many samples have each message instead of a score."""
        return Counter(s.reason for s in self.samples if s.score is None)

    @property
    def parse_rate(self) -> float | None:
        """Share of replies from which a verdict could be read; None without replies."""
        replies = [s for s in self.samples if s.status in ("ok", "unparseable", "refused")]
        return sum(s.status == "ok" for s in replies) / len(replies) if replies else None

    @property
    def mean(self) -> float | None:
        return statistics.fmean(self.scores) if self.scores else None

    @property
    def sd(self) -> float | None:
        """Sample standard deviation of the scores; None for fewer than two."""
        return statistics.stdev(self.scores) if len(self.scores) > 1 else None

    @property
    def requests(self) -> int:
        return sum(s.requests for s in self.samples)

    @property
    def cached(self) -> int:
        return sum(s.cached for s in self.samples)

    @property
    def cost_source(self) -> CostSource:
        return min((s.cost_source for s in self.samples if s.requests), key=CERTAINTY.index, default="free")

    @property
    def cost_usd(self) -> float | None:
        """None where a price is not known."""
        return None if self.cost_source == "unknown" else math.fsum(s.cost_usd for s in self.samples)

    @property
    def usage(self) -> Usage:
        return sum((s.usage for s in self.samples if s.usage is not None), Usage())

    @property
    def latencies(self) -> list[float]:
        """Seconds of each judgement that was really asked, sorted."""
        return sorted(s.latency_s for s in self.samples if s.status != "skipped_empty" and not s.cached)

    def latency(self, percent: int) -> float | None:
        """A percentile of the seconds per response; None where all came from the cache."""
        import numpy as np

        return float(np.percentile(self.latencies, percent)) if self.latencies else None

    def to_json(self) -> dict[str, Any]:
        usage = self.usage
        return {
            "n": self.n,
            "scored": len(self.scores),
            "failed": len(self.samples) - len(self.scores),
            "mean": self.mean,
            "sd": self.sd,
            "parse_rate": self.parse_rate,
            "requests": self.requests,
            "cached": self.cached,
            "cost_usd": self.cost_usd,
            "cost_source": self.cost_source,
            "latency_p50_s": self.latency(50),
            "latency_p95_s": self.latency(95),
            "input_tokens": usage.input_tokens,
            "output_tokens": usage.output_tokens,
            "reasoning_tokens": usage.reasoning_tokens,
            "seconds": self.seconds,
            "stopped": self.stopped,
            "judge": self.judge,
            "judge_version": self.judge_version,
            "samples": [sample.to_json() for sample in self.samples],
        }


def report_of(
    judge: Judge, samples: Sequence[ScoredSample], *, n: int, seconds: float = 0.0, stopped: str = ""
) -> ScoreReport:
    """A report of the samples there are."""
    return ScoreReport(
        judge=judge.name, judge_version=judge.version, n=n, samples=tuple(samples), seconds=seconds, stopped=stopped
    )
