"""Attention in float32 inside bfloat16 arithmetic, for CPUs.

torch's bfloat16 attention kernels for CPUs are slower than the float32 ones: measured three times slower backward at 96
tokens, two to four times for a single query over a cache. The products around attention stay in bfloat16.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

NAME = "sdpa_float32"


def use_float32_attention(model: nn.Module) -> None:
    """Make a model attend in float32 if it uses torch's ``scaled_dot_product_attention``; others stay as they are."""
    settings: Any = model.config
    if settings._attn_implementation != "sdpa":
        return
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, _attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    setter: Any = model
    setter.set_attn_implementation(NAME)


def _attend(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    with torch.autocast(query.device.type, enabled=False):
        attended, weights = sdpa_attention_forward(module, query.float(), key.float(), value.float(), mask, **options)
    return attended.to(value.dtype), weights
