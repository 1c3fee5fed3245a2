"""Log-probabilities of chosen tokens from hidden states, without ever keeping a (B, T, V) tensor.

N = selected response positions, h = hidden size, V = vocabulary. The output head runs over chunks of positions and the
softmax is taken in float32 whatever the head's type: rounding vocabulary chunks to bfloat16 makes the entropy sink.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

CHUNK_ELEMENTS = 32 * 1024 * 1024
"""Logits alive at once: 131 MB in float32, 1,024 positions of a vocabulary of 32,000."""
BANNED = -1e9
"""Logit of a banned token: its probability is exactly 0 in float32, and 0 times it is 0, where -inf would give NaN."""


@dataclass(frozen=True)
class HeadOptions:
    """How logits become probabilities: the same for the sampler, the actor, the old policy and the reference."""

    temperature: float = 1.0
    eos_ids: tuple[int, ...] = ()


@dataclass(frozen=True)
class TokenLogprobs:
    """Of N positions: log-prob of the chosen token and, if asked for, entropy over the full vocabulary, nats."""

    logprob_N: Tensor
    entropy_N: Tensor | None


def chosen_logprobs(
    head: nn.Module,
    hidden_Nh: Tensor,
    target_N: Tensor,
    options: HeadOptions,
    *,
    banned_N: Tensor | None = None,
    entropy: bool = False,
    chunk_elements: int = CHUNK_ELEMENTS,
) -> TokenLogprobs:
    """log softmax(head(hidden) / temperature) at ``target_N``, float32; rows of ``banned_N`` may not choose EOS.

    With a frozen head the gradient to ``hidden_Nh`` is formed in the forward pass, so nothing of size V outlives its
    chunk. With a trainable head each chunk is recomputed in the backward pass if there is more than one.
    """
    weight = cast("Tensor", head.weight)
    rows = max(1, chunk_elements // weight.shape[0])
    chunks = max(1, -(-hidden_Nh.shape[0] // rows))
    grads = torch.is_grad_enabled()
    frozen = not any(p.requires_grad for p in head.parameters()) and isinstance(head, nn.Linear)
    logprobs: list[Tensor] = []
    entropies: list[Tensor] = []
    for part in torch.arange(hidden_Nh.shape[0], device=hidden_Nh.device).chunk(chunks):
        lo, hi = (int(part[0]), int(part[-1]) + 1) if len(part) else (0, 0)
        ban = banned_N[lo:hi] if banned_N is not None else None
        args = (head, hidden_Nh[lo:hi], target_N[lo:hi], ban, options, entropy)
        if not grads:
            result = _chunk(*args)
        elif frozen and not entropy:
            result = (cast("Tensor", _FrozenHead.apply(*args[:5])), None)  # type: ignore[no-untyped-call]
        elif chunks > 1:
            result = cast("tuple[Tensor, Tensor | None]", checkpoint(_chunk, *args, use_reentrant=False))
        else:
            result = _chunk(*args)
        logprobs.append(result[0])
        if result[1] is not None:
            entropies.append(result[1])
    return TokenLogprobs(torch.cat(logprobs), torch.cat(entropies) if entropies else None)


def scaled_logits(
    head: nn.Module,
    hidden_Nh: Tensor,
    options: HeadOptions,
    banned_N: Tensor | None,
    dtype: torch.dtype = torch.float32,
) -> Tensor:
    """(N, V) logits over the temperature, EOS banned where asked."""
    weight = cast("Tensor", head.weight)
    logits_NV: Tensor = head(hidden_Nh.to(weight.dtype)).to(dtype)
    if options.temperature != 1.0:
        logits_NV = logits_NV / options.temperature
    if banned_N is not None and options.eos_ids:
        logits_NV = logits_NV.clone()
        logits_NV[:, list(options.eos_ids)] = torch.where(
            banned_N.unsqueeze(1), BANNED, logits_NV[:, list(options.eos_ids)]
        )
    return logits_NV


def _chunk(
    head: nn.Module, hidden_Nh: Tensor, target_N: Tensor, banned_N: Tensor | None, options: HeadOptions, entropy: bool
) -> tuple[Tensor, Tensor | None]:
    logits_NV = scaled_logits(head, hidden_Nh, options, banned_N)
    if not entropy:
        return cast("Tensor", _Chosen.apply(logits_NV, target_N)), None  # type: ignore[no-untyped-call]
    norm_N = logits_NV.logsumexp(dim=1)
    logprob_N = logits_NV.gather(1, target_N.unsqueeze(1)).squeeze(1) - norm_N
    probs_NV = (logits_NV - norm_N.unsqueeze(1)).exp()
    return logprob_N, norm_N - (probs_NV * logits_NV).sum(dim=1)


class _Chosen(torch.autograd.Function):
    """log softmax at the targets; d(logprob)/d(logits) = onehot(y) - p in fewer passes over (N, V) than autograd's."""

    @staticmethod
    def forward(ctx: Any, logits_NV: Tensor, target_N: Tensor) -> Tensor:
        target_N1, norm_N1 = target_N.unsqueeze(1), logits_NV.logsumexp(dim=1, keepdim=True)
        ctx.save_for_backward(logits_NV, norm_N1, target_N1)
        return (logits_NV.gather(1, target_N1) - norm_N1).squeeze(1)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        logits_NV, norm_N1, target_N1 = ctx.saved_tensors
        grad_N1 = grad_outputs[0].unsqueeze(1)
        slope_NV = (logits_NV - norm_N1).exp_().mul_(-grad_N1)
        return slope_NV.scatter_add_(1, target_N1, grad_N1), None


class _FrozenHead(torch.autograd.Function):
    """Chosen log-probs with d(logprob)/d(hidden) = (W[y] - p W) / temperature computed at once, (N, h), and kept."""

    @staticmethod
    def forward(
        ctx: Any,
        head: nn.Linear,
        hidden_Nh: Tensor,
        target_N: Tensor,
        banned_N: Tensor | None,
        options: HeadOptions,
    ) -> Tensor:
        logits_NV = scaled_logits(head, hidden_Nh, options, banned_N)
        norm_N1 = logits_NV.logsumexp(dim=1, keepdim=True)
        logprob_N = (logits_NV.gather(1, target_N.unsqueeze(1)) - norm_N1).squeeze(1)
        direction_NV = logits_NV.sub_(norm_N1).exp_().neg_()
        direction_NV.scatter_add_(1, target_N.unsqueeze(1), torch.ones_like(norm_N1))
        weight = head.weight
        slope_Nh = direction_NV.to(weight.dtype) @ weight
        ctx.save_for_backward(slope_Nh.float() / options.temperature)
        ctx.hidden_dtype = hidden_Nh.dtype
        return logprob_N

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> tuple[Tensor | None, ...]:
        (slope_Nh,) = ctx.saved_tensors
        return None, (grad_outputs[0].unsqueeze(1) * slope_Nh).to(ctx.hidden_dtype), None, None, None


def response_index(mask_BT: Tensor, start_B: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Row, response column and sequence position of the state before each response token that counts.

    Token t of row b is predicted from the hidden state at ``start_B[b] + t``, where ``start_B`` is the index of the
    row's last prompt token.
    """
    row_N, column_N = mask_BT.nonzero(as_tuple=True)
    return row_N, column_N, start_B[row_N] + column_N


def scatter_tokens(values_N: Tensor, mask_BT: Tensor) -> Tensor:
    """(N,) values back at their places in (B, T), 0 elsewhere; differentiable."""
    flat = torch.zeros(mask_BT.shape, dtype=values_N.dtype, device=values_N.device)
    return flat.masked_scatter(mask_BT, values_N)


def stop_positions(column_N: Tensor, min_new_tokens: int) -> Tensor | None:
    """True where EOS may not be chosen yet; None where the minimum is 0."""
    return column_N < min_new_tokens if min_new_tokens > 0 else None


def eos_ids_of(*sources: int | Sequence[int] | None) -> tuple[int, ...]:
    """The distinct end-of-sequence ids of a generation configuration and a tokenizer, in order."""
    found: list[int] = []
    for source in sources:
        ids = [source] if isinstance(source, int) else list(source or [])
        found.extend(i for i in ids if i not in found)
    return tuple(found)
