"""Before the first update: ratio 1, no KL, the losses that follow by arithmetic. Nothing may be a constant."""

from __future__ import annotations

from pathlib import Path

import bench
import pytest
import tiny

from core.events import StepMetrics
from core.policy import CriticKind
from core.types import Verdict

ONE_MINI_BATCH = {"epochs": 1, "mini_batch_size": 4, "micro_batch_size": 3, "missing_eos_penalty": 0.0}


def value_loss_at_zero(log: bench.StepLog, lam: float) -> float:
    """With V = 0 and KL = 0 all reward is on the last token: A_t = lam^(last - t) R; L_v is half their mean square."""
    squares = []
    for item in log.judged:
        assert isinstance(item.result, Verdict)
        n = len(item.rollout.response_tokens)
        squares += [(lam ** (n - 1 - t) * item.result.reward) ** 2 for t in range(n)]
    return 0.5 * sum(squares) / len(squares)


def check_identities(metrics: StepMetrics) -> None:
    for figure in (metrics.ratio_mean, metrics.ratio_min, metrics.ratio_max):
        assert figure == pytest.approx(1, abs=1e-5)
    assert metrics.first_ratio_error is not None
    assert metrics.first_ratio_error < 1e-5
    assert metrics.approx_kl == pytest.approx(0, abs=1e-9)
    assert (metrics.clip_fraction, metrics.dual_clip_fraction, metrics.value_clip_fraction) == (0, 0, 0)
    assert metrics.policy_loss == pytest.approx(0, abs=1e-6)  # minus the mean of whitened advantages


@pytest.mark.parametrize(("mode", "critic"), [("lora", "adapter"), ("full", "shared")])
def test_identities_of_the_first_mini_batch(folder: Path, mode: str, critic: CriticKind) -> None:
    policy = tiny.policy(folder, critic=critic, stirred=False, adapter=mode)
    trained = bench.trainer(policy, bench.config(ppo=ONE_MINI_BATCH | {"critic": critic}))
    first, second = bench.step(trained), bench.step(trained)
    check_identities(first.metrics)
    assert first.metrics.kl_seq == 0
    assert first.metrics.kl_seq_k3 == 0
    assert first.metrics.value_loss == pytest.approx(value_loss_at_zero(first, 0.95), rel=1e-4)
    check_identities(second.metrics)  # the actor has moved, and old log-probs with it
    assert second.metrics.kl_seq != 0
    assert abs((second.metrics.value_loss or 0) - (first.metrics.value_loss or 0)) > 1e-4
    trained.close()


def test_the_ratio_is_one_under_temperature_minimum_length_and_checkpointing(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["mistral"], temperature=0.7, min_new_tokens=3, gradient_checkpointing=True)
    trained = bench.trainer(policy, bench.config(ppo=ONE_MINI_BATCH, rollout={"temperature": 0.7, "min_new_tokens": 3}))
    check_identities(bench.step(trained).metrics)
    trained.close()


def test_one_mini_batch_of_several_keeps_its_share_of_the_mean(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["llama"])
    trained = bench.trainer(policy, bench.config())
    made = bench.experience(policy, [0.5, -0.5, 1.0, -1.0])
    list(bench.updates(trained, made))
    part = bench.parts(trained, made)[0]
    kept = made.select(part)
    assert trained.updater.stats.policy_loss[0] == pytest.approx(
        -float(kept.advantage_BT[kept.mask_BT].mean()), abs=1e-6
    )
    raw = kept.raw_advantage_BT[kept.mask_BT]
    assert trained.updater.stats.value_loss[0] == pytest.approx(0.5 * float(raw.square().mean()), rel=1e-5)
    trained.close()
