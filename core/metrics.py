"""One step's figures, from its experience, its updates and its verdicts. B = rollouts, T = response tokens."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor

from . import ppo
from .events import Sample, StepMetrics, finite
from .experience import Experience, Scored
from .repetition import alike, repeated
from .types import JudgedRollout, JudgeFailure, RolloutMeasures, Usage, Verdict
from .update import UpdateStats

SAMPLE_CHARACTERS = 2000


@dataclass(frozen=True)
class StepTotals:
    """What only the trainer knows of a step."""

    learning_rate: float
    kl_coef: float
    cost_usd: float
    seconds: float
    judge_wait_s: float
    judge_queue: int
    phase_seconds: dict[str, float]


def step_metrics(
    scored: Scored,
    experience: Experience,
    judged: Sequence[JudgedRollout],
    rewards: Sequence[float | None],
    stats: UpdateStats,
    totals: StepTotals,
) -> StepMetrics:
    """Every figure of ``StepMetrics``; a figure without data is None."""
    mask_BT = experience.mask_BT
    kl_BT = ppo.token_kl(scored.old_logprob_BT, scored.ref_logprob_BT, mask_BT)
    k3_BT = ppo.token_kl(scored.old_logprob_BT, scored.ref_logprob_BT, mask_BT, "k3")
    rows = experience.rows
    kl_seq = _mean(kl_BT.sum(dim=1)[rows].tolist())
    scores = [j.result.score for j in judged if isinstance(j.result, Verdict)]
    responses = [j.rollout.response_tokens for j in judged]
    lengths = [len(tokens) for tokens in responses]
    latencies = sorted(j.result.latency_s for j in judged)
    cut = sum(j.rollout.finish == "length" for j in judged) / len(judged)
    tokens = stats.tokens or 1.0
    return StepMetrics(
        score_mean=_mean(scores),
        score_std=statistics.stdev(scores) if len(scores) > 1 else None,
        reward_mean=_mean([r for r in rewards if r is not None]),
        kl_penalty_mean=finite(totals.kl_coef * kl_seq) if kl_seq is not None else None,
        kl_seq=finite(kl_seq),
        kl_seq_k3=finite(_mean(k3_BT.sum(dim=1)[rows].tolist())),
        policy_loss=finite(_mean(stats.policy_loss)),
        value_loss=finite(_mean(stats.value_loss)),
        entropy=_token_mean(scored.entropy_BT, mask_BT),
        approx_kl=finite(stats.approx_kl / tokens) if stats.tokens else None,
        clip_fraction=stats.clipped / tokens if stats.tokens else None,
        dual_clip_fraction=stats.dual_clipped / tokens if stats.tokens else None,
        value_clip_fraction=stats.value_clipped / tokens if stats.tokens else None,
        ratio_mean=finite(stats.ratio_sum / tokens) if stats.tokens else None,
        ratio_min=finite(stats.ratio_min),
        ratio_max=finite(stats.ratio_max),
        first_ratio_error=finite(stats.first_ratio_error),
        explained_variance=finite(ppo.explained_variance(experience.value_BT, experience.return_BT, mask_BT)),
        advantage_std=_token_std(experience.raw_advantage_BT, mask_BT),
        response_length=_mean(lengths),
        response_length_p95=float(sorted(lengths)[round(0.95 * (len(lengths) - 1))]),
        eos_rate=1 - cut,
        truncated_rate=cut,
        grad_norm_actor=finite(_mean(stats.grad_norm_actor)),
        grad_norm_critic=finite(_mean(stats.grad_norm_critic)),
        learning_rate=totals.learning_rate,
        kl_coef=totals.kl_coef,
        rows=len(rows),
        failed=sum(reward is None for reward in rewards),
        updates=stats.updates,
        skipped=stats.skipped,
        early_stopped=stats.early_stopped,
        tokens=sum(lengths),
        tokens_per_s=sum(lengths) / totals.seconds if totals.seconds > 0 else None,
        judge_latency_p50=latencies[len(latencies) // 2],
        judge_latency_p95=latencies[round(0.95 * (len(latencies) - 1))],
        judge_wait_s=totals.judge_wait_s,
        cost_usd=totals.cost_usd,
        judge_requests=sum(j.result.requests for j in judged),
        judge_cached=sum(isinstance(j.result, Verdict) and j.result.cached for j in judged),
        judge_queue=totals.judge_queue,
        judge_tokens=sum(_tokens_of(j.result.usage) for j in judged),
        groups_masked=experience.groups.masked if experience.groups else None,
        groups_flat=experience.groups.flat if experience.groups else None,
        kl_seq_error=_standard_error(kl_BT.sum(dim=1)[rows].tolist()),
        response_length_p50=float(statistics.median(lengths)),
        length_score_corr=_length_score(judged),
        repeated=repeated(responses),
        alike=alike(responses, [j.rollout.prompt.id for j in judged]),
        seconds=totals.seconds,
        phase_seconds={name: round(value, 4) for name, value in totals.phase_seconds.items()},
    )


def measures(
    scored: Scored, judged: Sequence[JudgedRollout], rewards: Sequence[float | None], experience: Experience
) -> list[RolloutMeasures]:
    """Reward and KL of each rollout, for the log."""
    trained = set(experience.rows)
    kl_BT = ppo.token_kl(scored.old_logprob_BT, scored.ref_logprob_BT, scored.batch.mask_BT).cpu()
    found = []
    for row, (item, reward) in enumerate(zip(judged, rewards, strict=True)):
        tokens = [round(finite(v) or 0.0, 5) for v in kl_BT[row, : len(item.rollout.response_tokens)].tolist()]
        found.append(
            RolloutMeasures(
                rollout_id=item.rollout.id,
                reward=reward,
                kl=round(sum(tokens), 5),
                kl_tokens=tuple(tokens),
                used=row in trained,
            )
        )
    return found


def sample_of(item: JudgedRollout, kl: float | None = None) -> Sample:
    """A judged rollout cut for display."""
    rollout, result = item.rollout, item.result
    return Sample(
        rollout_id=rollout.id,
        prompt=rollout.prompt.text[:SAMPLE_CHARACTERS],
        response=rollout.response[:SAMPLE_CHARACTERS],
        score=result.score if isinstance(result, Verdict) else None,
        reason=result.reason if isinstance(result, Verdict) else f"no verdict: {result.message}",
        tokens=len(rollout.response_tokens),
        finish=rollout.finish,
        kl=kl,
        prompt_id=rollout.prompt.id,
    )


def chosen_samples(
    judged: Sequence[JudgedRollout], measured: Sequence[RolloutMeasures], count: int
) -> tuple[Sample, ...]:
    """Worst to best by score, evenly spread, both ends among them; failures come first."""
    if count == 0 or not judged:
        return ()
    order = sorted(range(len(judged)), key=lambda i: (_score(judged[i]), i))
    steps = max(1, count - 1)
    places = sorted({round(i * (len(order) - 1) / steps) for i in range(count)})
    return tuple(sample_of(judged[order[p]], measured[order[p]].kl) for p in places)


def _score(item: JudgedRollout) -> float:
    return -1.0 if isinstance(item.result, JudgeFailure) else item.result.score


def _tokens_of(usage: Usage | None) -> int:
    return usage.input_tokens + usage.output_tokens if usage is not None else 0


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _standard_error(values: Sequence[float]) -> float | None:
    if len(values) < 2 or not all(math.isfinite(value) for value in values):
        return None
    return statistics.stdev(values) / math.sqrt(len(values))


def _length_score(judged: Sequence[JudgedRollout]) -> float | None:
    scored = [(len(j.rollout.response_tokens), j.result.score) for j in judged if isinstance(j.result, Verdict)]
    if len(scored) < 3 or any(len(set(side)) < 2 for side in zip(*scored, strict=True)):
        return None
    return finite(statistics.correlation([float(n) for n, _ in scored], [score for _, score in scored]))


def _token_mean(values_BT: Tensor, mask_BT: Tensor) -> float | None:
    return finite(float(values_BT[mask_BT].mean())) if bool(mask_BT.any()) else None


def _token_std(values_BT: Tensor, mask_BT: Tensor) -> float | None:
    return finite(float(values_BT[mask_BT].std())) if int(mask_BT.sum()) > 1 else None
