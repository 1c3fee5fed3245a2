"""A trainer on a tiny model with a judge that counts words: what the acceptance tests drive."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import tiny
import torch
from accelerate import Accelerator

from core.batch import even_parts
from core.config import RunConfig
from core.events import StepCompleted, StepMetrics, UpdateSkipped
from core.experience import Experience, Scorer, make_experience
from core.judge.pool import JudgePool
from core.policy import Policy
from core.trainer import Output, Trainer
from core.types import (
    JudgedRollout,
    JudgeFailure,
    JudgeRequest,
    JudgeResult,
    Prompt,
    Rollout,
    RolloutMeasures,
    Verdict,
    score_to_reward,
)
from core.update import shuffled

CLOCK = {
    "seconds", "tokens_per_s", "judge_latency_p50", "judge_latency_p95", "judge_wait_s", "phase_seconds",
}  # fmt: skip
"""Figures that come from a clock and never repeat."""


class WordJudge:
    """Score 10 times the share of response words with an even number; fails on responses to the tasks in ``broken``."""

    name = "words"
    version = "1"

    def __init__(self, broken: Iterable[str] = (), *, slow: float = 0.0) -> None:
        self.broken = set(broken)
        self.slow = slow
        self.asked: Counter[str] = Counter()

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        if self.slow:
            await asyncio.sleep(self.slow)
        return [self._one(r) for r in requests]

    def _one(self, request: JudgeRequest) -> JudgeResult:
        self.asked[request.task] += 1
        if request.task in self.broken:
            return JudgeFailure(
                status="infra_error", treatment="mask", message="no answer", backend=self.name,
                judge_version=self.version, cost_usd=0.25,
            )  # fmt: skip
        numbers = [int(w[1:]) for w in request.response.split() if w[1:].isdigit()]
        score = 10 * sum(n % 2 == 0 for n in numbers) / max(1, len(numbers))
        return Verdict(
            score=score, reward=score_to_reward(score), reason="share of even words", backend=self.name,
            judge_version=self.version, cost_usd=0.5,
        )  # fmt: skip

    async def close(self) -> None:
        """Nothing to close."""


def config(**sections: dict[str, Any]) -> RunConfig:
    """Small and quick, no warm-up of any kind; any key can be overridden by section."""
    base: dict[str, dict[str, Any]] = {
        "model": {"device": "cpu", "lora_rank": 4, "lora_alpha": 8.0},
        "rollout": {"batch_size": 4, "max_new_tokens": 8},
        "ppo": {
            "epochs": 2, "mini_batch_size": 2, "learning_rate": 1e-3, "critic_learning_rate": 1e-3,
            "warmup_fraction": 0.0, "critic_warmup_steps": 0, "target_kl": 0.0, "critic_width": 16,
        },
        "run": {"steps": 4, "threads": 1},
    }  # fmt: skip
    return RunConfig.model_validate({name: base.get(name, {}) | sections.get(name, {}) for name in {*base, *sections}})


def trainer(
    policy: Policy,
    settings: RunConfig,
    *,
    judge: Any = None,
    train: Sequence[Prompt] | None = None,
    validation: Sequence[Prompt] = (),
) -> Trainer:
    """A trainer over ``train`` (12 random prompts unless given)."""
    pool = JudgePool(judge or WordJudge(), 8)
    return Trainer(policy, pool, train or tiny.prompts(12), validation, settings, Accelerator(cpu=True))


@dataclass
class StepLog:
    """What one step yielded, sorted."""

    outputs: list[Output] = field(default_factory=list)

    def of(self, kind: type) -> list[Any]:
        return [o for o in self.outputs if isinstance(o, kind)]

    @property
    def rollouts(self) -> list[Rollout]:
        return sorted(self.of(Rollout), key=lambda r: r.row)

    @property
    def judged(self) -> list[JudgedRollout]:
        return sorted(self.of(JudgedRollout), key=lambda j: j.rollout.row)

    @property
    def measures(self) -> list[RolloutMeasures]:
        return self.of(RolloutMeasures)

    @property
    def skips(self) -> list[UpdateSkipped]:
        return self.of(UpdateSkipped)

    @property
    def metrics(self) -> StepMetrics:
        (done,) = self.of(StepCompleted)
        return done.metrics  # type: ignore[no-any-return]

    def figures(self) -> dict[str, Any]:
        """The metrics without what a clock says."""
        return {name: getattr(self.metrics, name) for name in self.metrics.__struct_fields__ if name not in CLOCK}


def step(trained: Trainer, recorded: Sequence[Rollout | JudgedRollout] = ()) -> StepLog:
    """One step to its end."""
    return StepLog(list(trained.step(recorded)))


def snapshot(trained: Trainer) -> dict[str, torch.Tensor]:
    """A copy of every trained tensor and every optimiser tensor."""
    return {name: tensor.clone() for name, tensor in trained.state().tensors.items()}


def equal(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two snapshots hold the same names and the same bytes."""
    return a.keys() == b.keys() and all(a[n].numpy().tobytes() == b[n].numpy().tobytes() for n in a)


def experience(
    policy: Policy,
    rewards: Sequence[float | None],
    rows: list[tuple[tuple[int, ...], tuple[int, ...]]] | None = None,
) -> Experience:
    """Scored rows (``tiny.SEQUENCES`` unless given) with these terminal rewards."""
    scorer = Scorer(policy, tiny.batch(policy, rows), 2)
    for _ in scorer:
        pass
    return make_experience(
        scorer.result, rewards, kl_coef=0.05, kl_estimator="k1", gamma=1.0, lam=0.95, whiten=True
    )  # fmt: skip


def updates(trained: Trainer, made: Experience, step: int = 1) -> Iterator[Any]:
    """One step's updates on this experience, with the configured learning rates."""
    names = [f"r{i}" for i in range(len(made.batch))]
    ppo = trained.config.ppo
    return trained.updater.run(
        made, step, names, actor_lr=ppo.learning_rate, critic_lr=ppo.critic_learning_rate, warmup=False
    )


def parts(trained: Trainer, made: Experience, step: int = 1, epoch: int = 0) -> list[list[int]]:
    """The mini-batches of an epoch in their order."""
    order = shuffled(made.rows, f"{trained.config.run.seed}/mini/{step}/{epoch}")
    return even_parts(order, trained.config.ppo.mini_batch_size)
