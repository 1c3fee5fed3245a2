from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from samples_runs import empty_run, failure, judged, put, rollout, sampled_run, verdict
from shell_pilot import read_until
from textual.app import App
from textual.events import Key, Paste
from textual.pilot import Pilot
from textual.widgets import Input
from textual.worker import WorkerState
from tui_logs import T0, screen_text

from core.ratings import rate, read_ratings
from core.run_dir import RunDir, RunLock
from core.types import JudgedRollout
from rlaif_tui.desks import samples
from rlaif_tui.desks.samples import Piece, SamplesDesk
from rlaif_tui.screens.samples import SamplesScreen
from rlaif_tui.screens.samples_text import LESS, MORE, coloured_lines, shade

WIDE, NARROW = (120, 36), (80, 24)
both_sizes = pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])


class Alone(App[None]):
    """The samples screen on a run, and nothing else."""

    CSS_PATH = str(Path(samples.__file__).parents[1] / "app.tcss")

    def __init__(self, run: RunDir | None, *, ascii_only: bool = False, budget_s: float = 60.0) -> None:
        super().__init__()
        self.animation_level = "none"
        self.view = SamplesScreen(SamplesDesk(budget_s=budget_s, now=lambda: T0), ascii_only=ascii_only)
        self.view.attach(run)

    def on_mount(self) -> None:
        self.push_screen(self.view)


@asynccontextmanager
async def opened(run: RunDir | None, size: tuple[int, int] = WIDE, **more: Any) -> AsyncIterator[Pilot[None]]:
    async with Alone(run, **more).run_test(size=size) as pilot:
        await look(pilot)
        yield pilot


async def look(pilot: Pilot[Any]) -> str:
    """Let the screen read what is new and finish what it began, and read it."""
    await pilot.app.view.poll()  # type: ignore[attr-defined]
    for _ in range(2):
        await pilot.pause()
        await settled(pilot.app)
    await pilot.pause()
    return screen_text(pilot.app)


async def settled(app: App[Any]) -> None:
    """Until no work is left that the screen began."""
    while any(worker.is_running or worker.state is WorkerState.PENDING for worker in app.workers):
        await asyncio.sleep(0.005)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    await pilot.press(*keys)
    return await look(pilot)


async def enter(pilot: Pilot[Any], text: str, *then: str) -> str:
    """Paste into the field that is open, then press these keys."""
    field = pilot.app.screen.query_one(Input)
    field.post_message(Paste(text))
    await pilot.pause()
    return await press(pilot, *then)


def told(pilot: Pilot[Any]) -> str:
    return "\n".join(message.message for message in pilot.app._notifications)


def listed(text: str) -> list[str]:
    """Step and score of the rows that are seen."""
    rows = (line.replace("▸", " ").split() for line in text.splitlines()[2:])
    return [" ".join(row[:2]) for row in rows if row and row[0].lstrip("v").isdigit()]


@both_sizes
async def test_the_newest_step_is_first_and_a_reply_is_read_whole(root: Path, size: tuple[int, int]) -> None:
    async with opened(sampled_run(root), size) as pilot:
        text = screen_text(pilot.app)
        assert "14 replies  newest first  you rated 0" in text
        assert listed(text)[:5] == ["4 2.1", "4 5.6", "4 8.6", "v4 7.7", "3 2.2"]
        assert "! repeats: Give two uses" in text
        assert "! no verdict: unparseable" in text
        if size == NARROW:
            assert "short and wrong" not in text, "the reply is behind enter"
        else:
            assert "short and wrong" in text
        text = await press(pilot, "enter")
        for words in (
            "step 4   score 2.1   not rated   prompt p0",
            "P  Why is the sky blue?",
            "R  Air bends blue light more than red.",
            "J  2.1/10  short and wrong",
            "right 2",
            "reward -0.58   KL 0.40",
            "ended itself",
            "judge rubric   version v1   0.8 s   $0.0003",
            "KL by token, -0.40 to 0.80 nats, most at ",
        ):
            assert words in text, words
        assert listed(text) == []
        text = await press(pilot, "right_square_bracket")
        assert "! flagged: repeats" in " ".join(text.replace("│", " ").split())
        text = await press(pilot, "right_square_bracket")
        assert "⟨cut at" in text
        assert "from the cache" in text
        assert "R  It holds" in await press(pilot, "left_square_bracket")
        text = await press(pilot, "escape")
        assert listed(text)[:2] == ["4 2.1", "4 5.6"]
        assert "R  It holds" in await press(pilot, "z")
        assert listed(await press(pilot, "z"))[:2] == ["4 2.1", "4 5.6"]


async def test_order_turn_flagged_same_prompt_and_pin(root: Path) -> None:
    async with opened(sampled_run(root), WIDE) as pilot:
        text = await press(pilot, "o")
        assert "worst score first" in text
        assert listed(text)[:3] == ["4 2.1", "3 2.2", "2 2.3"]
        text = await press(pilot, "O")
        assert "best score first" in text
        assert listed(text)[:3] == ["1 8.9", "2 8.8", "3 8.7"]
        text = await press(pilot, "o")
        assert "lowest reward first" in text
        assert "reward end" in text
        assert "longest first" in await press(pilot, "o")
        text = await press(pilot, "o")
        assert "highest KL first" in text
        assert listed(text)[:3] == ["4 5.6", "3 5.7", "2 5.8"]
        assert "newest first" in await press(pilot, "o")

        text = await press(pilot, "f")
        assert "flagged (4)" in text
        assert listed(text) == ["4 5.6", "3 5.7", "2 5.8", "1 5.9"]
        text = await press(pilot, "j", "i")
        assert "same prompt (4)  oldest first" in text
        assert listed(text) == ["1 5.9", "2 5.8", "3 5.7", "4 5.6"]
        assert next(line for line in text.splitlines() if "▸" in line).split()[1] == "3", "the cursor stays"
        assert "flagged (4)" in await press(pilot, "escape")
        assert "14 replies  newest first" in await press(pilot, "f")
        assert "flagged (4)" in await press(pilot, "f")
        text = await press(pilot, "escape")
        assert "14 replies  newest first" in text
        await press(pilot, "g", "p")
        await press(pilot, "slash")
        text = await enter(pilot, "pinned", "enter")
        assert "pinned (6)" in text, "row 0 of four steps, row 3 of step 2, and the held-out one"
        assert "* Why is the sky" in text
        await press(pilot, "p")
        assert "0 of 14 match; esc clears" in screen_text(pilot.app)
        assert len(listed(await press(pilot, "escape"))) == 14


async def test_a_filter_applies_as_it_is_typed_and_says_what_is_wrong(root: Path) -> None:
    async with opened(sampled_run(root), NARROW) as pilot:
        text = await press(pilot, "slash", *"score<x")
        assert "'score<x': 'x' is no number; write score<4" in text
        text = await press(pilot, "enter")
        assert "is no number" in text, "a filter that means nothing is not kept"
        await press(pilot, "backspace")
        text = await enter(pilot, "3 step=2")
        assert listed(text) == ["2 2.3"]
        assert "score<3 step=2 (1)" in text
        text = await press(pilot, "enter")
        assert "is no number" not in text
        assert text.splitlines()[-1].startswith(("enter Open", " enter Open"))
        await press(pilot, "slash", "end")
        text = await enter(pilot, " nothing")
        assert "0 of 14 match; esc clears" in text
        text = await press(pilot, "escape")
        assert listed(text) == ["2 2.3"], "esc leaves the filter as it was"
        assert len(listed(await press(pilot, "escape"))) == 14


async def test_rating_hides_the_judge_and_keeps_each_score_at_once(root: Path) -> None:
    run = sampled_run(root, 1)
    async with opened(run, NARROW) as pilot:
        text = await press(pilot, "r")
        assert "RATING 1 of 3, judge hidden" in text
        for hidden in ("short and wrong", "all well", "fair", "2.4", "5.9", "8.9", "KL", "flagged", "rubric"):
            assert hidden not in text, hidden
        assert "0-9 Score  t Ten  s Skip  u Undo  m Note  esc End" in text.splitlines()[-1]
        first = _asked(text)
        text = await press(pilot, "7")
        assert [rating.score for rating in read_ratings(run).values()] == [7.0], "kept at the key press"
        assert "RATING 2 of 3, judge hidden   before: you 7, judge " in text
        assert _asked(text) != first
        assert "RATING 1 of 3, judge hidden" in await press(pilot, "u")
        assert read_ratings(run) == {}
        assert _asked(screen_text(pilot.app)) == first
        await press(pilot, "u")
        assert "Nothing of this round to take back." in told(pilot)

        await press(pilot, "m", "5")
        text = await enter(pilot, " oddly [b]", "enter")
        assert "N  5 oddly [b]" in text
        await press(pilot, "t")
        assert [(rating.score, rating.note) for rating in read_ratings(run).values()] == [(10.0, "5 oddly [b]")]
        await press(pilot, "m", "g", "escape")
        text = await press(pilot, "s")
        assert "RATING 3 of 3" in text
        text = await press(pilot, "0")
        assert sorted(rating.score or 0 for rating in read_ratings(run).values()) == [0.0, 10.0]
        assert "2 replies rated." in told(pilot)
        assert "you rated 2" in text
        text = await press(pilot, "r")
        assert "RATING 1 of 1" in text, "what has a score is not asked for again"
        assert "you rated 2" in await press(pilot, "escape")
        text = await press(pilot, "enter", "r")
        assert "RATING 1 of " in text
        assert f"P  {_asked(text)}" in text
        await press(pilot, *"5", "escape")
        await press(pilot, "slash")
        text = await enter(pilot, "rated", "enter")
        assert "rated (" in text


def _asked(text: str) -> str:
    """The prompt that is seen."""
    return next(line for line in text.splitlines() if "P  " in line).partition("P  ")[2].rstrip(" │")


async def test_every_digit_is_its_score(root: Path) -> None:
    run = sampled_run(root, 4)
    async with opened(run) as pilot:
        await press(pilot, "r", *"0123456789", "t", "escape")
    assert sorted(rating.score or 0 for rating in read_ratings(run).values()) == [float(score) for score in range(11)]


async def test_a_burst_of_keys_behind_the_note_key_is_no_score(root: Path) -> None:
    run = sampled_run(root, 1)
    async with opened(run) as pilot:
        await press(pilot, "r")
        for key in ("m", "5", "t", "s"):  # as a slow line brings them, before the field has the focus
            pilot.app.post_message(Key(key, key))
        text = await look(pilot)
        assert "a few words on this response" in text
        assert read_ratings(run) == {}
        text = await press(pilot, "enter", "4")
        assert "RATING 2 of 3" in text
    assert [rating.score for rating in read_ratings(run).values()] == [4.0]


async def test_all_rated_says_so_and_a_rating_that_cannot_be_kept_too(root: Path) -> None:
    run = sampled_run(root, 1)
    async with opened(run) as pilot:
        await press(pilot, "r")
        (run.path / "ratings.jsonl").mkdir()
        text = await press(pilot, "7")
        assert "the rating is not kept" in told(pilot)
        assert "RATING 1 of 3" in text
        (run.path / "ratings.jsonl").rmdir()
        await press(pilot, "7", "7", "7", "r")
        assert "every reply in the list has your score" in told(pilot)


async def test_two_people_see_each_others_scores_and_their_agreement_with_the_judge(root: Path) -> None:
    run = sampled_run(root)
    for step in (1, 2, 3, 4):
        rate(run, f"00000{step}-0000", 2)
        rate(run, f"00000{step}-0002", 9)
    rate(run, "000004-0000", 6, "bob", "not that bad")
    async with opened(run) as pilot:
        text = await read_until(pilot, "agreement")
        assert "you rated 8" in text
        # Yours are +-2 around their mean rank, the judge's 1 to 8: 2 * (26 - 10) / sqrt(32 * 42) = 0.873.
        assert "agreement ρ 0.87" in text
        assert "you gave 2" in text
        assert "bob gave 6: not that bad" in text
        assert listed(text)[0] == "4 2.1"


async def test_copy_and_export(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    run = sampled_run(root)
    async with opened(run, WIDE) as pilot:
        await press(pilot, "y")
        assert "copied to" in told(pilot)
        assert pilot.app.clipboard == (
            "Prompt:\nWhy is the sky blue?\n\nResponse:\nAir bends blue light more than red.\n\n"
            "Judge 2.1/10:\nshort and wrong\n"
        )
        await press(pilot, "slash")
        await enter(pilot, "flagged", "enter")
        text = await press(pilot, "e")
        assert "4 replies to a new file; .csv makes a table" in text
        await press(pilot, "enter")
        path = run.exports / "samples-20250615-150640.jsonl"
        assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3, 4]
        assert "4 replies written to" in told(pilot)
        text = await press(pilot, "e", "enter")
        assert "exists already; give another name" in " ".join(text.split())
        await press(pilot, "end", "ctrl+u")
        text = await enter(pilot, f"{root}/mine.csv", "enter")
        assert (root / "mine.csv").read_text().startswith("id,step,row")
        assert "exists already" not in text
        await press(pilot, "e", "escape")
        assert listed(await press(pilot, "escape"))[0] == "4 2.1"


async def test_new_steps_appear_and_the_cursor_stays_with_its_reply(root: Path) -> None:
    run = empty_run(root)
    lock = RunLock(run)
    lock.acquire()
    async with opened(run) as pilot:
        assert "No replies yet; step 1 is at 0/64" in screen_text(pilot.app)
        await press(pilot, "enter", "r", "y", "e", "p", "i", "o", "O", "f", "escape", "o", "o", "o", "o")
        put(run.rollouts(1), rollout(1, 0))
        text = await look(pilot)
        assert listed(text) == ["1 —"]
        assert "not judged yet" in text
        judged(run.rollouts(1), rollout(1, 0), verdict(4.4, "it came"))
        text = await look(pilot)
        assert listed(text) == ["1 4.4"]
        assert "it came" in text, "the open reply is up to date"
        judged(run.rollouts(2), rollout(2, 1), verdict(5.5, "later"))
        text = await look(pilot)
        assert listed(text) == ["2 5.5", "1 4.4"]
        assert "it came" in text
        assert next(line for line in text.splitlines() if "▸" in line).split()[1] == "1"
    lock.release()


async def test_another_run_takes_its_place(root: Path) -> None:
    one, two = sampled_run(root, 1), sampled_run(root, 2, "other")
    async with opened(one) as pilot:
        assert "3 replies" in screen_text(pilot.app)
        await press(pilot, "enter")
        pilot.app.view.attach(two)  # type: ignore[attr-defined]
        assert "7 replies" in await look(pilot)
        pilot.app.view.attach(None)  # type: ignore[attr-defined]
        assert "No run is open. 1 shows the runs." in await look(pilot)
        await press(pilot, "r", "e", "y", "enter", "slash", "a", "escape")


async def test_it_comes_back_as_it_was(root: Path) -> None:
    run = sampled_run(root)
    async with opened(run) as pilot:
        await press(pilot, "slash")
        await enter(pilot, "score>5", "enter")
        await press(pilot, "o", "O", "j", "j", "p")
        kept = json.loads(json.dumps(pilot.app.view.memory()))  # type: ignore[attr-defined]
        before = screen_text(pilot.app)
    app = Alone(run)
    app.view.recall(kept)
    async with app.run_test(size=WIDE) as pilot:
        assert await look(pilot) == before
    odd = Alone(run)
    odd.view.recall({"filter": 'score<"', "order": 7, "pinned": "x", "row": [], "turned": "yes", "more": 1})
    async with odd.run_test(size=WIDE) as pilot:
        assert "14 replies  newest first" in await look(pilot)


async def test_a_step_that_cannot_be_read_is_a_row_that_says_why(root: Path) -> None:
    run = sampled_run(root, 3)
    run.rollouts(3).unlink()
    run.rollouts(3).mkdir()
    async with opened(run) as pilot:
        text = await press(pilot, "o")
        assert "cannot be read (Is a" in text
        await press(pilot, "o", "o", "o", "o", "g", "enter", "y", "i", "p", "r", "escape")
        assert "cannot be read (Is a directory): step_000003.jsonl" in screen_text(pilot.app)


def test_each_character_has_the_colour_of_its_token() -> None:
    parts = (Piece("The", 0.0), Piece(" sky", 0.3), Piece("\tis\n", -2.0), Piece("\x1b木", None), Piece(" blue", 0.06))
    lines = coloured_lines(parts, 10)
    assert ["".join(text for text, _ in line) for line in lines] == ["The sky", "is", "␛木 blue"]
    styles = {text: style for line in lines for text, style in line}
    assert styles["The"] == ""
    assert styles[" sky"] == f"on {MORE} 35%"
    assert styles["is"] == f"on {LESS} 70%"
    assert styles["␛木"] == ""
    assert styles[" blue"] == f"on {MORE} 20%"
    assert shade(float("nan")) == ""


async def test_the_colours_reach_the_screen(root: Path) -> None:
    async with opened(sampled_run(root)) as pilot:
        backgrounds = {
            segment.style.bgcolor.name
            for strip in pilot.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.bgcolor and segment.text.strip() in {"A", "Air", "0.5"}
        }
        assert len(backgrounds) > 1


NASTY = "[/] [bold]b[/] [@click=app.quit]x[/] \x1b[31m \x1b]52;c;aGk=\x07 \x9b2J \x00 \u202e \u200b \r 木木 \U000e0041"


async def test_hostile_text_is_shown_and_never_obeyed(root: Path) -> None:
    text = NASTY + "e\u0301" * 20 + "long" * 400
    run = empty_run(root)
    result = verdict(5, text, criteria={text: 3.0}, flags=(text,), judge_version=text, model_returned=text)
    put(run.rollouts(1), JudgedRollout(rollout=rollout(1, 0, text, text), result=result))
    put(run.rollouts(1), JudgedRollout(rollout=rollout(1, 1, text, text), result=failure(text)))
    rate(run, "000001-0000", 5, text, text)
    async with opened(run, WIDE) as pilot:
        seen = await look(pilot)
        for keys in (["enter"], ["G"], ["right_square_bracket"], ["escape"], ["slash", "[", "b"], ["escape"], ["r"]):
            seen += await press(pilot, *keys)
        seen += await press(pilot, "m", "[", "x", "enter")
        seen += await press(pilot, "5", "escape")
    hidden = {c for c in seen.replace("\n", "") if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden == set()
    assert "␛[31m" in " ".join(seen.split())


async def test_ascii_only_draws_no_braille(root: Path) -> None:
    async with opened(sampled_run(root), ascii_only=True) as pilot:
        assert not any(0x2800 <= ord(character) < 0x2900 for character in await press(pilot, "enter"))


# Pictures: look at a new one before it is accepted with --snapshot-update.

SIZES = both_sizes
Compare = Callable[..., bool]


async def settle(pilot: Pilot[Any]) -> None:
    await look(pilot)


@SIZES
@pytest.mark.parametrize("state", ["list", "open", "empty", "loading", "error", "no-match", "rating", "filter"])
def test_picture(root: Path, snap_compare: Compare, size: tuple[int, int], state: str) -> None:
    keys = {
        "open": ["enter"],
        "no-match": ["f", "slash", *"nr", "enter"],
        "rating": ["r"],
        "filter": ["slash"],
    }
    run = empty_run(root) if state == "empty" else sampled_run(root, 12)
    if state == "error":
        run.rollouts(11).unlink()
        run.rollouts(11).mkdir()
        run.rollouts(12).unlink()

    async def before(pilot: Pilot[Any]) -> None:
        await look(pilot)
        await press(pilot, *keys.get(state, []))
        if state == "filter":
            await enter(pilot, "scor<3")

    async def once(pilot: Pilot[Any]) -> None:
        await look(pilot)

    app = Alone(run, budget_s=0.0 if state == "loading" else 60.0)
    assert snap_compare(app, terminal_size=size, run_before=once if state == "loading" else before)
