"""Before and after on held-out prompts: the same prompts and the same random numbers each time, so pairs compare."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from concurrent.futures import Future
from typing import Any

import msgspec

from .collect import Output, PromptRow, failure_event, rollout_from, sampling_of
from .config import RunConfig
from .events import ValidationCompleted
from .judge.pool import Pool
from .metrics import sample_of
from .outage import Outage, unusable
from .policy import Policy
from .progress import Progress
from .rollout import derive_seed, generate
from .stats import bootstrap_mean
from .types import JudgedRollout, JudgeFailure, JudgeResult, Rollout, Verdict, request_for

SAMPLES = 4


class Validator:
    """Scores the held-out prompts. The first time is the baseline of all later paired differences."""

    def __init__(
        self, policy: Policy, judge: Pool, rows: list[PromptRow], config: RunConfig, progress: Progress
    ) -> None:
        self.completed: list[ValidationCompleted] = []
        self._policy = policy
        self.judge = judge
        self._rows = rows
        self._config = config
        self._progress = progress
        self.refused = ""
        """Why the last validation came to nothing; empty if it did not."""
        self._baseline: dict[str, float] = {}

    def run(self, step: int) -> Generator[Output, None, float]:
        """Sample, judge, compare; ends with ``ValidationCompleted``, or without where the judge gave too little.

        Returns what the judge cost, dollars.
        """
        yield self._progress.begin("validate", step, len(self._rows))
        cap, seed = self._config.rollout.max_new_tokens, self._config.run.seed
        seeds = [derive_seed(seed, "validate", r.prompt.id) for r in self._rows]
        prompts = [r.ids for r in self._rows]
        pending: list[tuple[Rollout, Future[JudgeResult]]] = []
        self.refused = ""
        for done in generate(self._policy, prompts, [cap] * len(prompts), seeds, sampling_of(self._config)):
            rollout = rollout_from(self._policy, step, done, self._rows[done.row])
            pending.append((rollout, self.judge.submit(request_for(rollout))))
            yield from self._progress.report(len(pending))
        self.judge.flush()
        yield from self._wait(step, [future for _, future in pending])
        judged = [JudgedRollout(rollout=r, result=f.result()) for r, f in sorted(pending, key=lambda p: p[0].row)]
        for item in judged:
            yield item
            if isinstance(item.result, JudgeFailure):
                yield failure_event(step, item.rollout.id, item.result)
        self._progress.begin("idle", step)
        self.refused = unusable(judged, self._config.judge.max_failed_fraction)
        if not self.refused:
            result = self._compare(step, judged)
            self.completed.append(result)
            yield result
        return sum(j.result.cost_usd for j in judged)

    def _wait(self, step: int, futures: list[Future[JudgeResult]]) -> Iterator[Output]:
        outage, closed = Outage(self.judge, step), True
        try:
            while waiting := [f for f in futures if not f.done()]:
                yield from outage.stand_by(waiting)
                yield from self._progress.report(len(futures) - len(waiting))
            yield from outage.end()
            closed = False
        finally:
            for future in futures if closed else ():
                future.cancel()

    def _compare(self, step: int, judged: list[JudgedRollout]) -> ValidationCompleted:
        scores = {j.rollout.prompt.id: j.result.score for j in judged if isinstance(j.result, Verdict)}
        mean = bootstrap_mean(list(scores.values()))
        common = [key for key in scores if key in self._baseline]
        paired = bootstrap_mean([scores[key] - self._baseline[key] for key in common]) if self.completed else None
        if not self.completed:
            self._baseline = scores
        return ValidationCompleted(
            step=step,
            n=len(common) if paired else len(scores),
            mean=mean.mean if mean else None,
            difference=paired.mean if paired else None,
            ci95=(paired.low, paired.high) if paired else None,
            failed=len(judged) - len(scores),
            samples=tuple(sample_of(j) for j in judged[:SAMPLES]),
        )

    def rebase(self, baseline: dict[str, float]) -> None:
        """Another judge scores from now on; ``baseline`` is its score of the first validation's responses."""
        if self.completed:
            self._baseline = dict(baseline)

    def state(self) -> dict[str, Any]:
        """Plain values of the baseline and of what was found so far."""
        return {"baseline": self._baseline, "completed": [msgspec.to_builtins(v) for v in self.completed]}

    def load(self, state: dict[str, Any]) -> None:
        self._baseline = dict(state["baseline"])
        self.completed = [msgspec.convert(v, ValidationCompleted) for v in state["completed"]]
