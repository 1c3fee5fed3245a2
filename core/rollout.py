"""Sampling responses: exact, streaming, repeatable.

B = rows, S = longest prompt, C = largest cap, V = vocabulary. One uniform number per (row, position) decides each
token by inverting the distribution's cumulative sum in float64. The numbers are drawn up front from the seed, so a
row's tokens depend neither on which rows have finished nor on when anything was judged.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from .batch import even_parts
from .logprobs import HeadOptions, scaled_logits
from .memory import is_out_of_memory, nothing_left, release_memory
from .model import Tokenizer
from .policy import Policy
from .types import Finish

COMPACT_BELOW = 0.8
"""Finished rows leave the batch once this share or less is still decoding: a copy of the cache costs a few steps."""


@dataclass(frozen=True)
class Sampling:
    """Narrowing of the distribution. The defaults sample exactly from the policy."""

    top_p: float = 1.0
    top_k: int = 0
    decode_batch: int = 0
    """Rows decoded together, 0 for all."""


@dataclass(frozen=True)
class Finished:
    """One response, the moment it ended. ``tokens`` holds the EOS if one was sampled."""

    row: int
    tokens: tuple[int, ...]
    finish: Finish


def derive_seed(*parts: str | int) -> int:
    """A 63-bit seed from names and numbers, so that each use has its own stream whatever the order of events."""
    digest = hashlib.sha256("/".join(str(p) for p in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def uniform_rows(seeds: Sequence[int], width: int) -> Tensor:
    """(B, width) float64 in [0, 1), row b from its own seed."""
    return torch.stack(
        [torch.rand(width, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


def generate(
    policy: Policy,
    prompts: Sequence[Sequence[int]],
    caps: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
    halved: Callable[[int], object] | None = None,
) -> Iterator[Finished]:
    """Sample one response per prompt, each yielded as soon as it ends; row numbers index ``prompts``.

    Every row yields at least one token (perhaps only EOS) and at most its cap. Rows of like prompt length decode
    together, fewer at once if memory runs out, which ``halved`` is told. The caller may do as it likes between two
    yields, but must not train. Raises ``TrainingError`` where not even one row fits.
    """
    order = sorted(range(len(prompts)), key=lambda i: (len(prompts[i]), i))
    waiting = list(reversed(even_parts(order, sampling.decode_batch or max(1, len(order)))))
    while waiting:
        rows, ended = waiting.pop(), set[int]()
        try:
            for done in _decode(policy, rows, prompts, caps, seeds, sampling):
                ended.add(done.row)
                yield done
        except RuntimeError as error:
            if not is_out_of_memory(error):
                raise
            if len(rows) == 1:
                raise nothing_left(error) from error
        # Empty unless memory ran out: then what has not ended is sampled again, from the same numbers, in halves. What
        # waits would not fit either.
        if left := [r for r in rows if r not in ended]:
            release_memory()
            size = -(-len(rows) // 2)
            if halved is not None:
                halved(size)
            waiting = [part for rest in (*waiting, left) for part in reversed(even_parts(rest, size))]


def _decode(
    policy: Policy,
    rows: list[int],
    prompts: Sequence[Sequence[int]],
    caps: Sequence[int],
    seeds: Sequence[int],
    sampling: Sampling,
) -> Iterator[Finished]:
    width = max(caps[r] for r in rows)
    noise_BC = uniform_rows([seeds[r] for r in rows], width).to(policy.device)
    state = Decoder(policy, [prompts[r] for r in rows], width)
    tokens: list[list[int]] = [[] for _ in rows]
    live = set(range(len(rows)))
    column = 0
    while live:
        ended: list[Finished] = []
        # Left between two bursts, because the caller's code must not run without gradients.
        with policy.sampling():
            while not ended:
                next_B = sample(state.logits(column), noise_BC[state.slots, column], sampling)
                for slot, token in zip(state.slot_list, next_B.tolist(), strict=True):
                    if slot not in live:
                        continue
                    tokens[slot].append(token)
                    stop = token in policy.tokenizer.eos_ids
                    if stop or len(tokens[slot]) >= caps[rows[slot]]:
                        live.remove(slot)
                        ended.append(Finished(rows[slot], tuple(tokens[slot]), "stop" if stop else "length"))
                column += 1
                if live:
                    state.advance(next_B, live)
        yield from ended


class Sampled(Protocol):
    """What is read of a model that is sampled from, such as a ``Policy``; its weights must be in force meanwhile."""

    @property
    def model(self) -> nn.Module: ...
    @property
    def tokenizer(self) -> Tokenizer: ...
    @property
    def device(self) -> torch.device: ...
    @property
    def trunk(self) -> nn.Module: ...
    @property
    def head(self) -> nn.Module: ...
    @property
    def options(self) -> HeadOptions: ...
    @property
    def min_new_tokens(self) -> int: ...


class Decoder:
    """The KV cache and what belongs to it; rows can be dropped from the batch."""

    def __init__(self, policy: Sampled, prompts: Sequence[Sequence[int]], width: int) -> None:
        from transformers import DynamicCache

        self._policy = policy
        self._cache: Any = DynamicCache(config=cast("Any", policy.model).config)
        device, span = policy.device, max(len(p) for p in prompts)
        self._ids = torch.tensor(
            [[policy.tokenizer.pad_id] * (span - len(p)) + list(p) for p in prompts], device=device
        )
        length_B1 = torch.tensor([[len(p)] for p in prompts], device=device)
        columns = torch.arange(span + width, device=device)
        self._attention_BC = columns >= span - length_B1
        self._padded = any(len(p) < span for p in prompts)
        self._seen = span
        self._position_B = (self._attention_BC[:, :span].long().cumsum(dim=1) - 1).clamp(min=0)
        self.slot_list = list(range(len(prompts)))
        self.slots = torch.arange(len(prompts), device=device)

    def logits(self, column: int) -> Tensor:
        """(B, V) float32 for the next token of every row still in the batch."""
        policy = self._policy
        hidden = policy.trunk(
            input_ids=self._ids,
            attention_mask=self._attention_BC[:, : self._seen] if self._padded else None,
            position_ids=self._position_B,
            past_key_values=self._cache,
            use_cache=True,
        )[0][:, -1]
        banned = None
        if column < policy.min_new_tokens:
            banned = torch.ones(hidden.shape[0], dtype=torch.bool, device=hidden.device)
        return scaled_logits(policy.head, hidden, policy.options, banned)

    def advance(self, next_B: Tensor, live: set[int]) -> None:
        """Feed the chosen tokens back; drop finished rows when it pays."""
        last_B = self._position_B[:, -1]
        if len(live) <= COMPACT_BELOW * len(self.slot_list):
            keep = torch.tensor([i for i, slot in enumerate(self.slot_list) if slot in live], device=next_B.device)
            self._cache.batch_select_indices(keep)
            self._attention_BC = self._attention_BC[keep]
            next_B, last_B, self.slots = next_B[keep], last_B[keep], self.slots[keep]
            self.slot_list = [slot for slot in self.slot_list if slot in live]
        self._ids = next_B.unsqueeze(1)
        self._position_B = (last_B + 1).unsqueeze(1)
        self._seen += 1


def sample(logits_BV: Tensor, uniform_B: Tensor, sampling: Sampling) -> Tensor:
    """(B,) token ids: the inverse of each row's cumulative distribution at ``uniform_B`` in [0, 1)."""
    probs_BV = narrow(logits_BV, sampling).double().softmax(dim=1)
    cumulative_BV = probs_BV.cumsum(dim=1)
    # Scaled by the sum as it was rounded, so that the last token with any probability is the last that can be drawn.
    target_B1 = (uniform_B.to(cumulative_BV.device) * cumulative_BV[:, -1]).unsqueeze(1)
    return torch.searchsorted(cumulative_BV, target_B1, right=True).squeeze(1).clamp(max=logits_BV.shape[1] - 1)


def narrow(logits_BV: Tensor, sampling: Sampling) -> Tensor:
    """Logits with everything outside top-k and top-p at -inf; unchanged at the defaults."""
    vocabulary = logits_BV.shape[1]
    if 0 < sampling.top_k < vocabulary:
        kth_B1 = logits_BV.topk(sampling.top_k, dim=1).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < kth_B1, float("-inf"))
    if sampling.top_p < 1.0:
        sorted_BV, index_BV = logits_BV.sort(dim=1, descending=True)
        probs_BV = sorted_BV.softmax(dim=1)
        outside_BV = probs_BV.cumsum(dim=1) - probs_BV >= sampling.top_p
        logits_BV = logits_BV.masked_fill(outside_BV.gather(1, index_BV.argsort(dim=1)), float("-inf"))
    return logits_BV
