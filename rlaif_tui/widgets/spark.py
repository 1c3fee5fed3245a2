"""A course of figures as a few characters."""

from __future__ import annotations

from collections.abc import Sequence

_BARS, _ASCII_BARS = "▁▂▃▄▅▆▇█", "_.-=+*#@"


def spark(values: Sequence[float | None], width: int, *, ascii_only: bool = False) -> str:
    """At most ``width`` bars, each the mean of its part; the lowest bar is the least mean, the highest the greatest.

    Empty with fewer than two known figures; a part without any is a space; level figures stand at half height.
    """
    known = [value for value in values if value is not None]
    if len(known) < 2 or width < 1:
        return ""
    count = min(width, len(values))
    parts = [values[len(values) * i // count : len(values) * (i + 1) // count] for i in range(count)]
    means = [_mean([value for value in part if value is not None]) for part in parts]
    there = [mean for mean in means if mean is not None]
    low, high = min(there), max(there)
    bars = _ASCII_BARS if ascii_only else _BARS
    scale = (len(bars) - 1) / (high - low) if high > low else 0.0
    middle = 0 if high > low else len(bars) // 2 - 1
    return "".join(" " if mean is None else bars[middle + round((mean - low) * scale)] for mean in means)


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None


def bars(values: Sequence[float], most: float, *, ascii_only: bool = False) -> str:
    """One bar for each figure, from 0 to ``most`` or to the greatest if that is more."""
    signs = _ASCII_BARS if ascii_only else _BARS
    top = max([most, *values])
    return "".join(signs[round((len(signs) - 1) * max(0.0, value) / top)] for value in values)
