"""A run with something of everything that the Train screen shows."""

from __future__ import annotations

from pathlib import Path

from tui_logs import life, make_run, metrics, sample, started

from core.commands import Set
from core.events import (
    CanariesScored,
    CanaryScore,
    CommandApplied,
    Event,
    Heartbeat,
    JudgeReplaced,
    Paused,
    PhaseStarted,
    RefereeScored,
    Resumed,
    StepCompleted,
    ValidationCompleted,
    WorkerReady,
)
from core.run_dir import RunDir

CONFIG = """
[rollout]
max_new_tokens = 64
[ppo]
kl_controller = "adaptive"
kl_target = 6.0
kl_coef = 0.05
learning_rate = 1e-5
critic_learning_rate = 5e-5
[judge]
cap_usd = 5.0
"""


def full_step(number: int) -> StepCompleted:
    """A step with every figure; the value loss of step 7 is not known."""
    figures = metrics(
        score_mean=4 + 0.1 * number, score_std=1.0, kl_penalty_mean=0.01 * number, kl_seq=0.2 * number,
        policy_loss=-0.01 + 0.002 * (number % 3), value_loss=None if number == 7 else 0.8 / number, entropy=2.1,
        clip_fraction=0.08, explained_variance=0.4, response_length=40.0 + number, response_length_p95=60.0,
        truncated_rate=0.1, judge_latency_p50=0.8, judge_latency_p95=1.9, tokens_per_s=812.0, judge_cached=3,
        failed=1, grad_norm_actor=0.5, grad_norm_critic=1.5, cost_usd=0.04,
    )  # fmt: skip
    return StepCompleted(step=number, metrics=figures, cost_total_usd=0.04 * number)


def eventful(root: Path, steps: int = 28) -> RunDir:
    """A run of 40 steps in which the price of KL and the judge were changed, and the judge is watched."""
    events: list[Event] = [started(), WorkerReady(
        device="cuda:0", parameters=2_000_000, trainable=120_000, train_prompts=300, validation_prompts=64,
        dropped_prompts=0,
    )]  # fmt: skip
    for number in range(steps + 1):
        if number:
            events.append(full_step(number))
        if number % 10 == 0:
            shown = (sample(1, number),)
            events.append(ValidationCompleted(step=number, n=64, mean=4.1 + 0.09 * number, samples=shown))
        if number == 12:
            events.append(CommandApplied(command_id="a", name="set", step=13, detail="kl_coef = 0.1", by="ana@pts/3"))
        if number == 15:
            events += [Paused(step=15, reason="asked by ana@pts/3"), Resumed(step=15)]
        if number == 19:
            events += [
                JudgeReplaced(step=20, from_version="v2", to_version="0123456789ab", name="strict", n=8, failed=0,
                              old_mean=6.0, new_mean=5.6),
                CommandApplied(command_id="b", name="replace_judge", step=20, detail="0123456789ab", by="bob@pts/4"),
            ]  # fmt: skip
        if number and number % 4 == 0:
            events.append(RefereeScored(step=number, n=6, failed=0, judge_mean=5.0, referee_mean=4.6, drift=0.3,
                                        referee="second"))  # fmt: skip
            scores = (CanaryScore(name="empty", score=0.0), CanaryScore(name="flattery", score=3.0))
            events.append(CanariesScored(step=number, scores=scores, seen=number, fooled=0))
    events += [
        PhaseStarted(step=steps + 1, phase="judge", total=32),
        Heartbeat(step=steps + 1, phase="judge", done=20, total=32, rss_mb=812.0, gpu_memory_mb=31_744.0),
    ]
    run = make_run(root, "calm", events)
    run.config.write_text(CONFIG)
    return run


def asking(value: float = 0.2) -> Set:
    return Set(name="kl_coef", value=value)


def plain(root: Path, steps: int = 12) -> RunDir:
    """A run without anything special, and without a configuration that says more."""
    return make_run(root, "calm", life(steps))
