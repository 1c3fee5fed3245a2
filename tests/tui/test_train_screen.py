from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot
from tui_logs import T0, ending, life, make_run, ready, screen_text, started, write

from core.commands import Command, name_of
from core.errors import RunDirError
from core.events import (
    Advice,
    CommandApplied,
    CommandRejected,
    Heartbeat,
    Paused,
    PhaseStarted,
    Resumed,
)
from core.journal import CommandReader
from core.run_dir import RunDir, RunLock
from rlaif_tui.app import RlaifApp

SIZES = [(120, 36), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


@pytest.fixture
def live(root: Path) -> Iterator[RunDir]:
    """A run of 40 steps with 12 done, whose worker lives."""
    run = make_run(root, "calm", [*life(12), PhaseStarted(step=13, phase="judge", total=32)])
    lock = RunLock(run)
    lock.acquire()
    yield run
    lock.release()


@asynccontextmanager
async def opened(run: RunDir, size: tuple[int, int], now: float = T0 + 60, **more: object) -> AsyncIterator[Pilot[str]]:
    app = RlaifApp(run.path.parent, run, now=lambda: now, **more)  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        yield pilot


async def look(pilot: Pilot[str]) -> str:
    """Let the app read the run, and read the screen."""
    await pilot.app.poll_once()  # type: ignore[attr-defined]
    await pilot.pause()
    await pilot.pause()
    return screen_text(pilot.app)


async def press(pilot: Pilot[str], *keys: str) -> str:
    await pilot.press(*keys)
    return await look(pilot)


def told(pilot: Pilot[str]) -> str:
    """What the messages in the corner say."""
    return "\n".join(message.message for message in pilot.app._notifications)


def asked(run: RunDir) -> list[Command]:
    return [line.command for line in CommandReader(run.commands).read() if not isinstance(line.command, Exception)]


@both_sizes
async def test_a_live_run_is_read_at_one_look(live: RunDir, size: tuple[int, int]) -> None:
    async with opened(live, size) as pilot:
        text = screen_text(pilot.app)
        assert "● running  12/40" in text
        assert "30%" in text
        assert "judge 0/32" in text
        assert "healthy: KL 1.20 nats at price 0.05, entropy 2.10, clip fraction 0.08" in text
        for title in ("judge score 5.40 of 10", "KL 1.20 nats/response", "policy loss -0.0100", "value loss 0.1785"):
            assert title in text
        assert "sample 1/3   step 12   score 8.0   KL 1.50   40 tokens   cut at the limit" in text
        assert "P  Why is the sky blue?" in text
        assert "J  reason 0" in text
        assert text.splitlines()[-1] == " space Pause  s Save  [ ] Sample  z Zoom  l Log  esc Runs  ? Help  q Detach"


async def test_time_left_comes_from_the_events(live: RunDir) -> None:
    # Three events a step, one second apart: 3 s a step, and 28 steps are left: 84 s from 12:00 steps on.
    async with opened(live, SIZES[1], now=T0 + 59) as pilot:
        assert "3.0 s/step  ETA 1 min 24 s (15:08)" in screen_text(pilot.app)


@both_sizes
async def test_space_pauses_and_goes_on_and_s_saves(live: RunDir, size: tuple[int, int]) -> None:
    async with opened(live, size) as pilot:
        text = await press(pilot, "space")
        (pause,) = asked(live)
        assert name_of(pause) == "pause"
        assert f"● pausing… asked by {pause.by}" in text
        write(
            live, [CommandApplied(command_id=pause.id, name="pause", step=12), Paused(step=12, reason="asked by ana")]
        )
        text = await look(pilot)
        assert "‖ paused  12/40" in text
        assert "paused: asked by ana; space goes on" in text
        assert " space Go on " in text
        text = await press(pilot, "space")
        assert [name_of(command) for command in asked(live)] == ["pause", "resume"]
        assert "resuming… asked by" in text
        write(live, [CommandApplied(command_id=asked(live)[1].id, name="resume", step=12), Resumed(step=12)])
        assert "● running  12/40" in await look(pilot)
        assert "saving a checkpoint… asked by" in await press(pilot, "s")
        command = asked(live)[2]
        assert name_of(command) == "checkpoint"
        write(live, [CommandRejected(command_id=command.id, reason="the disk is full", name="checkpoint")])
        text = await look(pilot)
        assert "saving a checkpoint" not in text
        assert "! checkpoint refused: the disk is full" in text


@both_sizes
async def test_keys_for_reading(live: RunDir, size: tuple[int, int]) -> None:
    live.log.write_text("a warning of a library\n")
    async with opened(live, size) as pilot:
        assert "sample 2/3   step 12   score 6.0" in await press(pilot, "right_square_bracket")
        text = await press(pilot, "left_square_bracket", "left_square_bracket")
        assert "sample 3/3" in text
        assert "R  32" in text
        text = await press(pilot, "right_square_bracket", "z")
        assert "sample 1/3" in text
        assert "policy loss" not in text
        assert " ".join(text.replace("│", " ").split()).count("Air bends blue light") == 4
        write(live, life(13)[-3:])
        assert "step 12   score" in await look(pilot), "a new step does not take away what is being read"
        text = await press(pilot, "escape")
        assert "policy loss" in text
        assert "step 13   score" in text
        text = await press(pilot, "l")
        assert "log: calm" in text
        assert "15:07:14   checkpoint 10 saved, 3.0 MB in 0.4 s" in text
        assert "a warning of a library" in text
        write(live, [Advice(step=12, code="kl", message="raise the price of KL")], at=T0 + 60)
        assert "15:07:41 ! raise the price of KL" in await look(pilot)
        assert "log: calm" not in await press(pilot, "escape")


async def test_help_names_every_key_and_figure(live: RunDir) -> None:
    async with opened(live, SIZES[1]) as pilot:
        text = await press(pilot, "question_mark")
        for key, words in {
            "space": "wait after this step",
            "s": "save a checkpoint",
            "[": "the sample before",
            "]": "the next sample",
            "z": "samples over the whole screen",
            "l": "what happened",
            "esc": "the list of runs",
            "q": "leave; the run goes on",
        }.items():
            assert f"  {key:<15}{words}" in text
        text += await press(pilot, "G")
        for figure in ("judge score", "KL", "policy loss", "value loss", "entropy", "clip fraction", "chart letters"):
            assert f"  {figure:<15}" in text
        assert "C checkpoint" in text
        assert "help: Train" not in await press(pilot, "q"), "q closes the help, not the app"


@both_sizes
async def test_esc_goes_to_the_list_enter_comes_back_and_q_leaves(live: RunDir, size: tuple[int, int]) -> None:
    make_run(live.path.parent, "other", [*life(2, "other"), *ending("completed", 2)])
    async with opened(live, size) as pilot:
        text = await press(pilot, "escape")
        assert "2 runs, 1 live" in text
        assert "╭─ calm ─" in text
        assert "● running  12/40" in await press(pilot, "enter")
        await pilot.press("q")
        await pilot.pause()
    assert pilot.app.return_value == "calm goes on; rlaif-tui attach calm"
    assert asked(live) == []


async def test_ctrl_c_only_tells_how_to_leave_and_ctrl_q_leaves(live: RunDir) -> None:
    async with opened(live, SIZES[1]) as pilot:
        await press(pilot, "ctrl+c")
        assert told(pilot) == "q detaches; the run goes on. space pauses it."
        assert pilot.app.is_running
        await pilot.press("ctrl+q")
        await pilot.pause()
    assert pilot.app.return_value == "calm goes on; rlaif-tui attach calm"
    assert asked(live) == []


@both_sizes
async def test_a_crashed_run_says_why_and_r_resumes_it(root: Path, size: tuple[int, int]) -> None:
    run = make_run(root, "calm", [*life(12), *ending("crashed", 12, "out of memory in the update")])
    again: list[RunDir] = []
    async with opened(run, size, restart=again.append) as pilot:
        text = screen_text(pilot.app)
        assert "✗ crashed @12  12/40" in text
        assert "✗ out of memory in the update; r resumes it from checkpoint 10" in " ".join(text.split())
        assert text.splitlines()[-1].startswith(" r Resume  [ ] Sample")
        assert "ETA" not in text
        await press(pilot, "space", "s")
        assert asked(run) == [], "nobody is there to answer"
        await press(pilot, "r")
        assert told(pilot) == "resuming calm…"
        assert [r.path for r in again] == [run.path]
        lock = RunLock(run)
        lock.acquire()
        write(run, [started(resumed_from=10), ready()], at=T0 + 50)
        text = await look(pilot)
        assert "● running  10/40" in text
        assert "KL 1.00 nats/response" in text, "figures of the lost steps are gone"
        lock.release()


async def test_a_resume_that_fails_is_told(root: Path) -> None:
    run = make_run(root, "calm", [*life(3), *ending("stopped", 3)])

    def refuse(_: RunDir) -> None:
        raise RunDirError("calm already has a live worker: pid 7")

    async with opened(run, SIZES[0], restart=refuse) as pilot:
        assert "■ stopped  3/40" in screen_text(pilot.app)
        await press(pilot, "r")
        assert "calm already has a live worker: pid 7" in told(pilot)


async def test_a_command_that_cannot_be_sent_is_told(live: RunDir) -> None:
    live.commands.mkdir()
    async with opened(live, SIZES[0]) as pilot:
        await press(pilot, "space")
        assert "cannot write to runs/calm/commands.jsonl: Is a directory" in told(pilot)


async def test_a_dead_worker_without_a_last_word_is_told(root: Path) -> None:
    run = make_run(root, "calm", [*life(2), Heartbeat(step=3, phase="generate", done=4, total=32)])
    run.log.write_text("Killed\n")
    async with opened(run, SIZES[1]) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert "the worker is gone without a last word, in phase generate of step 3; worker.log ends: Killed" in text
        assert "r starts it again (no checkpoint yet)" in text


async def test_a_silent_worker_is_lost_and_the_time_left_unknown(live: RunDir) -> None:
    async with opened(live, SIZES[0], now=T0 + 41 + 90) as pilot:
        text = screen_text(pilot.app)
        assert "? lost  12/40" in text
        assert "ETA —" in text
        assert "✗ no sign for 1 min 30 s, last: judge 0/32; it may come back by itself" in text


async def test_loading_is_told_in_words(root: Path) -> None:
    run = make_run(root, "calm", [started()])
    lock = RunLock(run)
    lock.acquire()
    async with opened(run, SIZES[1]) as pilot:
        text = screen_text(pilot.app)
        assert "◌ starting  0/40" in text
        assert "loading the model…" in text
        assert "No samples yet: they appear after the first step." in text
        assert "judge score —" in text
        write(run, [ready(), Heartbeat(step=0, phase="validate", done=12, total=64)])
        assert "validating 12/64" in await look(pilot)
    lock.release()


async def test_an_empty_log_is_a_run_that_starts(root: Path) -> None:
    run = make_run(root, "calm", [])
    lock = RunLock(run)
    lock.acquire()
    async with opened(run, SIZES[0]) as pilot:
        assert "◌ starting  loading the model…" in screen_text(pilot.app)
    lock.release()


async def test_a_completed_run_says_what_it_reached(root: Path) -> None:
    run = make_run(root, "calm", [*life(40), *ending("completed", 40)])
    async with opened(run, SIZES[1]) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert "✓ completed 40/40" in text
        assert "held-out score 4.10 → 5.90 (+1.80, 95 % CI +1.50 to +2.10, n 64)" in text
        await pilot.press("q")
        await pilot.pause()
    assert str(pilot.app.return_value).startswith("calm completed 40 steps in 1 min 20 s; held-out score 4.10 → 5.90")


async def test_below_60_by_16_it_says_so(live: RunDir) -> None:
    async with opened(live, (59, 15)) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert text == "60x16 needed, 59x15 now; ● running 30%; rlaif-tui status works at any size"
        await pilot.resize_terminal(60, 16)
        text = await look(pilot)
        assert "● running  12/40" in text
        assert "judge score 5.40" in text
        await pilot.press("q")
        await pilot.pause()
    assert pilot.app.return_value == "calm goes on; rlaif-tui attach calm"


async def test_ascii_mode_draws_no_braille_and_no_boxes_in_charts(live: RunDir) -> None:
    async with opened(live, SIZES[0], ascii_only=True) as pilot:
        text = screen_text(pilot.app)
        assert "* running  12/40 ########...." in text
        assert not [c for c in text if "\u2800" <= c <= "\u28ff"]
        assert "+- judge score 5.40 of 10" in text


async def test_what_goes_wrong_in_a_view_leaves_the_app_open(live: RunDir) -> None:
    async with opened(live, SIZES[0]) as pilot:
        await pilot.app.screen.query_one("#charts").remove()
        write(live, life(13)[-3:])
        await look(pilot)
        assert "This view could not be drawn (NoMatches" in told(pilot)
        assert pilot.app.is_running


async def test_a_run_that_becomes_unreadable_keeps_its_last_picture_and_recovers(live: RunDir) -> None:
    async with opened(live, SIZES[0]) as pilot:
        live.events.rename(live.path / "aside")
        live.events.mkdir()
        text = await look(pilot)
        assert "✗ runs/calm cannot be read: Is a directory" in text
        assert "judge score 5.40 of 10" in text
        live.events.rmdir()
        (live.path / "aside").rename(live.events)
        assert "healthy: KL 1.20 nats" in await look(pilot)


async def test_q_does_not_wait_for_a_worker_that_is_slow_to_start(root: Path) -> None:
    run = make_run(root, "calm", [*life(3), *ending("stopped", 3)])
    begun, release = threading.Event(), threading.Event()

    def slow(_: RunDir) -> None:
        begun.set()
        release.wait(60)

    async with opened(run, SIZES[0], restart=slow) as pilot:
        await press(pilot, "r")
        assert begun.wait(10)
        await press(pilot, "r")
        assert told(pilot) == "resuming calm…", "one start at a time"
        await pilot.press("q")
        await pilot.pause()
        assert not pilot.app.is_running
    assert "calm stopped at step 3" in str(pilot.app.return_value)
    release.set()
