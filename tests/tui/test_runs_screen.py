from __future__ import annotations

import os
from pathlib import Path

import pytest
from shell_pilot import SIZES, both_sizes, look, press, told, until
from textual.app import App, ComposeResult
from tui_logs import T0, ending, life, make_run, ready, screen_text, started, write

from core.events import Advice
from core.run_dir import RunDir, RunLock
from rlaif_tui.app import RlaifApp
from rlaif_tui.widgets.run_list import COLUMNS, RunList, RunRow, widths
from rlaif_tui.widgets.spark import spark


def five_runs(root: Path) -> RunLock:
    """One run of each fate, made in this order; the list begins with the live one, then the newest."""
    make_run(root, "gone", life(7, "gone"))
    make_run(root, "broken", [*life(12, "broken"), *ending("crashed", 12, "out of memory")])
    live = make_run(root, "alive", life(20, "alive"))
    make_run(root, "halted", [*life(5, "halted"), *ending("stopped", 5)])
    make_run(root, "ready", [*life(40, "ready"), *ending("completed", 40)])
    for at, name in enumerate(("gone", "broken", "alive", "halted", "ready")):
        os.utime(root / name / "config.toml", (T0 + at, T0 + at))
    lock = RunLock(live)
    lock.acquire()
    return lock


def rows(text: str) -> list[str]:
    """Names in the list, from the top."""
    names = ("gone", "broken", "alive", "halted", "ready")
    cells = [line.split() for line in text.splitlines()[2:] if line[:1] not in "╭│╰"]
    return [parts[1] for parts in cells if len(parts) > 2 and parts[1] in names]


@both_sizes
async def test_every_fate_is_read_in_words_and_every_key_works(root: Path, size: tuple[int, int]) -> None:
    lock = five_runs(root)
    again: list[RunDir] = []
    app = RlaifApp(root, now=lambda: T0 + 70, restart=again.append)
    async with app.run_test(size=size) as pilot:
        text = await look(pilot)
        assert rows(text) == ["alive", "ready", "halted", "broken", "gone"], text
        lines = {line.split()[1]: " ".join(line.split()) for line in text.splitlines()[3:9] if len(line.split()) > 2}
        more = " $0.20 15:06 tiny rubric" if size == SIZES[0] else ""
        assert lines["alive"] == f"● alive running 20/40 4.19 → 5.73 ▁▃▄▅▆▇██ 2.00{more}"
        assert lines["ready"].startswith("✓ ready completed 40/40 4.10 → 5.90")
        assert lines["halted"].startswith("■ halted stopped 5/40")
        assert lines["broken"].startswith("✗ broken crashed @12 12/40")
        assert lines["gone"].startswith("✗ gone crashed @7 7/40")
        assert "5 runs, 1 live" in text
        assert "healthy: KL 2.00 nats" in text
        assert text.splitlines()[-1] == " enter Open  n New  / Filter  e Export  o Folder  l Log  ? Help  q Detach"

        text = await press(pilot, "j", "down", "j")
        assert "out of memory; r resumes it from checkpoint 10" in text
        keys = "R Rename  D Archive" + ("  e Export  o Folder  l Log" if size == SIZES[0] else "")
        assert text.splitlines()[-1] == f" enter Open  r Resume  n New  / Filter  {keys}  ? Help  q Detach"
        await press(pilot, "r")
        assert [run.name for run in again] == ["broken"]
        assert "without a last word" in await press(pilot, "G")
        assert "broken ─" in await press(pilot, "k")
        assert "halted ─" in await press(pilot, "up")
        assert "alive ─" in await press(pilot, "g")
        await press(pilot, "r")
        assert len(again) == 1, "a live run is not resumed"
        assert "Keys" in await press(pilot, "question_mark")
        assert "held-out judge score before and now" in " ".join(screen_text(app).replace("│", "").split())
        await press(pilot, "escape")
        assert "● running  20/40" in await press(pilot, "enter")
        assert "alive ─" in await press(pilot, "escape")
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == "alive goes on; rlaif-tui attach alive"
    lock.release()


async def test_no_run_yet_says_what_to_type(root: Path) -> None:
    app = RlaifApp(root / "not-there")
    async with app.run_test(size=SIZES[1]) as pilot:
        text = await look(pilot)
        assert "No runs yet.  n new run, d offline demo" in text
        assert text.splitlines()[-1] == " d Demo  n New  o Folder  l Log  ? Help  q Detach"
        text = await press(pilot, "enter", "r", "j", "G", "R", "D", "slash", "3", "1")
        assert text.splitlines()[-1] == " d Demo  n New  o Folder  l Log  ? Help  q Detach"
        make_run(root / "not-there", "first", life(3, "first"))
        make_run(root / "not-there", "second", life(3, "second"))
        before = await look(pilot)
        assert await press(pilot, "j") != before, "the keys go to the list once there is one"
        await pilot.press("q")
        await pilot.pause()
    assert app.return_value == ""


async def test_the_list_is_live(root: Path) -> None:
    run = make_run(root, "calm", [started(), ready()])
    lock = RunLock(run)
    lock.acquire()
    app = RlaifApp(root, now=lambda: T0 + 60)
    async with app.run_test(size=SIZES[0]) as pilot:
        assert "0/40" in await look(pilot)
        write(run, [*life(3)[3:], Advice(step=3, code="kl", message="raise the price of KL")])
        text = await look(pilot)
        assert "3/40" in text
        assert "raise the price of KL (step 3)" in text
        make_run(root, "newer", [started("newer")])
        assert "2 runs, 1 live" in await look(pilot)
        text = await press(pilot, "j")
        assert "newer ─" in text
        lock.release()
        text = await look(pilot)
        assert "2 runs, 0 live" in text
        assert "newer ─" in text, "the cursor stays with its run when the order changes"


async def test_more_runs_than_lines_scroll(root: Path) -> None:
    for number in range(40):
        make_run(root, f"run-{number:02d}", [started(f"run-{number:02d}")])
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=SIZES[1]) as pilot:
        text = await look(pilot)
        assert " run-39" in text
        assert " run-00" not in text
        text = await press(pilot, "G")
        assert " run-00" in text
        assert " run-39" not in text
        assert " run-39" in await press(pilot, "g")


@pytest.mark.parametrize("key", ["enter", "r"])
async def test_a_run_that_cannot_be_read_is_one_row(root: Path, key: str) -> None:
    make_run(root, "calm", life(3))
    bad = make_run(root, "bad", [])
    bad.events.unlink(missing_ok=True)
    bad.events.mkdir()
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        text = await press(pilot, "g" if "bad" in screen_text(app).splitlines()[4] else "G")
        assert "unreadable" in text
        assert "runs/bad cannot be read: Is a directory" in text
        assert "3/40" in text
        await press(pilot, key)
        assert told(pilot) == ""


async def test_below_60_by_16_it_says_so(root: Path) -> None:
    make_run(root, "calm", life(3))
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=(59, 15)) as pilot:
        text = " ".join((await look(pilot)).split())
        assert text == "60x16 needed, 59x15 now; 1 run, 0 live; rlaif-tui status works at any size"


async def test_the_cursor_waits_on_the_first_row_until_it_is_moved() -> None:
    def row(name: str) -> RunRow:
        return RunRow(name, ("",) * len(COLUMNS))

    class Alone(App[None]):
        def compose(self) -> ComposeResult:
            yield RunList(id="list")

    async with Alone().run_test() as pilot:
        shown = pilot.app.query_one(RunList)
        shown.show([row("newest"), row("live")])
        shown.show([row("live"), row("newest")])
        assert shown.chosen == "live"
        shown.action_move(1)
        shown.show([row("newest"), row("live")])
        assert shown.chosen == "newest"


async def test_filter_keeps_what_matches_and_esc_gives_all_back(root: Path) -> None:
    lock = five_runs(root)
    app = RlaifApp(root, now=lambda: T0 + 70)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        text = await press(pilot, "slash", *"crash")
        assert rows(text) == ["broken", "gone"]
        assert "5 runs, 1 live  2 of them match crash" in text
        assert text.splitlines()[-1] == " esc All"
        text = await press(pilot, "enter", "j")
        assert "gone ─" in text
        assert rows(text) == ["broken", "gone"]
        text = await press(pilot, "slash", *"x[bold]")
        assert "0 of 5 runs match x[bold]; esc shows all" in text
        assert rows(await press(pilot, "escape")) == ["alive", "ready", "halted", "broken", "gone"]
        assert rows(await press(pilot, "slash", *"TINY run", "enter")) == ["alive"]
    lock.release()


@both_sizes
async def test_rename_archive_and_delete_ask_first(root: Path, size: tuple[int, int]) -> None:
    lock = five_runs(root)
    app = RlaifApp(root, now=lambda: T0 + 70)
    async with app.run_test(size=size) as pilot:
        assert "rename alive" not in await press(pilot, "R"), "a live run keeps its name"
        assert "take alive" not in await press(pilot, "D"), "and its place"
        text = await press(pilot, "j", "R")
        assert "rename ready" in text
        assert "ready ─" in await press(pilot, "escape")
        assert (root / "ready").is_dir()
        await press(pilot, "R", "ctrl+u", *"alive", "enter")
        assert "'alive' exists already in this folder" in told(pilot)
        await press(pilot, "R", "ctrl+u", *"Bad/name", "enter")
        assert "'Bad/name': use 1 to 64 of a-z, 0-9 and '-'" in told(pilot)
        assert "best-1 ─" in await press(pilot, "R", "ctrl+u", *"best-1", "enter"), "the cursor goes with the run"
        assert not (root / "ready").exists()
        assert RunDir(root / "best-1").events.is_file()

        text = await press(pilot, "D")
        assert "take best-1 out of the list" in text
        assert "archive: it moves to .archive in this folder, nothing is lost" in text
        assert "best-1" in await press(pilot, "escape")
        assert "best-1" not in await press(pilot, "D", "a")
        assert RunDir(root / ".archive" / "best-1").events.is_file()
        assert "best-1 is in runs/.archive/best-1" in told(pilot)
        name = app.screen.chosen  # type: ignore[attr-defined]
        await press(pilot, "D", "x", "enter", "escape")
        assert (root / name).is_dir(), "only X deletes"
        assert name not in rows(await press(pilot, "D", "X"))
        assert [path.name for path in root.iterdir() if name in path.name] == []
    lock.release()


async def test_the_run_in_view_follows_its_name(root: Path) -> None:
    run = make_run(root, "calm", [*life(3), *ending("stopped", 3)])
    app = RlaifApp(root, run, now=lambda: T0)
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        await press(pilot, "1", "R", "ctrl+u", *"best", "enter")
        assert "best ■ stopped 3/40" in (await look(pilot)).splitlines()[0]
        await press(pilot, "D", "a")
        assert "best" not in (await look(pilot)).splitlines()[0]
        assert "0 runs, 0 live" in screen_text(app)


async def test_a_run_that_came_to_life_is_not_touched(root: Path) -> None:
    make_run(root, "calm", [*life(3), *ending("stopped", 3)])
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        await press(pilot, "D")
        lock = RunLock(RunDir(root / "calm"))
        lock.acquire()
        await press(pilot, "X")
        await until(pilot, lambda: "run 'calm' already has a live worker" in told(pilot))
        assert RunDir(root / "calm").events.is_file()
        lock.release()


async def test_another_folder_of_runs(root: Path, tmp_path: Path) -> None:
    make_run(root, "calm", life(3))
    (tmp_path / "more").mkdir()
    make_run(Path("more"), "other", life(4, "other"))
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=SIZES[1]) as pilot:
        assert " calm" in await look(pilot)
        text = await press(pilot, "o")
        assert "Show the runs in:" in text
        await press(pilot, "ctrl+u", *"nowhere", "enter")
        assert "nowhere: no such folder" in told(pilot)
        text = await press(pilot, "o", "ctrl+u", *"more", "enter")
        assert "1 run, 0 live  disk 41 GiB free  judge today $0.04" in text
        assert text.splitlines()[1].endswith(" in more")
        assert " calm" not in text
        assert "4/40" in await press(pilot, "enter")


async def test_a_folder_that_cannot_be_read_is_told_and_what_was_shown_stays(root: Path) -> None:
    make_run(root, "calm", life(3))
    app = RlaifApp(root, now=lambda: T0)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        root.rename("aside")
        root.symlink_to("runs")
        assert "✗ cannot read runs" in await look(pilot)
        assert "3/40" in screen_text(app)
        root.unlink()
        Path("aside").rename(root)
        assert "1 run, 0 live" in await look(pilot)


def test_columns_take_what_is_there_and_never_more() -> None:
    for width in range(1, 220):
        assert sum(widths(width)) + max(0, len(widths(width)) - 1) <= max(width, 0)
    assert len(widths(78)) == 7
    assert len(widths(118)) == len(COLUMNS)


def test_a_spark_shows_the_course_by_means_of_parts() -> None:
    assert spark([1, 2, 3, 4, 5, 6, 7, 8], 8) == "▁▂▃▄▅▆▇█"
    assert spark([0, 0, 7, 7], 2) == "▁█"
    assert spark([0, None, None, 7], 4) == "▁  █"
    assert spark([3, 3, 3], 8) == "▄▄▄"
    assert spark([None, 5], 8) == ""
    assert spark([0, 7], 8, ascii_only=True) == "_@"
