"""N steps are k steps, a new process and N - k more, to the bit; and an attempt cut short costs nothing twice."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import bench
import msgspec
import pytest
import safetensors.torch
import tiny
from bench import WordJudge

from core.policy import CriticKind
from core.trainer import Trainer, TrainerState
from core.types import JudgedRollout, Rollout

EVERYTHING_CARRIED = {
    "kl_controller": "adaptive", "kl_horizon": 20, "kl_target": 0.01,
    "reward_normalization": "norm", "reward_clip": 5.0,
    "schedule": "linear", "warmup_fraction": 0.25, "critic_warmup_steps": 1, "missing_eos_penalty": 0.5,
}  # fmt: skip
STEPS = 5


def fresh(folder: Path, mode: str, critic: CriticKind) -> Trainer:
    policy = tiny.policy(folder, critic=critic, stirred=False, adapter=mode)
    settings = bench.config(ppo=EVERYTHING_CARRIED | {"critic": critic}, run={"steps": STEPS, "threads": 1})
    return bench.trainer(policy, settings, train=tiny.prompts(7), validation=tiny.prompts(3, seed=5))


def through_a_file(state: TrainerState) -> TrainerState:
    """The state as another process would read it."""
    tensors = {name: t.contiguous() for name, t in state.tensors.items()}
    return TrainerState(
        safetensors.torch.load(safetensors.torch.save(tensors)), msgspec.json.decode(msgspec.json.encode(state.values))
    )


def go(trained: Trainer, until: int) -> list[Any]:
    """Figures and responses of the steps up to ``until``; a live change takes effect with step 3."""
    seen: list[Any] = []
    while trained.completed < until:
        if trained.completed == 2:
            trained.set("learning_rate", 5e-4)
        log = bench.step(trained)
        seen.append((log.figures(), [r.response_tokens for r in log.rollouts], log.measures))
    return seen


@pytest.mark.parametrize(
    ("architecture", "mode", "critic"),
    [
        ("mistral", "lora", "adapter"),
        ("gpt2", "full", "shared"),
        ("llama", "lora", "features"),
        ("qwen2", "full", "adapter"),
    ],
)
def test_a_resumed_run_is_the_uninterrupted_one(
    models: dict[str, Path], architecture: str, mode: str, critic: CriticKind
) -> None:
    whole = fresh(models[architecture], mode, critic)
    list(whole.validate())
    expected = go(whole, STEPS)
    list(whole.validate())

    first = fresh(models[architecture], mode, critic)
    list(first.validate())
    seen = go(first, 3)
    state = through_a_file(first.state())
    first.close()
    second = fresh(models[architecture], mode, critic)
    second.load(state)
    assert (second.completed, second.cost_usd) == (3, first.cost_usd)
    seen += go(second, STEPS)
    list(second.validate())

    assert seen == expected
    assert second.weights_sha256() == whole.weights_sha256()
    assert bench.equal(bench.snapshot(second), bench.snapshot(whole))
    assert any(name.startswith("optimizer.") for name in bench.snapshot(whole))
    assert second.settings == whole.settings
    assert second.settings["kl_coef"] != 0.05
    assert [(v.mean, v.difference, v.ci95) for v in second.validations] == [
        (v.mean, v.difference, v.ci95) for v in whole.validations
    ]
    assert whole.cost_usd == second.cost_usd
    for trained in (whole, second):
        trained.close()


def test_a_step_abandoned_anywhere_before_its_update_is_as_never_begun(models: dict[str, Path]) -> None:
    whole, trained = fresh(models["gpt2"], "lora", "adapter"), fresh(models["gpt2"], "lora", "adapter")
    expected = go(whole, 2)
    before, values = bench.snapshot(trained), trained.state().values
    for cut in itertools.count(1):
        attempt = trained.step()
        outputs = list(itertools.islice(attempt, cut))
        if trained.updating:
            break
        attempt.close()  # type: ignore[attr-defined]
        assert bench.equal(before, bench.snapshot(trained))
        assert trained.state().values == values
    assert cut > 10  # before, between and after four rollouts and four verdicts
    log = bench.StepLog([*outputs, *attempt])
    assert (log.figures(), [r.response_tokens for r in log.rollouts], log.measures) == expected[0]
    assert go(trained, 2) == expected[1:]
    assert bench.equal(bench.snapshot(trained), bench.snapshot(whole))
    assert trained.cost_usd == whole.cost_usd
    for t in (whole, trained):
        t.close()


def test_verdicts_of_an_earlier_attempt_are_not_paid_for_again(models: dict[str, Path]) -> None:
    trained = fresh(models["gpt2"], "lora", "shared")
    judge: WordJudge = trained.judge.judge  # type: ignore[assignment]
    kept: list[Rollout | JudgedRollout] = []
    attempt = trained.step()
    for output in attempt:
        if isinstance(output, Rollout | JudgedRollout):
            kept.append(output)
        if len([k for k in kept if isinstance(k, JudgedRollout)]) == 4:
            break
    attempt.close()  # type: ignore[attr-defined]
    paid = judge.asked.total()
    log = bench.step(trained, kept)
    assert judge.asked.total() == paid == 4
    assert log.rollouts == []
    assert trained.cost_usd == 4 * 0.5
    trained.close()
