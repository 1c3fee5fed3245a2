"""One batch as training would take it, with optimisers that never step, and how long each phase took.

B = rows, T = response tokens.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor

from ..batch import TokenBatch
from ..collect import PromptRow, rollout_from, sampling_of
from ..config import RunConfig
from ..events import MicroBatchHalved, UpdateSkipped
from ..experience import Scorer, batch_of, make_experience
from ..logprobs import HeadOptions, chosen_logprobs, response_index, scatter_tokens, stop_positions
from ..model import head_of, trunk_of
from ..optim import Optimizer
from ..passes import hidden_states
from ..policy import Policy
from ..rollout import derive_seed, generate
from ..types import Rollout
from ..update import Updater, UpdateStats


class StillOptimizer(Optimizer):
    """Measures gradients like the real one and never moves a weight."""

    def step(self, norm: float) -> None:
        """Nothing."""


@dataclass(frozen=True)
class DryBatch:
    """What one batch measured."""

    rollouts: int
    rows: int
    """Rows that went through scoring and update: one mini-batch, the longest."""
    tokens: int
    """Prompt and response tokens of those rows."""
    prompt_tokens: float
    response_tokens: float
    """Means over the rollouts."""
    generate_s: float
    score_s: float
    update_s: float
    stats: UpdateStats
    skipped: tuple[str, ...]
    """Why mini-batches would not have been applied."""
    micro_batch_size: int
    halved: bool


def dry_batch(policy: Policy, config: RunConfig, prompts: Sequence[PromptRow]) -> DryBatch:
    """Sample a response to each prompt, score the longest and take their gradients as often as a step would."""
    started = time.monotonic()
    rollouts = list(sampled(policy, config, prompts))
    generated = time.monotonic()
    longest = sorted(rollouts, key=lambda r: -len(r.prompt_tokens) - len(r.response_tokens))
    used = longest[: config.ppo.mini_batch_size]
    updater = Updater(policy, config.ppo, Accelerator(cpu=policy.device.type == "cpu"), seed=config.run.seed)
    updater.actor = StillOptimizer("actor", policy.actor_parameters(), config.ppo)
    updater.critic = StillOptimizer("critic", policy.critic_parameters(), config.ppo)
    scorer = Scorer(policy, batch_of(policy, used), updater.micro_batch_size)
    for _ in scorer:
        pass
    _wait_for(policy.device)
    scored = time.monotonic()
    experience = make_experience(
        scorer.result,
        # Made up, evenly from worst to best: judging a whole batch would cost money.
        torch.linspace(-1.0, 1.0, len(used)).tolist(),
        kl_coef=config.ppo.kl_coef,
        kl_estimator=config.ppo.kl_estimator,
        gamma=config.ppo.gamma,
        lam=config.ppo.gae_lambda,
        whiten=config.ppo.whiten_advantages,
    )
    events = list(updater.run(experience, 0, [r.id for r in used], actor_lr=0.0, critic_lr=0.0, warmup=False))
    _wait_for(policy.device)
    return DryBatch(
        rollouts=len(rollouts),
        rows=len(used),
        tokens=sum(len(r.prompt_tokens) + len(r.response_tokens) for r in used),
        prompt_tokens=sum(len(r.prompt_tokens) for r in rollouts) / len(rollouts),
        response_tokens=sum(len(r.response_tokens) for r in rollouts) / len(rollouts),
        generate_s=generated - started,
        score_s=scored - generated,
        update_s=time.monotonic() - scored,
        stats=updater.stats,
        skipped=tuple(e.reason for e in events if isinstance(e, UpdateSkipped)),
        micro_batch_size=updater.micro_batch_size,
        halved=any(isinstance(e, MicroBatchHalved) for e in events),
    )


def sampled(policy: Policy, config: RunConfig, prompts: Sequence[PromptRow]) -> Iterator[Rollout]:
    """One response to each prompt, at the largest cap, in the order in which they end."""
    caps = [config.rollout.max_new_tokens] * len(prompts)
    seeds = [derive_seed(config.run.seed, "preflight", row) for row in range(len(prompts))]
    for done in generate(policy, [p.ids for p in prompts], caps, seeds, sampling_of(config)):
        yield rollout_from(policy, 0, done, prompts[done.row])


@torch.no_grad()
def bare_logprobs(base: torch.nn.Module, batch: TokenBatch, config: RunConfig, eos_ids: tuple[int, ...]) -> Tensor:
    """(B, T) log-probs under a base that nothing was added to yet, by the same rules as the policy's."""
    bfloat16 = config.model.compute == "bfloat16"
    with torch.autocast(batch.ids_BS.device.type, dtype=torch.bfloat16, enabled=bfloat16):
        hidden_BSh = hidden_states(trunk_of(base), batch)
        row_N, column_N, position_N = response_index(batch.mask_BT, batch.start_B)
        scored = chosen_logprobs(
            head_of(base),
            hidden_BSh[row_N, position_N],
            batch.response_BT[batch.mask_BT],
            HeadOptions(config.rollout.temperature, eos_ids),
            banned_N=stop_positions(column_N, config.rollout.min_new_tokens),
        )
    return scatter_tokens(scored.logprob_N, batch.mask_BT)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
