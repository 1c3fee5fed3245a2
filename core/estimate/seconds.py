"""Seconds of a step by phase, from measured or planned rates."""

from __future__ import annotations

from dataclasses import dataclass

from ..config import RunConfig
from .memory import ModelShape


@dataclass(frozen=True, kw_only=True)
class Rates:
    """How fast a machine and a judge are, measured or planned; seconds."""

    decode_step_s: float
    """To add one token to every row that decodes together."""
    score_token_s: float
    """All passes without gradients over one token of prompt or response."""
    update_token_s: float
    """One epoch over one token."""
    judge_row_s: float
    """From one verdict to the next at full concurrency."""


@dataclass(frozen=True)
class StepTime:
    """Seconds of one PPO step by phase."""

    generate: float
    score: float
    judge: float
    update: float

    @property
    def total(self) -> float:
        """The update needs every verdict, so the judge hides behind the first two phases only."""
        return max(self.generate + self.score, self.judge) + self.update


def step_time(rates: Rates, config: RunConfig, *, prompt_tokens: float, response_tokens: float) -> StepTime:
    """One step's seconds; mean tokens of a prompt and of a response, the latter also how long its batch decodes."""
    rollout = config.rollout
    tokens = rollout.batch_size * (prompt_tokens + response_tokens)
    batches = -(-rollout.batch_size // (rollout.decode_batch or rollout.batch_size))
    return StepTime(
        generate=batches * response_tokens * rates.decode_step_s,
        score=tokens * rates.score_token_s,
        judge=rollout.batch_size * rates.judge_row_s,
        update=config.ppo.epochs * tokens * rates.update_token_s,
    )


def planned_rates(
    shape: ModelShape, config: RunConfig, *, flops: float, decode_step_s: float, judge_per_minute: float
) -> Rates:
    """Rates from arithmetic, before anything is measured.

    A forward pass takes 2 FLOP per parameter and token, an epoch with a frozen base and recomputed activations 6;
    ``flops`` per second are those the device really reaches. A critic with a trunk of its own adds half to each.
    """
    work = shape.parameters / flops * (1.5 if config.ppo.critic == "adapter" else 1.0)
    return Rates(
        decode_step_s=decode_step_s,
        score_token_s=2 * 2 * work,
        update_token_s=6 * work,
        judge_row_s=60 / judge_per_minute,
    )
