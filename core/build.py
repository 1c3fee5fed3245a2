"""Composition root: from a configuration to a policy, its judges and a trainer. Only process entries import this."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .config import RunConfig
from .demo import PROMPTS_CSV
from .errors import ConfigError, DataError
from .events import WorkerReady
from .judge.ledger import Ledger
from .judge.open import API_BACKENDS, Links, open_judge, rubric_judge
from .judge.pool import JudgePool, Pool
from .judge.spec import JudgeSpec
from .local_judge import InlinePool, LocalJudge, SelfJudge
from .model import Tokenizer, fingerprint, load_base, load_tokenizer, source_of
from .policy import Policy, make_policy
from .prompts import Columns, Dataset, load_prompts, split
from .run_judges import Judges, judges_of
from .trainer import Trainer
from .types import Prompt
from .watch import Watch


@dataclass(frozen=True)
class Parts:
    """A trainer ready for its first step, and what a resumed run must find unchanged."""

    trainer: Trainer
    ready: WorkerReady
    data_fingerprint: str
    model_fingerprint: str
    make_judge: Callable[[JudgeSpec], Pool]
    """Opens another judge in this process, with the same money and the same connections."""


@dataclass(frozen=True)
class Prompts:
    """The prompts of a run after mapping, splitting and dropping over-long rows."""

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    dropped: int
    notes: tuple[str, ...]
    fingerprint: str


def build(config: RunConfig, judges: Judges | None = None) -> Parts:
    """Load everything a run needs; its judges are those of the configuration unless given.

    Raises ``RlaifError`` with one sentence if any of it cannot be had.
    """
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    tokenizer = load_tokenizer(config.model)
    policy = build_policy(config, tokenizer)
    prompts = build_prompts(config, tokenizer, policy.positions)
    judges = judges or judges_of(config.judge)
    ledger = ledger_of(config, judges)
    make_judge = judge_maker(config, policy, ledger)
    # Training never waits for a referee that does not answer.
    referee = judge_maker(config, policy, ledger, wait_out_outages=False)
    watch = Watch(config.judge, referee(judges.referee) if judges.referee is not None else None, seed=config.run.seed)
    trainer = Trainer(
        policy,
        make_judge(judges.judge),
        prompts.train,
        prompts.validation,
        config,
        _accelerator(policy.device),
        watch,
    )
    total, trained = policy.parameter_counts()
    ready = WorkerReady(
        device=device_name(policy.device),
        parameters=total,
        trainable=trained,
        train_prompts=len(prompts.train),
        validation_prompts=len(prompts.validation),
        dropped_prompts=prompts.dropped,
        notes=(*prompts.notes, *_model_notes(tokenizer)),
    )
    model_fingerprint = fingerprint(source_of(config.model), config.model.revision)
    return Parts(trainer, ready, prompts.fingerprint, model_fingerprint, make_judge)


def build_policy(config: RunConfig, tokenizer: Tokenizer) -> Policy:
    """The policy of a configuration on its device."""
    return policy_on(load_base(config.model, pick_device(config)), tokenizer, config)


def policy_on(base: nn.Module, tokenizer: Tokenizer, config: RunConfig) -> Policy:
    """The policy of a configuration on a base that is loaded already."""
    return make_policy(
        base,
        tokenizer,
        config.model,
        critic=config.ppo.critic,
        critic_width=config.ppo.critic_width,
        temperature=config.rollout.temperature,
        min_new_tokens=config.rollout.min_new_tokens,
        max_new_tokens=config.rollout.max_new_tokens,
        seed=config.run.seed,
    )


def ledger_of(config: RunConfig, judges: Judges) -> Ledger:
    """The account that all judges of a run draw on; it survives the process where the run has a folder."""
    return Ledger(
        judges.folder / "ledger.jsonl" if judges.folder is not None else None,
        cap_usd=config.judge.cap_usd or None,
        cap_calls=config.judge.cap_calls or None,
    )


def judge_maker(
    config: RunConfig, policy: Policy | None, ledger: Ledger, *, wait_out_outages: bool = True
) -> Callable[[JudgeSpec], Pool]:
    """What opens the judges of a run. They share connections and one account."""
    links = Links(wait_out_outages=wait_out_outages, seed=config.run.seed)

    def make(spec: JudgeSpec) -> Pool:
        if spec.backend in API_BACKENDS:
            judge = open_judge(spec, cache=config.judge.cache, ledger=ledger, links=links)
            return JudgePool(judge, spec.limits.max_concurrency)
        if spec.backend == "local":
            return InlinePool(LocalJudge.load(spec))
        if spec.backend == "self":
            assert policy is not None, "a policy that judges itself must be there first"
            named = spec.model_copy(update={"model": config.model.id})  # whose weights judge is part of the version
            return InlinePool(SelfJudge(policy, named))
        return JudgePool(rubric_judge(spec, config.run.seed), config.judge.concurrency)

    return make


def build_prompts(config: RunConfig, tokenizer: Tokenizer, positions: int) -> Prompts:
    """Prompts that fit the model, split into train and validation. Raises ``DataError`` if none is left to train on."""
    data = config.data
    limit = min(data.max_prompt_tokens, positions - config.rollout.max_new_tokens)
    if limit < 1:
        raise ConfigError(
            f"rollout.max_new_tokens = {config.rollout.max_new_tokens} leaves no room for a prompt: "
            f"the model reads {positions} tokens"
        )
    loaded = load_dataset(config)
    prompts = loaded.prompts[: data.max_rows] if data.max_rows else loaded.prompts
    kept = [p for p in prompts if len(tokenizer.encode(p)) <= limit]
    if not kept:
        raise DataError(f"{data.path}: every prompt is longer than {limit} tokens; raise data.max_prompt_tokens")
    wanted = min(data.validation_prompts, max(1, round(data.validation_fraction * len(kept))))
    none_held_out = not wanted or not (data.validation_fraction or loaded.split_labels)
    halves = split(
        kept,
        validation_fraction=0.0 if none_held_out else data.validation_fraction,
        validation_rows=None if none_held_out else wanted,
        seed=data.seed,
        labels=None if none_held_out else loaded.split_labels,
    )
    dropped = len(prompts) - len(kept)
    notes = [*loaded.report.guessed]
    if dropped:
        notes.append(f"{dropped} prompts are longer than {limit} tokens and were dropped")
    held_out = random.Random(f"validation:{data.seed}").sample(halves.validation, k=len(halves.validation))
    return Prompts(halves.train, tuple(held_out[: data.validation_prompts]), dropped, tuple(notes), loaded.fingerprint)


def load_dataset(config: RunConfig) -> Dataset:
    """The data file of a configuration, mapped to prompts."""
    data = config.data
    columns = Columns(
        prompt=data.prompt_column,
        reference=data.reference_column,
        chosen=data.chosen_column,
        rejected=data.rejected_column,
        system=data.system_column,
    )
    path = str(PROMPTS_CSV) if data.path == "demo" else data.path
    return load_prompts(path, columns=columns, system_prompt=data.system_prompt or None)


def pick_device(config: RunConfig) -> torch.device:
    """The device asked for. Raises ``ConfigError`` for a GPU that is not there."""
    if config.model.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("model.device = 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'")
    if config.model.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def device_name(device: torch.device) -> str:
    """What a person calls the device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"CPU, {torch.get_num_threads()} threads"


def _accelerator(device: torch.device) -> Any:
    from accelerate import Accelerator

    return Accelerator(cpu=device.type == "cpu", mixed_precision="no")


def _model_notes(tokenizer: Tokenizer) -> Sequence[str]:
    if tokenizer.has_template:
        return ()
    return ("the tokenizer has no chat template: prompts are given to the model as plain text",)
