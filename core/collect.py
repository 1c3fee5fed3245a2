"""One step's rollouts and their verdicts: each response goes to the judge the moment it ends.

What an earlier, interrupted attempt of the same step recorded is reused: its rollouts are not sampled again and its
verdicts are not paid for again.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace

from .config import RunConfig
from .events import Event, JudgeFailed, MicroBatchHalved
from .judge.pool import Pool
from .outage import Outage
from .policy import Policy
from .progress import Progress
from .rollout import Finished, Sampling, derive_seed, generate
from .types import (
    JudgedRollout,
    JudgeFailure,
    JudgeResult,
    Prompt,
    RefereeResult,
    Rollout,
    RolloutMeasures,
    request_for,
    reward_of,
)

Output = Event | Rollout | JudgedRollout | RolloutMeasures | RefereeResult


@dataclass(frozen=True)
class PromptRow:
    """A prompt with its ids after the chat template."""

    prompt: Prompt
    ids: tuple[int, ...]


class Collector:
    """Samples and judges the rows of one step. Close it whatever happens: it cancels judgements nobody waits for."""

    def __init__(
        self,
        policy: Policy,
        judge: Pool,
        config: RunConfig,
        progress: Progress,
        number: int,
        rows: list[PromptRow],
        decode_batch: int = 0,
    ) -> None:
        """``decode_batch``: rows that are sampled together, where memory has run out before; 0: as configured."""
        self._policy = policy
        self._judge = judge
        self._config = config
        self._progress = progress
        self._number = number
        self._rows = rows
        self._rollouts: dict[int, Rollout] = {}
        self._pending: dict[str, Future[JudgeResult]] = {}
        self._results: dict[str, JudgeResult] = {}
        self._said: set[str] = set()
        self._halvings: list[int] = []
        self.decode_batch = decode_batch
        self.retried_usd = 0.0
        """What the recorded failures cost that are asked again: spent, though their place is taken by new results."""

    def sample(self, recorded: Sequence[Rollout | JudgedRollout]) -> Generator[Output, None, list[Rollout]]:
        """Take recorded rows, sample the rest. Returns the rollouts in row order."""
        self._reuse(recorded)
        yield self._progress.begin("generate", self._number, len(self._rows))
        if len(self._rollouts) < len(self._rows):
            # All rows are sampled again, because a row's last bits may depend on which rows are beside it.
            for count, done in enumerate(self._generate(), start=1):
                if done.row not in self._rollouts:
                    rollout = rollout_from(self._policy, self._number, done, self._rows[done.row])
                    self._rollouts[done.row] = rollout
                    self._submit(rollout)
                    yield rollout
                yield from self._told_of_memory()
                yield from self.verdicts()
                yield from self._progress.report(count)
        self._judge.flush()
        return [self._rollouts[row] for row in range(len(self._rows))]

    def _told_of_memory(self) -> Iterator[Output]:
        for rows in self._halvings:
            self.decode_batch = rows
            yield MicroBatchHalved(step=self._number, micro_batch_size=rows, where="generation")
        self._halvings.clear()

    def verdicts(self) -> Iterator[Output]:
        """Verdicts that have arrived since the last call."""
        ready = [key for key, future in self._pending.items() if future.done()]
        by_id = {r.id: r for r in self._rollouts.values()} if ready else {}
        for key in ready:
            result = self._results[key] = self._pending.pop(key).result()
            yield JudgedRollout(rollout=by_id[key], result=result)
            if isinstance(result, JudgeFailure) and not self._told(result):
                yield failure_event(self._number, key, result)

    def _told(self, result: JudgeFailure) -> bool:
        """Whether the same was said of another row: what a person must mend strikes all rows that are left."""
        if not result.fatal and result.status != "budget":
            return False
        same = result.kind or result.status
        known = same in self._said
        self._said.add(same)
        return known

    def wait(self) -> Generator[Output, None, float]:
        """Wait for the verdicts still out. Returns the seconds stood still for them."""
        yield self._progress.begin("judge", self._number, len(self._rows))
        since, outage = time.monotonic(), Outage(self._judge, self._number - 1)
        while self._pending:
            yield from outage.stand_by(list(self._pending.values()))
            yield from self.verdicts()
            yield from self._progress.report(len(self._results))
        yield from outage.end()
        return time.monotonic() - since

    def judged(self) -> list[JudgedRollout]:
        """Every row with its verdict, in row order; after ``wait``."""
        rollouts = (self._rollouts[row] for row in range(len(self._rows)))
        return [JudgedRollout(rollout=r, result=self._results[r.id]) for r in rollouts]

    def close(self) -> None:
        for future in self._pending.values():
            future.cancel()

    def _reuse(self, recorded: Sequence[Rollout | JudgedRollout]) -> None:
        known = {(r.rollout if isinstance(r, JudgedRollout) else r).id: r for r in recorded}
        for row, item in enumerate(self._rows):
            old = known.get(rollout_id(self._number, row))
            rollout = old.rollout if isinstance(old, JudgedRollout) else old
            if rollout is None or rollout.prompt.id != item.prompt.id:
                continue
            self._rollouts[row] = rollout
            if isinstance(old, JudgedRollout) and reward_of(old.result) is not None:
                self._results[rollout.id] = old.result
            else:
                self.retried_usd += old.result.cost_usd if isinstance(old, JudgedRollout) else 0.0
                self._submit(rollout)

    def _submit(self, rollout: Rollout) -> None:
        self._pending[rollout.id] = self._judge.submit(request_for(rollout))

    def _generate(self) -> Iterator[Finished]:
        settings, seed = self._config.rollout, self._config.run.seed
        low = settings.cap_min or settings.max_new_tokens
        draw = random.Random(f"{seed}/caps/{self._number}")
        caps = [draw.randint(low, settings.max_new_tokens) for _ in self._rows]
        seeds = [derive_seed(seed, "rollout", self._number, row) for row in range(len(self._rows))]
        sampling = sampling_of(self._config)
        if self.decode_batch:
            sampling = replace(sampling, decode_batch=self.decode_batch)
        return generate(self._policy, [r.ids for r in self._rows], caps, seeds, sampling, self._halvings.append)


def sampling_of(config: RunConfig) -> Sampling:
    """The sampler's narrowing as configured."""
    return Sampling(config.rollout.top_p, config.rollout.top_k, config.rollout.decode_batch)


def rollout_id(step: int, row: int) -> str:
    """Name of a response: its step and its row in the step's batch."""
    return f"{step:06d}-{row:04d}"


def rollout_from(policy: Policy, step: int, done: Finished, row: PromptRow) -> Rollout:
    """A finished response with its text."""
    return Rollout(
        id=rollout_id(step, done.row),
        step=step,
        row=done.row,
        prompt=row.prompt,
        prompt_tokens=row.ids,
        response_tokens=done.tokens,
        response=policy.tokenizer.decode(done.tokens),
        finish=done.finish,
    )


def failure_event(step: int, rollout_id: str, result: JudgeFailure) -> JudgeFailed:
    """The event of a judgement that gave no score."""
    return JudgeFailed(
        step=step,
        rollout_id=rollout_id,
        status=result.status,
        treatment=result.treatment,
        message=result.message,
        attempts=result.attempts,
    )
