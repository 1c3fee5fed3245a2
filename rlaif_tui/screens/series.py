"""Figures over steps, and what is read from them. Pure."""

from __future__ import annotations

from ..widgets.braille import Point

Points = tuple[Point, ...]


def value_at(points: Points, step: int | None) -> float | None:
    """The value at a step, or the newest for None."""
    if step is None:
        return points[-1][1] if points else None
    return next((value for at, value in points if at == step), None)


def smooth(points: Points, weight: float) -> Points:
    """Exponential moving average with this weight of the past, its start unbiased (Kingma & Ba 2015); gaps stay."""
    total = share = 0.0
    result: list[Point] = []
    for step, value in points:
        if value is None:
            result.append((step, None))
            continue
        total, share = weight * total + (1 - weight) * value, weight * share + (1 - weight)
        result.append((step, total / share))
    return tuple(result)
