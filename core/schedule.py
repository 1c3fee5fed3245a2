"""The learning rate as a function of the step alone, so that skipped updates and resumed runs do not shift it."""

from __future__ import annotations

import math
from typing import Literal

COSINE_FLOOR = 0.1


def lr_factor(
    schedule: Literal["constant", "cosine", "linear"], step: int, total: int, warmup_fraction: float
) -> float:
    """Factor on the base learning rate in PPO step ``step`` (1-based) of ``total``.

    It rises linearly over the warm-up; then it stays, falls as a cosine to 10 %, or falls linearly, reaching its end
    value one step after the last.
    """
    warmup = round(warmup_fraction * total)
    if step <= warmup:
        return step / (warmup + 1)
    progress = min(1.0, (step - 1 - warmup) / max(1, total - warmup))
    match schedule:
        case "constant":
            return 1.0
        case "cosine":
            return COSINE_FLOOR + (1 - COSINE_FLOOR) * 0.5 * (1 + math.cos(math.pi * progress))
        case "linear":
            return 1.0 - progress
