"""From steps and values to places on a chart: scale, round numbers, gaps, thinning. Arithmetic only."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 360.0, 200.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 10.0, 18.0, 22.0
_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)

Points = Sequence[tuple[int, float | None]]


@dataclass(frozen=True)
class Scale:
    """From values to units of the chart."""

    first: float
    last: float
    low: float
    high: float

    def x(self, step: float) -> float:
        share = (step - self.first) / (self.last - self.first) if self.last > self.first else 0.5
        return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM), 1)


def ticks(low: float, high: float, about: int) -> list[tuple[float, str]]:
    """About so many round values from ``low`` to ``high``, each with its text."""
    rough = (high - low) / about
    size = 10.0 ** math.floor(math.log10(rough))
    step = size * next(each for each in _STEPS if each * size >= rough * 0.999)
    digits = max(0, -math.floor(math.log10(step) + 1e-9) + (1 if round(step / size, 1) == 2.5 else 0))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [(number * step, _text(number * step, digits)) for number in range(first, last + 1)]


def _text(value: float, digits: int) -> str:
    value = 0.0 if abs(value) < 1e-15 else value
    return f"{value:.3g}" if digits > 4 else f"{value:,.{digits}f}"


def scale_of(first: int, last: int, values: Sequence[float], limits: Sequence[float]) -> Scale:
    low, high = min(values), max(values)
    # A limit is shown where it is near; one far away would press the curve flat.
    room = max(high - low, 0.25 * abs(high), 1e-9)
    near = [limit for limit in limits if low - room <= limit <= high + room]
    low, high = min([low, *near]), max([high, *near])
    margin = (high - low) * 0.06 or abs(high) * 0.1 or 1.0
    return Scale(first, last, low - margin, high + margin)


def stretches(points: Points, breaks: frozenset[int]) -> list[list[tuple[int, float]]]:
    """The points in stretches without a gap."""
    runs: list[list[tuple[int, float]]] = [[]]
    for step, value in points:
        if (value is None or step in breaks) and runs[-1]:
            runs.append([])
        if value is not None:
            runs[-1].append((step, value))
    return [run for run in runs if run]


def thinned(run: Sequence[tuple[int, float]], most: int) -> list[tuple[float, float, float, float]]:
    """(step, mean, lowest, highest) of at most so many groups of neighbours."""
    if len(run) <= most:
        return [(step, value, value, value) for step, value in run]
    found = []
    for number in range(most):
        group = run[number * len(run) // most : (number + 1) * len(run) // most]
        values = [value for _, value in group]
        middle = sum(step for step, _ in group) / len(group)
        found.append((middle, math.fsum(values) / len(values), min(values), max(values)))
    return found
