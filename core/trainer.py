"""One PPO step at a time, as a stream of what happens in it. No files and no network of its own.

A step: the next prompts of the saved permutation; sample, and hand each response to the judge as it ends; score the
batch with actor, reference and critic while verdicts come in; rewards, advantages; epochs of updates; the KL
controller; figures. Live changes, pauses and stops act between steps.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from . import ppo
from .collect import Collector, PromptRow
from .collect import Output as Output
from .config import RunConfig
from .events import MicroBatchHalved, Phase, SamplesShown, StepCompleted, ValidationCompleted
from .experience import Experience, Scored, Scorer, batch_of, make_experience
from .judge.pool import Pool
from .metrics import StepTotals, chosen_samples, measures, step_metrics
from .outage import DEGRADED_IN_A_ROW, degraded, unusable
from .policy import Policy
from .progress import Progress
from .prompts import permutation
from .schedule import lr_factor
from .types import JudgedRollout, Prompt, Rollout, reward_of
from .update import Updater
from .validation import Validator
from .watch import StepWatch, Watch

BAD_UPDATES_IN_A_ROW = 3
LIVE_LIMITS: dict[str, tuple[float, float]] = {
    "kl_coef": (0.0, 100.0),
    "learning_rate": (0.0, 1.0),
    "critic_learning_rate": (0.0, 1.0),
    "judge_cap_usd": (0.0, 1e9),
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
        judge: Pool,
        train: Sequence[Prompt],
        validation: Sequence[Prompt],
        config: RunConfig,
        accelerator: Any,
        watch: Watch | None = None,
    ) -> None:
        self.policy = policy
        self.judge = judge
        self.watch = watch or Watch(config.judge, None, seed=config.run.seed)
        self.config = config
        self.total_steps = config.run.steps
        self.completed = 0
        self.updating = False
        self.demand: Demand | None = None
        self.cost_usd = 0.0
        self.seconds = 0.0
        self.progress = Progress()
        self.updater = Updater(policy, config.ppo, accelerator, seed=config.run.seed)
        self._train = [PromptRow(p, policy.tokenizer.encode(p)) for p in train]
        held_out = [PromptRow(p, policy.tokenizer.encode(p)) for p in validation]
        self._validator = Validator(policy, judge, held_out, config, self.progress)
        self._settings = {
            "kl_coef": config.ppo.kl_coef,
            "learning_rate": config.ppo.learning_rate,
            "critic_learning_rate": config.ppo.critic_learning_rate,
            "judge_cap_usd": config.judge.cap_usd,
        }
        self._epoch = 0
        self._cursor = 0
        self._moments = ppo.RunningMoments()
        self._degraded = 0
        self._decode_batch = 0
        """Rows that are sampled together since memory ran out; 0: as configured."""
        self._poor = ""

    @property
    def phase(self) -> Phase:
        return self.progress.phase

    @property
    def phase_done(self) -> int:
        return self.progress.done

    @property
    def phase_total(self) -> int:
        return self.progress.total

    @property
    def validations(self) -> list[ValidationCompleted]:
        """Every validation of the run so far."""
        return self._validator.completed

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
        if name == "judge_cap_usd":
            self._limit_cost()

    def _limit_cost(self) -> None:
        if (ledger := getattr(self.judge.judge, "ledger", None)) is not None:
            ledger.set_cap(self._settings["judge_cap_usd"] or None, self.config.judge.cap_calls or None)

    def replace_judge(self, judge: Pool, baseline: dict[str, float]) -> None:
        """Score with ``judge`` from the next step on; ``baseline`` is its score of the first validation, by prompt id.

        The judge before it is closed.
        """
        self.judge.close()
        self.judge = self._validator.judge = judge
        self._validator.rebase(baseline)
        self._limit_cost()

    def step(self, recorded: Sequence[Rollout | JudgedRollout] = ()) -> Iterator[Output]:
        """One PPO step. ``recorded`` holds rollouts and verdicts of this step from an attempt that was cut short.

        Closing the iterator before ``updating`` is True leaves weights and cursors as they were. Where ``demand`` asks
        for a pause before any update, the step is not complete and may be tried again.
        """
        started, number = time.monotonic(), self.completed + 1
        self.demand = None
        self.progress.restart()
        self.judge.reset()
        self.judge.waiting_peak = 0
        collector = Collector(
            self.policy, self.judge, self.config, self.progress, number, self._next_rows(), self._decode_batch
        )
        watching = self.watch.over(number, self.judge)
        with contextlib.closing(watching):
            yield from self._step(number, collector, watching, recorded, started)

    def _step(
        self,
        number: int,
        collector: Collector,
        watching: StepWatch,
        recorded: Sequence[Rollout | JudgedRollout],
        started: float,
    ) -> Iterator[Output]:
        with contextlib.closing(collector):
            rollouts = yield from collector.sample(recorded)
            watching.begin(rollouts)
            self._decode_batch = collector.decode_batch
            scored = yield from self._score(number, rollouts, collector)
            waited = yield from collector.wait()
            judged = collector.judged()
        self.demand = self._too_many_failures(judged)
        if self.demand is None:
            self.updating = True
            try:
                cost = collector.retried_usd + sum(j.result.cost_usd for j in judged)
                yield from self._update(number, scored, judged, watching, started=started, waited=waited, cost=cost)
            finally:
                self.updating = False

    def _next_rows(self) -> list[PromptRow]:
        order = permutation(len(self._train), self.config.run.seed, self._epoch)
        rollout = self.config.rollout
        prompts = order[self._cursor : self._cursor + rollout.batch_size // rollout.group_size]
        return [self._train[i] for i in prompts for _ in range(rollout.group_size)]

    def _score(self, number: int, rollouts: list[Rollout], collector: Collector) -> Generator[Output, None, Scored]:
        """The no-gradient passes, with verdicts collected between micro-batches."""
        yield self.progress.begin("score", number, len(rollouts))
        scorer = Scorer(self.policy, batch_of(self.policy, rollouts), self.updater.micro_batch_size)
        for done in scorer:
            yield from collector.verdicts()
            yield from self.progress.report(done)
        if scorer.halved_to is not None:  # an update, which needs more, would not fit either
            self.updater.micro_batch_size = scorer.halved_to
            yield MicroBatchHalved(step=number, micro_batch_size=scorer.halved_to, where="scoring")
        return scorer.result

    def _too_many_failures(self, judged: list[JudgedRollout]) -> Demand | None:
        reason = unusable(judged, self.config.judge.max_failed_fraction)
        return Demand("pause", reason) if reason else None

    def _update(
        self,
        number: int,
        scored: Scored,
        judged: list[JudgedRollout],
        watching: StepWatch,
        *,
        started: float,
        waited: float,
        cost: float,
    ) -> Iterator[Output]:
        config, kl_coef = self.config.ppo, self._settings["kl_coef"]
        rewards = self._rewards(judged)
        warmup = number <= config.critic_warmup_steps
        experience = make_experience(
            scored,
            rewards,
            kl_coef=kl_coef,
            kl_estimator=config.kl_estimator,
            gamma=config.gamma,
            lam=1.0 if warmup else config.gae_lambda,
            whiten=config.whiten_advantages,
            group=None if config.advantage == "gae" else ppo.Group(config.advantage, self.config.rollout.group_size),
        )
        yield self.progress.begin("update", number, config.epochs)
        factor = lr_factor(config.schedule, number, self.total_steps, config.warmup_fraction)
        actor_lr = self._settings["learning_rate"] * factor
        yield from self.updater.run(
            experience,
            number,
            [j.rollout.id for j in judged],
            actor_lr=actor_lr,
            critic_lr=self._settings["critic_learning_rate"] * factor,
            warmup=warmup,
        )
        yield from watching.finish(judged)
        self._poor = degraded(judged)
        self._degraded = self._degraded + 1 if self._poor else 0
        cost += watching.cost_usd
        measured = measures(scored, judged, rewards, experience)
        self.progress.begin("idle", number)
        seconds = time.monotonic() - started
        self._advance(cost, seconds)
        totals = StepTotals(actor_lr, kl_coef, cost, seconds, waited, self.judge.waiting_peak, self.progress.seconds)
        metrics = step_metrics(scored, experience, judged, rewards, self.updater.stats, totals)
        self._watch(metrics.kl_seq, experience)
        yield from measured
        yield SamplesShown(step=number, samples=chosen_samples(judged, measured, self.config.run.samples_per_step))
        yield StepCompleted(step=number, metrics=metrics, cost_total_usd=self.cost_usd, warmup=warmup)

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

    def _advance(self, cost: float, seconds: float) -> None:
        self.cost_usd += cost
        self.seconds += seconds
        self.completed += 1
        self._cursor += self.config.rollout.batch_size // self.config.rollout.group_size
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
        elif self._degraded >= DEGRADED_IN_A_ROW:
            self._degraded = 0
            self.demand = Demand(
                "pause", f"{DEGRADED_IN_A_ROW} batches in a row were badly judged; in the last one {self._poor}"
            )
        elif self.watch.reason:
            self.demand = Demand("pause", self.watch.reason)
        self.watch.reason = ""

    def validate(self) -> Iterator[Output]:
        """Score the held-out prompts; ends with ``ValidationCompleted``, paired with the run's first one.

        Where too few verdicts could be had, ``demand`` asks for a pause instead, and it may be tried again.
        """
        started = time.monotonic()
        self.demand = None
        self.judge.reset()
        self.cost_usd += yield from self._validator.run(self.completed)
        self.seconds += time.monotonic() - started
        if self._validator.refused:
            self.demand = Demand("pause", self._validator.refused)

    def state(self) -> TrainerState:
        """Weights, optimisers, cursors, controllers and totals; with ``load`` into a new trainer nothing is lost."""
        tensors = {f"weights.{k}": v for k, v in self.policy.trained_tensors().items()}
        values: dict[str, Any] = {
            "completed": self.completed,
            "epoch": self._epoch,
            "cursor": self._cursor,
            "settings": self.settings,
            "moments": [self._moments.count, self._moments.mean, self._moments.m2],
            "validation": self._validator.state(),
            "watch": self.watch.state(),
            "degraded": self._degraded,
            "judge_version": self.judge.judge.version,
            "cost_usd": self.cost_usd,
            "seconds": self.seconds,
            "micro_batch_size": self.updater.micro_batch_size,
            "decode_batch": self._decode_batch,
            "bad_in_a_row": self.updater.bad_in_a_row,
        }
        return TrainerState(tensors | self.updater.optimizer_tensors(), values)

    def load(self, state: TrainerState) -> None:
        """Continue from ``state``. Raises ``ModelError`` if its tensors are not those of this policy."""
        values, prefix = state.values, "weights."
        self.policy.load_trained({k[len(prefix) :]: v for k, v in state.tensors.items() if k.startswith(prefix)})
        self.updater.load_optimizer_tensors(state.tensors)
        self.updater.micro_batch_size = values["micro_batch_size"]
        self._decode_batch = values.get("decode_batch", 0)
        self.updater.bad_in_a_row = values["bad_in_a_row"]
        self.completed, self._epoch, self._cursor = values["completed"], values["epoch"], values["cursor"]
        self._settings = dict(values["settings"])
        self._moments = ppo.RunningMoments(*values["moments"])
        self._validator.load(values["validation"])
        self.watch.load(values["watch"])
        self._degraded = values["degraded"]
        self._limit_cost()
        self.cost_usd, self.seconds = values["cost_usd"], values["seconds"]

    def weights_sha256(self) -> str:
        """Hash of everything that training changed."""
        return self.policy.weights_sha256()

    def close(self) -> None:
        self.judge.close()
        self.watch.close()
