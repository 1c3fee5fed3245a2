"""Prompt lengths in tokens, without torch, and prompts that are too long to train on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import DataError
from .types import Prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_BATCH = 1024


@dataclass(frozen=True)
class TokenLengths:
    """Lengths of all prompts and their summary."""

    lengths: tuple[int, ...]
    """Tokens of each prompt, in order."""
    p50: int
    p95: int
    max: int
    limit: int
    over_limit: int
    """Prompts longer than ``limit``."""

    def to_json(self) -> dict[str, int]:
        """The summary, without the single lengths."""
        return {"p50": self.p50, "p95": self.p95, "max": self.max, "limit": self.limit, "over_limit": self.over_limit}


def token_lengths(prompts: Sequence[Prompt], tokenizer: str, limit: int) -> TokenLengths:
    """Count the tokens of each prompt with ``tokenizer``: a folder with tokenizer.json, that file, or a Hub id.

    The text of all messages is counted, without special tokens; the chat template adds a few per message, so a trainer
    that drops over-long prompts must count the rendered template. Percentiles are nearest-rank. Raises ``DataError``
    where the tokenizer cannot be loaded.
    """
    counter = _load(tokenizer)
    lengths: list[int] = []
    for start in range(0, len(prompts), _BATCH):
        texts = ["\n".join(m.content for m in prompt.messages) for prompt in prompts[start : start + _BATCH]]
        lengths += [len(encoded) for encoded in counter.encode_batch_fast(texts, add_special_tokens=False)]
    return summarise(lengths, limit)


def summarise(lengths: Sequence[int], limit: int) -> TokenLengths:
    """Nearest-rank percentiles of ``lengths``; zeros where there are none."""
    ordered = sorted(lengths)

    def rank(percent: int) -> int:
        return ordered[-(-percent * len(ordered) // 100) - 1] if ordered else 0

    over = sum(length > limit for length in ordered)
    return TokenLengths(tuple(lengths), rank(50), rank(95), ordered[-1] if ordered else 0, limit, over)


def _load(tokenizer: str) -> Tokenizer:
    from tokenizers import Tokenizer

    place = Path(tokenizer).expanduser()
    try:
        if place.is_dir():
            place = place / "tokenizer.json"
            if not place.is_file():
                raise DataError(f"{tokenizer} has no tokenizer.json, so token lengths cannot be counted")
        loaded = Tokenizer.from_file(str(place)) if place.is_file() else Tokenizer.from_pretrained(tokenizer)
    except DataError:
        raise
    except Exception as error:
        # The package raises bare Exception for a damaged file, and the Hub client a dozen classes of its own.
        reason = str(error).split("\n", 1)[0].rstrip(".")
        raise DataError(
            f"the tokenizer {tokenizer!r} cannot be loaded ({reason}); give a folder with tokenizer.json or a Hub id"
        ) from error
    # A saved tokenizer may cut or pad what it encodes; a count must see the whole prompt.
    loaded.no_truncation()
    loaded.no_padding()
    return loaded


def drop_overlong(prompts: Sequence[Prompt], lengths: Sequence[int], limit: int) -> tuple[list[Prompt], int]:
    """The prompts of at most ``limit`` tokens, and how many were dropped. Nothing is ever cut.

    Raises ``DataError`` where none is left, ``ValueError`` unless there is one length per prompt.
    """
    kept = [prompt for prompt, length in zip(prompts, lengths, strict=True) if length <= limit]
    if prompts and not kept:
        raise DataError(
            f"all {len(prompts):,} prompts are longer than {limit:,} tokens (the shortest has {min(lengths):,}); "
            f"raise data.max_prompt_tokens"
        )
    return kept, len(prompts) - len(kept)
