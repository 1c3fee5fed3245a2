"""Where the marks of a small line chart lie. Arithmetic only: the page's template writes the SVG.

A chart is 360 x 200 units, so that on a page 400 pixels wide its letters keep about the size they have here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from .scale import Points, Scale, scale_of, stretches, thinned, ticks

MOST_POINTS = 300
"""Points of a line; of more, neighbours are drawn as their mean with their range behind it."""
TABLE_ROWS = 16
LETTER_ROOM = 9.0
"""Width of a letter. Of letters that would overlap the later ones are left out, their lines are not."""

Look = Literal["main", "second"]


@dataclass(frozen=True)
class Series:
    """What a chart is asked to draw as a line. A value of None is a gap, and so is each step in ``breaks``."""

    name: str
    points: Points
    look: Look = "main"
    breaks: frozenset[int] = frozenset()
    """Steps from which on the values are another series."""


@dataclass(frozen=True)
class Measured:
    """A point with its interval."""

    step: int
    value: float
    ci95: tuple[float, float] | None = None


@dataclass(frozen=True)
class Line:
    name: str
    look: Look
    path: str
    """SVG path data of the line."""
    band: str
    """SVG path data of the range that each drawn point stands for; empty where it stands for itself."""
    dots: tuple[tuple[float, float], ...]
    """Points without a neighbour, which a line cannot show."""


@dataclass(frozen=True)
class Dot:
    x: float
    y: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Tick:
    at: float
    text: str


@dataclass(frozen=True)
class Mark:
    x: float
    letter: str


@dataclass(frozen=True)
class Chart:
    """A chart with every coordinate known, and what it says for those who do not see it."""

    title: str
    unit: str
    latest: str
    description: str
    lines: tuple[Line, ...] = ()
    dots: tuple[Dot, ...] = ()
    limits: tuple[Tick, ...] = ()
    across: tuple[Tick, ...] = ()
    up: tuple[Tick, ...] = ()
    marks: tuple[Mark, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    """Look of a mark (``main``, ``second``, ``dot``, ``limit``) and its name."""
    head: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    """The figures as a table, thinned out."""


def draw(
    title: str,
    unit: str,
    series: Sequence[Series],
    *,
    pattern: str = ".2f",
    measured: Sequence[Measured] = (),
    measured_name: str = "",
    limits: Sequence[tuple[str, float]] = (),
    marks: Sequence[tuple[int, str]] = (),
) -> Chart:
    """A chart of these lines, points and horizontal limits; without any value it has no drawing, and says so."""
    known = [(step, value) for each in series for step, value in each.points if value is not None]
    known += [(point.step, value) for point in measured for value in (point.value, *(point.ci95 or ()))]
    main = series[0]
    values = [value for _, value in main.points if value is not None]
    latest = format(values[-1], pattern) if values else ""
    if not known:
        return Chart(title, unit, "", f"{title}: not measured in this run.")
    steps = [step for step, _ in known]
    scale = scale_of(min(steps), max(steps), [value for _, value in known], [limit for _, limit in limits])
    inside = [(name, limit) for name, limit in limits if scale.low <= limit <= scale.high]
    legend: list[tuple[str, str]] = [(each.look, each.name) for each in series if len(series) > 1 or measured or inside]
    legend += [("dot", measured_name)] if measured else []
    return Chart(
        title=title,
        unit=unit,
        latest=latest,
        description=_described(title, unit, main, values, measured, measured_name, inside, pattern),
        lines=tuple(_line(each, scale) for each in series),
        dots=tuple(_dot(point, scale) for point in measured),
        limits=tuple(Tick(scale.y(limit), f"{name} {limit:g}") for name, limit in inside),
        across=_across(scale),
        up=tuple(Tick(scale.y(value), text) for value, text in ticks(scale.low, scale.high, 4)),
        marks=_marks(marks, scale),
        legend=tuple(legend),
        head=("step", *(each.name for each in series), *([measured_name] if measured else [])),
        rows=_rows(series, measured, pattern),
    )


def _line(series: Series, scale: Scale) -> Line:
    path: list[str] = []
    band: list[str] = []
    dots: list[tuple[float, float]] = []
    for run in stretches(series.points, series.breaks):
        drawn = thinned(run, max(2, MOST_POINTS * len(run) // max(1, len(series.points))))
        places = [(scale.x(step), scale.y(value)) for step, value, _, _ in drawn]
        if len(places) == 1:
            dots.append(places[0])
            continue
        path.append("M" + "L".join(f"{x:g} {y:g}" for x, y in places))
        if len(drawn) < len(run):
            upper = [f"{scale.x(step):g} {scale.y(high):g}" for step, _, _, high in drawn]
            lower = [f"{scale.x(step):g} {scale.y(low):g}" for step, _, low, _ in reversed(drawn)]
            band.append("M" + "L".join(upper + lower) + "Z")
    return Line(series.name, series.look, "".join(path), "".join(band), tuple(dots))


def _dot(point: Measured, scale: Scale) -> Dot:
    low, high = point.ci95 or (None, None)
    return Dot(
        scale.x(point.step),
        scale.y(point.value),
        None if low is None else scale.y(low),
        None if high is None else scale.y(high),
    )


def _across(scale: Scale) -> tuple[Tick, ...]:
    if scale.last - scale.first < 1:
        return (Tick(scale.x(scale.first), f"{scale.first:g}"),)
    whole = [(value, text) for value, text in ticks(scale.first, scale.last, 5) if value == round(value)]
    return tuple(Tick(scale.x(value), text.partition(".")[0]) for value, text in whole)


def _marks(marks: Sequence[tuple[int, str]], scale: Scale) -> tuple[Mark, ...]:
    letters: dict[float, dict[str, None]] = {}
    for step, letter in marks:
        letters.setdefault(scale.x(min(max(step, scale.first), scale.last)), {})[letter] = None
    found: list[Mark] = []
    free = 0.0
    for x, there in sorted(letters.items()):
        half = LETTER_ROOM * len(there) / 2
        fits = x - half >= free
        free = x + half if fits else free
        found.append(Mark(x, "".join(there) if fits else ""))
    return tuple(found)


def _described(
    title: str,
    unit: str,
    main: Series,
    values: Sequence[float],
    measured: Sequence[Measured],
    measured_name: str,
    limits: Sequence[tuple[str, float]],
    pattern: str,
) -> str:
    parts = []
    if values:
        ends = f"from {format(values[0], pattern)} to {format(values[-1], pattern)}"
        spread = f"lowest {format(min(values), pattern)}, highest {format(max(values), pattern)}"
        gaps = sum(value is None for _, value in main.points)
        parts.append(f"{main.name} {ends} {unit}, {spread}, over {len(values)} steps")
        parts += [f"{gaps} step{'s' * (gaps > 1)} without a value"] if gaps else []
    if measured:
        ends_of = dict.fromkeys((measured[0], measured[-1]))
        told = ", ".join(f"{format(point.value, pattern)} at step {point.step}" for point in ends_of)
        parts.append(f"{measured_name}: {told}")
    parts += [f"{name} {limit:g}" for name, limit in limits]
    return f"{title}: {'; '.join(parts)}."


def _rows(series: Sequence[Series], measured: Sequence[Measured], pattern: str) -> tuple[tuple[str, ...], ...]:
    columns = [dict(each.points) for each in series]
    points = {point.step: point for point in measured}
    steps = sorted({step for column in columns for step in column} | points.keys())
    wanted = {steps[round(i * (len(steps) - 1) / (TABLE_ROWS - 1))] for i in range(TABLE_ROWS)}
    wanted |= points.keys() if len(points) <= TABLE_ROWS else set()

    def told(value: float | None) -> str:
        return "" if value is None else format(value, pattern)

    def interval(step: int) -> str:
        point = points.get(step)
        if point is None:
            return ""
        ends = f" ({told(point.ci95[0])} to {told(point.ci95[1])})" if point.ci95 else ""
        return told(point.value) + ends

    return tuple(
        (str(step), *(told(column.get(step)) for column in columns), *([interval(step)] if measured else []))
        for step in sorted(wanted)
    )
