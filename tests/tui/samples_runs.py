"""Run directories with rollouts, as a worker would leave them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tokenizers import Tokenizer
from tui_logs import make_run, ready, started

from core.demo import MODEL_DIR
from core.events import Event, PhaseStarted
from core.rollout_log import RolloutLog
from core.run_dir import RunDir
from core.types import (
    JudgedRollout,
    JudgeFailure,
    JudgeResult,
    Message,
    Prompt,
    RefereeResult,
    Rollout,
    RolloutMeasures,
    Verdict,
)

PROMPTS = ("Why is the sky blue?", "Give two uses of a paper clip.", "What is a third of 96?")
RESPONSES = ("Air bends blue light more than red.", "It holds sheets together, and opens a lock.", "It is 32.")
_tokenizer = Tokenizer.from_file(str(MODEL_DIR / "tokenizer.json"))


def rollout(step: int, row: int, response: str | None = None, prompt: str | None = None, **more: Any) -> Rollout:
    """A response with the demo model's own tokens, its end token last."""
    asked, text = prompt or PROMPTS[row % 3], RESPONSES[row % 3] if response is None else response
    known: dict[str, Any] = {"finish": "stop", "response_tokens": (*_tokenizer.encode(text).ids, 2)}
    of = Prompt(id=f"p{row % 3}", messages=(Message("user", asked),))
    return Rollout(
        id=f"{step:06d}-{row:04d}", step=step, row=row, prompt=of, prompt_tokens=(1, 2, 3), response=text,
        **{**known, **more},
    )  # fmt: skip


def verdict(score: float, reason: str = "fair", **more: Any) -> Verdict:
    known: dict[str, Any] = {"backend": "rubric", "judge_version": "v1", "latency_s": 0.8, "cost_usd": 0.0003}
    return Verdict(score=score, reward=score / 5 - 1, reason=reason, **{**known, **more})


def measures(one: Rollout, kl: float, reward: float | None = 0.0) -> RolloutMeasures:
    """KL that is twice ``kl`` at the first token, minus ``kl`` at the last, and zero between."""
    tokens = len(one.response_tokens)
    parts = (2 * kl, *[0.0] * (tokens - 2), -kl)
    return RolloutMeasures(rollout_id=one.id, reward=reward, kl=kl, kl_tokens=parts, used=reward is not None)


def put(path: Path, *outputs: Rollout | JudgedRollout | RolloutMeasures | RefereeResult) -> None:
    """Append to a file of rollouts."""
    log = RolloutLog(path)
    for output in outputs:
        log.append(output)
    log.close()


def judged(path: Path, one: Rollout, result: JudgeResult, kl: float = 1.0) -> None:
    reward = result.reward if isinstance(result, Verdict) else None
    put(path, JudgedRollout(rollout=one, result=result), measures(one, kl, reward))


def failure(message: str = "it said nothing") -> JudgeFailure:
    return JudgeFailure(status="unparseable", treatment="mask", message=message, backend="rubric", judge_version="v1")


def empty_run(root: Path, name: str = "calm", events: list[Event] | None = None) -> RunDir:
    """A run of the demo model without any rollout; its first step is at 12 of 64."""
    phase = PhaseStarted(step=1, phase="generate", total=64)
    run = make_run(root, name, [started(), ready(), phase] if events is None else events)
    run.config.write_text('[model]\nid = "demo"\n')
    return run


def sampled_run(root: Path, steps: int = 4, name: str = "calm") -> RunDir:
    """Three prompts a step: scores 2.5, 6 and 9 less the step's tenth, the second flagged, the third cut.

    Step 2 has a fourth row without a verdict, and step 4 a validation of one.
    """
    run = empty_run(root, name)
    for step in range(1, steps + 1):
        path = run.rollouts(step)
        judged(path, rollout(step, 0), verdict(2.5 - step / 10, "short and wrong", criteria={"right": 2.0}), 0.1 * step)
        judged(path, rollout(step, 1), verdict(6 - step / 10, flags=("repeats",)), 1.0 * step)
        judged(path, rollout(step, 2, finish="length"), verdict(9 - step / 10, "all well", cached=True), -0.5)
        if step == 2:
            judged(path, rollout(step, 3), failure(), 0.2)
        if step == 4:
            put(run.validation(step), JudgedRollout(rollout=rollout(step, 0), result=verdict(7.7, "held out")))
    return run
