"""From judged rollouts to the tensors PPO trains on: the one place where text, scores and tensors meet.

B = rollouts, T = longest response in tokens, F = features of the ``features`` critic. Masks are True where a token
counts; a rollout without a reward is False throughout.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from . import ppo
from .batch import TokenBatch, even_parts, make_batch, micro_batches
from .memory import is_out_of_memory, nothing_left, release_memory
from .policy import Policy
from .types import Rollout


@dataclass(frozen=True)
class Scored:
    """What the no-gradient passes say of a batch, before any verdict is needed."""

    batch: TokenBatch
    old_logprob_BT: Tensor
    ref_logprob_BT: Tensor
    entropy_BT: Tensor
    value_BT: Tensor
    features_BTF: Tensor | None


@dataclass(frozen=True)
class Experience:
    """One step's training data. Advantages are whitened, returns come from the raw ones."""

    batch: TokenBatch
    mask_BT: Tensor
    old_logprob_BT: Tensor
    value_BT: Tensor
    advantage_BT: Tensor
    raw_advantage_BT: Tensor
    return_BT: Tensor
    features_BTF: Tensor | None
    groups: ppo.GroupCounts | None = None
    """What became of the groups of responses, where advantages are theirs."""

    @property
    def rows(self) -> list[int]:
        """Indices of the rows that train."""
        return [int(i) for i in self.mask_BT.any(dim=1).nonzero().flatten()]

    def select(self, rows: Sequence[int]) -> Experience:
        """The experience of some rows, trimmed to the longest of them."""
        batch = self.batch.select(rows)
        index = torch.tensor(list(rows), device=self.mask_BT.device)
        width = batch.mask_BT.shape[1]

        def cut(tensor: Tensor) -> Tensor:
            return tensor[index, :width]

        return Experience(
            batch=batch,
            mask_BT=cut(self.mask_BT),
            old_logprob_BT=cut(self.old_logprob_BT),
            value_BT=cut(self.value_BT),
            advantage_BT=cut(self.advantage_BT),
            raw_advantage_BT=cut(self.raw_advantage_BT),
            return_BT=cut(self.return_BT),
            features_BTF=None if self.features_BTF is None else cut(self.features_BTF),
        )


def batch_of(policy: Policy, rollouts: Sequence[Rollout]) -> TokenBatch:
    """Right-padded prompts and responses of the rollouts, on the policy's device."""
    return make_batch(
        [r.prompt_tokens for r in rollouts],
        [r.response_tokens for r in rollouts],
        pad_id=policy.tokenizer.pad_id,
        device=policy.device,
    )


class Scorer:
    """Runs the actor, reference and critic over a batch in micro-batches; iterate it, then take ``result``."""

    def __init__(self, policy: Policy, batch: TokenBatch, micro_batch: int) -> None:
        self._policy = policy
        self._batch = batch
        self._parts = micro_batches([p + r for p, r in batch.lengths], micro_batch)
        shape, device = batch.mask_BT.shape, policy.device
        self._old, self._ref, self._entropy, self._value = (torch.zeros(shape, device=device) for _ in range(4))
        self._features: Tensor | None = None
        self.halved_to: int | None = None
        """Rows at a time that fitted, once memory has run out."""

    @torch.no_grad()
    def _score(self, rows: list[int]) -> None:
        part = self._batch.select(rows)
        index, width = torch.tensor(rows, device=self._old.device), part.mask_BT.shape[1]
        actor = self._policy.actor_pass(part, entropy=True)
        reference = self._policy.reference_pass(part)
        assert actor.entropy_BT is not None
        self._old[index, :width] = actor.logprob_BT
        self._entropy[index, :width] = actor.entropy_BT
        self._ref[index, :width] = reference.logprob_BT
        if actor.value_BT is not None:
            self._value[index, :width] = actor.value_BT
        elif self._policy.critic_kind == "adapter":
            self._value[index, :width] = self._policy.critic_pass(part)
        elif reference.features_BTF is not None:
            self._keep_features(index, reference.features_BTF)
            self._value[index, :width] = self._policy.feature_values(reference.features_BTF, part.mask_BT)

    def _keep_features(self, index_B: Tensor, features_BTF: Tensor) -> None:
        if self._features is None:
            shape = (*self._batch.mask_BT.shape, features_BTF.shape[2])
            kind = torch.float32 if features_BTF.device.type == "cpu" else torch.bfloat16
            self._features = torch.zeros(shape, dtype=kind, device=features_BTF.device)
        self._features[index_B, : features_BTF.shape[1]] = features_BTF.to(self._features.dtype)

    def __iter__(self) -> Iterator[int]:
        """Yields the number of rows done so far. Where memory runs out the rows are done in halves.

        Raises ``TrainingError`` where not even one row fits.
        """
        done, waiting = 0, list(reversed(self._parts))
        while waiting:
            rows = waiting.pop()
            if self._fits(rows):
                done += len(rows)
                yield done
            else:
                release_memory()
                self.halved_to = -(-len(rows) // 2)
                waiting = [part for rest in (*waiting, rows) for part in reversed(even_parts(rest, self.halved_to))]

    def _fits(self, rows: list[int]) -> bool:
        try:
            self._score(rows)
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise nothing_left(error) from error
            return False
        return True

    @property
    def result(self) -> Scored:
        return Scored(self._batch, self._old, self._ref, self._entropy, self._value, self._features)


def make_experience(
    scored: Scored,
    reward_B: Sequence[float | None],
    *,
    kl_coef: float,
    kl_estimator: ppo.KlEstimator,
    gamma: float,
    lam: float,
    whiten: bool,
    group: ppo.Group | None = None,
) -> Experience:
    """Token rewards, advantages and returns of a scored batch. ``reward_B`` is None for a row to be left out.

    With ``group`` the advantages are those of the groups: no GAE, no whitening, and the returns are left at 0.
    """
    device = scored.old_logprob_BT.device
    keep_B = torch.tensor([r is not None for r in reward_B], device=device)
    mask_BT = scored.batch.mask_BT & keep_B[:, None]
    rewards = torch.tensor([r if r is not None else 0.0 for r in reward_B], device=device)
    kl_BT = ppo.token_kl(scored.old_logprob_BT, scored.ref_logprob_BT, mask_BT, kl_estimator)
    if group is not None:
        return _of_groups(scored, ppo.group_advantages(rewards - kl_coef * kl_BT.sum(dim=1), mask_BT, group))
    reward_BT = ppo.token_rewards(rewards, kl_BT, mask_BT, kl_coef)
    raw = ppo.gae(reward_BT, scored.value_BT, mask_BT, gamma, lam)
    return Experience(
        batch=dataclasses.replace(scored.batch, mask_BT=mask_BT),
        mask_BT=mask_BT,
        old_logprob_BT=scored.old_logprob_BT,
        value_BT=scored.value_BT,
        advantage_BT=ppo.whiten(raw.advantage_BT, mask_BT) if whiten else raw.advantage_BT,
        raw_advantage_BT=raw.advantage_BT,
        return_BT=raw.return_BT,
        features_BTF=scored.features_BTF,
    )


def _of_groups(scored: Scored, found: ppo.GroupAdvantages) -> Experience:
    return Experience(
        batch=dataclasses.replace(scored.batch, mask_BT=found.mask_BT),
        mask_BT=found.mask_BT,
        old_logprob_BT=scored.old_logprob_BT,
        value_BT=scored.value_BT,
        advantage_BT=found.advantage_BT,
        raw_advantage_BT=found.advantage_BT,
        return_BT=torch.zeros_like(found.advantage_BT),
        features_BTF=scored.features_BTF,
        groups=found.counts,
    )
