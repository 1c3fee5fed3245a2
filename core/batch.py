"""Token rows as padded tensors. B = rows, S = longest prompt + response, T = longest response, in tokens.

Masks and positions come from recorded lengths, never from the ids: with pad = eos a mask of ``ids != pad`` would cut
every sampled EOS.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor


@dataclass(frozen=True)
class TokenBatch:
    """Prompts and responses of B rows."""

    ids_BS: Tensor
    attention_BS: Tensor | None
    """bool, True where a token counts. None if rows are right-padded: no real token can then see a pad through the
    causal mask, which alone is exact and lets attention take its fast path."""
    position_BS: Tensor
    start_B: Tensor
    """Index of the last prompt token: the state there predicts the first response token."""
    response_BT: Tensor
    mask_BT: Tensor
    lengths: tuple[tuple[int, int], ...]
    """(prompt, response) tokens of each row."""

    def __len__(self) -> int:
        return len(self.lengths)

    def select(self, rows: Sequence[int]) -> TokenBatch:
        """The rows at these indices, trimmed to the longest of them. Right-padded batches only."""
        assert self.attention_BS is None
        lengths = tuple(self.lengths[r] for r in rows)
        span, width = max(p + r for p, r in lengths), max(r for _, r in lengths)
        index = torch.tensor(list(rows), device=self.ids_BS.device)
        return TokenBatch(
            ids_BS=self.ids_BS[index, :span],
            attention_BS=None,
            position_BS=self.position_BS[index, :span],
            start_B=self.start_B[index],
            response_BT=self.response_BT[index, :width],
            mask_BT=self.mask_BT[index, :width],
            lengths=lengths,
        )


def make_batch(
    prompts: Sequence[Sequence[int]],
    responses: Sequence[Sequence[int]],
    *,
    pad_id: int,
    device: torch.device,
    side: Literal["left", "right"] = "right",
    extra: int = 0,
) -> TokenBatch:
    """Pad prompt + response rows on ``side`` (by ``extra`` more columns than needed). Raises ``ValueError`` for an
    empty prompt or response: there would be no state to predict from, or nothing to learn.
    """
    lengths = tuple((len(p), len(r)) for p, r in zip(prompts, responses, strict=True))
    if not lengths or min(min(pair) for pair in lengths) < 1:
        raise ValueError("make_batch: every row needs at least one prompt token and one response token")
    span = max(p + r for p, r in lengths) + extra
    width = max(r for _, r in lengths)
    rows, heads, tails, attention = [], [], [], []
    for prompt, response in zip(prompts, responses, strict=True):
        pads = span - len(prompt) - len(response)
        before, after = (pads, 0) if side == "left" else (0, pads)
        rows.append([pad_id] * before + [*prompt, *response] + [pad_id] * after)
        attention.append([False] * before + [True] * (span - pads) + [False] * after)
        heads.append(before + len(prompt) - 1)
        tails.append([*response] + [pad_id] * (width - len(response)))
    attention_BS = torch.tensor(attention)
    position_BS = (attention_BS.long().cumsum(dim=1) - 1).clamp(min=0)
    length_B1 = torch.tensor([[r] for _, r in lengths])
    return TokenBatch(
        ids_BS=torch.tensor(rows).to(device),
        attention_BS=attention_BS.to(device) if side == "left" else None,
        position_BS=position_BS.to(device),
        start_B=torch.tensor(heads).to(device),
        response_BT=torch.tensor(tails).to(device),
        mask_BT=(torch.arange(width).unsqueeze(0) < length_B1).to(device),
        lengths=lengths,
    )


def micro_batches(lengths: Sequence[int], size: int) -> list[list[int]]:
    """Row indices in groups of at most ``size``, rows of like length together so that padding is short.

    Groups differ in size by at most one; every row is in exactly one.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    return even_parts(order, size)


def even_parts(items: Sequence[int], size: int) -> list[list[int]]:
    """``items`` in order, cut into ceil(n / size) parts whose sizes differ by at most one."""
    n = len(items)
    parts = -(-n // size)
    cuts = [n * i // parts for i in range(parts + 1)] if parts else [0]
    return [list(items[a:b]) for a, b in itertools.pairwise(cuts)]
