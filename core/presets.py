"""Starting points for a run.toml: named sets of values that differ from the defaults of ``core.config``."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .config import RunConfig
from .errors import ConfigError


@dataclass(frozen=True)
class Preset:
    """A named starting point and what it is for."""

    name: str
    summary: str
    values: Mapping[str, Mapping[str, Any]]
    """Section -> key -> value; every other key keeps its default."""


# The critic and lambda of every preset but 'seed' are those that benchmarks/critic.md speaks for: lambda 1 did better
# than .95 with each critic, and ``features`` as well as any other at equal CPU time, without a gradient into the actor.
_DEMO = Preset(
    name="demo",
    summary="the bundled model, prompts and offline judge: about a minute on two CPU cores, no network",
    values={
        "model": {"id": "demo", "dtype": "float32", "lora_rank": 16, "lora_alpha": 32.0, "device": "cpu"},
        "data": {"path": "demo", "max_prompt_tokens": 64, "validation_prompts": 64},
        "rollout": {"batch_size": 32, "max_new_tokens": 48},
        "ppo": {
            "epochs": 2,
            "mini_batch_size": 16,
            "learning_rate": 1e-3,
            "critic": "features",
            "critic_learning_rate": 1e-3,
            "critic_warmup_steps": 0,
            "kl_coef": 0.05,
            "gae_lambda": 1.0,
            "missing_eos_penalty": 1.0,
        },
        "run": {"steps": 40, "threads": 1, "checkpoint_every": 20},
    },
)

# The seed notebook's numbers. It had no LoRA, so its 4-bit matrices could not train; everything else is as it was.
_SEED = Preset(
    name="seed",
    summary="the numbers of the notebook this product grew from, with LoRA on a 4-bit 7B model; slow by design",
    values={
        "model": {
            "id": "HuggingFaceH4/zephyr-7b-beta",
            "quantization": "nf4",
            "gradient_checkpointing": True,
            "compute": "bfloat16",
        },
        "data": {"path": "prompts.csv", "max_prompt_tokens": 1_000_000},
        "judge": {"file": "classic-0-10", "cap_usd": 20.0},
        "rollout": {"batch_size": 4, "cap_min": 20, "max_new_tokens": 100, "min_new_tokens": 0},
        "ppo": {
            "epochs": 4,
            "mini_batch_size": 2,
            "micro_batch_size": 0,
            "learning_rate": 1e-5,
            "critic_learning_rate": 1e-5,
            "adam_beta1": 0.9,
            "adam_beta2": 0.999,
            "adam_eps": 1e-8,
            "weight_decay": 0.01,
            "schedule": "constant",
            "warmup_fraction": 0.0,
            "max_grad_norm": 0.0,
            "clip_low": 0.2,
            "clip_high": 0.2,
            "dual_clip": 0.0,
            "value_clip": 0.0,
            "value_coef": 0.1,
            "kl_coef": 0.2,
            "kl_controller": "fixed",
            "gamma": 1.0,
            "gae_lambda": 0.95,
            "missing_eos_penalty": 0.0,
            "reward_normalization": "none",
            "reward_clip": 0.0,
            "ratio_threshold": 10.0,
            "target_kl": 0.0,
            "critic": "shared",
            "critic_warmup_steps": 0,
        },
    },
)

# The 'recommended' numbers for a 16 to 24 GB card, but for critic and lambda; ``core.config`` has the rest.
_ZEPHYR = Preset(
    name="zephyr-7b-qlora",
    summary="Zephyr 7B in 4 bits with LoRA on your own prompts; one GPU with 16 to 24 GB",
    values={
        "model": {
            "id": "HuggingFaceH4/zephyr-7b-beta",
            "dtype": "bfloat16",
            "quantization": "nf4",
            "adapter": "lora",
            "lora_rank": 16,
            "lora_alpha": 32.0,
            "gradient_checkpointing": True,
            "compute": "bfloat16",
        },
        "data": {"path": "prompts.csv", "max_prompt_tokens": 512},
        "judge": {"file": "general", "cap_usd": 20.0, "canary_share": 0.02},
        "rollout": {"batch_size": 16, "max_new_tokens": 256},
        "ppo": {
            "epochs": 2,
            "mini_batch_size": 16,
            "learning_rate": 1e-5,
            "critic_learning_rate": 1e-4,
            "adam_beta2": 0.95,
            "weight_decay": 0.0,
            "schedule": "constant",
            "warmup_fraction": 0.03,
            "max_grad_norm": 1.0,
            "dual_clip": 3.0,
            "value_clip": 0.2,
            "value_coef": 0.1,
            "kl_coef": 0.05,
            "missing_eos_penalty": 1.0,
            "target_kl": 0.1,
            "gae_lambda": 1.0,
            "critic": "features",
            "critic_warmup_steps": 5,
        },
        "run": {"steps": 500, "validate_every": 50},
    },
)

_SMALL_FULL = Preset(
    name="small-full",
    summary="every weight of a small model (up to about 0.5 B parameters) with a frozen reference copy, fp32",
    values={
        "model": {"id": "Qwen/Qwen2.5-0.5B-Instruct", "dtype": "float32", "adapter": "full"},
        "data": {"path": "prompts.csv"},
        "rollout": {"batch_size": 32, "max_new_tokens": 128},
        "ppo": {
            "mini_batch_size": 16,
            "learning_rate": 1e-6,
            "gae_lambda": 1.0,
            "critic": "features",
            "critic_learning_rate": 1e-4,
        },
        "run": {"steps": 200},
    },
)

PRESETS: dict[str, Preset] = {p.name: p for p in (_DEMO, _SEED, _ZEPHYR, _SMALL_FULL)}


def preset(name: str) -> RunConfig:
    """The configuration of a preset. Raises ``ConfigError`` naming the presets there are."""
    if name in PRESETS:
        return RunConfig.model_validate(PRESETS[name].values)
    close = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean '{close[0]}'? " if close else ""
    raise ConfigError(f"no preset '{name}'; {hint}there are: {', '.join(PRESETS)}")
