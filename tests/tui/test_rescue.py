"""A screen that breaks, wherever in it: the person is told, a report is kept, the app and the run go on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from shell_pilot import SIZES, look, press, told
from textual import events
from textual.app import ComposeResult
from textual.pilot import Pilot
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Static
from tui_logs import T0, ending, life, make_run, screen_text

from core.run_dir import RunDir
from rlaif_tui.app import RlaifApp
from rlaif_tui.crash import write_report
from rlaif_tui.places import PLACES, Place
from rlaif_tui.screens.view import View

RUNS, TRAIN = (place for place in PLACES if place.id in ("runs", "train"))
KEY = "sk-live-0123456789abcdef"


class Glass(Widget, can_focus=True):
    """A widget that breaks in the way that its screen is told to."""

    DEFAULT_CSS = "Glass { height: 3; }"
    crack = ""

    def on_key(self, event: events.Key) -> None:
        match event.key:
            case "x":
                raise ValueError(f"[bold]no such luck\x1b]52;c;AAAA\x07 {KEY}")
            case "w":
                self.run_worker(self._work())
            case "t":
                self.set_timer(0.001, self._ring)
            case "r":
                self.crack = "render"
                self.refresh()
            case "n":
                self.call_next(self._ring)

    async def _work(self) -> None:
        raise LookupError("the worker found nothing")

    def _ring(self) -> None:
        raise LookupError("called back in vain")

    def render(self) -> str:
        if self.crack == "render":
            raise ZeroDivisionError("nothing to draw")
        return "whole"


class Fragile(View):
    """A screen with glass in it."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number, self.known = number, 0

    def compose_body(self) -> ComposeResult:
        yield Static(f"made {self.number} times", id="made")
        yield Glass()

    def on_mount(self) -> None:
        self.query_one(Glass).focus()

    def memory(self) -> dict[str, Any]:
        return {"known": self.known + 1}

    def recall(self, memory: dict[str, Any]) -> None:
        self.known = memory["known"]
        self.query_one("#made", Static).update(f"made {self.number} times, recalled {self.known}")


class Hollow(Fragile):
    """A screen that cannot even be composed, the first time or ever."""

    broken = 1

    def compose_body(self) -> ComposeResult:
        if self.number <= self.broken:
            raise KeyError("no body")
        yield from super().compose_body()


class Ruin(Hollow):
    broken = 99


def made(kind: type[Fragile]) -> Callable[..., View]:
    count = iter(range(1, 99))
    return lambda _: kind(next(count))


@pytest.fixture
def calm(root: Path) -> RunDir:
    return make_run(root, "calm", [*life(12), *ending("stopped", 12)])


@pytest.fixture(autouse=True)
def reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state"


@asynccontextmanager
async def opened(root: Path, kind: type[Fragile] = Fragile, run: RunDir | None = None) -> AsyncIterator[Pilot[Any]]:
    places = (RUNS, Place("data", "3", "Data", made(kind)), TRAIN)
    async with RlaifApp(root, run, now=lambda: T0 + 60, places=places).run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        yield pilot


def strike(pilot: Pilot[Any], key: str) -> None:
    """Press a key that breaks something. ``pilot.press`` would wait for an answer of the widget that it kills."""
    pilot.app.post_message(events.Key(key, key))


async def until(pilot: Pilot[Any], said: str, where: Callable[[Pilot[Any]], str] = lambda p: screen_text(p.app)) -> str:
    """What is to be read there once this stands in it. Nothing is asked of widgets, some of which are dead."""
    for _ in range(2000):
        if said in (text := where(pilot)):
            return text
        await asyncio.sleep(0.005)
        await pilot.app.poll_once()
    raise AssertionError(f"'{said}' never came: {screen_text(pilot.app)}\n{told(pilot)}")


async def until_told(pilot: Pilot[Any], said: str) -> str:
    return await until(pilot, said, told)


@pytest.mark.parametrize(
    ("key", "said"),
    [("x", "ValueError: [bold]no such luck␛"), ("t", "LookupError: called back"), ("n", "LookupError: called back")],
    ids=["key", "timer", "callback"],
)
async def test_a_widget_that_breaks_has_its_screen_made_anew(root: Path, calm: RunDir, key: str, said: str) -> None:
    async with opened(root, run=calm) as pilot:
        assert "made 1 times" in await press(pilot, "3")
        strike(pilot, key)
        text = await until(pilot, "made 2 times, recalled 1")
        assert "[3 Data]" in text
        assert "whole" in text
        assert said in await until_told(pilot, "It was made anew. The run is not affected")
        assert KEY not in told(pilot)
        assert "[5 Train]" in await press(pilot, "5"), "other screens still work"
        assert "made 2 times" in await press(pilot, "3"), "and so does this one"


async def test_what_cannot_be_rendered_is_made_anew(root: Path, calm: RunDir) -> None:
    async with opened(root, run=calm) as pilot:
        await press(pilot, "3")
        strike(pilot, "r")
        assert "ZeroDivisionError: nothing to draw" in await until_told(pilot, "made anew")
        assert "whole" in await until(pilot, "made 2 times")


async def test_a_worker_that_breaks_is_told_and_nothing_is_replaced(root: Path, calm: RunDir) -> None:
    async with opened(root, run=calm) as pilot:
        await press(pilot, "3")
        strike(pilot, "w")
        assert "LookupError: the worker found nothing" in await until_told(pilot, "The run is not affected")
        assert "made 1 times" in await look(pilot)


async def test_a_screen_that_breaks_again_gives_way_to_the_list_of_runs(root: Path, calm: RunDir) -> None:
    async with opened(root, run=calm) as pilot:
        await press(pilot, "3")
        strike(pilot, "x")
        await until(pilot, "made 2 times")
        strike(pilot, "x")
        assert "calm" in await until(pilot, "[1 Runs]")
        await until_told(pilot, "It failed again; this is the list of runs.")
        text = await press(pilot, "3")
        assert "made 3 times" in text, "it may be tried again"
        assert "recalled" not in text, "not with what may have broken it"


async def test_a_screen_that_cannot_be_composed_is_tried_once_more(root: Path, calm: RunDir) -> None:
    async with opened(root, Hollow, run=calm) as pilot:
        strike(pilot, "3")
        assert "whole" in await until(pilot, "made 2 times")


async def test_a_screen_that_can_never_be_composed_leads_to_the_list_of_runs(root: Path, calm: RunDir) -> None:
    async with opened(root, Ruin, run=calm) as pilot:
        strike(pilot, "3")
        await until_told(pilot, "It failed again")
        assert "KeyError: 'no body'" in told(pilot)
        assert "calm" in await until(pilot, "[1 Runs]")
        assert "[5 Train]" in await press(pilot, "5")


async def test_what_lies_over_a_screen_is_closed_when_it_breaks(root: Path, calm: RunDir) -> None:
    class Cracked(ModalScreen[None]):
        def compose(self) -> ComposeResult:
            yield Glass()

    async with opened(root, run=calm) as pilot:
        await press(pilot, "3")
        pilot.app.push_screen(Cracked())
        await look(pilot)
        pilot.app.screen.query_one(Glass).focus()
        strike(pilot, "x")
        await until_told(pilot, "It was closed. The run is not affected")
        assert "made 1 times" in await look(pilot)


async def test_only_a_list_of_runs_that_breaks_twice_ends_the_app(root: Path, calm: RunDir, reports: Path) -> None:
    app = RlaifApp(root, calm, now=lambda: T0 + 60, places=(Place("runs", "1", "Runs", made(Ruin)), TRAIN))
    async with app.run_test(size=SIZES[1]) as pilot:
        assert "[5 Train]" in await look(pilot)
        strike(pilot, "1")
        await until(pilot, "True", lambda _: str(app._exit))
    assert app.return_code == 1
    why, farewell = str(app.return_value).splitlines()
    assert why.startswith(
        "The list of runs broke twice, so the app has ended (KeyError: 'no body'). No run is affected."
    )
    assert farewell == "calm stopped at step 12; rlaif-tui resume calm"
    report = Path(why.split("Report: ")[1])
    assert reports in report.parents
    assert "KeyError: 'no body'" in report.read_text()


def test_a_report_holds_no_key_and_no_values(tmp_path: Path) -> None:
    def with_a_secret() -> None:
        password = "hunter2-hunter2"
        raise ValueError(f"Authorization: Bearer {KEY} of {len(password)}")

    with pytest.raises(ValueError, match="Authorization") as caught:
        with_a_secret()
    path = Path(write_report(caught.value, tmp_path / "a" / "report.txt"))
    text = path.read_text()
    assert "with_a_secret" in text
    assert KEY not in text
    assert "= 'hunter2" not in text
    assert path.stat().st_mode & 0o077 == 0
    (tmp_path / "file").touch()
    assert write_report(caught.value, tmp_path / "file" / "report.txt") == "no file (File exists)"
