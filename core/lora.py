"""LoRA adapters on a frozen base (arXiv:2106.09685): W x + (alpha / r) B A x, one adapter active at a time."""

from __future__ import annotations

import types
from typing import Any, cast

import torch
from torch import Tensor, nn

from .config import ModelConfig
from .errors import ModelError


def with_adapters(model: nn.Module, config: ModelConfig, seed: int, *, critic: bool) -> nn.Module:
    """The model with a trained adapter ``actor`` and, if asked for, one named ``critic``; their weights come from
    ``seed``. Raises ``ModelError`` if no layer matches ``lora_targets``.
    """
    from peft import LoraConfig, get_peft_model

    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules="all-linear" if config.lora_targets == ["all-linear"] else list(config.lora_targets),
        fan_in_fan_out=cast("Any", model).config.model_type == "gpt2",
        task_type="CAUSAL_LM",
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            adapted = get_peft_model(cast("Any", model), settings, adapter_name="actor")
            if critic:
                adapted.add_adapter("critic", settings)
        except ValueError as error:
            raise ModelError(f"model.lora_targets = {config.lora_targets} does not fit this model: {error}") from error
    fuse_adapters(adapted)
    return cast("nn.Module", adapted)


def fuse_adapters(model: nn.Module) -> None:
    """Let the adapters of unquantised layers add their part in one multiplication instead of a multiplication and two
    passes over the output, and the same backwards. Where alpha / r is a power of two the numbers stay the same.
    """
    from peft.tuners.lora import Linear

    for layer in model.modules():
        if type(layer) is Linear:
            cast("Any", layer).forward = types.MethodType(_fused_forward, layer)


def _fused_forward(layer: Any, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """``forward`` of a peft LoRA layer without dropout, bias or variants; anything unusual goes peft's own way."""
    usual = not (layer.disable_adapters or layer.merged or args or kwargs) and len(layer.active_adapters) == 1
    down = layer.lora_A[layer.active_adapters[0]].weight if usual else None
    if down is None or not (x.dtype == down.dtype or torch.is_autocast_enabled(x.device.type)):
        return cast("Tensor", type(layer).forward(layer, x, *args, **kwargs))
    name = layer.active_adapters[0]
    result: Tensor = layer.base_layer(x)
    low_rank = nn.functional.linear(x, down).flatten(0, -2)
    up = layer.lora_B[name].weight
    return torch.addmm(result.flatten(0, -2), low_rank, up.t(), alpha=layer.scaling[name]).view(result.shape)
