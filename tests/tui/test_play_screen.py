"""The playground's screen: every key of it, with somebody who answers as the test says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from play_host import BASE, TRAINED, Alone, look, opened, play_run, press, told, until
from test_safety import HOSTILE, assert_plain
from textual.pilot import Pilot
from textual.widgets import Input
from tui_logs import ending, life, screen_text, write

from core.commands import Draw
from core.errors import RunDirError
from core.events import PhaseStarted
from core.play.protocol import Chunk, Loading, Refused
from core.prompts import load_prompts
from core.run_dir import RunDir, RunLock
from core.types import Message
from rlaif_tui import pins
from rlaif_tui.desks import play_history
from rlaif_tui.desks.play_history import history_file, keep, load
from rlaif_tui.desks.play_state import Exchange
from rlaif_tui.screens.play_field import PromptField
from rlaif_tui.screens.play_text import content

WIDE, NARROW = (120, 36), (80, 24)
both_sizes = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
PROMPT = "Give two uses of a paper clip."


async def ask(pilot: Pilot[None], app: Alone, text: str = PROMPT) -> str:
    """Type this and send it."""
    app.view.query_one(PromptField).put(text)
    app.view.query_one(PromptField).focus()
    return await press(pilot, "enter")


async def answered(pilot: Pilot[None], app: Alone, text: str = PROMPT, **said: Any) -> str:
    await ask(pilot, app, text)
    app.process.begins()
    app.process.ends(**said)
    return await look(pilot)


def squeezed(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


@both_sizes
async def test_both_sides_stream_and_end(root: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(tmp_path, play_run(root), size) as (pilot, app):
        text = screen_text(app)
        assert "step 20 (newest)  temperature 1  seed 7  max 64 tokens" in text
        assert "Nothing asked yet" in text
        text = await ask(pilot, app)
        assert app.started == [False]
        [asked] = app.process.asks
        assert asked.messages == (Message("user", PROMPT),)
        assert asked.draw == Draw(seed=7, max_new_tokens=64)
        assert asked.step is None
        app.process.says(Loading(what="model", seconds=8.4, memory_mb=1945.6))
        assert "loading, 0:08, 1.9 GiB" in await look(pilot)
        app.process.begins()
        text = await look(pilot)
        assert "Hold paper." in text
        assert "It holds sheets" in text
        assert "step 20   4 tokens   …" in text
        app.process.says(Chunk(number=1, side="base", text=" Pick", tokens=5))
        assert "Hold paper. Pick" in await look(pilot)
        app.process.ends()
        text = await look(pilot)
        assert "Hold paper. Pick a lock." in text
        assert "base   7 tokens " in text
        assert "step 20   14 tokens   KL 3.12 " in text
        if size == WIDE:
            assert "ready on CPU, 2 threads" in text
        base, trained = (app.view.query_one(f"#{side}").region for side in ("base", "trained"))
        assert (base.y == trained.y) == (size == WIDE), "side by side where there is room, else stacked"


async def test_ctrl_r_sends_and_an_empty_line_is_not_sent(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await press(pilot, "ctrl+r")
        assert "there is nothing to send: type a prompt first" in told(pilot)
        await press(pilot, "i", *"why", "ctrl+j", *"so", "ctrl+r")
        assert [a.messages for a in app.process.asks] == [(Message("user", "why\nso"),)]
        await press(pilot, "ctrl+r")
        assert "an answer is under way; X stops it" in told(pilot)
        assert len(app.process.asks) == 1


@pytest.mark.parametrize("key", ["X", "escape"])
async def test_an_answer_is_stopped(root: Path, tmp_path: Path, key: str) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await ask(pilot, app)
        text = await press(pilot, key)
        assert "stopped before it began" in text
        assert app.process.cancelled == [1]
        app.process.begins()
        text = await look(pilot)
        assert "Hold paper." not in text, "what comes of an ask that was given up is not shown"
        await ask(pilot, app)
        app.process.begins()
        await look(pilot)
        await press(pilot, key)
        assert app.process.cancelled == [1, 2]
        app.process.ends("Hold paper.", "It holds sheets", finish="cancelled")
        assert (await look(pilot)).count("⟨stopped⟩") == 2


async def test_seed_checkpoint_and_options_are_those_of_the_next_send(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        assert "seed 8" in await press(pilot, "ctrl+g")
        text = await press(pilot, "ctrl+n")
        assert "the newest, step 20" in text
        text = await press(pilot, "j", "j", "enter")
        assert "step 10" in text
        text = await press(pilot, "ctrl+o")
        assert "0: always the likeliest token" in text
        for name, bad, words in (
            ("temperature", "hot", "✗ not a number"),
            ("temperature", "11", "✗ must be from 0 to 10"),
            ("top_p", "0", "✗ must be from 0.001 to 1"),
            ("top_k", "1.5", "✗ not a whole number"),
            ("max_new_tokens", "0", "✗ must be from 1 to 131,072"),
            ("device", "tpu", "✗ auto or cpu"),
        ):
            field = app.screen.query_one(f"#{name}", Input)
            before, field.value = field.value, bad
            assert words in await press(pilot, "enter"), name
            field.value = before
        for name, good in (("temperature", "0.5"), ("top_p", "0.9"), ("top_k", "40"), ("max_new_tokens", "32")):
            app.screen.query_one(f"#{name}", Input).value = good
        app.screen.query_one("#system", Input).value = "Be brief."
        app.screen.query_one("#device", Input).value = "cpu"
        text = await press(pilot, "enter")
        assert "step 10  temperature 0.5  seed 8  max 32 tokens  top p 0.9  top k 40  system prompt" in text
        await ask(pilot, app)
        [asked] = app.process.asks
        assert asked.step == 10
        assert asked.draw == Draw(seed=8, temperature=0.5, top_p=0.9, top_k=40, max_new_tokens=32)
        assert asked.messages == (Message("system", "Be brief."), Message("user", PROMPT))
        assert app.started == [True], "on the CPU"


async def test_leaving_the_dialogs_changes_nothing(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        before = app.view.options, app.view.at
        await press(pilot, "ctrl+o")
        app.screen.query_one("#temperature", Input).value = "3"
        await press(pilot, "escape")
        await press(pilot, "ctrl+n")
        await press(pilot, "escape")
        assert (app.view.options, app.view.at) == before


async def test_both_are_scored_by_the_runs_judge_and_kept_with_the_scores(root: Path, tmp_path: Path) -> None:
    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await press(pilot, "s")
        assert app.view.seen.exchange is None, "there is nothing to score"
        await answered(pilot, app)
        text = await press(pilot, "s")
        text = await until(pilot, lambda text: text.count("/10") == 2)
        assert "judge " in text
        assert "J  " in text
        [kept] = load(history_file(tmp_path / "state", run))
        assert kept.trained.score is not None
        assert kept.judge.startswith("rubric") or kept.judge


async def test_a_judge_that_cannot_be_asked_is_one_sentence(root: Path, tmp_path: Path) -> None:
    run = play_run(root)
    (run.judges / "judge.toml").write_text("backend = 7")
    async with opened(tmp_path, run) as (pilot, app):
        await answered(pilot, app)
        text = await press(pilot, "s")
        assert "the judge could not be asked: " in squeezed(text)
        assert BASE in text, "the replies stay"


async def test_a_prompt_is_pinned_for_everybody(root: Path, tmp_path: Path) -> None:
    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await press(pilot, "p")
        assert "there is no prompt to pin" in told(pilot)
        await answered(pilot, app)
        assert "  pinned  " in await press(pilot, "p")
        assert pins.load(run) == (pins.Pin("", PROMPT),)
        assert "  pinned  " not in await press(pilot, "p")
        assert pins.load(run) == ()


async def test_a_prompt_becomes_a_row_of_the_data_after_a_question(root: Path, tmp_path: Path) -> None:
    data = tmp_path / "mine.csv"
    data.write_text("id,prompt\n1,one\n")
    async with opened(tmp_path, play_run(root, str(data))) as (pilot, app):
        await answered(pilot, app, 'Say "two", please.')
        text = await press(pilot, "D")
        assert "It becomes row 2 of" in text
        assert "cannot be resumed any more" in squeezed(text)
        await press(pilot, "escape")
        assert data.read_text() == "id,prompt\n1,one\n"
        await press(pilot, "D")
        await press(pilot, "d")
        assert "which has 2 rows now" in told(pilot)
        assert data.read_text() == 'id,prompt\n1,one\n,"Say ""two"", please."\n'
        assert load_prompts(str(data)).prompts[-1].text == 'Say "two", please.'


async def test_data_that_takes_no_row_says_why(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await press(pilot, "D")
        assert "there is no prompt to add" in told(pilot)
        await answered(pilot, app)
        await press(pilot, "D")
        assert "the bundled prompts belong to the program" in told(pilot)


async def test_a_chat_goes_on_after_either_reply_and_can_begin_anew(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await answered(pilot, app)
        text = await press(pilot, "a")
        assert "Which reply does the chat go on after?" in text
        await press(pilot, "b")
        assert app.view.query_one(PromptField).has_focus
        await answered(pilot, app, "And a third?")
        second = (Message("user", PROMPT), Message("assistant", BASE), Message("user", "And a third?"))
        assert app.process.asks[-1].messages == second
        earlier = content(app.view.seen, "base", 60).plain
        assert f"U  {PROMPT}\nA  {BASE}\n" in earlier
        await press(pilot, "a")
        await press(pilot, "t")
        await ask(pilot, app, "More?")
        assert app.process.asks[-1].messages == (*second, Message("assistant", TRAINED), Message("user", "More?"))
        app.process.begins()
        app.process.ends()
        await look(pilot)
        text = await press(pilot, "N")
        assert "Nothing asked yet" in text
        assert app.view.typed == ""
        await ask(pilot, app, "Anew.")
        assert app.process.asks[-1].messages == (Message("user", "Anew."),)


async def test_history_brings_back_prompt_replies_and_how_they_were_drawn(root: Path, tmp_path: Path) -> None:
    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await press(pilot, "v")
        assert "Nothing was asked of this run yet." in told(pilot)
        await answered(pilot, app, "First?")
        await press(pilot, "ctrl+g")
        await answered(pilot, app, "Second?", base="other", trained="words")
        text = await press(pilot, "v")
        assert text.index("Second?") < text.index("First?")
        text = await press(pilot, "j", "enter")
        assert TRAINED in squeezed(text)
        assert app.view.typed == "First?"
        assert "seed 7" in text
    async with opened(tmp_path, run) as (pilot, app):
        text = screen_text(app)
        assert "words" in text, "it opens with the last prompt and its replies"
        assert app.view.typed == "Second?"


async def test_both_replies_are_copied(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await answered(pilot, app)
        await press(pilot, "y")
        copied = (run.exports / "last-copy.txt").read_text()
        assert f"user:\n{PROMPT}\n\nbase:\n{BASE}\n\nstep 20:\n{TRAINED}\n\n(seed 7, temperature 1)\n" == copied


async def test_keys_of_panes_zoom_and_the_way_back(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await answered(pilot, app)
        view = app.view
        assert view.query_one("#trained").has_focus, "letters are keys after a send"
        await press(pilot, "z")
        assert not view.query_one("#base").display
        await press(pilot, "escape")
        assert view.query_one("#base").display
        view.query_one("#base").focus()
        await press(pilot, "z")
        assert not view.query_one("#trained").display
        await press(pilot, "z")
        await press(pilot, "enter")
        field = view.query_one(PromptField)
        assert field.has_focus
        await press(pilot, "s", "p")
        assert field.text.endswith("sp"), "in the line letters are letters"
        await press(pilot, "escape")
        assert view.query_one("#trained").has_focus


async def test_a_growing_reply_stays_in_view_unless_somebody_reads_above(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root), NARROW) as (pilot, app):
        await ask(pilot, app)
        app.process.begins()
        app.process.says(Chunk(number=1, side="trained", text=" and more" * 300 + " LAST", tokens=300))
        assert "LAST" in await look(pilot)
        await press(pilot, "g")
        app.process.says(Chunk(number=1, side="trained", text=" NEWEST", tokens=301))
        text = await look(pilot)
        assert "It holds sheets" in text
        assert "NEWEST" not in text


async def test_refusals_stand_in_the_pane_and_what_was_said_stays(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await ask(pilot, app)
        app.process.says(Refused(reason="run 'calm' has no checkpoint yet"))
        app.process.ended = True
        assert "run 'calm' has no checkpoint yet" in await look(pilot)
        await ask(pilot, app)
        assert app.started == [False, False], "another try starts another process"
        app.process.begins()
        await look(pilot)
        app.process.says(Refused(reason="the machine is on fire", number=app.process.number))
        text = await look(pilot)
        assert "the machine is on fire" in text
        assert "It holds sheets" in text
        assert app.view.typed == PROMPT


async def test_a_process_that_has_gone_to_sleep_is_started_again(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await answered(pilot, app)
        first = app.process
        first.ended = True
        assert "loads when you send" in await look(pilot)
        await ask(pilot, app)
        assert app.process is not first
        app.process.begins()
        app.process.ends(base="awake again")
        assert "awake again" in await look(pilot)
        app.process.ended = True  # in the very moment it is asked
        asked = app.process
        await ask(pilot, app, "Still there?")
        assert app.process is not asked
        assert [a.messages[-1].content for a in app.process.asks] == ["Still there?"]


async def test_another_run_ends_what_was_loaded(root: Path, tmp_path: Path) -> None:
    other = play_run(root, name="other")
    async with opened(tmp_path, play_run(root)) as (pilot, app):
        await answered(pilot, app)
        process = app.process
        app.view.attach(other)
        text = await look(pilot)
        assert BASE not in text
        while not process.closed:
            await look(pilot)


# a live run


class LiveRun:
    """A run whose lock is held, as by its worker."""

    def __init__(self, run: RunDir) -> None:
        self.run, self._lock = run, RunLock(run)
        self._lock.acquire()

    def ends(self) -> None:
        write(self.run, ending("completed", 20))
        self._lock.release()


def live_run(root: Path) -> LiveRun:
    run = play_run(root, events=[*life(20), PhaseStarted(step=21, phase="judge", total=32)])
    return LiveRun(run)


async def test_a_live_runs_worker_answers_between_steps(root: Path, tmp_path: Path) -> None:
    live = live_run(root)
    async with opened(tmp_path, live.run) as (pilot, app):
        text = screen_text(app)
        assert "step 20 (now)" in text
        assert "answers between steps" in text
        text = await ask(pilot, app)
        assert "asked; the worker answers between steps (judge 0/32)" in squeezed(text)
        assert app.started == [], "no second copy of the model"
        app.worker.begins(step=21)
        app.worker.ends()
        text = await look(pilot)
        assert "step 21 (live)   14 tokens" in text
        text = await press(pilot, "ctrl+n")
        assert "as it is now, step 20: the worker answers between steps" in text
        assert "the newest, in a process beside the run" in text
        await press(pilot, "j", "enter")
        await ask(pilot, app)
        assert app.started == [False]
        assert app.process.asks[-1].step is None
        live.ends()


async def test_an_ask_that_a_run_leaves_behind_goes_to_a_checkpoint(root: Path, tmp_path: Path) -> None:
    live = live_run(root)
    async with opened(tmp_path, live.run) as (pilot, app):
        await ask(pilot, app)
        app.worker.says(Refused(reason="the run is complete", number=1))
        live.ends()
        await look(pilot)
        assert [a.number for a in app.process.asks] == [1]
        app.process.begins()
        app.process.ends()
        text = await look(pilot)
        assert "step 20   14 tokens" in text
        assert "(live)" not in text


async def test_a_worker_that_refuses_cannot_be_reached_or_ends_in_the_middle(root: Path, tmp_path: Path) -> None:
    live = live_run(root)
    async with opened(tmp_path, live.run) as (pilot, app):
        await ask(pilot, app)
        app.worker.says(Refused(reason="not enough memory", number=1))
        assert "not enough memory" in await look(pilot)
        app.worker.error = RunDirError("cannot write commands.jsonl")
        assert "the run could not be asked: cannot write commands.jsonl" in squeezed(await ask(pilot, app))
        app.worker.error = None
        await ask(pilot, app)
        app.worker.begins()
        await look(pilot)
        live.ends()
        text = await look(pilot)
        assert "the run ended in the middle of the answer" in squeezed(text)
        assert "It holds sheets" in text


# what is kept and what is not obeyed


def exchange(number: int) -> Exchange:
    return Exchange(id=str(number), time=float(number), messages=(Message("user", f"q{number}"),), draw=Draw())


def test_the_history_is_short_whole_and_of_one_run(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert play_history.MOST == 200
    monkeypatch.setattr(play_history, "MOST", most := 6)
    one, two = play_run(root), play_run(root, name="two")
    files = [history_file(tmp_path, run) for run in (one, two)]
    for number in range(most + 5):
        keep(files[0], one, exchange(number))
    assert [e.id for e in load(files[0])] == [str(n) for n in range(5, most + 5)]
    assert keep(files[0], one, exchange(7)) == most, "the same exchange again takes its own place"
    assert load(files[1]) == ()
    files[0].write_bytes(b'{"run": 3')
    assert load(files[0]) == ()
    assert files[0].with_name(f"{files[0].name}.broken").exists()
    lone = Exchange(id="x", time=0.0, messages=(Message("user", "half \ud800"),), draw=Draw())
    assert keep(files[0], one, lone) == 1


async def test_what_was_typed_and_chosen_comes_back(root: Path, tmp_path: Path) -> None:
    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await press(pilot, "i", *"half a th", "ctrl+g")
        memory = app.view.memory()
    async with opened(tmp_path, run, memory=memory) as (pilot, app):
        assert app.view.typed == "half a th"
        assert "seed 8" in screen_text(app)
    rubbish: dict[str, Any] = {"prompt": 3, "draw": {"seed": -1}, "system": [], "run": run.name}
    async with opened(tmp_path, run, memory=rubbish) as (pilot, app):
        assert app.view.typed == ""
        assert "seed 7" in screen_text(app)


@both_sizes
async def test_what_others_write_is_shown_and_never_obeyed(root: Path, tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(tmp_path, play_run(root), size) as (pilot, app):
        await answered(pilot, app, HOSTILE, base=HOSTILE, trained=HOSTILE)
        assert_plain(screen_text(app))
        await press(pilot, "v")
        assert_plain(screen_text(app))
        await press(pilot, "escape")
        await ask(pilot, app, HOSTILE)
        app.process.says(Refused(reason=HOSTILE, number=app.process.number))
        await look(pilot)
        assert_plain(screen_text(app))


async def test_without_a_run_or_a_readable_configuration_nothing_breaks(root: Path, tmp_path: Path) -> None:
    async with opened(tmp_path, None) as (pilot, app):
        await ask(pilot, app)
        assert "no run is in view" in told(pilot)
        for key in ("s", "p", "D", "v", "y", "a", "N", "z", "ctrl+n"):
            await press(pilot, key)
            await press(pilot, "escape")
    run = play_run(root, steps=())
    run.config.write_text("[model]\nid = 3\n")
    async with opened(tmp_path, run) as (pilot, app):
        assert "no checkpoint yet" in screen_text(app)
        await press(pilot, "ctrl+n")
        assert "This run has no checkpoint yet." in told(pilot)
        assert "model.id" in told(pilot)
