"""What judging a run may cost, before anything was asked: the prompt as it would be sent, times the known price."""

from __future__ import annotations

from core.config import RunConfig
from core.errors import RlaifError

BYTES_PER_TOKEN = (5.0, 3.0)
"""Low and high count of tokens: English prose is near 4.5 bytes a token, JSON and other languages near 3."""
SHORT_PROMPT, SHORT_REPLY, SHORT_VERDICT = 16, 16, 20
"""Tokens of a small task, response and verdict, where the configuration sets no lower end."""


def judge_money(config: RunConfig) -> str:
    """Such as ``~$0.90 to ~$2.70, 66 calls a step``; empty where the judge cannot be read. Blocking."""
    from core.judge.open import API_BACKENDS
    from core.run_judges import spec_of

    try:
        spec = spec_of(config.judge)
    except (RlaifError, OSError):
        return ""
    if spec.backend not in API_BACKENDS or spec.price.free:
        return "free"
    from core.judge.workbench.forecast import Load, PerJudgement, Range, forecast

    per = _per_judgement(config)
    if per is None:
        return "price not known; [price] in the judge file gives it"
    low, high = per
    step = config.rollout.batch_size * (1 + config.judge.canary_share)
    every = config.run.validate_every
    rounds = 2 + (config.run.steps // every if every else 0)
    rows = round(config.run.steps * step + rounds * config.data.validation_prompts)
    share = config.judge.referee_share if config.judge.referee else 0.0
    one = Range(1.0, 1.0)
    found = forecast(
        PerJudgement(
            measured=0, calls=one, input_tokens=one, output_tokens=one, cost_usd=Range(low, high), seconds=one
        ),
        Load(rollouts=rows, steps=1, repeats=spec.repeats, referee_share=share),
    )
    assert found.cost_usd is not None
    a_step = round(step * spec.repeats * (1 + share))
    cap = config.judge.cap_usd
    capped = f", stopped at the cap of ${cap:g}" if 0 < cap < found.cost_usd.high else ""
    return f"~{_dollars(found.cost_usd.low)} to ~{_dollars(found.cost_usd.high)}{capped}, ~{a_step:,} calls a step"


def _per_judgement(config: RunConfig) -> tuple[float, float] | None:
    """(low, high): dollars of one judgement, from the shortest to the longest task, response and verdict."""
    from core.judge.prices import price_of
    from core.run_judges import spec_of
    from core.types import JudgeRequest, Usage

    from ..judge_view import judge_object

    spec = spec_of(config.judge)
    sent = judge_object(spec, JudgeRequest(task="task", response="response"))["sent"]
    size = len(str(sent).encode("utf-8", "replace"))
    longest = config.data.max_prompt_tokens + config.rollout.max_new_tokens
    ends = (
        Usage(input_tokens=round(size / BYTES_PER_TOKEN[0]) + SHORT_PROMPT + SHORT_REPLY, output_tokens=SHORT_VERDICT),
        Usage(
            input_tokens=round(size / BYTES_PER_TOKEN[1]) + longest,
            output_tokens=max(SHORT_VERDICT, spec.parameters.max_output_tokens),
        ),
    )
    low, high = (price_of(usage, spec).micros for usage in ends)
    return None if low is None or high is None else (low / 1e6, high / 1e6)


def _dollars(value: float) -> str:
    return f"${value:.2f}" if value >= 0.095 else f"${value:.3f}"
