from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from samples_runs import judged, rollout, sampled_run, verdict
from train_host import TrainHost, asked, look, opened, press, told
from train_runs import asking, eventful, plain
from tui_logs import T0, ending, life, make_run, metrics, ready, sample, screen_text, started, write

from core.commands import ReplaceJudge, Set, name_of
from core.events import (
    CommandApplied,
    CommandRejected,
    Heartbeat,
    Paused,
    PhaseStarted,
    Resumed,
    SamplesShown,
    StepCompleted,
)
from core.journal import send
from core.run_dir import RunDir, RunLock
from rlaif_tui.pins import Pin, load, pins_file, toggle
from rlaif_tui.screens.train import TrainScreen
from rlaif_tui.screens.tune import LIMITS, check_setting

SIZES = [(120, 36), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


def locked(run: RunDir) -> Iterator[RunDir]:
    lock = RunLock(run)
    lock.acquire()
    yield run
    lock.release()


@pytest.fixture
def live(root: Path) -> Iterator[RunDir]:
    """A run of 40 steps with 12 done, whose worker lives."""
    run = plain(root)
    write(run, [PhaseStarted(step=13, phase="judge", total=32)], at=T0 + 43)
    yield from locked(run)


@pytest.fixture
def full(root: Path) -> Iterator[RunDir]:
    """A run in which everything happens, whose worker lives."""
    yield from locked(eventful(root))


@both_sizes
async def test_a_live_run_is_read_at_one_look(live: RunDir, size: tuple[int, int]) -> None:
    async with opened(live, size) as pilot:
        text = screen_text(pilot.app)
        assert "● running  12/40" in text
        assert "30%" in text
        assert "judge 0/32" in text
        assert ("charts 1/3" in text) == (size == SIZES[0])
        assert "healthy: KL 1.20 nats at price 0.05, entropy 2.10, clip fraction 0.08" in text
        for title in ("judge score 5.40 of 10", "KL 1.20 nats/response", "policy loss -0.0100", "value loss 0.1785"):
            assert title in text
        assert "sample 1/3   step 12   score 8.0   KL 1.50   40 tokens   cut at the limit" in text
        assert "P  Why is the sky blue?" in text
        assert "J  reason 0" in text
        last = text.splitlines()[-1]
        assert last.startswith(" space Pause  x Stop…  s Save  t Tune…  c Charts")


async def test_the_status_line_tells_pace_time_cost_and_memory(full: RunDir) -> None:
    async with opened(full, (150, 36)) as pilot:
        line = screen_text(pilot.app).splitlines()[1]
        assert "judge 20/32" in line
        assert "$1.12 of $5" in line
        assert "812 tok/s" in line
        text = screen_text(pilot.app)
        assert "on box" in text, "a run on another computer: only what its worker tells is known"
        assert "rss 812 MiB" in text
        assert "gpu 31.0 GiB" in text


async def test_time_left_comes_from_the_events(live: RunDir) -> None:
    # Three events a step, one second apart: 3 s a step, and 28 steps are left: 84 s from 12:00 steps on.
    async with opened(live, SIZES[1], now=T0 + 59) as pilot:
        assert "judge 0/32  ETA 1 min 24 s (15:08)  $0.12  3.0 s/step" in screen_text(pilot.app)
    async with opened(live, SIZES[0], now=T0 + 59) as pilot:
        assert "judge 0/32  3.0 s/step  ETA 1 min 24 s (15:08)  $0.12" in screen_text(pilot.app)


async def test_uneven_steps_give_a_range_and_money_may_end_first(root: Path) -> None:
    run = make_run(root, "calm", [started(), ready()])
    for number, at in enumerate((10, 20, 40, 50, 70), start=1):
        figures = metrics(kl_seq=0.1)
        write(run, [StepCompleted(step=number, metrics=figures, cost_total_usd=0.1 * number)], at=T0 + at)
    lock = RunLock(run)
    lock.acquire()
    # Steps took 9, 10, 20, 10 and 20 s: the middle half lies between 9.5 and 20, and 35 steps are left.
    async with opened(run, SIZES[0], now=T0 + 72) as pilot:
        text = screen_text(pilot.app)
        assert "ETA 6 min 05 s to 11 min 40 s" in text or "ETA 5 min 32 s to 12 min" in text, text.splitlines()[1]
        # A dime a step: a cap of 1 dollar leaves 5 steps of 10 s.
        write(run, [CommandApplied(command_id="x", name="set", step=6, detail="judge_cap_usd = 1.0")], at=T0 + 72)
        text = await look(pilot)
        assert "cap in ~50 s" in text
        assert "$0.50 of $1" in text
    lock.release()


@both_sizes
async def test_space_pauses_and_goes_on_and_s_saves(live: RunDir, size: tuple[int, int]) -> None:
    async with opened(live, size) as pilot:
        text = await press(pilot, "space")
        (pause,) = asked(live)
        assert name_of(pause) == "pause"
        assert "● pausing… asked by you" in text
        app = pilot.app
        assert isinstance(app, TrainHost)
        app.moment = pause.time + 8
        assert "asked by you, 0:08" in await look(pilot)
        app.moment = T0 + 60
        write(
            live, [CommandApplied(command_id=pause.id, name="pause", step=12), Paused(step=12, reason="asked by ana")]
        )
        text = await look(pilot)
        assert "‖ paused  12/40" in text
        assert "paused: asked by ana; space goes on" in text
        assert " space Go on " in text
        text = await press(pilot, "space")
        assert [name_of(command) for command in asked(live)] == ["pause", "resume"]
        assert "resuming… asked by you" in text
        write(live, [CommandApplied(command_id=asked(live)[1].id, name="resume", step=12), Resumed(step=12)])
        assert "● running  12/40" in await look(pilot)
        assert "saving a checkpoint… asked by you" in await press(pilot, "s")
        command = asked(live)[2]
        assert name_of(command) == "checkpoint"
        write(live, [CommandRejected(command_id=command.id, reason="the disk is full", name="checkpoint")])
        text = await look(pilot)
        assert "saving a checkpoint" not in text
        assert "! checkpoint refused: the disk is full" in text


async def test_what_another_asks_bears_their_name(live: RunDir) -> None:
    async with opened(live, SIZES[0]) as pilot:
        send(live, Set(name="kl_coef", value=0.2, by="bob@pts/9\x1b]0;x"))
        assert "setting kl_coef to 0.2… asked by bob@pts/9␛]0;x" in await look(pilot)


@both_sizes
async def test_t_sets_what_can_be_changed(full: RunDir, size: tuple[int, int]) -> None:
    async with opened(full, size) as pilot:
        text = await press(pilot, "t")
        for row in (
            "KL price       0.05",
            "learning rate  1e-05",
            "critic's rate  5e-05",
            "judge cap, $   5",
        ):
            assert row in text
        text = await press(pilot, "x", "tab", *"7", "tab", *"1e-4", "tab", *"20")
        assert "✗ not a number (0.1, 1e-5)" in text
        assert "✗ must be from 0 to 1" in text
        text = await press(pilot, "enter")
        assert "tune calm" in text, "what is wrong is mended first"
        assert pilot.app.screen.focused is not None
        assert pilot.app.screen.focused.id == "kl_coef"
        text = await press(pilot, "backspace", *"0.1", "tab", "backspace", *"1e-6", "enter")
        assert pilot.app.screen.focused is None or pilot.app.screen.focused.id != "kl_coef"
        wishes = [(c.name, c.value) for c in asked(full) if isinstance(c, Set)]
        assert wishes == [
            ("kl_coef", 0.1), ("learning_rate", 1e-6), ("critic_learning_rate", 1e-4), ("judge_cap_usd", 20.0),
        ]  # fmt: skip
        assert "setting kl_coef to 0.1… asked by you (+3)" in text
        done = [CommandApplied(command_id=c.id, name="set", step=29, detail=f"{c.name} = {c.value!r}")
                for c in asked(full) if isinstance(c, Set)]  # fmt: skip
        write(full, done, at=T0 + 70)
        assert "of $20" in await look(pilot)
        text = await press(pilot, "t")
        assert "KL price       0.1 " in text
        assert "judge cap, $   20" in text
        await press(pilot, "escape")
        assert len(asked(full)) == 4


def test_settings_are_checked_beside_their_field() -> None:
    from core.trainer import LIVE_LIMITS

    assert dict(LIMITS) == LIVE_LIMITS
    assert check_setting("kl_coef", " ", 0.1) == (None, "")
    assert check_setting("kl_coef", "0.2", 0.1) == (0.2, "")
    assert check_setting("kl_coef", "0.1", 0.1) == (0.1, "as it is now")
    assert check_setting("learning_rate", "1e-4", 1e-6) == (1e-4, "100 times the present one")
    assert check_setting("judge_cap_usd", "$5", None) == (5.0, "")
    assert check_setting("judge_cap_usd", "0", 5.0) == (0.0, "")
    for text in ("nan", "inf", "-1", "101", "1,5", "0x1", "١٢x"):
        value, words = check_setting("kl_coef", text, 0.1)
        assert value is None, text
        assert words


@both_sizes
async def test_x_stops_only_after_a_question(live: RunDir, size: tuple[int, int]) -> None:
    async with opened(live, size) as pilot:
        text = await press(pilot, "x")
        assert "stop calm?" in text
        assert "x    save and stop" in text
        await press(pilot, "escape")
        assert asked(live) == []
        await press(pilot, "x", "enter", "q")
        assert asked(live) == [], "only the key that is named stops it"
        text = await press(pilot, "x", "x")
        assert [name_of(command) for command in asked(live)] == ["stop"]
        assert "● stopping… asked by you" in text


async def test_J_asks_for_another_judge(live: RunDir, tmp_path: Path) -> None:
    async with opened(live, SIZES[1]) as pilot:
        assert "another judge for calm" in await press(pilot, "J")
        await press(pilot, *"none.toml", "enter")
        assert "none.toml: no such file" in told(pilot)
        text = await press(pilot, "J", *"rubric", "enter")
        (command,) = asked(live)
        assert isinstance(command, ReplaceJudge)
        assert (live.judges / f"{command.version}.toml").is_file()
        assert "replacing the judge… asked by you" in text
        await press(pilot, "J", "escape")
        assert len(asked(live)) == 1


@both_sizes
async def test_c_turns_the_pages_of_charts(full: RunDir, size: tuple[int, int]) -> None:
    async with opened(full, size) as pilot:
        pages = [screen_text(pilot.app)]
        for _ in range(3):
            pages.append(await press(pilot, "c"))
        for page, titles in zip(pages, (
            ("judge score 6.80 of 10", "KL 5.60 nats/response", "policy loss -0.0080", "value loss 0.0286"),
            ("entropy 2.10 nats", "response length 68 tokens", "clip fraction 0.080", "explained variance 0.40"),
            ("judge latency p50 0.80 s", "judge cost $1.12", "tokens/s 812", "failed judgements 1"),
            ("judge above referee +0.40", "known bad answers 1.50 of 10", "score spread 1.00", "gradient norm 0.50"),
        ), strict=True):  # fmt: skip
            for title in titles:
                assert title in page
        assert await press(pilot, "c") == pages[0]
        if size == SIZES[0]:
            for page, note in zip(pages, (
                "target 6, price 0.05", "10% cut at 64  p95 60", "cap $5", "0 of 28 fooled it",
            ), strict=True):  # fmt: skip
                assert note in page
            assert "not comparable before 20" in pages[0]
            assert "p95 1.90 s" in pages[2]
            assert "from cache 3" in pages[2]
            assert "┄" in pages[0].splitlines()[4], "the target lies above what was reached, and is drawn"


async def test_held_out_and_referee_scores_are_points(full: RunDir) -> None:
    async with opened(full, SIZES[0]) as pilot:
        text = screen_text(pilot.app)
        assert text.count("◆") == 3
        assert text.count("○") == 7


@both_sizes
async def test_arrows_read_a_step_and_what_happened_there(full: RunDir, size: tuple[int, int]) -> None:
    async with opened(full, size) as pilot:
        text = await press(pilot, "left")
        assert "▸ step 28 of 40: nothing was changed" in text
        text = await press(pilot, *["left"] * 8)
        assert "judge score 6.00 of 10  at 20" in text
        assert "KL 4.00 nats/response  at 20" in text
        words = " ".join(text.split())
        assert "step 20 of 40: judge strict (0123456789ab), same responses -0.4, by bob@pts/4; checkpoint" not in words
        assert "judge strict (0123456789ab), same responses -0.4, by bob@pts/4; held-out score 5.90" in words
        assert "┊" in text
        assert "step 15 of 40: paused: asked by ana@pts/3; went on" in await press(pilot, "less_than_sign")
        text = await press(pilot, "less_than_sign")
        assert "step 13 of 40: kl_coef = 0.1, by ana@pts/3" in text
        assert "step 15 of 40" in await press(pilot, "greater_than_sign")
        assert "step 16 of 40" in await press(pilot, "right")
        text = await press(pilot, *["left"] * 9)
        assert "value loss —" in text, "what was not known at step 7 is not invented"
        text = await press(pilot, "escape")
        assert "▸" not in text
        assert "┊" not in text


async def test_marks_stand_under_their_steps(full: RunDir) -> None:
    async with opened(full, SIZES[0]) as pilot:
        edge = next(line for line in screen_text(pilot.app).splitlines() if line.startswith("╰──────"))
        assert [letter for letter in edge[:58] if letter in "CPRβηJ$!"] == ["β", "R", "J"]


@both_sizes
async def test_L_plus_and_minus_change_how_lines_are_drawn(full: RunDir, size: tuple[int, int]) -> None:
    async with opened(full, size) as pilot:
        before = screen_text(pilot.app)
        text = await press(pilot, "L")
        assert "value loss 0.0286  log" in text
        assert "0.1 " in text
        assert ("policy loss -0.0080  log, 28 not above 0" in text) == (size == SIZES[0])
        assert await press(pilot, "L") == before
        text = await press(pilot, "plus", "equals_sign")
        assert "value loss 0.0286  EMA 0.8" in text
        assert "EMA 0.5" in await press(pilot, "minus")
        assert await press(pilot, "minus", "minus") == before


@both_sizes
async def test_z_fills_the_screen_with_a_chart_and_tab_goes_on(full: RunDir, size: tuple[int, int]) -> None:
    async with opened(full, size) as pilot:
        before = screen_text(pilot.app)
        text = await press(pilot, "tab", "z")
        assert "judge score 6.80 of 10  not comparable before 20" in text
        # 6.8 points less 5 points a unit of reward, of which the price took 0.28.
        assert "after KL price 5.40" in text
        assert "KL 5.60 nats/response" not in text
        assert "sample 1" not in text
        wide = max(len(line) for line in text.splitlines() if line.startswith("╭"))
        assert wide == size[0]
        text = await press(pilot, "tab")
        assert "KL 5.60" in text
        assert "judge score" not in text
        assert "judge score" in await press(pilot, "shift+tab")
        assert "sample 1" in await press(pilot, "shift+tab")
        text = await press(pilot, "escape")
        assert text == before
        assert "policy loss" not in await press(pilot, "enter")
        assert "policy loss" in await press(pilot, "z")


@both_sizes
async def test_samples_are_read_and_zoomed(live: RunDir, size: tuple[int, int]) -> None:
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


async def test_a_sample_stays_long_enough_to_be_read(live: RunDir) -> None:
    async with opened(live, SIZES[0]) as pilot:
        app = pilot.app
        assert isinstance(app, TrainHost)
        write(live, life(13)[-3:])
        text = await look(pilot)
        assert "running  13/40" in text
        assert "step 12   score" in text
        app.moment += 2
        assert "step 13   score" in await look(pilot)


@both_sizes
async def test_a_pinned_prompt_is_followed_through_time(full: RunDir, size: tuple[int, int]) -> None:
    write(full, life(29)[-2:-1], at=T0 + 70)  # samples of a step of its own
    async with opened(full, size) as pilot:
        assert "sample 1/4   step 29" in screen_text(pilot.app)
        assert "sample 4/4   held out   step 20   score 6.0   KL 1.50   41 tokens   stop" in await press(pilot, "[")
        text = await press(pilot, "p")
        assert "sample 1/3   held out, pinned   step 29" in text, (
            "the prompt of this step, pinned, is the held-out one's newest answer"
        )
        text = await press(pilot, "z")
        assert [line.split()[2] for line in text.splitlines() if " step " in line and "tokens" in line][1:] == [
            "29", "20", "10", "0",
        ]  # fmt: skip
        assert [pin.text for pin in load(full)] == ["Give two uses of a paper clip."]
        text = await press(pilot, "z", "p")
        assert "pinned" not in text
        assert load(full) == ()


async def test_what_was_pinned_elsewhere_is_followed_in_the_files_of_the_run(root: Path) -> None:
    run = sampled_run(root)
    write(run, [SamplesShown(step=4, samples=(sample(0, 4), sample(2, 4)))])
    async with opened(run, SIZES[0]) as pilot:
        assert "sample 1/2   step 4" in await look(pilot)
        toggle(run, Pin("p1", "Give two uses of a paper clip."))
        toggle(run, Pin("", "never asked of the model"))
        assert "sample 2/3   step 4" in await look(pilot), "what is being read stays"
        assert "sample 1/3   pinned   step 4" in await press(pilot, "left_square_bracket")
        text = await press(pilot, "z")
        steps = [line.split()[2] for line in text.splitlines() if " step " in line and "tokens" in line][1:]
        assert steps == ["4", "3", "2", "1"]
        assert text.count("It holds sheets together, and opens a lock.") == 4
        judged(run.rollouts(5), rollout(5, 1, "A new use."), verdict(7.0))
        assert "A new use." in await look(pilot)
        pins_file(run).write_text("rubbish")
        assert "pinned" not in await look(pilot)


async def test_a_pin_that_cannot_be_kept_is_told(full: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rlaif_tui.pins.MOST_PINS", 0)
    async with opened(full, SIZES[0]) as pilot:
        assert "pinned" not in await press(pilot, "p")
        assert told(pilot) == "0 prompts are pinned already; let go of one first"


async def test_the_layout_is_taken_up_again(full: RunDir) -> None:
    async with opened(full, SIZES[0]) as pilot:
        await press(pilot, "c", "c", "L", "plus")
        screen = pilot.app.screen
        assert isinstance(screen, TrainScreen)
        kept, text = screen.memory(), screen_text(pilot.app)
        await press(pilot, "c", "c", "L", "minus")
        screen.recall(kept)
        assert await look(pilot) == text
        screen.recall({"page": "x", "smoothing": -1, "log": 3, "pins": "no"})
        await look(pilot)


@both_sizes
async def test_w_lists_every_warning_with_what_to_do(full: RunDir, size: tuple[int, int]) -> None:
    figures = metrics(
        score_mean=9.6,
        score_std=0.2,
        kl_seq=9.0,
        clip_fraction=0.5,
        response_length=80.0,
        failed=10,
        truncated_rate=0.6,
        policy_loss=0.01,
    )
    late = [StepCompleted(step=n, metrics=figures, cost_total_usd=4.5) for n in range(29, 35)]
    write(full, late, at=T0 + 80)
    async with opened(full, size, now=T0 + 90) as pilot:
        text = screen_text(pilot.app)
        assert "✗ 24 % of the judgements fail: its server, its key or its prompt. 4: test the judge" in " ".join(
            text.split()
        )
        assert "(+5 more, w)" in " ".join(text.split())
        text = await press(pilot, "w") + await press(pilot, "end")
        text = " ".join(text.replace("│", " ").split())
        for words in (
            "KL 9.0 nats has been over its target 6 for 5 steps: the price of KL rises too slowly.",
            "60 % of the responses are cut at the limit 64",
            "clip fraction 0.50: updates are too large. t: halve the learning rate to 5e-06",
            "rlaif-tui set calm learning_rate=5e-06",
            "scores bunch at the top (9.6, spread 0.2)",
            "50 in 5 steps; those responses are left out of training",
            "$4.50 of the judge's $5 are spent: at the cap the run pauses. t: raise the cap",
        ):
            # In the narrow window the border and what lies behind it stand between the lines.
            assert (words if size == SIZES[0] else " ".join(words.split()[:5])) in text
        assert "warnings: calm" not in await press(pilot, "escape")


async def test_w_says_so_when_nothing_is_wrong(live: RunDir) -> None:
    async with opened(live, SIZES[1]) as pilot:
        assert "nothing: healthy: KL 1.20 nats" in await press(pilot, "w")


@both_sizes
async def test_a_crashed_run_says_why_and_r_resumes_it(root: Path, size: tuple[int, int]) -> None:
    error = "Traceback\n  File x\nout of memory in the update"
    run = make_run(root, "calm", [*life(12), *ending("crashed", 12, error)])
    run.log.write_text("\n".join(f"line {number} of the log \x1b[2J" for number in range(9)))
    async with opened(run, size) as pilot:
        text = screen_text(pilot.app)
        assert "✗ crashed @12  12/40" in text
        assert "╭─ crashed at step 12 ─" in text
        box = " ".join(text.replace("│", " ").split())
        assert "what out of memory in the update" in box
        assert "where after step 12 of 40, in phase idle" in box
        assert "kept checkpoint 10 is complete; 2 steps after it are done again" in box
        assert "r resumes it from checkpoint 10" in box
        assert "log line 4 of the log ␛[2J" in box
        assert "line 3" not in box
        assert text.splitlines()[-1].startswith(" r Resume  c Charts")
        await press(pilot, "space", "s", "t", "x", "J")
        assert asked(run) == [], "nobody is there to answer"
        await press(pilot, "r")
        app = pilot.app
        assert isinstance(app, TrainHost)
        assert app.went == ["restart"]
        text = await press(pilot, "escape")
        assert "crashed at step 12" not in text
        assert "policy loss" in text
        await press(pilot, "escape")
        assert app.went == ["restart", "runs"]
        lock = RunLock(run)
        lock.acquire()
        write(run, [started(resumed_from=10), ready()], at=T0 + 50)
        text = await look(pilot)
        assert "● running  10/40" in text
        assert "KL 1.00 nats/response" in text, "figures of the lost steps are gone"
        lock.release()


async def test_a_dead_worker_without_a_last_word_is_told(root: Path) -> None:
    run = make_run(root, "calm", [*life(2), Heartbeat(step=3, phase="generate", done=4, total=32)])
    run.log.write_text("Killed\n")
    async with opened(run, SIZES[1]) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert "the worker is gone without a last word, in phase generate of step 3; worker.log ends: Killed" in text
        assert "r starts it again (no checkpoint yet)" in text
        assert "kept no checkpoint yet" in text


async def test_a_silent_worker_is_lost_not_dead_and_the_time_left_unknown(live: RunDir) -> None:
    async with opened(live, SIZES[0], now=T0 + 44 + 90) as pilot:
        text = screen_text(pilot.app)
        assert "? lost  12/40" in text
        assert "ETA —" in text
        assert "✗ no sign for 1 min 30 s, last: judge 0/32; it may come back by itself" in text
        assert "crashed" not in text
        assert pilot.app.screen.has_class("-stale")
        write(live, [Heartbeat(step=13, phase="judge", done=9, total=32)], at=T0 + 130)
        text = await look(pilot)
        assert "● running  12/40" in text
        assert "judge 9/32" in text
        assert not pilot.app.screen.has_class("-stale")


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
        await press(pilot, "left", "less_than_sign", "c", "c", "L", "plus", "p", "z", "z")
        write(run, [ready(), Heartbeat(step=0, phase="validate", done=12, total=64)])
        assert "validating 12/64" in await look(pilot)
    lock.release()


async def test_without_a_run_it_says_where_to_find_one(root: Path) -> None:
    run = plain(root)
    async with opened(run, SIZES[1]) as pilot:
        app = pilot.app
        assert isinstance(app, TrainHost)
        app.view.attach(None)
        await pilot.pause()
        assert "No run in view. 1 lists the runs, 2 sets a new one up." in screen_text(app)


async def test_a_completed_run_says_what_it_reached(root: Path) -> None:
    run = make_run(root, "calm", [*life(40), *ending("completed", 40)])
    async with opened(run, SIZES[1]) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert "✓ completed 40/40" in text
        assert "held-out score 4.10 → 5.90 (+1.80, 95 % CI +1.50 to +2.10, n 64)" in text


async def test_below_60_by_16_it_says_so(live: RunDir) -> None:
    async with opened(live, (59, 15)) as pilot:
        text = " ".join(screen_text(pilot.app).split())
        assert text == "60x16 needed, 59x15 now; ● running 30%; rlaif-tui status works at any size"
        await pilot.resize_terminal(60, 16)
        text = await look(pilot)
        assert "● running  12/40" in text
        assert "judge score 5.40" in text


async def test_ascii_mode_draws_no_braille_and_no_boxes_in_charts(full: RunDir) -> None:
    async with opened(full, SIZES[0], ascii_only=True) as pilot:
        text = await press(pilot, "left", "plus")
        assert "* running  28/40 ########...." in text or "* running  28/40 ####" in text
        assert not [c for c in text if "\u2800" <= c <= "\u28ff"]
        assert not set(text) & set("◆○β┊┄")
        assert "+- judge score 6.80 of 10" in text


async def test_what_a_run_says_is_text(root: Path) -> None:
    nasty = "[red]\x1b]52;c;AAAA\x07[/red]\u202e"
    run = eventful(root)
    send(run, asking())
    write(run, [CommandApplied(command_id=nasty, name="set", step=28, detail=f"kl_coef = 0.3{nasty}", by=nasty)])
    async with opened(run, SIZES[0]) as pilot:
        text = await press(pilot, "left")
        assert "kl_coef = 0.3[red]␛]52;c;AAAA␇[/red]⟨U+202E⟩, by [red]␛]52" in text
        assert not [c for c in text if ord(c) < 32 and c != "\n"]
