"""A chart on the screen: it draws a ``Plot`` and repaints only the cells that changed."""

from __future__ import annotations

from typing import ClassVar

from rich.segment import Segment
from textual.strip import Strip
from textual.widget import Widget

from .canvas import Canvas, changes
from .plot import Plot, paint


class MetricChart(Widget, can_focus=True):
    """Draws a ``Plot`` and, when it changes, repaints only the cells that differ."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "chart--frame",
        "chart--title",
        "chart--note",
        "chart--number",
        "chart--line",
        "chart--behind",
        "chart--spot",
        "chart--limit",
        "chart--cursor",
        "chart--mark",
    }
    DEFAULT_CSS = """
    MetricChart { width: 1fr; height: 1fr; }
    MetricChart > .chart--frame { color: $foreground 35%; }
    MetricChart > .chart--title { color: $foreground; text-style: bold; }
    MetricChart > .chart--note { color: $foreground 75%; }
    MetricChart > .chart--number { color: $foreground 55%; }
    MetricChart > .chart--line { color: #56b4e9; }
    MetricChart > .chart--behind { color: $foreground 40%; }
    MetricChart > .chart--spot { color: $foreground; text-style: bold; }
    MetricChart > .chart--limit { color: $foreground 45%; }
    MetricChart > .chart--cursor { color: $foreground 75%; }
    MetricChart > .chart--mark { color: $foreground 75%; }
    MetricChart:focus > .chart--frame { color: $foreground 80%; }
    """
    _KINDS: ClassVar[dict[str, str]] = {
        "f": "chart--frame",
        "t": "chart--title",
        "r": "chart--note",
        "n": "chart--number",
        "l": "chart--line",
        "b": "chart--behind",
        "s": "chart--spot",
        "h": "chart--limit",
        "k": "chart--cursor",
        "m": "chart--mark",
    }

    def __init__(self, plot: Plot, *, id: str, ascii_only: bool = False) -> None:
        super().__init__(id=id)
        self._plot = plot
        self._ascii = ascii_only
        self._canvas = Canvas((), ())
        if plot.tone:
            self.add_class(f"-{plot.tone}")

    @property
    def canvas(self) -> Canvas:
        """What is on the screen now."""
        return self._canvas

    def show(self, plot: Plot) -> None:
        """Draw this from now on."""
        if plot == self._plot:
            return
        if plot.tone != self._plot.tone:
            self.remove_class(f"-{self._plot.tone}")
            self.add_class(f"-{plot.tone}")
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
