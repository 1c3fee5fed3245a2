"""Checks on what training will do: reference, generation, judge, one dry batch. No weight is ever changed."""

from __future__ import annotations

import asyncio
import math
import time
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import closing

import torch
from torch import Tensor

from ..batch import TokenBatch, make_batch
from ..build import judge_maker, policy_on
from ..errors import JudgeError
from ..judge.ledger import Ledger
from ..judge.open import ends_soon
from ..judge.pool import Pool
from ..judge.spec import JudgeSpec
from ..memory import is_out_of_memory
from ..model import Tokenizer
from ..run_judges import spec_of
from ..types import JudgeFailure, JudgeRequest, JudgeResult, Verdict, request_for, reward_of
from .dry import DryBatch, bare_logprobs, dry_batch, sampled
from .result import CheckFailedError, Passed
from .state import SAMPLE, SAMPLE_RESPONSE, State, duration

PROBE_TOKENS = 16
BASE_LIMITS = {torch.float32: 1e-3, torch.bfloat16: 5e-2}
"""Mean difference of log-probs, nats, above which the reference is plainly not the base. NaN is never below."""
JUDGE_PATIENCE_S = 120.0
_MEMORY_HINT = (
    "set ppo.micro_batch_size lower, turn on model.gradient_checkpointing, shorten rollout.max_new_tokens, or use "
    "model.quantization = 'nf4'"
)


def check_reference(state: State) -> Passed:
    """Before training the policy, its reference and the bare base are one, and every value is 0."""
    assert state.base is not None
    assert state.tokenizer is not None
    batch = _probe(state.tokenizer, state.shape().vocab, state.device())
    bare_BT = bare_logprobs(state.base, batch, state.config, state.tokenizer.eos_ids)
    assert state.base is not None
    assert state.tokenizer is not None
    policy = policy_on(state.base, state.tokenizer, state.config)
    with torch.no_grad():
        actor = policy.actor_pass(batch)
        reference = policy.reference_pass(batch)
        value_BT = actor.value_BT
        if policy.critic_kind == "adapter":
            value_BT = policy.critic_pass(batch)
        elif reference.features_BTF is not None:
            value_BT = policy.feature_values(reference.features_BTF, batch.mask_BT)
    kl = float((actor.logprob_BT - reference.logprob_BT).sum(dim=1).mean())
    off = _mean_difference(reference.logprob_BT, bare_BT)
    highest = 0.0 if value_BT is None else float(value_BT.abs().max())
    evidence = (
        f"KL to the reference {kl:.2g} nats; adapters off and bare base differ by {off:.2g}; "
        f"largest value {highest:.2g}"
    )
    limit = BASE_LIMITS[policy.precision]
    fine = _mean_difference(actor.logprob_BT, reference.logprob_BT) <= limit and off <= limit and highest <= limit
    figures = {"kl": kl, "base_difference": off, "largest_value": highest}
    if not fine:
        raise CheckFailedError(evidence, REFERENCE_HINT, figures)
    state.policy, state.weights_before = policy, policy.weights_sha256()
    return Passed(evidence, figures=figures)


REFERENCE_HINT = (
    "the model's numbers cannot be trained on: look for NaN in its files and download it again, or check "
    "model.lora_targets, model.dtype and model.quantization"
)


def _probe(tokenizer: Tokenizer, vocab: int, device: torch.device) -> TokenBatch:
    half = PROBE_TOKENS // 2
    ids = [(7 * i + 3) % vocab for i in range(PROBE_TOKENS)]
    return make_batch([ids[:half]], [ids[half:]], pad_id=tokenizer.pad_id, device=device)


def _mean_difference(a_BT: Tensor, b_BT: Tensor) -> float:
    return float((a_BT - b_BT).abs().mean())


def check_generation(state: State) -> Passed:
    """One response, sampled exactly as it will be scored."""
    assert state.policy is not None
    settings = state.config.rollout
    if settings.top_p < 1 or settings.top_k > 0:
        raise CheckFailedError(
            f"rollout.top_p = {settings.top_p:g} and rollout.top_k = {settings.top_k} narrow the distribution: what is "
            "sampled is not what is scored, and KL comes out below 0",
            "set rollout.top_p = 1.0 and rollout.top_k = 0; rollout.temperature may be lowered instead",
        )
    started = time.monotonic()
    (rollout,) = sampled(state.policy, state.config, state.rows(1))
    seconds, tokens = time.monotonic() - started, len(rollout.response_tokens)
    state.rollout = rollout
    ending = "ended by itself" if rollout.finish == "stop" else "cut at rollout.max_new_tokens"
    text = "".join(c if c.isprintable() else "\N{MIDDLE DOT}" for c in " ".join(rollout.response.split()))
    shown = text if len(text) <= 80 else f"{text[:77]}..."
    return Passed(
        f"{tokens} tokens in {duration(seconds)}, {ending}; temperature {settings.temperature:g}, top_p 1, top_k 0: "
        f'exact; "{shown}"',
        figures={"tokens": tokens, "tokens_per_s": tokens / max(seconds, 1e-9)},
    )


def check_judge(state: State) -> Passed:
    """It scores a plain answer, and the generated one if there is one."""
    requests = [JudgeRequest(task=SAMPLE.text, response=SAMPLE_RESPONSE)]
    if state.rollout is not None:
        requests.append(request_for(state.rollout))
    spec = _spec(state)
    with closing(_open_judge(state, spec)) as pool:
        told: list[str] = []
        latencies: list[float] = []
        for request, what in zip(requests, ("a plain answer", "the generated one"), strict=False):
            started = time.monotonic()
            result = _verdict(pool, request)
            latencies.append(time.monotonic() - started)
            told.append(_told(result, what))
    state.judge_latency_s = max(latencies)
    money, figures = _money(state, result)
    if ends := asyncio.run(ends_soon(spec)):
        told.append(f"but {ends}")
    return Passed(
        f"{'; '.join(told)}; {duration(max(latencies))} a response, {money}; {result.backend} {result.judge_version}",
        figures={"latency_s": max(latencies), **figures},
    )


def _money(state: State, result: JudgeResult) -> tuple[str, dict[str, float]]:
    """What judging costs, and what it will cost over the run, in words and figures."""
    config = state.config
    if result.cost_source == "unknown":
        return "price not known: give [price] in the judge file, or a cap on calls with judge.cap_calls", {}
    if not result.cost_usd:
        free = "nothing, from the cache" if isinstance(result, Verdict) and result.cached else "free"
        return free, {"cost_usd": 0.0}
    referee = config.judge.referee_share if config.judge.referee else 0.0
    rows = config.rollout.batch_size * (1 + config.judge.canary_share + referee)
    rounds = 2 + (config.run.steps // config.run.validate_every if config.run.validate_every else 0)
    total = result.cost_usd * (config.run.steps * rows + rounds * config.data.validation_prompts)
    capped = f", stopped at the cap of ${config.judge.cap_usd:g}" if 0 < config.judge.cap_usd < total else ""
    return (
        f"${result.cost_usd:.5f} each, ~${total:.2f} for the run{capped}",
        {"cost_usd": result.cost_usd, "run_cost_usd": total},
    )


def _spec(state: State) -> JudgeSpec:
    try:
        return spec_of(state.config.judge)
    except JudgeError as error:
        raise CheckFailedError(str(error), JUDGE_HINT) from error


def _open_judge(state: State, spec: JudgeSpec) -> Pool:
    """The judge of the run with an account of its own, so that looking costs the run nothing."""
    if spec.backend == "self" and state.policy is None:
        raise CheckFailedError("the policy judges itself and could not be made", "mend the checks above first")
    try:
        return judge_maker(
            state.config, state.policy, Ledger(None, cap_usd=None, cap_calls=None), wait_out_outages=False
        )(spec)
    except JudgeError as error:
        raise CheckFailedError(str(error), JUDGE_HINT) from error


def _verdict(pool: Pool, request: JudgeRequest) -> JudgeResult:
    future = pool.submit(request)
    pool.flush()
    try:
        return future.result(timeout=JUDGE_PATIENCE_S)
    except FutureTimeoutError:
        future.cancel()
        raise CheckFailedError(
            f"no verdict within {JUDGE_PATIENCE_S:g} s",
            "look whether the judge can be reached, or set judge.delay_s lower",
        ) from None


def _told(result: JudgeResult, what: str) -> str:
    if reward_of(result) is None:
        assert isinstance(result, JudgeFailure)
        raise CheckFailedError(f"{what} got no verdict ({result.status}): {result.message}", JUDGE_HINT)
    if isinstance(result, Verdict):
        return f"{what} {result.score:.1f} of 10 (reward {result.reward:+.2f})"
    return f"{what} is blank and gets the lowest reward"


JUDGE_HINT = (
    "check the settings under [judge] and the judge file ('rlaif-tui judge lint' looks it over); outside experiments "
    "judge.failure_rate must be 0"
)


def check_batch(state: State) -> Passed:
    """One batch through generation, scoring and every update of a step, with optimisers that never step."""
    assert state.policy is not None
    try:
        dry = state.dry = dry_batch(state.policy, state.config, state.rows(state.config.rollout.batch_size))
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise CheckFailedError(f"out of memory: {str(error).splitlines()[0][:200]}", _MEMORY_HINT) from error
    after = state.policy.weights_sha256()
    if after != state.weights_before:
        raise CheckFailedError(
            f"weights changed: sha256 {state.weights_before[:12]} before, {after[:12]} after",
            "this is a defect, not a setting: please report it",
        )
    if dry.skipped:
        raise CheckFailedError(f"{len(dry.skipped)} updates would be dropped: {dry.skipped[0]}", BATCH_HINT)
    figures = _batch_figures(dry)
    evidence = _batch_evidence(dry, figures, after)
    if not all(math.isfinite(value) for value in figures.values()):
        raise CheckFailedError(evidence, BATCH_HINT, figures)
    hint = f"memory ran out on the way: set ppo.micro_batch_size = {dry.micro_batch_size}" if dry.halved else ""
    return Passed(evidence, hint, figures)


BATCH_HINT = (
    "training would not move: use a model whose weights are sound, model.dtype = 'float32', or a smaller "
    "model.lora_alpha"
)


def _batch_figures(dry: DryBatch) -> dict[str, float]:
    stats = dry.stats
    first = stats.first_ratio_error
    figures = {
        "first_ratio_error": math.nan if first is None else first,
        "policy_loss": _mean(stats.policy_loss),
        "gradient_norm": max(stats.grad_norm_actor, default=math.nan),
        "generate_s": dry.generate_s,
        "score_s": dry.score_s,
        "update_s": dry.update_s,
    }
    return figures | ({"value_loss": _mean(stats.value_loss)} if stats.value_loss else {})


def _batch_evidence(dry: DryBatch, figures: dict[str, float], sha256: str) -> str:
    value = f", value loss {figures['value_loss']:.2g}" if "value_loss" in figures else ""
    return (
        f"{dry.rollouts} responses in {duration(dry.generate_s)}, {dry.rows} of them scored in "
        f"{duration(dry.score_s)} and updated on in {duration(dry.update_s)}; first ratio off 1 by "
        f"{figures['first_ratio_error']:.1g}, policy loss {figures['policy_loss']:.2g}{value}, gradient norm "
        f"{figures['gradient_norm']:.2g}; weights unchanged (sha256 {sha256[:12]})"
    )


def _mean(values: list[float]) -> float:
    return sum(values) / len(values) if values else math.nan
