"""A second look at the reward while training goes on: a referee on a share of the rollouts, and known bad answers.

Neither has any weight in the loss. The referee is another judge: when the trained judge's scores rise and the
referee's do not, the policy has learned the judge and not the task. The gap between the two is followed with a CUSUM
(Page 1954), in points of the 0-10 scale: S = max(0, S + gap - usual gap - ALLOWANCE).
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from .config import JudgeConfig
from .events import CanariesScored, CanaryScore, Event, RefereeScored
from .judge.pool import Pool
from .outage import Outage
from .types import JudgedRollout, JudgeFailure, JudgeResult, RefereeResult, Rollout, Verdict, request_for

ALLOWANCE = 0.5
"""Points that the gap may move without counting: the spread of a mean over a handful of rows."""
USUAL_GAP_ROWS = 8
"""Rows whose gap is taken for the usual one: two judges need not agree in level."""
FOOLED_FROM = 6.0
FOOLED_SHARE = 0.05
CANARIES_NEEDED = 20
"""Fewer than this say nothing about a share of 5 %."""

Output = Event | RefereeResult


@dataclass
class _Account:
    """What was seen so far; saved with the run."""

    first_gaps: list[float] = field(default_factory=list)
    drift: float = 0.0
    canaries: int = 0
    fooled: int = 0


class Watch:
    """Referee and canaries of a run."""

    def __init__(self, config: JudgeConfig, referee: Pool | None, *, seed: int) -> None:
        self._config = config
        self._referee = referee
        self._seed = seed
        self._account = _Account()
        self.reason = ""
        """Why a person should look at the judge now; empty if nothing is wrong."""

    def over(self, step: int, judge: Pool) -> StepWatch:
        """The watch over one step."""
        return StepWatch(self, step, judge)

    @property
    def config(self) -> JudgeConfig:
        return self._config

    @property
    def referee(self) -> Pool | None:
        return self._referee

    def chance(self, *what: object) -> random.Random:
        """A random stream of its own for each use, the same in a run that is done again."""
        return random.Random("/".join(str(part) for part in (self._seed, *what)))

    def saw_gaps(self, gaps: Sequence[float]) -> float:
        """Take in judge minus referee of some rows; returns how far the judge has drifted above it, points."""
        account = self._account
        room = USUAL_GAP_ROWS - len(account.first_gaps)
        account.first_gaps += gaps[:room]
        if rest := gaps[max(0, room) :]:
            usual = statistics.fmean(account.first_gaps)
            account.drift = max(0.0, account.drift + statistics.fmean(rest) - usual - ALLOWANCE)
        alarm = self._config.referee_alarm
        if 0 < alarm < account.drift:
            self.reason = (
                f"the judge's scores have risen {account.drift:.1f} points further than the referee's: the policy may "
                "have learned the judge and not the task; read samples with high scores"
            )
            account.drift = 0.0  # said once; it says so again if it goes on
        return account.drift

    def saw_canaries(self, scores: Sequence[float]) -> tuple[int, int]:
        """Take in scores of known bad answers; returns how many there were and how many fooled the judge."""
        account = self._account
        account.canaries += len(scores)
        account.fooled += sum(score >= FOOLED_FROM for score in scores)
        seen, fooled = account.canaries, account.fooled
        if seen >= CANARIES_NEEDED and fooled > FOOLED_SHARE * seen:
            self.reason = (
                f"{fooled} of {seen} known bad answers got {FOOLED_FROM:g} or more from the judge: it can be fooled; "
                "look at the worst ones and change its prompt"
            )
            account.canaries = account.fooled = 0
        return seen, fooled

    def state(self) -> dict[str, Any]:
        """Plain values for a checkpoint."""
        return dict(vars(self._account))

    def load(self, state: dict[str, Any]) -> None:
        self._account = _Account(**state)

    def close(self) -> None:
        if self._referee is not None:
            self._referee.close()


class StepWatch:
    """What is asked besides the step's own judgements. Close it whatever happens."""

    def __init__(self, watch: Watch, step: int, judge: Pool) -> None:
        self._watch, self._step, self._judge = watch, step, judge
        self._referee: list[tuple[Rollout, Future[JudgeResult]]] = []
        self._canaries: list[tuple[str, Future[JudgeResult]]] = []
        self.cost_usd = 0.0

    def begin(self, rollouts: Sequence[Rollout]) -> None:
        """Ask about a share of the step's rollouts, and put known bad answers before the judge."""
        referee, share = self._watch.referee, self._watch.config.referee_share
        if referee is not None:
            for rollout in rollouts:
                if self._watch.chance("referee", rollout.id).random() < share:
                    self._referee.append((rollout, referee.submit(request_for(rollout))))
            referee.flush()
        self._ask_canaries(rollouts)

    def _ask_canaries(self, rollouts: Sequence[Rollout]) -> None:
        if not self._watch.config.canary_share:
            return
        from .judge.workbench.canaries import canary_requests

        chance = self._watch.chance("canaries", self._step)
        for _ in range(int(self._watch.config.canary_share * len(rollouts) + chance.random())):
            task = chance.choice(rollouts).prompt.text
            name, request = chance.choice(canary_requests(task, seed=self._step))
            self._canaries.append((name, self._judge.submit(request)))

    def finish(self, judged: Sequence[JudgedRollout]) -> Generator[Output, None, None]:
        """Wait for what was asked and tell of it."""
        yield from self._wait()
        if self._referee:
            yield from self._tell_referee({j.rollout.id: j.result for j in judged})
        if self._canaries:
            results = [(name, future.result()) for name, future in self._canaries]
            self.cost_usd += sum(result.cost_usd for _, result in results)
            scores = [(name, result.score if isinstance(result, Verdict) else None) for name, result in results]
            seen, fooled = self._watch.saw_canaries([s for _, s in scores if s is not None])
            yield CanariesScored(
                step=self._step,
                scores=tuple(CanaryScore(name=name, score=score) for name, score in scores),
                seen=seen,
                fooled=fooled,
            )

    def _wait(self) -> Iterator[Event]:
        outage = Outage(self._judge, self._step - 1)
        while waiting := [f for _, f in (*self._referee, *self._canaries) if not f.done()]:
            yield from outage.stand_by(waiting)
        yield from outage.end()

    def _tell_referee(self, results: dict[str, JudgeResult]) -> Iterator[Output]:
        pairs: list[tuple[float, float]] = []
        failed = 0
        for rollout, future in self._referee:
            second, first = future.result(), results.get(rollout.id)
            self.cost_usd += second.cost_usd
            yield RefereeResult(rollout_id=rollout.id, result=second)
            failed += isinstance(second, JudgeFailure)
            if isinstance(first, Verdict) and isinstance(second, Verdict):
                pairs.append((first.score, second.score))
        referee = self._watch.referee
        yield RefereeScored(
            step=self._step,
            n=len(pairs),
            failed=failed,
            judge_mean=statistics.fmean(a for a, _ in pairs) if pairs else None,
            referee_mean=statistics.fmean(b for _, b in pairs) if pairs else None,
            drift=self._watch.saw_gaps([a - b for a, b in pairs]),
            referee=referee.judge.name if referee is not None else "",
        )

    def close(self) -> None:
        for _, future in (*self._referee, *self._canaries):
            future.cancel()
