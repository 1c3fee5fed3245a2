"""Paired generation: every model answers the same prompts with the same random numbers and the same sampling.

One base is in memory at a time. What was trained on it is put on that base one after the other and taken off again.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, cast

import torch
from torch import nn

from ..attention import use_float32_attention
from ..config import ModelConfig
from ..errors import ModelError
from ..export.weights import put_tensors
from ..logprobs import HeadOptions
from ..memory import is_out_of_memory, release_memory
from ..model import Tokenizer, check_head, first_line, load_base
from ..policy import Policy
from ..rollout import Finished, Sampling, derive_seed, generate
from ..types import Prompt
from .materials import Material
from .record import Reply, Settings

DECODE_BATCH = 64
"""Prompts answered together; fewer where memory runs out."""
Heard = Callable[[int, int, Reply], object]
"""Gets model, row and reply as soon as it has ended."""


class FrozenPolicy(Policy):
    """A causal LM that is only sampled from: nothing is trained, nothing is switched, nothing needs a gradient."""

    def __init__(self, model: nn.Module, tokenizer: Tokenizer, settings: Settings, compute: torch.dtype) -> None:
        self.model = self._causal_lm = self._reference = model
        self.tokenizer = tokenizer
        self.options = HeadOptions(settings.temperature, tokenizer.eos_ids)
        self.critic_kind = "none"
        self.min_new_tokens = settings.min_new_tokens
        self.max_new_tokens = settings.max_new_tokens
        self._critic_trunk = self._critic = self._active = None
        self._adapter_layers, self._actor, self._value = [], {}, {}
        self._compute = compute


def answer(
    materials: Sequence[Material],
    prompts: Sequence[Prompt],
    settings: Settings,
    heard: Heard,
    *,
    loading: Callable[[int], object] = lambda _: None,
) -> None:
    """Let every model answer every prompt. Raises ``ModelError`` with one sentence if one cannot."""
    for shared in _by_base(materials):
        _answer_on(shared, prompts, settings, heard, loading)
        release_memory()


def _by_base(materials: Sequence[Material]) -> list[dict[int, Material]]:
    """Models by place, together where they share a base. Whole sets of weights come last: they overwrite the base."""
    groups: dict[tuple[str, ...], dict[int, Material]] = {}
    for place, material in sorted(enumerate(materials), key=lambda item: item[1].weights is not None):
        groups.setdefault(material.base, {})[place] = material
    return list(groups.values())


def _answer_on(
    shared: Mapping[int, Material],
    prompts: Sequence[Prompt],
    settings: Settings,
    heard: Heard,
    loading: Callable[[int], object],
) -> None:
    first, config = next(iter(shared)), next(iter(shared.values())).target.config
    loading(first)
    base = load_base(config, _device(config)).requires_grad_(False).eval()
    if not _is_gpu(base) and config.attention == "auto" and torch.bfloat16 in {_compute(config), base.dtype}:
        use_float32_attention(base)
    for place, material in shared.items():
        if place != first:
            loading(place)
        with put_on(base, material) as model:
            policy = FrozenPolicy(model, material.tokenizer, settings, _compute(config))
            try:
                for done in _sampled(policy, material.tokenizer, prompts, settings):
                    heard(place, done.row, _reply(material.tokenizer, done))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                raise ModelError(
                    f"memory runs out while {material.target.title} answers one prompt; lower --max-new-tokens"
                ) from error


def _sampled(policy: Policy, tokenizer: Tokenizer, prompts: Sequence[Prompt], settings: Settings) -> Iterator[Finished]:
    ids = [tokenizer.encode(prompt) for prompt in prompts]
    seeds = [derive_seed(settings.seed, "compare", prompt.id) for prompt in prompts]
    sampling = Sampling(settings.top_p, settings.top_k, DECODE_BATCH)
    return generate(policy, ids, [settings.max_new_tokens] * len(prompts), seeds, sampling)


def _reply(tokenizer: Tokenizer, done: Finished) -> Reply:
    return Reply(text=tokenizer.decode(done.tokens), tokens=len(done.tokens), finish=done.finish)


class put_on:  # noqa: N801  used as a context manager
    """The base with a model's own weights on it; adapters are off again afterwards."""

    def __init__(self, base: nn.Module, material: Material) -> None:
        self._base, self._material = base, material
        self._adapted: Any = None

    def __enter__(self) -> nn.Module:
        material = self._material
        if material.weights is not None:
            from safetensors.torch import load_file

            put_tensors(load_file(material.weights), self._base)
        if material.adapter is not None:
            self._adapted = _adapted(self._base, material)
            check_head(self._base)
        return self._base

    def __exit__(self, *_: object) -> None:
        if self._adapted is not None and not self._material.alone:
            self._adapted.unload()


def _adapted(base: nn.Module, material: Material) -> Any:
    from peft import PeftModel

    with warnings.catch_warnings():
        # Missing keys are the one thing peft only warns of: an adapter of another model would answer as its base.
        warnings.filterwarnings("error", message="Found missing adapter keys")
        try:
            return PeftModel.from_pretrained(cast("Any", base), material.adapter, is_trainable=False).eval()
        except Exception as error:  # peft raises many types
            raise ModelError(
                f"{material.target.title} does not fit its base {material.target.config.id}: {first_line(error)}"
            ) from error


def _compute(config: ModelConfig) -> torch.dtype:
    return torch.bfloat16 if config.compute == "bfloat16" else torch.float32


def _device(config: ModelConfig) -> torch.device:
    if config.device == "cpu" or not torch.cuda.is_available():
        return torch.device("cpu")
    return torch.device("cuda", torch.cuda.current_device())


def _is_gpu(model: nn.Module) -> bool:
    return next(model.parameters()).device.type == "cuda"
