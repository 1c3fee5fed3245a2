"""One metric over the steps of a run: a framed braille line with round ticks and event letters on its lower edge."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from .braille import Point, column_of, draw
from .canvas import Canvas, changes
from .scale import LABEL_WIDTH, Scale, scale_for

Mark = tuple[int, str]


@dataclass(frozen=True)
class Plot:
    """What a chart shows. Texts must be plain, one cell a letter."""

    title: str
    trend: str = ""
    points: tuple[Point, ...] = ()
    x_max: int = 1
    marks: tuple[Mark, ...] = ()
    """(step, letter), drawn on the lower edge; C gives way to other letters."""


# Corner and edge pieces: top left, top right, bottom left, bottom right, horizontal, vertical.
_FRAME, _FRAME_ASCII = "╭╮╰╯─│", "++++-|"


def paint(plot: Plot, width: int, height: int, *, ascii_only: bool = False) -> Canvas:
    """The chart as cells. Kinds: f frame, t title, r trend, n number, l line, m mark."""
    if width < LABEL_WIDTH + 8 + len(str(plot.x_max)) or height < 3:
        return Canvas((" " * width,) * height, ("f" * width,) * height)
    frame = _FRAME_ASCII if ascii_only else _FRAME
    inner_width, inner_height = width - LABEL_WIDTH - 4, height - 2
    values = [value for _, value in plot.points if value is not None]
    scale = scale_for(values, max(3, (inner_height + 1) // 2))
    lines = draw(plot.points, inner_width, inner_height, plot.x_max, scale.low, scale.high, ascii_only=ascii_only)
    labels = _labels(scale, inner_height) if values else {}
    rows, kinds = [], []
    for y, line in enumerate(lines):
        rows.append(f"{frame[5]} {labels.get(y, ''):>{LABEL_WIDTH}} {line}{frame[5]}")
        kinds.append("f" + "n" * (LABEL_WIDTH + 2) + "l" * inner_width + "f")
    top, bottom = _top(plot, width, frame), _bottom(plot, inner_width, frame)
    return Canvas((top[0], *rows, bottom[0]), (top[1], *kinds, bottom[1]))


def _labels(scale: Scale, rows: int) -> dict[int, str]:
    labels: dict[int, str] = {}
    for tick in (scale.ticks[-1], scale.ticks[0], *scale.ticks[1:-1]):
        row = round((scale.high - tick) / (scale.high - scale.low) * (4 * rows - 1)) // 4
        labels.setdefault(row, scale.label(tick))
    return labels


def _top(plot: Plot, width: int, frame: str) -> tuple[str, str]:
    room = width - 6
    title = plot.title if len(plot.title) <= room else plot.title[: room - 1] + "…"
    trend = f"  {plot.trend}" if plot.trend and len(title) + 2 + len(plot.trend) <= room else ""
    rest = width - 5 - len(title) - len(trend)
    row = f"{frame[0]}{frame[4]} {title}{trend} {frame[4] * rest}{frame[1]}"
    return row, "fff" + "t" * len(title) + "r" * len(trend) + "f" * (rest + 2)


def _bottom(plot: Plot, inner_width: int, frame: str) -> tuple[str, str]:
    cells, kinds = [frame[4]] * inner_width, ["f"] * inner_width
    for step, letter in sorted(plot.marks, key=lambda mark: mark[1] != "C"):
        at = column_of(step, inner_width, plot.x_max)
        cells[at], kinds[at] = letter, "m"
    last = f" {plot.x_max} "
    before = frame[4] * (LABEL_WIDTH + 2 - 3) + " 0 "
    del cells[inner_width - len(last) :], kinds[inner_width - len(last) :]
    row = frame[2] + before + "".join(cells) + last + frame[3]
    return row, "f" + "n" * len(before) + "".join(kinds) + "n" * len(last) + "f"


class MetricChart(Widget):
    """Draws a ``Plot`` and, when it changes, repaints only the cells that differ."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--frame",
        "chart--title",
        "chart--trend",
        "chart--number",
        "chart--line",
        "chart--mark",
    }
    DEFAULT_CSS = """
    MetricChart { width: 1fr; height: 1fr; }
    MetricChart > .chart--frame { color: $foreground 35%; }
    MetricChart > .chart--title { color: $foreground; text-style: bold; }
    MetricChart > .chart--trend { color: $foreground 75%; }
    MetricChart > .chart--number { color: $foreground 55%; }
    MetricChart > .chart--line { color: #56b4e9; }
    MetricChart > .chart--mark { color: $foreground 75%; }
    """
    _KINDS: ClassVar[dict[str, str]] = {
        "f": "chart--frame",
        "t": "chart--title",
        "r": "chart--trend",
        "n": "chart--number",
        "l": "chart--line",
        "m": "chart--mark",
    }

    def __init__(self, plot: Plot, *, id: str, ascii_only: bool = False) -> None:
        super().__init__(id=id)
        self._plot = plot
        self._ascii = ascii_only
        self._canvas = Canvas((), ())

    @property
    def canvas(self) -> Canvas:
        """What is on the screen now."""
        return self._canvas

    def show(self, plot: Plot) -> None:
        """Draw this from now on."""
        if plot != self._plot:
            self._plot = plot
            self._repaint()

    def on_resize(self) -> None:
        self._repaint()

    def _repaint(self) -> None:
        old, new = self._canvas, paint(self._plot, self.size.width, self.size.height, ascii_only=self._ascii)
        self._canvas = new
        if [len(row) for row in old.rows] != [len(row) for row in new.rows]:
            self.refresh()
        elif regions := changes(old, new):
            self.refresh(*regions)

    def render_line(self, y: int) -> Strip:
        if y >= len(self._canvas.rows):
            return Strip.blank(self.size.width, self.rich_style)
        styles = {kind: self.get_component_rich_style(name) for kind, name in self._KINDS.items()}
        return Strip([Segment(text, styles[kind]) for kind, text in self._canvas.runs(y)], self.size.width)
