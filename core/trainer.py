"""One PPO step at a time, as a stream of what happens in it. No files and no network of its own.

A step: the next prompts of the saved permutation; sample, and hand each response to the judge as it ends; score the
batch with actor, reference and critic while verdicts come in; rewards, advantages; epochs of updates; the KL
controller; figures. Live changes, pauses and stops act between steps.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from torch import Tensor

from . import ppo
from .config import RunConfig
from .events import (
    Advice,
    Event,
    Heartbeat,
    JudgeFailed,
    Phase,
    PhaseStarted,
    SamplesShown,
    StepCompleted,
    ValidationCompleted,
)
from .experience import Experience, Scored, Scorer, batch_of, make_experience
from .judge.pool import JudgePool
from .metrics import StepTotals, chosen_samples, measures, sample_of, step_metrics
from .policy import Policy
from .prompts import permutation
from .rollout import Finished, Sampling, derive_seed, generate
from .schedule import lr_factor
from .stats import bootstrap_mean
from .types import (
    JudgedRollout,
    JudgeFailure,
    JudgeResult,
    Prompt,
    Rollout,
    RolloutMeasures,
    Verdict,
    request_for,
    reward_of,
)
from .update import Updater

Output = Event | Rollout | JudgedRollout | RolloutMeasures

VALIDATION_SAMPLES = 4
KL_BUG_BELOW = -1.0
"""Mean sequence KL, nats: exact sampling cannot give less but by chance; a sampler or mask bug can."""
KL_WARN_ABOVE = 25.0
BAD_UPDATES_IN_A_ROW = 3
LIVE_LIMITS: dict[str, tuple[float, float]] = {
    "kl_coef": (0.0, 100.0),
    "learning_rate": (0.0, 1.0),
    "critic_learning_rate": (0.0, 1.0),
}


@dataclass(frozen=True)
class Demand:
    """What the trainer cannot do by itself: wait for a person, or go back to the last good checkpoint."""

    kind: Literal["pause", "rollback"]
    reason: str


@dataclass(frozen=True)
class TrainerState:
    """Everything a resumed run needs, tensors apart from plain values."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


class Trainer:
    """PPO on ``policy`` with ``judge`` as the reward. ``step`` and ``validate`` yield what happens as it happens."""

    def __init__(
        self,
        policy: Policy,
        judge: JudgePool,
        train: Sequence[Prompt],
        validation: Sequence[Prompt],
        config: RunConfig,
        accelerator: Any,
    ) -> None:
        self.policy = policy
        self.judge = judge
        self.config = config
        self.total_steps = config.run.steps
        self.completed = 0
        self.phase: Phase = "idle"
        self.phase_done = 0
        self.phase_total = 0
        self.updating = False
        self.demand: Demand | None = None
        self.cost_usd = 0.0
        self.seconds = 0.0
        self.validations: list[ValidationCompleted] = []
        self.updater = Updater(policy, config.ppo, accelerator, seed=config.run.seed)
        self._train = [(p, policy.tokenizer.encode(p)) for p in train]
        self._validation = [(p, policy.tokenizer.encode(p)) for p in validation]
        self._settings = {
            "kl_coef": config.ppo.kl_coef,
            "learning_rate": config.ppo.learning_rate,
            "critic_learning_rate": config.ppo.critic_learning_rate,
        }
        self._epoch = 0
        self._cursor = 0
        self._moments = ppo.RunningMoments()
        self._baseline: dict[str, float] = {}
        self._phase_seconds: dict[str, float] = {}
        self._phase_since = self._progress_at = time.monotonic()

    @property
    def settings(self) -> dict[str, float]:
        """Live settings in force."""
        return dict(self._settings)

    def set(self, name: str, value: float) -> None:
        """Change a live setting from the next step on. Raises ``ValueError`` naming what is allowed."""
        if name not in LIVE_LIMITS:
            raise ValueError(f"'{name}' cannot be changed while the run goes on; {', '.join(LIVE_LIMITS)} can")
        low, high = LIVE_LIMITS[name]
        if not low <= value <= high:
            raise ValueError(f"{name} = {value:g} is outside {low:g}..{high:g}")
        self._settings[name] = float(value)

    def step(self, recorded: Sequence[Rollout | JudgedRollout] = ()) -> Iterator[Output]:
        """One PPO step. ``recorded`` holds rollouts and verdicts of this step from an attempt that was cut short.

        Closing the iterator before ``updating`` is True leaves weights and cursors as they were. Where ``demand`` asks
        for a pause before any update, the step is not complete and may be tried again.
        """
        started, number = time.monotonic(), self.completed + 1
        self.demand, self._phase_seconds, self._phase_since = None, {}, started
        pending: dict[str, Future[JudgeResult]] = {}
        results: dict[str, JudgeResult] = {}
        try:
            rollouts = yield from self._rollouts(number, recorded, pending, results)
            scored = yield from self._score(number, rollouts, pending, results)
            waited = yield from self._verdicts(number, rollouts, pending, results)
        finally:
            for future in pending.values():
                future.cancel()
        judged = [JudgedRollout(rollout=r, result=results[r.id]) for r in rollouts]
        cost = sum(j.result.cost_usd for j in judged)
        self.cost_usd += cost
        if self._too_many_failures(judged):
            return
        yield from self._update(number, scored, judged, started=started, waited=waited, cost=cost)

    def _rollouts(
        self,
        number: int,
        recorded: Sequence[Rollout | JudgedRollout],
        pending: dict[str, Future[JudgeResult]],
        results: dict[str, JudgeResult],
    ) -> Generator[Output, None, list[Rollout]]:
        """Sample this step's rows (or take recorded ones) and send each to the judge at once. Returns the rollouts."""
        rows = self._next_rows()
        known = {(r.rollout if isinstance(r, JudgedRollout) else r).id: r for r in recorded}
        found: dict[int, Rollout] = {}
        for row, (prompt, _) in enumerate(rows):
            old = known.get(rollout_id(number, row))
            rollout = old.rollout if isinstance(old, JudgedRollout) else old
            if rollout is None or rollout.prompt.id != prompt.id:
                continue
            found[row] = rollout
            if isinstance(old, JudgedRollout) and reward_of(old.result) is not None:
                results[rollout.id] = old.result
            else:
                pending[rollout.id] = self.judge.submit(request_for(rollout))
        yield self._begin("generate", number, len(rows))
        if len(found) < len(rows):
            for done in self._generate(number, rows):
                self.phase_done += 1
                if done.row not in found:
                    rollout = self._rollout(number, done, *rows[done.row])
                    found[done.row] = rollout
                    pending[rollout.id] = self.judge.submit(request_for(rollout))
                    yield rollout
                yield from self._collect(number, found.values(), pending, results)
                yield from self._progress(number)
        return [found[row] for row in range(len(rows))]

    def _next_rows(self) -> list[tuple[Prompt, tuple[int, ...]]]:
        order = permutation(len(self._train), self.config.run.seed, self._epoch)
        return [self._train[i] for i in order[self._cursor : self._cursor + self.config.rollout.batch_size]]

    def _generate(self, number: int, rows: list[tuple[Prompt, tuple[int, ...]]]) -> Iterator[Finished]:
        settings, seed = self.config.rollout, self.config.run.seed
        low = settings.cap_min or settings.max_new_tokens
        draw = random.Random(f"{seed}/caps/{number}")
        caps = [draw.randint(low, settings.max_new_tokens) for _ in rows]
        seeds = [derive_seed(seed, "rollout", number, row) for row in range(len(rows))]
        return generate(self.policy, [ids for _, ids in rows], caps, seeds, self._sampling())

    def _sampling(self) -> Sampling:
        settings = self.config.rollout
        return Sampling(settings.top_p, settings.top_k, settings.decode_batch)

    def _rollout(self, number: int, done: Finished, prompt: Prompt, ids: tuple[int, ...]) -> Rollout:
        return Rollout(
            id=rollout_id(number, done.row),
            step=number,
            row=done.row,
            prompt=prompt,
            prompt_tokens=ids,
            response_tokens=done.tokens,
            response=self.policy.tokenizer.decode(done.tokens),
            finish=done.finish,
        )

    def _score(
        self,
        number: int,
        rollouts: list[Rollout],
        pending: dict[str, Future[JudgeResult]],
        results: dict[str, JudgeResult],
    ) -> Generator[Output, None, Scored]:
        """The no-gradient passes, with verdicts collected between micro-batches. Returns the scored batch."""
        yield self._begin("score", number, len(rollouts))
        scorer = Scorer(self.policy, batch_of(self.policy, rollouts), self.updater.micro_batch_size)
        for done in scorer:
            self.phase_done = done
            yield from self._collect(number, rollouts, pending, results)
            yield from self._progress(number)
        return scorer.result

    def _verdicts(
        self,
        number: int,
        rollouts: list[Rollout],
        pending: dict[str, Future[JudgeResult]],
        results: dict[str, JudgeResult],
    ) -> Generator[Output, None, float]:
        """Wait for the verdicts still out. Returns the seconds waited with nothing else to do."""
        yield self._begin("judge", number, len(rollouts))
        self.phase_done = len(results)
        since = time.monotonic()
        while pending:
            wait(pending.values(), timeout=0.5, return_when=FIRST_COMPLETED)
            yield from self._collect(number, rollouts, pending, results)
            self.phase_done = len(results)
            yield from self._progress(number)
        return time.monotonic() - since

    def _collect(
        self,
        number: int,
        rollouts: Iterable[Rollout],
        pending: dict[str, Future[JudgeResult]],
        results: dict[str, JudgeResult],
    ) -> Iterator[Output]:
        ready = [key for key, future in pending.items() if future.done()]
        by_id = {r.id: r for r in rollouts} if ready else {}
        for key in ready:
            result = results[key] = pending.pop(key).result()
            yield JudgedRollout(rollout=by_id[key], result=result)
            if isinstance(result, JudgeFailure):
                yield JudgeFailed(
                    step=number,
                    rollout_id=key,
                    status=result.status,
                    treatment=result.treatment,
                    message=result.message,
                    attempts=result.attempts,
                )

    def _too_many_failures(self, judged: list[JudgedRollout]) -> bool:
        failed = [j.result for j in judged if reward_of(j.result) is None]
        if len(failed) <= self.config.judge.max_failed_fraction * len(judged):
            return False
        first = next(r.message for r in failed if isinstance(r, JudgeFailure))
        self.demand = Demand(
            "pause", f"{len(failed)} of {len(judged)} responses got no verdict, so nothing was trained on: {first}"
        )
        return True

    def _update(
        self, number: int, scored: Scored, judged: list[JudgedRollout], *, started: float, waited: float, cost: float
    ) -> Iterator[Output]:
        config = self.config.ppo
        rewards = self._rewards(judged)
        warmup = number <= config.critic_warmup_steps
        kl_coef = self._settings["kl_coef"]
        experience = make_experience(
            scored,
            rewards,
            kl_coef=kl_coef,
            kl_estimator=config.kl_estimator,
            gamma=config.gamma,
            lam=1.0 if warmup else config.gae_lambda,
            whiten=config.whiten_advantages,
        )
        yield self._begin("update", number, config.epochs)
        self.updating = True
        try:
            factor = lr_factor(config.schedule, number, self.total_steps, config.warmup_fraction)
            actor_lr = self._settings["learning_rate"] * factor
            critic_lr = self._settings["critic_learning_rate"] * factor
            ids = [j.rollout.id for j in judged]
            yield from self.updater.run(experience, number, ids, actor_lr=actor_lr, critic_lr=critic_lr, warmup=warmup)
            self._advance()
            measured = measures(scored, judged, rewards)
            self._begin("idle", number, 0)
            seconds = time.monotonic() - started
            self.seconds += seconds
            totals = StepTotals(actor_lr, kl_coef, cost, seconds, waited, self._phase_seconds)
            metrics = step_metrics(scored, experience, judged, rewards, self.updater.stats, totals)
            self._watch(metrics.kl_seq, experience)
            yield from measured
            yield SamplesShown(step=number, samples=chosen_samples(judged, measured, self.config.run.samples_per_step))
            yield StepCompleted(step=number, metrics=metrics, cost_total_usd=self.cost_usd, warmup=warmup)
            yield from self._advice(number, [m.kl for m in measured if m.used])
        finally:
            self.updating = False

    def _rewards(self, judged: list[JudgedRollout]) -> list[float | None]:
        """Terminal rewards through the reward pipeline; rows without one stay None and out of its statistics."""
        config = self.config.ppo
        raw = [reward_of(j.result) for j in judged]
        self._moments = self._moments.updated([r for r in raw if r is not None])
        return [
            None
            if r is None
            else ppo.shaped_reward(
                r,
                self._moments,
                config.reward_normalization,
                config.reward_clip,
                eos_penalty=config.missing_eos_penalty if j.rollout.finish == "length" else 0.0,
            )
            for r, j in zip(raw, judged, strict=True)
        ]

    def _advance(self) -> None:
        self.completed += 1
        self._cursor += self.config.rollout.batch_size
        if self._cursor >= len(self._train):
            self._epoch, self._cursor = self._epoch + 1, 0

    def _watch(self, kl_seq: float | None, experience: Experience) -> None:
        """The KL controller for the next step, and what must not go on."""
        config = self.config.ppo
        if kl_seq is not None and config.kl_controller == "adaptive":
            self._settings["kl_coef"] = ppo.adapted_kl_coef(
                self._settings["kl_coef"],
                kl_seq,
                target=config.kl_target,
                rows=len(experience.rows),
                horizon=config.kl_horizon,
            )
        if self.updater.bad_in_a_row >= BAD_UPDATES_IN_A_ROW:
            self.updater.bad_in_a_row = 0
            self.demand = Demand("rollback", f"{BAD_UPDATES_IN_A_ROW} updates in a row were not finite")
        elif kl_seq is not None and 0 < config.kl_pause < kl_seq:
            self.demand = Demand(
                "pause",
                f"KL is {kl_seq:.1f} nats per response, above ppo.kl_pause = {config.kl_pause:g}; raise kl_coef or "
                "lower learning_rate, then resume",
            )

    def _advice(self, number: int, kl_rows: list[float]) -> Iterator[Event]:
        if len(kl_rows) < 2:
            return
        kl_seq = statistics.fmean(kl_rows)
        error = statistics.stdev(kl_rows) / len(kl_rows) ** 0.5
        # A few rows can be below by chance; three standard errors under zero are not chance.
        if kl_seq < KL_BUG_BELOW and kl_seq + 3 * error < 0:
            yield Advice(
                step=number,
                code="negative_kl",
                severity="error",
                message=f"KL is {kl_seq:.2f} nats: sampler and trainer disagree (top_p, top_k or a mask)",
            )
        elif kl_seq > KL_WARN_ABOVE:
            yield Advice(
                step=number,
                code="high_kl",
                message=f"KL is {kl_seq:.1f} nats per response: raise kl_coef (now {self._settings['kl_coef']:g})",
            )

    def validate(self) -> Iterator[Output]:
        """Score the held-out prompts: the same prompts and the same random numbers each time, so pairs compare.

        The first call is the baseline; later ones report the mean paired difference to it with a bootstrap 95 % CI.
        """
        number = self.completed
        yield self._begin("validate", number, len(self._validation))
        cap, seed = self.config.rollout.max_new_tokens, self.config.run.seed
        seeds = [derive_seed(seed, "validate", p.id) for p, _ in self._validation]
        prompts = [ids for _, ids in self._validation]
        pending: list[tuple[Rollout, Future[JudgeResult]]] = []
        for done in generate(self.policy, prompts, [cap] * len(prompts), seeds, self._sampling()):
            rollout = self._rollout(number, done, *self._validation[done.row])
            pending.append((rollout, self.judge.submit(request_for(rollout))))
            self.phase_done = len(pending)
            yield from self._progress(number)
        judged = [JudgedRollout(rollout=r, result=f.result()) for r, f in sorted(pending, key=lambda p: p[0].row)]
        self.cost_usd += sum(j.result.cost_usd for j in judged)
        result = self._validation_result(number, judged)
        self.validations.append(result)
        self._begin("idle", number, 0)
        yield result

    def _validation_result(self, number: int, judged: list[JudgedRollout]) -> ValidationCompleted:
        scores = {j.rollout.prompt.id: j.result.score for j in judged if isinstance(j.result, Verdict)}
        mean = bootstrap_mean(list(scores.values()))
        common = [key for key in scores if key in self._baseline]
        paired = bootstrap_mean([scores[key] - self._baseline[key] for key in common]) if self.validations else None
        if not self.validations:
            self._baseline = scores
        return ValidationCompleted(
            step=number,
            n=len(common) if paired else len(scores),
            mean=mean.mean if mean else None,
            difference=paired.mean if paired else None,
            ci95=(paired.low, paired.high) if paired else None,
            failed=len(judged) - len(scores),
            samples=tuple(sample_of(j) for j in judged[:VALIDATION_SAMPLES]),
        )

    def _begin(self, phase: Phase, number: int, total: int) -> PhaseStarted:
        now = time.monotonic()
        self._phase_seconds[self.phase] = self._phase_seconds.get(self.phase, 0.0) + now - self._phase_since
        self._phase_since = now
        self.phase, self.phase_done, self.phase_total = phase, 0, total
        return PhaseStarted(step=number, phase=phase, total=total)

    def _progress(self, number: int) -> Iterator[Event]:
        """Where a long phase stands, at most once a second."""
        now = time.monotonic()
        if now - self._progress_at >= 1.0:
            self._progress_at = now
            yield Heartbeat(step=number, phase=self.phase, done=self.phase_done, total=self.phase_total)

    def state(self) -> TrainerState:
        """Weights, optimisers, cursors, controllers and totals; with ``load`` into a new trainer nothing is lost."""
        tensors = {f"weights.{k}": v for k, v in self.policy.trained_tensors().items()}
        values: dict[str, Any] = {
            "completed": self.completed,
            "epoch": self._epoch,
            "cursor": self._cursor,
            "settings": self._settings,
            "moments": [self._moments.count, self._moments.mean, self._moments.m2],
            "baseline": self._baseline,
            "validations": [msgspec.to_builtins(v) for v in self.validations],
            "cost_usd": self.cost_usd,
            "seconds": self.seconds,
            "micro_batch_size": self.updater.micro_batch_size,
            "bad_in_a_row": self.updater.bad_in_a_row,
        }
        return TrainerState(tensors | self.updater.optimizer_tensors(), values)

    def load(self, state: TrainerState) -> None:
        """Continue from ``state``. Raises ``ModelError`` if its tensors are not those of this policy."""
        values = state.values
        prefix = "weights."
        self.policy.load_trained({k[len(prefix) :]: v for k, v in state.tensors.items() if k.startswith(prefix)})
        self.updater.load_optimizer_tensors(state.tensors)
        self.updater.micro_batch_size = values["micro_batch_size"]
        self.updater.bad_in_a_row = values["bad_in_a_row"]
        self.completed, self._epoch, self._cursor = values["completed"], values["epoch"], values["cursor"]
        self._settings = dict(values["settings"])
        self._moments = ppo.RunningMoments(*values["moments"])
        self._baseline = dict(values["baseline"])
        self.validations = [msgspec.convert(v, ValidationCompleted) for v in values["validations"]]
        self.cost_usd, self.seconds = values["cost_usd"], values["seconds"]

    def weights_sha256(self) -> str:
        """Hash of everything that training changed."""
        return self.policy.weights_sha256()

    def close(self) -> None:
        self.judge.close()


def rollout_id(step: int, row: int) -> str:
    """Name of a response: its step and its row in the step's batch."""
    return f"{step:06d}-{row:04d}"
