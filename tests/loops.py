"""PPO's formulas as plain loops over Python floats: what the tensors of ``core.ppo`` are held against.

Rows are lists of T numbers; ``lengths[b]`` says how many of row b's count (0: the row was left out). What lies beyond
is never read here, so it may be anything.
"""

from __future__ import annotations

import math
import random
import statistics
from dataclasses import dataclass, field

import torch
from torch import Tensor

Rows = list[list[float]]
LENGTHS = [5, 1, 0, 7, 3]
"""A full spread: a row of one token (only EOS), one that was left out, one as wide as the array."""


def table(rng: random.Random, lengths: list[int], scale: float = 1.0, junk: float = math.nan) -> Rows:
    """Normal numbers where a token counts and ``junk`` elsewhere."""
    width = max([*lengths, 1])
    return [[rng.gauss(0, scale) if t < n else junk for t in range(width)] for n in lengths]


def mask_of(lengths: list[int]) -> Tensor:
    width = max([*lengths, 1])
    return torch.tensor([[t < n for t in range(width)] for n in lengths])


def kl(old: Rows, ref: Rows, lengths: list[int], estimator: str) -> Rows:
    out = [[0.0] * len(row) for row in old]
    for b, n in enumerate(lengths):
        for t in range(n):
            ratio = math.exp(ref[b][t] - old[b][t])  # pi_ref(y) / pi(y)
            log = math.log(ratio)
            out[b][t] = {"k1": -log, "k2": log**2 / 2, "k3": ratio - 1 - log, "abs": abs(log)}[estimator]
    return out


def token_rewards(reward: list[float], kl_rows: Rows, lengths: list[int], kl_coef: float) -> Rows:
    out = [[0.0] * len(row) for row in kl_rows]
    for b, n in enumerate(lengths):
        for t in range(n):
            out[b][t] = -kl_coef * kl_rows[b][t] + (reward[b] if t == n - 1 else 0.0)
    return out


def gae(reward: Rows, value: Rows, lengths: list[int], gamma: float, lam: float) -> tuple[Rows, Rows]:
    """The estimator as its sum, A_t = sum_l (gamma lam)^l delta_(t+l), not as the recursion; and A + V."""
    advantage = [[0.0] * len(row) for row in reward]
    returns = [[0.0] * len(row) for row in reward]
    for b, n in enumerate(lengths):
        delta = []
        for t in range(n):
            after = value[b][t + 1] if t + 1 < n else 0.0
            delta.append(reward[b][t] + gamma * after - value[b][t])
        for t in range(n):
            advantage[b][t] = sum((gamma * lam) ** k * delta[t + k] for k in range(n - t))
            returns[b][t] = advantage[b][t] + value[b][t]
    return advantage, returns


def whiten(advantage: Rows, lengths: list[int]) -> Rows:
    kept = [advantage[b][t] for b, n in enumerate(lengths) for t in range(n)]
    mean, variance = statistics.fmean(kept), statistics.variance(kept)
    out = [[0.0] * len(row) for row in advantage]
    for b, n in enumerate(lengths):
        for t in range(n):
            out[b][t] = (advantage[b][t] - mean) / math.sqrt(variance + 1e-8)
    return out


@dataclass
class Policy:
    """Sums over the tokens of a mini-batch, and d(loss)/d(logprob)."""

    loss: float = 0.0
    ratio_sum: float = 0.0
    ratios: list[float] = field(default_factory=list)
    approx_kl: float = 0.0
    clipped: int = 0
    dual: int = 0
    grad: Rows = field(default_factory=list)


def policy_loss(
    new: Rows, old: Rows, advantage: Rows, lengths: list[int], low: float, high: float, dual: float, total: int
) -> Policy:
    out = Policy(grad=[[0.0] * len(row) for row in new])
    for b, n in enumerate(lengths):
        for t in range(n):
            log = new[b][t] - old[b][t]
            ratio, a = math.exp(log), advantage[b][t]
            bounded = 1 - low if ratio < 1 - low else 1 + high if ratio > 1 + high else ratio
            term = max(-ratio * a, -bounded * a)
            binds = (a > 0 and ratio > 1 + high) or (a < 0 and ratio < 1 - low)
            out.clipped += binds
            if dual and a < 0 and term > -dual * a:
                term, binds = -dual * a, True
                out.dual += 1
            out.loss += term / total
            out.grad[b][t] = 0.0 if binds else -ratio * a / total
            out.ratio_sum += ratio
            out.ratios.append(ratio)
            out.approx_kl += log * log / 2
    return out


def value_loss(
    value: Rows, old: Rows, returns: Rows, lengths: list[int], clip: float, total: int
) -> tuple[float, int, Rows]:
    """Loss, tokens where the clip decides, and d(loss)/d(value)."""
    loss, clipped = 0.0, 0
    grad = [[0.0] * len(row) for row in value]
    for b, n in enumerate(lengths):
        for t in range(n):
            v, g = value[b][t], returns[b][t]
            worst, slope = (v - g) ** 2, v - g
            moved = v - old[b][t]
            if clip and abs(moved) > clip:
                near = old[b][t] + math.copysign(clip, moved)
                if (near - g) ** 2 > worst:
                    worst, slope = (near - g) ** 2, 0.0
                    clipped += 1
            loss += 0.5 * worst / total
            grad[b][t] = slope / total
    return loss, clipped, grad
