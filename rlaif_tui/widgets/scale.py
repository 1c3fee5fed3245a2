"""A value axis with round numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

LABEL_WIDTH = 7
_ROUND = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True)
class Scale:
    """The range that an axis covers and the values that carry a label, lowest first."""

    low: float
    high: float
    ticks: tuple[float, ...]

    def place(self, value: float) -> float:
        """The value in the units of ``low`` and ``high``."""
        return value

    def label(self, value: float) -> str:
        """The value in at most seven characters, with as many decimals as the step between ticks needs."""
        step = self.ticks[1] - self.ticks[0]
        decimals = max(0, -math.floor(math.log10(step) + 1e-9))
        decimals += round(step * 10**decimals, 9) != round(step * 10**decimals)  # a step of 2.5 or 0.25
        longest = max(len(f"{tick:.{decimals}f}") for tick in self.ticks)
        return f"{value + 0.0:.{decimals}f}" if longest <= LABEL_WIDTH else _short(value)


@dataclass(frozen=True)
class LogScale(Scale):
    """A logarithmic axis: ``low``, ``high`` and ``ticks`` are powers of ten; only values above 0 have a place."""

    def place(self, value: float) -> float:
        return math.log10(value) if value > 0 else math.nan

    def label(self, value: float) -> str:
        number = 10.0 ** min(value, 308.0)
        plain = f"{number:.4g}"
        return plain if len(plain) <= LABEL_WIDTH and "e" not in plain else _short(number)


def log_scale_for(values: Sequence[float], most_ticks: int) -> LogScale:
    """The same for a logarithmic axis of values above 0: decades, or 1, 2 and 5 of each where there are few."""
    low, high = (min(values), max(values)) if values else (1.0, 10.0)
    most = max(3, most_ticks)
    if high < 3 * low:
        narrow = scale_for(values, most)
        if narrow.low > 0:
            bottom, *_ = ticks = tuple(math.log10(tick) for tick in (narrow.low, *narrow.ticks, narrow.high))
            return LogScale(bottom, ticks[-1], ticks[1:-1])
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    for within in ((1, 2, 5), (1, 3), (1,)):
        grid = [math.log10(part) + power for power in range(first, last + 1) for part in within]
        below = [tick for tick in grid if tick <= math.log10(low) + 1e-9]
        above = [tick for tick in grid if tick >= math.log10(high) - 1e-9]
        ticks = tuple(tick for tick in grid if below[-1] <= tick <= (above[0] if above else grid[-1]))
        if 2 <= len(ticks) <= most:
            return LogScale(ticks[0], ticks[-1], ticks)
    each = math.ceil((last - first) / (most - 1))
    return LogScale(float(first), float(last), tuple(float(power) for power in range(first, last + 1, each)))


def _short(value: float) -> str:
    """With an exponent, such as ``-2.5e-5``; fewer digits rather than more than seven characters."""
    if value == 0:
        return "0"
    for pattern in (".2e", ".1e", ".0e"):
        mantissa, exponent = format(value, pattern).split("e")
        mantissa = mantissa.rstrip("0").rstrip(".") if "." in mantissa else mantissa
        text = f"{mantissa}e{int(exponent)}"
        if len(text) <= LABEL_WIDTH:
            return text
    return text[:LABEL_WIDTH]


def scale_for(values: Sequence[float], most_ticks: int) -> Scale:
    """The tightest range of round numbers around finite values, with 2 to ``most_ticks`` (at least 3) ticks.

    A constant gets room above and below; no value at all gives 0 to 1.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if high - low <= 1e-12 * max(abs(low), abs(high)):
        room = abs(low) * 0.1 or 1.0
        low, high = low - room, high + room
    exponent = math.floor(math.log10(high - low)) - 1
    for power in range(exponent, exponent + 4):
        for factor in _ROUND[:-1]:
            step = factor * 10.0**power
            first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
            if last - first + 1 <= max(3, most_ticks):
                return _trimmed(low, high, step, tuple(index * step for index in range(first, last + 1)))
    raise AssertionError("a step ten times the range never needs more than three ticks")


def _trimmed(low: float, high: float, step: float, ticks: tuple[float, ...]) -> Scale:
    """Cut half a step off either end where no value lies, as long as two ticks stay."""
    bottom = ticks[0] + step / 2 if low >= ticks[0] + step / 2 else ticks[0]
    top = ticks[-1] - step / 2 if high <= ticks[-1] - step / 2 else ticks[-1]
    inside = tuple(tick for tick in ticks if bottom <= tick <= top)
    return Scale(bottom, top, inside) if len(inside) >= 2 else Scale(ticks[0], ticks[-1], ticks)
