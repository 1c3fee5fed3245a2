from __future__ import annotations

import math
import random
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from rlaif_tui.widgets.braille import Point, draw
from rlaif_tui.widgets.canvas import Canvas, changes
from rlaif_tui.widgets.chart import MetricChart, Plot, paint
from rlaif_tui.widgets.scale import scale_for


def wander(seed: int, count: int) -> tuple[Point, ...]:
    rng = random.Random(seed)
    return tuple((k, None if rng.random() < 0.1 else rng.gauss(0, 1) + k / 20) for k in range(1, count + 1))


def test_a_diagonal_by_hand() -> None:
    # Four columns and four rows of dots: (0,3) (1,2) | (2,1) (3,0), counted from the top left.
    # Dots 7 and 6 are 0x40 + 0x20 = U+2860; dots 2 and 4 are 0x02 + 0x08 = U+280A.
    assert draw([(0, 0.0), (3, 3.0)], 2, 1, 3, 0.0, 3.0) == ["\u2860\u280a"]
    assert draw([(0, 0.0), (1, 1.0), (2, 2.0), (3, 3.0)], 2, 1, 3, 0.0, 3.0) == ["\u2860\u280a"]


@pytest.mark.parametrize("hole", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_a_gap(hole: float | None) -> None:
    # Only the two ends: dot 7 alone is U+2840, dot 4 alone U+2808.
    assert draw([(0, 0.0), (1, hole), (3, 3.0)], 2, 1, 3, 0.0, 3.0) == ["\u2840\u2808"]
    assert draw([(0, hole)], 2, 1, 3, 0.0, 3.0) == ["  "]


def test_a_single_point_is_one_dot() -> None:
    # The middle of four rows: round(0.5 * 3) = 2, the third, dot 3 = 0x04.
    assert draw([(0, 1.0)], 2, 1, 3, 0.0, 2.0) == ["\u2804 "]


def test_a_spike_of_one_step_survives() -> None:
    # 1000 steps in eight columns of dots: step 500 falls into column round(500 * 7 / 999) = 4, the left of cell 2.
    # There all four dots stand: 0x47, beside the floor's right dot 0x80; the floor alone is 0xC0.
    flat: list[Point] = [(k, 1.0 if k == 500 else 0.0) for k in range(1000)]
    assert draw(flat, 4, 1, 999, 0.0, 1.0) == ["\u28c0\u28c0\u28c7\u28c0"]


def test_steep_lines_have_no_holes() -> None:
    rows = draw([(0, 0.0), (1, 10.0)], 1, 4, 1, 0.0, 10.0)
    assert all(row != " " for row in rows)


def test_ascii_draws_one_star_a_cell() -> None:
    assert draw([(0, 0.0), (1, 1.0)], 2, 2, 1, 0.0, 1.0, ascii_only=True) == [" *", "* "]


def test_steps_to_come_leave_room_at_the_right() -> None:
    (row,) = draw([(k, 0.0) for k in range(50)], 10, 1, 100, 0.0, 1.0)
    assert row[:4].strip() == row[:4]
    assert row[5:] == " " * 5


@pytest.mark.parametrize(
    ("values", "low", "high", "labels"),
    [
        ([4.1, 6.2], 4.0, 6.25, ["4.0", "4.5", "5.0", "5.5", "6.0"]),
        ([5.0, 5.0], 4.5, 5.5, ["4.50", "4.75", "5.00", "5.25", "5.50"]),
        ([0.0, 0.0], -1.0, 1.0, ["-1.0", "-0.5", "0.0", "0.5", "1.0"]),
        ([-0.013, 0.004], -0.015, 0.005, ["-0.015", "-0.010", "-0.005", "0.000", "0.005"]),
        ([0.0, 1_000_000.0], 0.0, 1e6, ["0", "200000", "400000", "600000", "800000", "1000000"]),
        ([0.0, 1e-5], 0.0, 1e-5, ["0", "2e-6", "4e-6", "6e-6", "8e-6", "1e-5"]),
        ([-5e7, -1.4e8], -1.4e8, -5e7, ["-1.4e8", "-1.2e8", "-1e8", "-8e7", "-6e7"]),
        ([], 0.0, 1.0, ["0.0", "0.2", "0.4", "0.6", "0.8", "1.0"]),
    ],
)
def test_scales_by_hand(values: list[float], low: float, high: float, labels: list[str]) -> None:
    scale = scale_for(values, 6)
    assert (scale.low, scale.high) == pytest.approx((low, high))
    assert [scale.label(tick) for tick in scale.ticks] == labels


def test_any_scale_holds_its_values_and_a_few_short_labels() -> None:
    rng = random.Random(3)
    for _ in range(2000):
        values = [rng.gauss(0, 1) * 10 ** rng.uniform(-8, 9) for _ in range(rng.randrange(1, 4))]
        most = rng.randrange(2, 9)
        scale = scale_for(values, most)
        slack = 1e-9 * (scale.high - scale.low)
        assert scale.low - slack <= min(values) <= max(values) <= scale.high + slack
        assert 2 <= len(scale.ticks) <= max(3, most)
        assert all(len(scale.label(tick)) <= 7 for tick in scale.ticks)


@pytest.mark.parametrize("ascii_only", [False, True])
def test_every_chart_fills_its_size(ascii_only: bool) -> None:
    rng = random.Random(4)
    for seed in range(60):
        width, height = rng.randrange(1, 90), rng.randrange(1, 20)
        marks = ((1, "C"), (40, "C"), (40, "P"), (10**6, "!"))
        plot = Plot("t" * rng.randrange(60), "up", wander(seed, seed), rng.choice((1, 60, 10**6)), marks)
        canvas = paint(plot, width, height, ascii_only=ascii_only)
        assert [len(row) for row in canvas.rows] == [len(kinds) for kinds in canvas.kinds] == [width] * height
        assert not ascii_only or all(row.replace("…", "").isascii() for row in canvas.rows)


def test_a_chart_as_it_is_read() -> None:
    plot = Plot("KL 2.00 nats", "▲ +1", ((0, 0.0), (4, 2.0)), 8, ((4, "C"), (6, "C"), (6, "P")))
    assert paint(plot, 30, 5).rows == (
        "╭─ KL 2.00 nats  ▲ +1 ───────╮",
        "│       2       ⢀⠤⠒⠁         │",
        "│       1    ⣀⠔⠊⠁            │",
        "│       0 ⡠⠔⠊                │",
        "╰────── 0 ─────────C────P─ 8 ╯",
    )


def applied(old: Canvas, new: Canvas, regions: list[Region]) -> Canvas:
    """The old picture with the new one's cells where a region says so."""
    rows, kinds = [list(row) for row in old.rows], [list(kind) for kind in old.kinds]
    for region in regions:
        for y in range(region.y, region.bottom):
            rows[y][region.x : region.right] = new.rows[y][region.x : region.right]
            kinds[y][region.x : region.right] = new.kinds[y][region.x : region.right]
    return Canvas(tuple("".join(row) for row in rows), tuple("".join(kind) for kind in kinds))


def test_changed_spans_are_the_whole_change_and_little_more() -> None:
    points = wander(5, 300)
    for count in range(1, 300, 7):
        old = paint(Plot("a", "", points[:count], 300), 58, 11)
        new = paint(Plot("ab", "", points[: count + 1], 300, ((count, "C"),)), 58, 11)
        assert applied(old, new, changes(old, new)) == new
    assert changes(new, new) == []
    flat = [Plot("t", "", ((0, 0.0), (1, 1.0), *((k, 0.5) for k in range(2, end))), 299) for end in (150, 156)]
    spans = changes(paint(flat[0], 58, 11), paint(flat[1], 58, 11))
    assert 1 <= sum(region.width for region in spans) <= 2


class Recorder(MetricChart):
    """Remembers which cells it asked to have drawn again."""

    regions: list[Region]

    def refresh(self, *regions: Region, **flags: Any) -> Recorder:
        self.regions = [*getattr(self, "regions", []), *(regions or [Region(0, 0, *self.size)])]
        super().refresh(*regions, **flags)
        return self


async def test_the_widget_redraws_what_changed_and_nothing_else() -> None:
    points = wander(6, 100)

    class Host(App[None]):
        def compose(self) -> ComposeResult:
            yield Recorder(Plot("t"), id="chart")

    app = Host()
    async with app.run_test(size=(60, 12)) as pilot:
        chart = app.query_one(Recorder)
        chart.show(Plot("t", "", points[:60], 100))
        for count in range(61, 80):
            await pilot.pause()
            before, chart.regions = chart.canvas, []
            chart.show(Plot("t", "", points[:count], 100))
            assert applied(before, chart.canvas, chart.regions) == chart.canvas
            await pilot.pause()
            shown = tuple(strip.text for strip in app.screen._compositor.render_strips())
            assert shown == chart.canvas.rows == paint(Plot("t", "", points[:count], 100), 60, 12).rows
        chart.regions = []
        chart.show(Plot("t", "", points[:count], 100))
        assert chart.regions == []
