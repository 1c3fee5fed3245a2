"""Composition root: from a configuration to a policy, a judge and a trainer. Only process entries import this."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from .config import RunConfig
from .demo import PROMPTS_CSV
from .errors import ConfigError, DataError
from .events import WorkerReady
from .judge.pool import JudgePool
from .judge.rubric import RubricJudge
from .model import Tokenizer, fingerprint, load_base, load_tokenizer, source_of
from .policy import Policy, make_policy
from .prompts import Columns, Dataset, load_prompts, split
from .trainer import Trainer
from .types import Prompt


@dataclass(frozen=True)
class Parts:
    """A trainer ready for its first step, and what a resumed run must find unchanged."""

    trainer: Trainer
    ready: WorkerReady
    data_fingerprint: str
    model_fingerprint: str


@dataclass(frozen=True)
class Prompts:
    """The prompts of a run after mapping, splitting and dropping over-long rows."""

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    dropped: int
    notes: tuple[str, ...]
    fingerprint: str


def build(config: RunConfig) -> Parts:
    """Load everything a run needs. Raises ``RlaifError`` with one sentence if any of it cannot be had."""
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    tokenizer = load_tokenizer(config.model)
    policy = build_policy(config, tokenizer)
    prompts = build_prompts(config, tokenizer, policy.positions)
    judge = JudgePool(build_judge(config), config.judge.concurrency)
    trainer = Trainer(policy, judge, prompts.train, prompts.validation, config, _accelerator(policy.device))
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
    return Parts(trainer, ready, prompts.fingerprint, fingerprint(source_of(config.model), config.model.revision))


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


def build_judge(config: RunConfig) -> RubricJudge:
    """The judge of a configuration."""
    judge = config.judge
    return RubricJudge(
        judge.weights or None,
        noise_sd=judge.noise_sd,
        delay_s=judge.delay_s,
        failure_rate=judge.failure_rate,
        seed=config.run.seed,
    )


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
