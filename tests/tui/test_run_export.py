"""What the list of runs says of its surroundings, and what is taken out of a run by key, on Runs and on Train."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from shell_pilot import SIZES, both_sizes, look, press, told
from textual.pilot import Pilot
from tui_logs import T0, ending, life, make_run

from core.gpu import GpuFigures
from rlaif_tui.app import RlaifApp
from rlaif_tui.desks.runs import RunsDesk, Surroundings
from rlaif_tui.feed import RunFeed
from rlaif_tui.screens.run_export import default_path
from rlaif_tui.screens.run_line import folder, line_fields, spent_since, spent_today

CARDS = (GpuFigures(index=0, name="NVIDIA H200", memory_used_mb=61 * 1024, memory_total_mb=139 * 1024),)


async def until(pilot: Pilot[Any], text: str) -> str:
    """Wait until this is told in the corner."""
    for _ in range(200):
        await look(pilot)
        if text in told(pilot):
            break
    assert text in told(pilot)
    return told(pilot)


def test_judging_is_counted_from_midnight_on(root: Path) -> None:
    run = make_run(root, "calm", [*life(10), *ending("stopped", 10)])  # $0.01 a step, the ending says $0.40
    state = RunFeed(run).poll()
    steps = list(state.steps)
    assert spent_since(state, T0) == pytest.approx(0.4)
    assert spent_since(state, steps[4].time) == pytest.approx(0.4 - 0.04), "the fifth step is of the new day"
    assert spent_since(state, state.last_time + 1) == 0.0
    assert spent_today([state, "cannot be read"], T0 + 60) == "$0.40"  # T0 is 15:06 UTC
    assert spent_today([state], T0 + 86_400) == "$0.00"
    assert spent_today([state, None], T0) == "—", "not every run has been read"


def test_fields_that_are_not_known_are_left_out_and_little_room_is_a_warning() -> None:
    def texts(around: Surroundings) -> list[str]:
        return [field.text for field in line_fields("2 runs, 1 live", "", around, [], T0) if field.text]

    assert texts(Surroundings()) == ["2 runs, 1 live", "judge today $0.00"]
    assert texts(Surroundings(41.3, CARDS)) == [
        "2 runs, 1 live", "disk 41 GiB free", "judge today $0.00", "GPU0 H200 61/139 GiB",
    ]  # fmt: skip
    fields = line_fields("", "", Surroundings(0.5), [], T0)
    assert [(field.text, field.style) for field in fields if "disk" in field.text] == [
        ("disk 0.5 GiB free", "$text-warning")
    ]


def test_the_users_own_folder_is_a_tilde(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert folder(tmp_path / "data" / "runs").text == "in ~/data/runs"
    assert folder(tmp_path).text == f"in {tmp_path}"
    assert folder(Path("/elsewhere/runs")).text == "in /elsewhere/runs"


async def test_the_line_above_the_list_tells_disk_gpu_and_todays_judging(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RunsDesk, "_look_around", lambda self, folder: Surroundings(1.25, CARDS))
    make_run(root, "calm", [*life(4), *ending("stopped", 4)])
    app = RlaifApp(root, now=lambda: T0 + 70)
    async with app.run_test(size=SIZES[0]) as pilot:
        line = (await look(pilot)).splitlines()[1]
        assert "1 run, 0 live  disk 1.2 GiB free  judge today $0.40  GPU0 H200 61/139 GiB" in line
        assert line.endswith(" in runs")


def test_disk_space_is_that_of_the_folder_or_of_where_it_will_be(tmp_path: Path) -> None:
    from rlaif_tui.desks.runs import _free_gib

    there, later = _free_gib(tmp_path), _free_gib(tmp_path / "not" / "yet")
    assert there is not None
    assert later == pytest.approx(there, rel=0.5)


@both_sizes
async def test_e_on_runs_writes_metrics_where_the_person_says(root: Path, size: tuple[int, int]) -> None:
    run = make_run(root, "calm", life(4))
    app = RlaifApp(root, now=lambda: T0 + 70)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        text = await press(pilot, "e")
        assert "export calm" in text
        assert "h    report" in text
        assert "m    metrics" in text
        assert "r    responses" in text
        assert "export calm" not in await press(pilot, "escape"), "esc leaves it"
        text = await press(pilot, "e", "m")
        assert "metrics-20250615-150750.csv" in text, "T0 + 70 s"
        await press(pilot, "enter")
        message = await until(pilot, "4 steps in")
        written = default_path(run, "metrics", T0 + 70)
        assert str(written) in message
        assert len(written.read_text().splitlines()) == 5
        await press(pilot, "e", "m", "enter")
        assert "exists already; give another name" in await until(pilot, "exists already")
        assert list(run.exports.iterdir()) == [written]


async def test_what_cannot_be_written_is_said_in_a_sentence(root: Path, tmp_path: Path) -> None:
    run = make_run(root, "calm", life(4))
    app = RlaifApp(root, now=lambda: T0 + 70)
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        await press(pilot, "e", "r", "enter")
        assert "calm has recorded no rollout yet" in await until(pilot, "no rollout yet")
        await press(pilot, "e", "m", "ctrl+u", *"runs", "enter")
        assert "runs is a folder" in await until(pilot, "is a folder")
        await press(pilot, "e", "m", "ctrl+u", *"no/such/file.csv", "enter")
        await until(pilot, "cannot be written")
        assert list(run.exports.iterdir()) == []
        assert list(tmp_path.glob("*.csv")) == []


async def test_e_on_train_writes_the_report_of_the_run_in_view(root: Path) -> None:
    run = make_run(root, "calm", [*life(4), *ending("stopped", 4)])
    app = RlaifApp(root, run, now=lambda: T0 + 70)
    async with app.run_test(size=SIZES[0]) as pilot:
        assert "judge score" in await look(pilot)
        text = await press(pilot, "e", "h")
        assert "report-20250615-150750.html" in text
        await press(pilot, "enter")
        deadline = time.monotonic() + 60
        while "open it in a browser" not in told(pilot) and time.monotonic() < deadline:
            await look(pilot)
        assert "open it in a browser" in told(pilot)
        assert "<html" in default_path(run, "report", T0 + 70).read_text()
