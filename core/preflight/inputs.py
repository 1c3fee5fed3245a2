"""Checks on what goes in: prompts, tokenizer, their lengths, and the model itself."""

from __future__ import annotations

from ..build import build_prompts, device_name, load_dataset
from ..errors import ConfigError
from ..model import Tokenizer, load_base, load_tokenizer
from ..prompt_tokens import summarise
from ..types import Prompt
from .result import CheckFailedError, NotRunError, Passed
from .state import SAMPLE, State, size

MOST_UNUSABLE = 0.5
"""More rows than this share without a usable prompt, or too long, mean a wrong column or limit rather than odd rows."""


def check_data(state: State) -> Passed:
    """The file loads and most of its rows give a prompt."""
    state.dataset = load_dataset(state.config)
    report = state.dataset.report
    guesses = f"; {'; '.join(report.guessed)}" if report.guessed else ""
    evidence = (
        f"{report.rows:,} rows, {report.usable:,} usable, {report.empty:,} empty, {report.duplicates:,} duplicates, "
        f"{report.encoding}{guesses}"
    )
    if report.usable < (1 - MOST_UNUSABLE) * report.rows:
        first = report.problems[0]
        raise CheckFailedError(
            f"{evidence}; row {first.row}: {first.what}",
            f"most rows give no prompt: set data.prompt_column to one of {', '.join(report.columns)}",
        )
    figures = {"rows": report.rows, "usable": report.usable, "empty": report.empty, "duplicates": report.duplicates}
    return Passed(evidence, figures=figures)


def check_tokenizer(state: State) -> Passed:
    """It renders a prompt, with one BOS at most and ids that the model has; pad and eos are settled."""
    shape = state.shape_or_not_run()
    tokenizer = load_tokenizer(state.config.model)
    prompts = [SAMPLE, *(state.dataset.prompts[:1] if state.dataset else ())]
    for prompt in prompts:
        _require_clean(tokenizer, prompt, shape.vocab)
    state.tokenizer = tokenizer
    pad_differs = tokenizer.pad_id not in tokenizer.eos_ids
    evidence = (
        f"{'chat template renders' if tokenizer.has_template else 'no chat template: prompts are given as plain text'}"
        f"; eos {', '.join(map(str, tokenizer.eos_ids))}; pad {tokenizer.pad_id}"
        f" {'differs from eos' if pad_differs else 'is eos, which masks by length allow'}"
    )
    return Passed(evidence, figures={"sample_tokens": len(tokenizer.encode(SAMPLE))})


def _require_clean(tokenizer: Tokenizer, prompt: Prompt, vocab: int) -> None:
    ids = tokenizer.encode(prompt)
    bos = tokenizer.hf.bos_token_id
    if not ids:
        raise CheckFailedError("a prompt turns into no token at all", "use the tokenizer that came with the model")
    if bos is not None and bos not in tokenizer.eos_ids and ids.count(bos) > 1:
        raise CheckFailedError(
            f"a prompt begins with {ids.count(bos)} BOS tokens ({bos}): the template and the tokenizer both add one",
            "take bos_token out of the chat template",
        )
    if max(ids) >= vocab:
        raise CheckFailedError(
            f"the tokenizer makes id {max(ids)}, but the model has {vocab} embeddings",
            "use the tokenizer that came with the model",
        )


def check_prompt_lengths(state: State) -> Passed:
    """Most prompts fit into the model together with a response."""
    assert state.tokenizer is not None
    assert state.dataset is not None
    config, positions = state.config, state.shape_or_not_run().positions
    limit = min(config.data.max_prompt_tokens, positions - config.rollout.max_new_tokens)
    if limit < 1:
        raise CheckFailedError(
            f"the model reads {positions:,} tokens and rollout.max_new_tokens = {config.rollout.max_new_tokens:,} "
            "leaves no room for a prompt",
            f"set rollout.max_new_tokens well below {positions:,}",
        )
    prompts = state.dataset.prompts[: config.data.max_rows or None]
    lengths = summarise([len(state.tokenizer.encode(prompt)) for prompt in prompts], limit)
    evidence = (
        f"p50 {lengths.p50:,}, p95 {lengths.p95:,}, longest {lengths.max:,} tokens; {lengths.over_limit:,} of "
        f"{len(prompts):,} are over {limit:,} and left out (the model reads {positions:,})"
    )
    figures = {"p50": lengths.p50, "p95": lengths.p95, "max": lengths.max, "limit": limit, "over": lengths.over_limit}
    if lengths.over_limit > MOST_UNUSABLE * len(prompts):
        raise CheckFailedError(
            evidence,
            f"raise data.max_prompt_tokens (now {config.data.max_prompt_tokens:,}), lower rollout.max_new_tokens "
            f"(now {config.rollout.max_new_tokens:,}), or shorten the prompts",
            figures,
        )
    state.prompts = build_prompts(config, state.tokenizer, positions)
    state.longest_prompt = max(length for length in lengths.lengths if length <= limit)
    sides = f"{len(state.prompts.train):,} to train on, {len(state.prompts.validation):,} held out"
    return Passed(f"{evidence}; {sides}", figures=figures)


def check_model(state: State) -> Passed:
    """Its weights load, once it is known that they fit."""
    shape = state.shape()
    try:
        state.require_memory()
        device = state.device()
    except (CheckFailedError, ConfigError):  # told by the check on resources
        raise NotRunError("resources") from None
    base = load_base(state.config.model, device)
    dtype = str(next(base.parameters()).dtype).removeprefix("torch.")
    stored = sum(t.numel() * t.element_size() for t in base.parameters())
    evidence = (
        f"{type(base).__name__}, {shape.parameters / 1e6:,.3g} M parameters, {dtype}, {size(stored)} on "
        f"{device_name(device)}; reads {shape.positions:,} tokens"
    )
    state.base, advice = base, ""
    if device.type == "cpu" and shape.parameters > 1e9:
        advice = "a model of this size wants a GPU; a step will take very long here"
    return Passed(evidence, advice, {"parameters": shape.parameters, "bytes": stored})
