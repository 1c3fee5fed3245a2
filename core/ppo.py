"""PPO's arithmetic: pure functions of tensors. No configuration, no model, no files.

B = rollouts, T = longest response in tokens; column t is the t-th response token. Every mask is True where a token
counts and is a prefix of its row; a row left out is False throughout. Everything is float32 (or float64 in tests).
Outside the mask arrays are set to 0 by selection, never by multiplication: NaN * 0 is NaN.

Papers: PPO arXiv:1707.06347, GAE 1506.02438, RLHF 2009.01325, dual clip 1912.09729, RLOO 2402.14740, GRPO 2402.03300;
KL estimators after Schulman, "Approximating KL Divergence" (2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

KlEstimator = Literal["k1", "k2", "k3", "abs"]

LOG_RATIO_LIMIT = 20.0
"""exp(20) is 4.9e8: far outside any clip, and finite in float32."""
WHITEN_EPS = 1e-8
GROUP_EPS = 1e-4
KL_ERROR_LIMIT = 0.2
"""The adaptive controller's error is clipped to this (arXiv:1909.08593, section 2.2)."""
NO_SPREAD = 1e-8
"""A deviation of rewards below this is rounding: three times 0.1 has a mean that is not 0.1."""


def select(value_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """``value_BT`` where the mask is True and 0 elsewhere, also where it was NaN."""
    return torch.where(mask_BT, value_BT, torch.zeros((), dtype=value_BT.dtype, device=value_BT.device))


def token_kl(old_logprob_BT: Tensor, ref_logprob_BT: Tensor, mask_BT: Tensor, estimator: KlEstimator = "k1") -> Tensor:
    """Per-token estimate of KL(policy || reference) on sampled tokens, (B, T), nats; 0 outside the mask.

    With d = old - ref: ``k1`` d and ``k3`` e^(-d) - 1 + d (never negative) are unbiased; ``k2`` d^2/2 and ``abs`` |d|
    are not. In a reward only ``k1`` reproduces the gradient of the KL penalty.
    """
    d_BT = select(old_logprob_BT - ref_logprob_BT, mask_BT)
    match estimator:
        case "k1":
            return d_BT
        case "k2":
            return 0.5 * d_BT.square()
        case "k3":
            return torch.expm1(-d_BT) + d_BT
        case "abs":
            return d_BT.abs()


def token_rewards(reward_B: Tensor, kl_BT: Tensor, mask_BT: Tensor, kl_coef: float) -> Tensor:
    """Reward of each token, (B, T): ``-kl_coef * kl`` on every token, plus the score's reward on the last one.

    The last response token is the sampled EOS, or the token at the cap. Rows without a token get nothing.
    """
    rewards_BT = select(-kl_coef * kl_BT, mask_BT)
    length_B = mask_BT.sum(dim=1)
    rows = length_B > 0
    last_B = (length_B - 1).clamp(min=0)
    at_end_B = torch.where(rows, reward_B, torch.zeros_like(reward_B))
    return rewards_BT.scatter_add(1, last_B.unsqueeze(1), at_end_B.unsqueeze(1).to(rewards_BT.dtype))


@dataclass(frozen=True)
class Advantages:
    """Raw GAE advantages and the returns made from them, both (B, T), 0 outside the mask."""

    advantage_BT: Tensor
    return_BT: Tensor


def gae(reward_BT: Tensor, value_BT: Tensor, mask_BT: Tensor, gamma: float, lam: float) -> Advantages:
    """Generalised advantage estimation (arXiv:1506.02438, eq. 16) over each row's response.

    delta_t = r_t + gamma V_(t+1) - V_t and A_t = delta_t + gamma lambda A_(t+1), from the last token down; the value
    after the last token is 0, also for a row cut at its cap. Returns are A + V with the raw A: whitening comes later
    and only touches advantages.
    """
    rewards_BT, values_BT = select(reward_BT, mask_BT), select(value_BT, mask_BT)
    next_value_BT = torch.cat([values_BT[:, 1:], torch.zeros_like(values_BT[:, :1])], dim=1)
    delta_BT = select(rewards_BT + gamma * next_value_BT - values_BT, mask_BT)
    advantage_BT = torch.zeros_like(delta_BT)
    running_B = torch.zeros_like(delta_BT[:, 0]) if delta_BT.shape[1] else delta_BT.sum(dim=1)
    for t in range(delta_BT.shape[1] - 1, -1, -1):
        running_B = delta_BT[:, t] + gamma * lam * running_B  # stays 0 while t is beyond the row's end
        advantage_BT[:, t] = running_B
    return Advantages(advantage_BT, select(advantage_BT + values_BT, mask_BT))


@dataclass(frozen=True)
class Group:
    """How responses to one prompt are compared with each other."""

    kind: Literal["rloo", "grpo"]
    size: int
    """Responses to a prompt, K; they are neighbours in the batch."""


@dataclass(frozen=True)
class GroupCounts:
    """Groups without anything to learn from."""

    masked: int
    """Fewer than two responses with a reward: left out."""
    flat: int
    """All responses equally good: advantage 0."""


@dataclass(frozen=True)
class GroupAdvantages:
    """The same advantage on every token of a row (B, T), and the mask (B, T) without the groups left out."""

    advantage_BT: Tensor
    mask_BT: Tensor
    counts: GroupCounts


def group_advantages(score_B: Tensor, mask_BT: Tensor, group: Group) -> GroupAdvantages:
    """Advantages of responses against the others to the same prompt; ``score_B`` is reward minus the KL price.

    RLOO (arXiv:2402.14740): S_i minus the mean of the others, K / (K - 1) (S_i - mean S). GRPO (arXiv:2402.03300):
    (S_i - mean S) / (sigma_S + 1e-4), sigma with Bessel's correction. Statistics are over the group's rows that count.
    """
    score_GK = score_B.view(-1, group.size)
    valid_GK = mask_BT.any(dim=1).view(-1, group.size)
    count_G1 = valid_GK.sum(dim=1, keepdim=True)
    enough_G1 = count_G1 >= 2
    used_GK = valid_GK & enough_G1
    mean_G1 = select(score_GK, used_GK).sum(dim=1, keepdim=True) / count_G1.clamp(min=1)
    centred_GK = select(score_GK - mean_G1, used_GK)
    others_G1 = (count_G1 - 1).clamp(min=1)
    if group.kind == "rloo":
        advantage_GK = centred_GK * count_G1 / others_G1
    else:
        sigma_G1 = (centred_GK.square().sum(dim=1, keepdim=True) / others_G1).sqrt()
        advantage_GK = centred_GK / (sigma_G1 + GROUP_EPS)
    low_G = score_GK.masked_fill(~used_GK, float("inf")).amin(dim=1)
    high_G = score_GK.masked_fill(~used_GK, float("-inf")).amax(dim=1)
    flat_G1 = enough_G1 & (high_G - low_G <= NO_SPREAD).unsqueeze(1)
    advantage_GK = select(advantage_GK, used_GK & ~flat_G1)
    used_BT = mask_BT & used_GK.reshape(-1, 1)
    return GroupAdvantages(
        select(advantage_GK.reshape(-1, 1).expand(mask_BT.shape), used_BT),
        used_BT,
        GroupCounts(int((~enough_G1).sum()), int(flat_G1.sum())),
    )


def whiten(advantage_BT: Tensor, mask_BT: Tensor) -> Tensor:
    """Advantages with mean 0 and deviation 1 (Bessel) over all tokens that count; the mean is not added back.

    With fewer than two tokens there is no deviation and the advantages are returned as they are.
    """
    count = mask_BT.sum()
    if count < 2:
        return select(advantage_BT, mask_BT)
    kept_BT = select(advantage_BT, mask_BT)
    mean = kept_BT.sum() / count
    centred_BT = select(kept_BT - mean, mask_BT)
    variance = centred_BT.square().sum() / (count - 1)
    return centred_BT / (variance + WHITEN_EPS).sqrt()


@dataclass(frozen=True)
class PolicyLoss:
    """The clipped surrogate of one micro-batch. ``loss`` has a gradient; the rest are detached sums over its tokens."""

    loss: Tensor
    ratio_sum: Tensor
    ratio_error_sum: Tensor
    """Sum of |ratio - 1|: 0 before a step's first update."""
    ratio_min: Tensor
    ratio_max: Tensor
    approx_kl_sum: Tensor
    clipped: Tensor
    """Tokens whose gradient the clip removed."""
    dual_clipped: Tensor
    finite: Tensor
    """bool: every raw log-ratio and the loss were finite."""


def policy_loss(
    logprob_BT: Tensor,
    old_logprob_BT: Tensor,
    advantage_BT: Tensor,
    mask_BT: Tensor,
    *,
    clip_low: float,
    clip_high: float,
    dual_clip: float,
    total: int,
) -> PolicyLoss:
    """PPO's clipped surrogate (arXiv:1707.06347, eq. 7), negated: lower is better; with dual clip (1912.09729, eq. 5).

    ``total`` is the number of tokens that count in the whole mini-batch, so that the losses of its micro-batches add
    up to its mean however it is split. ``dual_clip`` 0 turns the dual clip off. Raises ``ValueError`` if total < 1.
    """
    if total < 1:
        raise ValueError("policy_loss: no token counts in this mini-batch; leave it out before the forward pass")
    delta_BT = select(logprob_BT - old_logprob_BT, mask_BT)
    raw_finite = delta_BT.isfinite().all()  # asked before the clamp, which would hide an infinity
    delta_BT = delta_BT.clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio_BT = delta_BT.exp()
    plain_BT = -ratio_BT * advantage_BT
    clipped_BT = -ratio_BT.clamp(1 - clip_low, 1 + clip_high) * advantage_BT
    term_BT = torch.maximum(plain_BT, clipped_BT)
    dual_BT = torch.zeros_like(mask_BT)
    if dual_clip > 0:
        bound_BT = -dual_clip * advantage_BT
        dual_BT = mask_BT & (advantage_BT < 0) & (term_BT > bound_BT)
        term_BT = torch.where(dual_BT, bound_BT, term_BT)
    loss = select(term_BT, mask_BT).sum() / total
    with torch.no_grad():
        kept = ratio_BT[mask_BT]
        one = torch.ones((), dtype=ratio_BT.dtype, device=ratio_BT.device)
        outside_BT = ((advantage_BT > 0) & (ratio_BT > 1 + clip_high)) | (
            (advantage_BT < 0) & (ratio_BT < 1 - clip_low)
        )
        return PolicyLoss(
            loss=loss,
            ratio_sum=kept.sum(),
            ratio_error_sum=(kept - 1).abs().sum(),
            ratio_min=kept.min() if kept.numel() else one,
            ratio_max=kept.max() if kept.numel() else one,
            approx_kl_sum=0.5 * select(delta_BT, mask_BT).square().sum(),
            clipped=(outside_BT & mask_BT).sum(),
            dual_clipped=dual_BT.sum(),
            finite=raw_finite & loss.detach().isfinite(),
        )


@dataclass(frozen=True)
class ValueLoss:
    """The critic's loss of one micro-batch. ``loss`` has a gradient; the rest are detached."""

    loss: Tensor
    clipped: Tensor
    """Tokens where the clipped error was the larger one."""
    finite: Tensor


def value_loss(
    value_BT: Tensor, old_value_BT: Tensor, return_BT: Tensor, mask_BT: Tensor, *, clip: float, total: int
) -> ValueLoss:
    """Half the mean squared error to the returns, the worse of the value and the value clipped to old +- ``clip``.

    The clipped form is that of the PPO reference code; ``clip`` 0 gives plain half MSE. ``total`` as in
    ``policy_loss``. Raises ``ValueError`` if total < 1.
    """
    if total < 1:
        raise ValueError("value_loss: no token counts in this mini-batch; leave it out before the forward pass")
    # Selected before squaring: the gradient of a NaN's square is NaN even where the square is left out.
    values_BT, old_BT, returns_BT = (select(x_BT, mask_BT) for x_BT in (value_BT, old_value_BT, return_BT))
    error_BT = (values_BT - returns_BT).square()
    moved_BT = values_BT - old_BT
    clipped_BT = torch.zeros_like(mask_BT)
    if clip > 0:
        near_error_BT = (old_BT + moved_BT.clamp(-clip, clip) - returns_BT).square()
        # Inside the clip old + (value - old) differs from value by rounding, which must not count as clipped.
        clipped_BT = mask_BT & (moved_BT.abs() > clip) & (near_error_BT > error_BT)
        error_BT = torch.where(clipped_BT, near_error_BT, error_BT)
    loss = 0.5 * error_BT.sum() / total
    return ValueLoss(loss, clipped_BT.sum(), moved_BT.detach().isfinite().all() & loss.detach().isfinite())


def guard_reason(ratio_mean: float, threshold: float, *, finite: bool, grad_norm: float) -> str | None:
    """Why an optimiser step must not be made, or None if it may.

    A skipped step makes no optimiser call at all: with a zeroed loss AdamW would still move the weights.
    """
    if not finite:
        return "a log-ratio, value or loss was not finite"
    if not math.isfinite(grad_norm):
        return "the gradient norm was not finite"
    if not 1 / threshold <= ratio_mean <= threshold:  # NaN fails this as well
        return f"mean ratio {ratio_mean:.4g} is outside 1/{threshold:g}..{threshold:g}"
    return None


def explained_variance(value_BT: Tensor, return_BT: Tensor, mask_BT: Tensor) -> float | None:
    """1 - Var(G - V) / Var(G) over tokens that count; None where the returns do not vary."""
    returns = return_BT[mask_BT].double()
    if returns.numel() < 2:
        return None
    spread = returns.var(unbiased=False)
    if spread <= 1e-12:
        return None
    return float(1 - (returns - value_BT[mask_BT].double()).var(unbiased=False) / spread)


def adapted_kl_coef(kl_coef: float, kl_seq: float, *, target: float, rows: int, horizon: int) -> float:
    """The next KL coefficient of the proportional controller (arXiv:1909.08593, section 2.2).

    ``kl_seq`` is the mean sequence KL of this step's ``rows`` responses, nats; one that is not finite says nothing and
    leaves the coefficient as it is.
    """
    if not math.isfinite(kl_seq):
        return kl_coef
    error = min(max(kl_seq / target - 1, -KL_ERROR_LIMIT), KL_ERROR_LIMIT)
    return kl_coef * (1 + error * rows / horizon)


@dataclass(frozen=True)
class RunningMoments:
    """Count, mean and summed squared deviations of all rewards so far (Chan et al. 1979, parallel update)."""

    count: int = 0
    mean: float = 0.0
    m2: float = 0.0

    def updated(self, values: list[float]) -> RunningMoments:
        """The moments with ``values`` added. Non-finite values are a bug of the caller."""
        if not values:
            return self
        assert all(math.isfinite(v) for v in values)
        n = len(values)
        mean = sum(values) / n
        m2 = sum((v - mean) ** 2 for v in values)
        total = self.count + n
        delta = mean - self.mean
        return RunningMoments(
            total, self.mean + delta * n / total, self.m2 + m2 + delta * delta * self.count * n / total
        )

    @property
    def std(self) -> float:
        """Sample deviation (Bessel); 1 while there are fewer than two values or they are equal but for rounding."""
        if self.count < 2:
            return 1.0
        std = math.sqrt(self.m2 / (self.count - 1))
        return std if std > NO_SPREAD else 1.0


def shaped_reward(
    reward: float, moments: RunningMoments, mode: Literal["none", "scale", "norm"], clip: float, *, eos_penalty: float
) -> float:
    """The terminal reward after optional normalisation and clipping; the missing-EOS penalty comes last.

    The penalty is taken off after normalisation so that it keeps the units of the KL price.
    """
    if mode == "norm":
        reward -= moments.mean
    if mode != "none":
        reward /= moments.std
    if clip > 0:
        reward = min(max(reward, -clip), clip)
    return reward - eos_penalty
