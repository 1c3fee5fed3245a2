"""PPO's updates: epochs over mini-batches of one step's experience, with the guards that protect the weights.

A mini-batch is split into micro-batches whose losses add up to the whole mini-batch's token mean, so the gradient does
not depend on the split. Everything is decided once per mini-batch, before any optimiser is called.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from . import ppo
from .batch import even_parts, micro_batches
from .config import PPOConfig
from .errors import TrainingError
from .events import Event, MicroBatchHalved, UpdateSkipped, finite
from .experience import Experience
from .memory import is_out_of_memory, nothing_left, release_memory
from .optim import Optimizer
from .policy import Policy

FIRST_RATIO_LIMITS = {torch.float32: 1e-3, torch.bfloat16: 1e-2}
"""Mean |ratio - 1| of a step's first mini-batch above which training and sampling plainly disagree."""


@dataclass
class UpdateStats:
    """Sums over the mini-batches of one step; read when it is over."""

    updates: int = 0
    skipped: int = 0
    early_stopped: bool = False
    tokens: float = 0.0
    policy_loss: list[float] = field(default_factory=list)
    value_loss: list[float] = field(default_factory=list)
    approx_kl: float = 0.0
    clipped: float = 0.0
    dual_clipped: float = 0.0
    value_clipped: float = 0.0
    ratio_sum: float = 0.0
    ratio_min: float = math.inf
    ratio_max: float = -math.inf
    first_ratio_error: float | None = None
    grad_norm_actor: list[float] = field(default_factory=list)
    grad_norm_critic: list[float] = field(default_factory=list)


_SUMMED = (
    "policy_loss",
    "value_loss",
    "ratio_sum",
    "ratio_error_sum",
    "approx_kl_sum",
    "clipped",
    "dual_clipped",
    "value_clipped",
    "not_finite",
)
"""Figures of a micro-batch that add up over micro-batches and processes, in the order they travel."""


@dataclass(frozen=True)
class _MiniBatch:
    """What the micro-batches of one mini-batch add up to, on the host."""

    tokens: int
    policy_loss: float
    value_loss: float
    ratio_sum: float
    ratio_error_sum: float
    approx_kl_sum: float
    clipped: float
    dual_clipped: float
    value_clipped: float
    not_finite: float
    """Micro-batches with a non-finite log-ratio, value or loss, over all processes."""
    ratio_min: float
    ratio_max: float

    @property
    def finite(self) -> bool:
        return self.not_finite == 0


class Updater:
    """Owns the two optimisers. One call of ``run`` is one step's epochs."""

    def __init__(self, policy: Policy, config: PPOConfig, accelerator: Any, *, seed: int) -> None:
        self.policy = policy
        self.config = config
        self.micro_batch_size = config.micro_batch_size or config.mini_batch_size
        self.bad_in_a_row = 0
        """Mini-batches with non-finite numbers since the last healthy one, over steps."""
        self._accelerator = accelerator
        self._seed = seed
        self.actor = Optimizer("actor", policy.actor_parameters(), config)
        self.critic = Optimizer("critic", policy.critic_parameters(), config)
        self.stats = UpdateStats()

    def run(
        self,
        experience: Experience,
        step: int,
        rollout_ids: list[str],
        *,
        actor_lr: float,
        critic_lr: float,
        warmup: bool,
    ) -> Iterator[Event]:
        """Train on one step's experience; yields what went wrong on the way. ``warmup`` trains the critic only."""
        self.stats = UpdateStats()
        self.actor.set_lr(actor_lr)
        self.critic.set_lr(critic_lr)
        rows = experience.rows
        if not rows:
            return
        self.policy.train()
        if not (warmup and self.policy.critic_kind == "features"):
            yield from self._policy_epochs(experience, step, rows, rollout_ids, warmup=warmup)
        if self.policy.critic_kind == "features":
            yield from self._critic_epochs(experience, step, rows)

    def _policy_epochs(
        self, experience: Experience, step: int, rows: list[int], rollout_ids: list[str], *, warmup: bool
    ) -> Iterator[Event]:
        for epoch in range(self.config.epochs):
            order = shuffled(rows, f"{self._seed}/mini/{step}/{epoch}")
            for number, part in enumerate(even_parts(order, self.config.mini_batch_size)):
                result: _MiniBatch | None = None
                while result is None:
                    result = self._gradients_or_halve(experience, part, warmup=warmup)
                    if result is None:
                        yield MicroBatchHalved(step=step, micro_batch_size=self.micro_batch_size)
                if epoch == 0 and number == 0 and not warmup:
                    self._check_first_ratio(result)
                reason = self._apply(result, warmup=warmup)
                if reason is not None:
                    yield UpdateSkipped(
                        step=step,
                        epoch=epoch,
                        mini_batch=number,
                        reason=reason,
                        ratio_mean=finite(result.ratio_sum / result.tokens),
                        rollout_ids=tuple(rollout_ids[r] for r in part),
                    )
                if self.stats.early_stopped:
                    return

    def _gradients_or_halve(self, experience: Experience, part: list[int], *, warmup: bool) -> _MiniBatch | None:
        """Gradients of one mini-batch, or None after memory ran out and the micro-batch was halved."""
        try:
            return self._gradients(experience, part, warmup=warmup)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if self.micro_batch_size == 1:
                raise nothing_left(error) from error
        # Out of the except block: its traceback would keep the tensors of the failed pass alive.
        self._zero_grad()
        release_memory()
        self.micro_batch_size = max(1, min(self.micro_batch_size, len(part)) // 2)
        return None

    def _gradients(self, experience: Experience, part: list[int], *, warmup: bool) -> _MiniBatch:
        self._zero_grad()
        lengths = [sum(experience.batch.lengths[r]) for r in part]
        total = self._global_tokens(experience, part)
        sums: list[Tensor] = []
        extremes: list[Tensor] = []
        for group in micro_batches(lengths, self.micro_batch_size):
            micro = experience.select([part[i] for i in group])
            values, bounds = self._micro_batch(micro, total, warmup=warmup)
            sums.append(values)
            extremes.append(bounds)
        summed = self._accelerator.reduce(torch.stack(sums).sum(dim=0), reduction="sum").tolist()
        lows, highs = zip(*(e.tolist() for e in extremes), strict=True)
        self._reduce_gradients()
        named = dict(zip(_SUMMED, summed, strict=True))
        return _MiniBatch(tokens=total, ratio_min=min(lows), ratio_max=max(highs), **named)

    def _micro_batch(self, micro: Experience, total: int, *, warmup: bool) -> tuple[Tensor, Tensor]:
        """Backward passes of actor and critic; sums and (min, max) ratios as tensors, so the device need not wait."""
        zero = torch.zeros((), device=self.policy.device)
        policy, value = None, None
        if not warmup or self.policy.critic_kind == "shared":
            loss, policy, value = self._actor_loss(micro, total, warmup=warmup)
            self._accelerator.backward(loss)
        if self.policy.critic_kind == "adapter":
            value = self._value_loss(self.policy.critic_pass(micro.batch), micro, total)
            self._accelerator.backward(self.config.value_coef * value.loss)
        fine = torch.ones((), dtype=torch.bool, device=zero.device)
        fine = fine & (policy.finite if policy else fine) & (value.finite if value else fine)
        sums = [
            policy.loss.detach() if policy else zero,
            value.loss.detach() if value else zero,
            policy.ratio_sum if policy else micro.mask_BT.sum(),
            policy.ratio_error_sum if policy else zero,
            policy.approx_kl_sum if policy else zero,
            policy.clipped if policy else zero,
            policy.dual_clipped if policy else zero,
            value.clipped if value else zero,
            ~fine,
        ]
        bounds = [policy.ratio_min if policy else zero + 1, policy.ratio_max if policy else zero + 1]
        return torch.stack([s.float() for s in sums]), torch.stack([b.float() for b in bounds])

    def _actor_loss(
        self, micro: Experience, total: int, *, warmup: bool
    ) -> tuple[Tensor, ppo.PolicyLoss | None, ppo.ValueLoss | None]:
        """``warmup`` with a shared trunk: the value loss alone, which only the head's optimiser will use."""
        config = self.config
        result = self.policy.actor_pass(micro.batch, entropy=config.entropy_coef > 0)
        value = None if result.value_BT is None else self._value_loss(result.value_BT, micro, total)
        if warmup:
            assert value is not None
            return config.value_coef * value.loss, None, value
        policy = ppo.policy_loss(
            result.logprob_BT,
            micro.old_logprob_BT,
            micro.advantage_BT,
            micro.mask_BT,
            clip_low=config.clip_low,
            clip_high=config.clip_high,
            dual_clip=config.dual_clip,
            total=total,
        )
        loss = policy.loss if value is None else policy.loss + config.value_coef * value.loss
        if result.entropy_BT is not None:
            loss = loss - config.entropy_coef * ppo.select(result.entropy_BT, micro.mask_BT).sum() / total
        return loss, policy, value

    def _value_loss(self, value_BT: Tensor, micro: Experience, total: int) -> ppo.ValueLoss:
        return ppo.value_loss(
            value_BT, micro.value_BT, micro.return_BT, micro.mask_BT, clip=self.config.value_clip, total=total
        )

    def _apply(self, batch: _MiniBatch, *, warmup: bool) -> str | None:
        """Step the optimisers, or drop the gradients and say why. An early stop drops them silently."""
        config, stats = self.config, self.stats
        actor_norm = self.actor.grad_norm() if not warmup else 0.0
        critic_norm = self.critic.grad_norm() if self._critic_in_mini_batches else 0.0
        ratio_mean = batch.ratio_sum / batch.tokens
        reason = ppo.guard_reason(
            ratio_mean, config.ratio_threshold, finite=batch.finite, grad_norm=max(actor_norm, critic_norm)
        )
        if reason is None and math.isnan(actor_norm + critic_norm):  # max() may hide a NaN
            reason = "the gradient norm was not finite"
        if reason is not None:
            stats.skipped += 1
            healthy_ratio = math.isfinite(ratio_mean) and batch.finite and math.isfinite(actor_norm + critic_norm)
            self.bad_in_a_row = 0 if healthy_ratio else self.bad_in_a_row + 1
            self._zero_grad()
            return reason
        self.bad_in_a_row = 0
        self._record(batch, actor_norm, critic_norm)
        if not warmup and 0 < config.target_kl < batch.approx_kl_sum / batch.tokens:
            stats.early_stopped = True
            self._zero_grad()
            return None
        if not warmup:
            self.actor.step(actor_norm)
        if self._critic_in_mini_batches:
            self.critic.step(critic_norm)
        stats.updates += 1
        self._zero_grad()
        return None

    @property
    def _critic_in_mini_batches(self) -> bool:
        return self.policy.critic_kind in {"adapter", "shared"}

    def _critic_epochs(self, experience: Experience, step: int, rows: list[int]) -> Iterator[Event]:
        """Epochs of the features critic over its cached inputs: half MSE to the returns, no clip."""
        for epoch in range(self.config.critic_epochs):
            order = shuffled(rows, f"{self._seed}/critic/{step}/{epoch}")
            for number, part in enumerate(even_parts(order, self.config.mini_batch_size)):
                micro = experience.select(part)
                assert micro.features_BTF is not None
                self._zero_grad()
                value = ppo.value_loss(
                    self.policy.feature_values(micro.features_BTF, micro.mask_BT),
                    micro.value_BT,
                    micro.return_BT,
                    micro.mask_BT,
                    clip=0.0,
                    total=self._global_tokens(experience, part),
                )
                self._accelerator.backward(value.loss)
                self._reduce_gradients()
                norm = self.critic.grad_norm()
                if reason := ppo.guard_reason(1.0, 10.0, finite=bool(value.finite), grad_norm=norm):
                    self.stats.skipped += 1
                    yield UpdateSkipped(step=step, epoch=epoch, mini_batch=number, reason=f"critic: {reason}")
                    continue
                self.critic.step(norm)
                self.stats.value_loss.append(float(value.loss.detach()))
                self.stats.grad_norm_critic.append(norm)
        self._zero_grad()

    def _record(self, batch: _MiniBatch, actor_norm: float, critic_norm: float) -> None:
        stats = self.stats
        stats.tokens += batch.tokens
        stats.policy_loss.append(batch.policy_loss)
        if self._critic_in_mini_batches:
            stats.value_loss.append(batch.value_loss)
            stats.grad_norm_critic.append(critic_norm)
        stats.grad_norm_actor.append(actor_norm)
        stats.approx_kl += batch.approx_kl_sum
        stats.clipped += batch.clipped
        stats.dual_clipped += batch.dual_clipped
        stats.value_clipped += batch.value_clipped
        stats.ratio_sum += batch.ratio_sum
        stats.ratio_min = min(stats.ratio_min, batch.ratio_min)
        stats.ratio_max = max(stats.ratio_max, batch.ratio_max)

    def _check_first_ratio(self, batch: _MiniBatch) -> None:
        """Before any update old and new log-probs come from the same weights; they may differ by rounding only."""
        self.stats.first_ratio_error = max(abs(batch.ratio_max - 1), abs(batch.ratio_min - 1))
        mean = batch.ratio_error_sum / batch.tokens
        limit = FIRST_RATIO_LIMITS[self.policy.precision]
        if batch.finite and mean > limit:
            raise TrainingError(
                f"the first mini-batch's ratio is off 1 by {mean:.2g} on average (limit {limit:g}): scoring and "
                "training see different models, masks or temperatures; this is a bug, not a setting"
            )

    def _global_tokens(self, experience: Experience, part: list[int]) -> int:
        """Response tokens of the mini-batch over all processes."""
        own = torch.tensor([sum(experience.batch.lengths[r][1] for r in part)], device=self.policy.device)
        return int(self._accelerator.reduce(own, reduction="sum"))

    def _reduce_gradients(self) -> None:
        """Add up gradients over processes: each rank's loss is already divided by the global token count."""
        if self._accelerator.num_processes == 1:
            return
        for parameter in (*self.policy.actor_parameters().values(), *self.policy.critic_parameters().values()):
            if parameter.grad is not None:
                parameter.grad = self._accelerator.reduce(parameter.grad, reduction="sum")

    def optimizer_tensors(self) -> dict[str, Tensor]:
        """Both optimisers' states by name, for a checkpoint."""
        return self.actor.tensors() | self.critic.tensors()

    def load_optimizer_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Put both optimisers' states back."""
        self.actor.load(tensors)
        self.critic.load(tensors)

    def _zero_grad(self) -> None:
        self.actor.zero_grad()
        self.critic.zero_grad()


def shuffled(rows: list[int], key: str) -> list[int]:
    """A permutation that depends on the key only."""
    order = list(rows)
    random.Random(key).shuffle(order)
    return order
