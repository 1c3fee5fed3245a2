"""Forward passes over a batch, and what they give. B = rows, S = sequence, T = response tokens, h = hidden size."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from .batch import TokenBatch


@dataclass(frozen=True)
class ActorPass:
    """Of response tokens that count, (B, T) float32, 0 elsewhere: log-probs, and entropy or values if asked."""

    logprob_BT: Tensor
    entropy_BT: Tensor | None
    value_BT: Tensor | None


@dataclass(frozen=True)
class ReferencePass:
    """Log-probs of the frozen starting model and, for the ``features`` critic, its inputs (B, T, F)."""

    logprob_BT: Tensor
    features_BTF: Tensor | None


def hidden_states(trunk: nn.Module, batch: TokenBatch) -> Tensor:
    """(B, S, h) final-norm hidden states of a batch."""
    output = trunk(
        input_ids=batch.ids_BS, attention_mask=batch.attention_BS, position_ids=batch.position_BS, use_cache=False
    )
    return cast("Tensor", output[0])


def states_before_responses(hidden_BSh: Tensor, batch: TokenBatch) -> Tensor:
    """(B, T, h) states before each response token; columns beyond a row's end repeat its last position."""
    columns_T = torch.arange(batch.mask_BT.shape[1], device=hidden_BSh.device)
    position_BT = (batch.start_B[:, None] + columns_T[None, :]).clamp(max=hidden_BSh.shape[1] - 1)
    rows_B1 = torch.arange(len(batch), device=hidden_BSh.device)[:, None]
    return hidden_BSh[rows_B1, position_BT]


@contextlib.contextmanager
def middle_states(layers: nn.ModuleList) -> Iterator[list[Tensor]]:
    """Collects the output of the middle block during a forward pass."""
    caught: list[Tensor] = []

    def keep(_module: nn.Module, _inputs: object, output: Any) -> None:
        caught.append(output if isinstance(output, Tensor) else output[0])

    handle = layers[max(0, len(layers) // 2 - 1)].register_forward_hook(keep)
    try:
        yield caught
    finally:
        handle.remove()


@contextlib.contextmanager
def no_states() -> Iterator[None]:
    """In place of ``middle_states`` where nothing is to be collected."""
    yield None
