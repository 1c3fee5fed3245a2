"""The measured figures that events carry. Each is None where it is not defined or not finite."""

from __future__ import annotations

import math

import msgspec


def finite(value: float | None) -> float | None:
    """The value, or None where it is NaN, infinite or missing."""
    return float(value) if value is not None and math.isfinite(value) else None


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One response as shown live. Texts are cut for display; ``rollouts/`` has them whole."""

    rollout_id: str
    prompt: str
    response: str
    score: float | None
    reason: str
    tokens: int
    finish: str
    kl: float | None = None
    prompt_id: str = ""
    """Id of the prompt in the run's data; empty in logs of older versions."""


class StepMetrics(msgspec.Struct, frozen=True, kw_only=True):
    """Every figure of one PPO step; token means unless said otherwise, None where it is not defined."""

    score_mean: float | None
    score_std: float | None
    reward_mean: float | None
    """Terminal reward after the pipeline, before the KL price."""
    kl_penalty_mean: float | None
    """beta times the summed per-token KL, mean over rows: what the KL price took off the reward."""
    kl_seq: float | None
    """Mean sequence KL to the reference, k1, nats per response."""
    kl_seq_k3: float | None
    policy_loss: float | None
    value_loss: float | None
    entropy: float | None
    approx_kl: float | None
    clip_fraction: float | None
    dual_clip_fraction: float | None
    value_clip_fraction: float | None
    ratio_mean: float | None
    ratio_min: float | None
    ratio_max: float | None
    first_ratio_error: float | None
    """Largest |ratio - 1| in the step's first mini-batch: 0 unless sampling and training disagree."""
    explained_variance: float | None
    advantage_std: float | None
    response_length: float | None
    response_length_p95: float | None
    eos_rate: float | None
    truncated_rate: float | None
    grad_norm_actor: float | None
    grad_norm_critic: float | None
    learning_rate: float
    kl_coef: float
    rows: int
    failed: int
    updates: int
    skipped: int
    early_stopped: bool
    tokens: int
    tokens_per_s: float | None
    judge_latency_p50: float | None
    judge_latency_p95: float | None
    judge_wait_s: float | None
    """Seconds the step stood still for verdicts after its own work was done."""
    cost_usd: float
    seconds: float
    phase_seconds: dict[str, float] = {}
    judge_requests: int | None = None
    """Calls sent to the judge's server, retries among them."""
    judge_cached: int | None = None
    """Verdicts that cost nothing, from the cache."""
    judge_queue: int | None = None
    """Most responses that were with the judge at once."""
    judge_tokens: int | None = None
    """Tokens in and out, as the provider counts them."""
    groups_masked: int | None = None
    """Prompts whose responses were left out, because fewer than two of them have a reward; None without groups."""
    groups_flat: int | None = None
    """Prompts whose responses all scored the same, so that they teach nothing; None without groups."""
    kl_seq_error: float | None = None
    """Standard error of ``kl_seq`` over the rows, nats."""
    response_length_p50: float | None = None
    length_score_corr: float | None = None
    """Pearson's correlation of length in tokens and score within the step: how far length alone buys score."""
    repeated: float | None = None
    """Share of a response's 4-grams of tokens that it holds twice, mean over responses (``core.repetition``)."""
    alike: float | None = None
    """Share of 4-grams that responses to different prompts have in common."""
