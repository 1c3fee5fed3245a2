"""The list that does not care how many rows there are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from test_safety import HOSTILE, assert_plain
from textual.app import App, ComposeResult
from textual.geometry import Region
from tui_logs import screen_text

from rlaif_tui.widgets.rows import Cell, Column, RowList, fit

COLUMNS = (Column("#", 9, "right"), Column("tok", 5, "right"), Column("prompt"), Column("split", 10), Column("why", 20))


class Alone(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.heard: list[tuple[str, int]] = []
        self.asked = 0

    def compose(self) -> ComposeResult:
        yield RowList(COLUMNS, id="list")

    def cells(self, index: int) -> tuple[Cell, ...]:
        self.asked += 1
        return Cell(str(index), "bold"), Cell("7"), Cell(f"prompt {index}"), Cell("train", "$warning"), Cell("twice")

    def on_row_list_highlighted(self, message: RowList.Highlighted) -> None:
        self.heard.append(("at", message.index))

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        self.heard.append(("chosen", message.index))

    @property
    def rows(self) -> RowList:
        return self.query_one(RowList)


def lines(app: Alone) -> list[str]:
    return screen_text(app).splitlines()


def shown(app: Alone) -> list[str]:
    """Indices on the screen; the row under the cursor with its mark."""
    return ["".join(line[:11].split()) for line in lines(app)[1:] if line.strip()]


@contextmanager
def redrawn(rows: RowList) -> Iterator[list[Region]]:
    """The regions that the list asks to have drawn again."""
    regions: list[Region] = []
    refresh = rows.refresh

    def note(*asked: Region, **more: bool) -> RowList:
        regions.extend(asked or [Region(0, 0, rows.size.width, rows.size.height)])
        return refresh(*asked, **more)

    rows.refresh = note  # type: ignore[method-assign,assignment]
    yield regions
    del rows.refresh  # type: ignore[method-assign]


async def test_a_million_rows_are_shown_and_crossed_at_once() -> None:
    app = Alone()
    async with app.run_test(size=(80, 12)) as pilot:
        app.rows.show(1_000_000, app.cells)
        await pilot.pause()
        await pilot.press("G")
        await pilot.pause()
        assert shown(app)[-1] == "▸999999"
        assert app.asked < 200, "only what is visible is asked for"


async def test_every_key_moves_the_cursor_and_says_so() -> None:
    app = Alone()
    async with app.run_test(size=(80, 11)) as pilot:  # 10 rows under the headings
        app.rows.focus()
        app.rows.show(35, app.cells)
        await pilot.pause()
        assert "tok prompt" in lines(app)[0]
        assert shown(app) == ["▸0", *map(str, range(1, 10))]
        for key, at in (
            ("j", 1), ("down", 2), ("k", 1), ("up", 0), ("up", 0), ("pagedown", 10), ("pagedown", 20), ("pageup", 10),
            ("end", 34), ("j", 34), ("home", 0), ("G", 34), ("g", 0),
        ):  # fmt: skip
            await pilot.press(key)
            assert app.rows.cursor == at, key
        await pilot.press("G", "enter")
        await pilot.pause()
        assert shown(app) == [*map(str, range(25, 34)), "▸34"]
        moves = [("at", at) for at in (0, 1, 2, 1, 0, 10, 20, 10, 34, 0, 34, 0, 34)]
        assert app.heard == [*moves, ("chosen", 34)], "a key that moves nothing says nothing"


async def test_appended_rows_leave_the_place_alone_and_draw_nothing() -> None:
    app = Alone()
    async with app.run_test(size=(80, 11)) as pilot:
        app.rows.show(200, app.cells)
        app.rows.move_to(50)
        await pilot.pause()
        before = screen_text(app)
        assert shown(app)[-1] == "▸50"
        with redrawn(app.rows) as regions:
            app.rows.show(5_000, app.cells)
        await pilot.pause()
        assert regions == []
        assert app.rows.cursor == 50
        assert [line[:70] for line in lines(app)] == [line[:70] for line in before.splitlines()]
        app.rows.show(20, app.cells)
        await pilot.pause()
        assert shown(app)[-1] == "▸19", "fewer rows: the last one"
        app.rows.show(0, app.cells)
        await pilot.pause()
        assert (app.rows.cursor, shown(app)) == (None, [])
        await pilot.press("j", "enter", "G")
        assert ("chosen", 19) not in app.heard


async def test_a_move_draws_two_lines_and_a_changed_row_one() -> None:
    app = Alone()
    async with app.run_test(size=(80, 11)) as pilot:
        app.rows.show(100, app.cells)
        await pilot.pause()
        with redrawn(app.rows) as regions:
            await pilot.press("j")
        assert regions == [Region(0, 1, 79, 1), Region(0, 2, 79, 1)], "one column is the scroll bar's"
        with redrawn(app.rows) as regions:
            app.rows.show(100, lambda at: (Cell("new"),) if at == 4 else app.cells(at))
        assert regions == [Region(0, 5, 79, 1)]
        await pilot.pause()
        assert lines(app)[5].split()[:1] == ["new"]


@pytest.mark.parametrize(("width", "kept"), [(120, 5), (60, 5), (50, 4), (30, 3), (22, 2), (5, 1)])
def test_columns_go_from_the_right_and_the_flexible_one_stays(width: int, kept: int) -> None:
    # Fixed columns: 9, 5, 10 and 20; the flexible one needs 12; a gap between each two.
    fitted = fit(COLUMNS, width)
    assert [at for at, _ in fitted] == {5: [0, 1, 2, 3, 4], 4: [0, 1, 2, 3], 3: [0, 1, 2], 2: [0, 2], 1: [0]}[kept]
    assert sum(wide for _, wide in fitted) + len(fitted) - 1 <= width


@pytest.mark.parametrize("size", [(60, 16), (80, 24), (7, 5), (1, 1)])
async def test_hostile_cells_are_text_at_any_size(size: tuple[int, int]) -> None:
    app = Alone()
    async with app.run_test(size=size) as pilot:
        app.rows.show(3, lambda at: (Cell(str(at)), Cell(HOSTILE), Cell(HOSTILE, "italic"), Cell(HOSTILE)))
        await pilot.pause()
        seen = screen_text(app)
        assert_plain(seen)
        if size[0] >= 60:
            assert "[/] [bold]lo" in seen, "markup is text"
        assert max(map(len, seen.splitlines()), default=0) <= size[0]


async def test_a_click_moves_and_a_second_one_opens() -> None:
    app = Alone()
    async with app.run_test(size=(80, 11)) as pilot:
        app.rows.show(100, app.cells)
        app.rows.move_to(99)
        await pilot.pause()
        await pilot.click(RowList, offset=(20, 3))
        assert app.rows.cursor == 92, "row 90 is the first under the headings"
        await pilot.click(RowList, offset=(20, 3), times=2)
        assert app.heard[-1] == ("chosen", 92)
        await pilot.click(RowList, offset=(20, 0))
        assert app.rows.cursor == 92, "the headings are no row"
