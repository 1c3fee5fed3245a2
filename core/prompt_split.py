"""Train and validation sides, and the order of the training side per epoch: the same on every machine and version."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import DataError
from .types import Prompt

Side = Literal["train", "validation"]

_SIDES: dict[str, Side] = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "test", "dev", "eval"), "validation"),
}


@dataclass(frozen=True, kw_only=True)
class Split:
    """The two sides, each in the order of the file; no prompt is on both."""

    train: tuple[Prompt, ...]
    validation: tuple[Prompt, ...]
    moved: int = 0
    """Rows that the file puts into training but that repeat a validation prompt, so they went to validation."""


def prompt_key(prompt: Prompt) -> str:
    """Equal for prompts that differ only in white space and case."""
    return "\x1f".join(f"{m.role}:{' '.join(m.content.split()).casefold()}" for m in prompt.messages)


def side_of(label: Any) -> Side | None:
    """The side a cell of a split column names, or None."""
    return _SIDES.get(label.strip().lower()) if isinstance(label, str) else None


def split(
    prompts: Sequence[Prompt],
    *,
    validation_fraction: float,
    validation_rows: int | None = None,
    seed: int,
    labels: Mapping[str, Side] | None = None,
) -> Split:
    """Hold out about ``validation_rows`` rows, or that fraction of them; at least one, and never all.

    Repeated prompts (``prompt_key``) stay together. The choice depends only on the seed and the prompts' text: groups
    are taken in the order of sha256(seed, text) and one that would overshoot is passed over. ``labels`` (a complete
    ``Dataset.split_labels``) decide instead, where given. Fraction 0 without ``validation_rows`` holds nothing out.
    Raises ``DataError`` where both sides cannot be filled.
    """
    groups: dict[str, list[Prompt]] = {}
    for prompt in prompts:
        groups.setdefault(prompt_key(prompt), []).append(prompt)
    if not prompts:
        raise DataError("there is no prompt to split; check the data file and the limit on prompt length")
    if labels is not None:
        return _by_label(prompts, groups, labels)
    if validation_rows is None and validation_fraction == 0:
        return Split(train=tuple(prompts), validation=())
    wanted = _wanted(len(prompts), len(groups), validation_fraction, validation_rows)
    held_out = _held_out(groups, wanted, seed)
    return _by_key(prompts, held_out, moved=0)


def _wanted(rows: int, distinct: int, fraction: float, count: int | None) -> int:
    if distinct < 2:
        raise DataError(f"{rows} rows with one distinct prompt cannot be split; validation needs a second one")
    if count is None:
        if not 0.0 < fraction < 1.0:  # NaN fails this too
            raise DataError(f"validation_fraction = {fraction} is outside 0..1; use for example 0.1")
        return min(max(1, round(fraction * rows)), rows - 1)
    if not 0 < count < rows:
        raise DataError(f"validation_rows = {count} of {rows} rows leaves one side empty; use 1..{rows - 1}")
    return count


def _held_out(groups: Mapping[str, list[Prompt]], wanted: int, seed: int) -> set[str]:
    def rank(key: str) -> str:
        return hashlib.sha256(f"split:{seed}:{key}".encode()).hexdigest()

    chosen: set[str] = set()
    rows = 0
    for key in sorted(groups, key=rank):
        if rows + len(groups[key]) <= wanted:
            chosen.add(key)
            rows += len(groups[key])
    # Every prompt may repeat more often than rows are wanted: then the rarest one is held out.
    return chosen or {min(groups, key=lambda key: (len(groups[key]), rank(key)))}


def _by_label(prompts: Sequence[Prompt], groups: Mapping[str, list[Prompt]], labels: Mapping[str, Side]) -> Split:
    missing = next((prompt.id for prompt in prompts if prompt.id not in labels), None)
    if missing is not None:
        raise DataError(f"the split column says nothing of prompt {missing}; label every row, or remove the column")
    held_out = {key for key, group in groups.items() if any(labels[p.id] == "validation" for p in group)}
    if not 0 < len(held_out) < len(groups):
        empty = "training" if held_out else "validation"
        raise DataError(f"the split column leaves nothing for {empty} once repeats are on one side; relabel its rows")
    moved = sum(labels[p.id] == "train" for key in held_out for p in groups[key])
    return _by_key(prompts, held_out, moved)


def _by_key(prompts: Sequence[Prompt], held_out: set[str], moved: int) -> Split:
    sides: tuple[list[Prompt], list[Prompt]] = ([], [])
    for prompt in prompts:
        sides[prompt_key(prompt) in held_out].append(prompt)
    return Split(train=tuple(sides[0]), validation=tuple(sides[1]), moved=moved)


def permutation(n: int, seed: int, epoch: int) -> list[int]:
    """The order in which ``n`` training prompts are visited in ``epoch``: each index once.

    Built on ``Random.random()`` alone, the one method whose sequence Python promises to keep from version to version.
    """
    generator = random.Random(f"epoch:{seed}:{epoch}")
    keys = [generator.random() for _ in range(n)]
    return sorted(range(n), key=lambda i: (keys[i], i))
