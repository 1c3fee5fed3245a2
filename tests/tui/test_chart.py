from __future__ import annotations

import math
import random
from typing import Any

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region

from rlaif_tui.screens.series import smooth, value_at
from rlaif_tui.widgets.braille import Point, draw
from rlaif_tui.widgets.canvas import Canvas, changes
from rlaif_tui.widgets.chart import MetricChart
from rlaif_tui.widgets.plot import Plot, paint
from rlaif_tui.widgets.scale import log_scale_for, scale_for


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
        plot = Plot("t" * rng.randrange(60), ("up",), wander(seed, seed), rng.choice((1, 60, 10**6)), marks)
        canvas = paint(plot, width, height, ascii_only=ascii_only)
        assert [len(row) for row in canvas.rows] == [len(kinds) for kinds in canvas.kinds] == [width] * height
        assert not ascii_only or all(row.replace("…", "").isascii() for row in canvas.rows)


def test_a_chart_as_it_is_read() -> None:
    plot = Plot("KL 2.00 nats", ("▲ +1",), ((0, 0.0), (4, 2.0)), 8, ((4, "C"), (6, "C"), (6, "P")))
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
        old = paint(Plot("a", (), points[:count], 300), 58, 11)
        new = paint(Plot("ab", (), points[: count + 1], 300, ((count, "C"),)), 58, 11)
        assert applied(old, new, changes(old, new)) == new
    assert changes(new, new) == []
    flat = [Plot("t", (), ((0, 0.0), (1, 1.0), *((k, 0.5) for k in range(2, end))), 299) for end in (150, 156)]
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
        chart.show(Plot("t", (), points[:60], 100))
        for count in range(61, 80):
            await pilot.pause()
            before, chart.regions = chart.canvas, []
            chart.show(Plot("t", (), points[:count], 100))
            assert applied(before, chart.canvas, chart.regions) == chart.canvas
            await pilot.pause()
            shown = tuple(strip.text for strip in app.screen._compositor.render_strips())
            assert shown == chart.canvas.rows == paint(Plot("t", (), points[:count], 100), 60, 12).rows
        chart.regions = []
        chart.show(Plot("t", (), points[:count], 100))
        assert chart.regions == []


@pytest.mark.parametrize(
    ("values", "most", "labels"),
    [
        ([0.5, 80.0], 8, ["0.5", "1", "2", "5", "10", "20", "50", "100"]),
        ([0.5, 80.0], 5, ["0.1", "1", "10", "100"]),
        ([0.5, 80.0], 3, ["0.1", "10"]),
        ([1e-9, 1e9], 3, ["1e-9", "1", "1e9"]),
        ([4.1, 6.2], 6, ["4", "4.5", "5", "5.5", "6"]),
        ([5.0], 3, ["4.5", "5", "5.5"]),
        ([], 3, ["1", "3", "10"]),
    ],
)
def test_log_scales_by_hand(values: list[float], most: int, labels: list[str]) -> None:
    scale = log_scale_for(values, most)
    assert [scale.label(tick) for tick in scale.ticks] == labels
    for value in values:
        assert scale.low - 1e-9 <= scale.place(value) <= scale.high + 1e-9


def test_any_log_scale_holds_its_values_and_a_few_short_labels() -> None:
    rng = random.Random(7)
    for _ in range(2000):
        values = [10 ** rng.uniform(-300, 300) for _ in range(rng.randrange(1, 4))]
        if rng.random() < 0.5:
            values = [rng.uniform(1, 9) * 10.0 ** rng.randrange(-9, 9) * rng.uniform(0.9, 4) for _ in values]
        most = rng.randrange(2, 9)
        scale = log_scale_for(values, most)
        assert scale.low < scale.high
        assert all(scale.low - 1e-9 <= scale.place(value) <= scale.high + 1e-9 for value in values)
        assert 2 <= len(scale.ticks) <= max(3, most)
        assert all(len(scale.label(tick)) <= 7 for tick in scale.ticks)
    assert math.isnan(scale.place(0.0))
    assert math.isnan(scale.place(-1.0))


def test_a_log_axis_makes_a_straight_line_of_what_grows_tenfold() -> None:
    # 1, 10, 100, 1000 over three decades: the diagonal of a square of dots.
    plot = Plot("t", (), tuple((k, 10.0**k) for k in range(4)), 3, log=True)
    canvas = paint(plot, 28, 6)
    straight = paint(Plot("t", (), tuple((k, float(k)) for k in range(4)), 3), 28, 6)
    assert [row[10:-1] for row in canvas.rows[1:-1]] == [row[10:-1] for row in straight.rows[1:-1]]
    gap = paint(Plot("t", (), ((0, 1.0), (1, -5.0), (2, 0.0), (3, 1000.0)), 3, log=True), 28, 6)
    assert sum(letter not in " " for row in gap.rows[1:-1] for letter in row[10:-1]) == 2, (
        "what has no logarithm is a gap"
    )


def test_limit_cursor_points_and_a_line_behind_as_they_are_read() -> None:
    line, behind = ((0, 0.0), (8, 0.0)), ((0, 2.0), (8, 2.0))
    plot = Plot("KL", (), line, 8, (), behind, ((4, 1.0, "◆"),), limit=3.0, limit_counts=True, cursor=6)
    canvas = paint(plot, 28, 6)
    assert canvas.rows[1:-1] == (
        "│         ┄┄┄┄┄┄┄┄┄┄┄┄┊┄┄┄┄│",
        "│       2 ⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒│",
        "│                 ◆   ┊    │",
        "│       0 ⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀⣀│",
    )
    assert [row[10] for row in canvas.kinds[1:-1]] == ["h", "b", "l", "l"]
    assert canvas.kinds[3][18] == "s"
    assert canvas.kinds[3][22] == "k"
    low = Plot("KL", (), line, 8, (), behind, limit=30.0)
    assert "┄" not in "".join(paint(low, 28, 6).rows), "a limit far away does not flatten the line"


def test_lines_that_meet_in_a_cell_keep_both_their_dots() -> None:
    # Front: the lowest row of dots (0xC0); behind: the third of four (0x24). One row of cells holds both.
    plot = Plot("t", (), ((0, 0.0), (8, 0.0)), 8, (), ((0, 1.0), (8, 1.0)))
    canvas = paint(plot, 24, 3)
    assert set(canvas.rows[1][10:-1]) == {chr(0x2800 + 0xC0 + 0x09)}
    assert set(canvas.kinds[1][10:-1]) == {"l"}


def test_notes_give_way_from_the_right() -> None:
    plot = Plot("KL 2", ("first", "much too long to stand here", "last"))
    assert paint(plot, 30, 3).rows[0] == "╭─ KL 2  first  last ────────╮"


def test_a_moving_average_by_hand_keeps_its_gaps() -> None:
    # Weight 0.5: 4; (0.25*4 + 0.5*8) / 0.75 = 20/3; gap; (0.125*4 + 0.25*8 + 0.5*0) / 0.875 = 20/7.
    points = ((1, 4.0), (2, 8.0), (3, None), (4, 0.0))
    assert [value for _, value in smooth(points, 0.5)] == [4.0, pytest.approx(20 / 3), None, pytest.approx(20 / 7)]
    assert value_at(points, None) == 0.0
    assert value_at(points, 3) is None
    assert value_at((), None) is None
