from __future__ import annotations

import signal
import subprocess
import sys
import unicodedata
from pathlib import Path
from typing import Any

from compare_app import NARROW, WIDE, held, opened, words
from compare_records import FLIP, WIN, compared, duel, growing, header, model, put, reply, row, usual_rows
from samples_runs import empty_run
from shell_pilot import both_sizes, press, read_until, told, until
from textual.pilot import Pilot
from tui_logs import T0, life, make_run, screen_text

from core.compare.record import Finished, Progress
from core.compare.votes import load_votes, votes_file
from rlaif_tui.screens.compare import CompareScreen


def listed(text: str) -> list[str]:
    """Both scores, what the judge said and the own choice, of the rows that are seen."""
    rows = (line.replace("▸", " ").split() for line in text.splitlines())
    return [" ".join(each[:5]) for each in rows if len(each) > 5 and each[0].replace(".", "").isdigit()]


@both_sizes
async def test_the_answer_stands_above_and_both_replies_are_read(root: Path, size: tuple[int, int]) -> None:
    run = empty_run(root)
    compared(run)
    async with opened(root, run, size) as pilot:
        text = screen_text(pilot.app)
        # Of 12 pairs one failed: 4 wins, 3 losses, 3 ties and an inconsistent one, so (4 + 4/2) / 11 = 55 %.
        assert "A base  B calm step 40  B wins 55 % [" in text
        assert "too few to tell" in text
        assert "not distinguishable with 11 prompts" in words(pilot)
        assert "! 1 without a verdict  the two orders disagree on 9 %" in text
        if size == WIDE:
            assert "score 5.8→6.1 [-" in text
            assert "ties 36 %  losses 27 %" in text
            assert "length 4→8 tokens  length-controlled " in text
            assert "judge $0.18" in text
            assert len(listed(text)) == 12
        assert listed(text)[:6] == [
            "5.0 8.0 +3.0 B –", "4.0 7.5 +3.5 B –", "8.0 3.0 -5.0 A –", "6.0 6.0 0.0 tie –", "5.0 8.0 +3.0 flips –",
            "4.0 7.5 +3.5 fails –",
        ]  # fmt: skip
        assert "A base   score 5.0   too short" in text
        assert "The sky [-is-] blue because [-of-] the [-air.-]" in text
        assert "The sky {+looks+} blue because the {+air bends blue" in text

        text = await press(pilot, "enter")
        assert listed(text) == []
        assert "prompt 1 of 12   p0   5 tokens" in text
        assert "pair: B wins (A shown first: B better, B shown first: B better)" in words(pilot)
        left, right = (pilot.app.screen.query_one(name).region for name in ("#left", "#right"))
        assert (left.y == right.y, left.x == right.x) == ((True, False) if size == WIDE else (False, True))
        text = await press(pilot, "right_square_bracket")
        assert "P  Give two uses of a paper clip." in text
        assert "prompt 1 of 12" in await press(pilot, "left_square_bracket")
        assert len(listed(await press(pilot, "escape"))) > 5
        assert "prompt 1 of 12" in await press(pilot, "z")
        assert len(listed(await press(pilot, "z"))) > 5
        assert "B calm step 40   score 3.0" in await press(pilot, "j", "j")


async def test_order_filter_search_and_marks(root: Path) -> None:
    run = empty_run(root)
    compared(run)
    async with opened(root, run) as pilot:
        text = await press(pilot, "o")
        assert "greatest gain first" in text
        # Of the same difference the one that was preferred comes first, and one without a verdict is as good as a tie.
        assert [line.split()[3] for line in listed(text)] == [*["B", "B", "fails"], *["B", "B", "flips"], *["tie"] * 3,
                                                             *["A"] * 3]  # fmt: skip
        assert "▸  4.0  7.5" in text
        text = await press(pilot, "o")
        assert "greatest loss first" in text
        assert listed(text)[0] == "8.0 3.0 -5.0 A –"
        assert "first" not in (await press(pilot, "o")).splitlines()[1]

        assert {line.split()[3] for line in listed(await press(pilot, "f"))} == {"A"}
        assert "only losses" in screen_text(pilot.app)
        assert {line.split()[3] for line in listed(await press(pilot, "f"))} == {"B"}
        assert {line.split()[3] for line in listed(await press(pilot, "f"))} == {"tie", "flips"}
        text = await press(pilot, "f")
        assert (listed(text), "only inconsistent" in text) == (["5.0 8.0 +3.0 flips –"], True)
        assert "pair: tie, the orders disagree (A shown first: A better, B shown first: B better)" in words_after(
            await press(pilot, "enter")
        )
        await press(pilot, "escape")
        text = await press(pilot, "escape")
        assert len(listed(text)) == 12
        assert "▸  5.0  8.0  +3.0 flips" in text, "the cursor stays on its prompt"

        text = await press(pilot, "slash", *"BONJOUR")
        assert len(listed(text)) == 3, "it is looked for as it is typed, in replies too"
        await press(pilot, "enter")
        assert "0 of 12 prompts match; esc clears" in await press(pilot, "slash", *" x", "enter")
        assert "bonjour" in (await press(pilot, "slash", "escape")).lower(), "esc leaves the search as it was"
        text = await press(pilot, "escape")
        assert len(listed(text)) == 12
        assert len(listed(await press(pilot, "slash", *"third", "escape"))) == 12

        text = await press(pilot, "g", "d")
        assert "The sky is blue because of the air." in text
        assert "[-is-]" in await press(pilot, "d")
        assert "word for word the same" in await press(pilot, "j", "j", "j")
        assert "only losses" in await press(pilot, "f", "o"), "the filter stays when the order changes"
        view = pilot.app.screen
        assert isinstance(view, CompareScreen)
        left_as_it_was = view.memory()
    async with opened(root, run, memory=left_as_it_was) as pilot:
        text = screen_text(pilot.app)
        assert "only losses  greatest gain first" in text
        assert pilot.app.view.memory() == left_as_it_was  # type: ignore[attr-defined]
    async with opened(root, run, memory={"pair": [1, "x"], "order": 3, "row": "b", "models": 7, "only": []}) as pilot:
        assert len(listed(screen_text(pilot.app))) == 12, "a memory that makes no sense is none"


def words_after(text: str) -> str:
    return " ".join(text.replace("│", " ").split())


async def test_the_marks_have_a_colour_besides_their_signs(root: Path) -> None:
    run = empty_run(root)
    compared(run)
    async with opened(root, run) as pilot:
        colours = {
            segment.text.strip()[:2]: segment.style.bgcolor.name
            for strip in pilot.app.screen._compositor.render_strips()
            for segment in strip
            if segment.style and segment.style.bgcolor and segment.text.startswith(("[-", "{+"))
        }
        assert colours.keys() == {"[-", "{+"}
        assert len(set(colours.values())) == 2


@both_sizes
async def test_a_blind_vote_hides_whose_reply_it_is_and_keeps_each_choice_at_once(
    root: Path, size: tuple[int, int]
) -> None:
    run = empty_run(root)
    record = compared(run)
    async with opened(root, run, size) as pilot:
        text = await press(pilot, "b")
        # 12 pairs, but three have the same reply twice.
        assert "BLIND 1 of 9, sides shuffled, judge hidden" in text
        for hidden in ("base", "step 40", "score", "too short", "clear and right", "wins", "B better", "[-", "tokens"):
            assert hidden not in text, hidden
        assert "← Left  → Right  = Tie  s Skip  u Undo  esc End" in text.splitlines()[-1]
        first = _shown(pilot)
        await _voted(pilot, "left", "BLIND 2 of 9")
        votes = list(load_votes(record).standing.values())
        assert [vote.choice for vote in votes] == [_meaning(first[0])], "kept at the key press"
        assert _shown(pilot) != first
        await _voted(pilot, "right", "BLIND 3 of 9")
        await _voted(pilot, "equals_sign", "BLIND 4 of 9")
        assert [vote.choice for vote in load_votes(record).standing.values()][2] == "tie"
        await _voted(pilot, "u", "BLIND 3 of 9")
        assert len(load_votes(record).standing) == 2
        await _voted(pilot, "s", "BLIND 4 of 9")
        await _voted(pilot, "u", "BLIND 2 of 9")
        await _voted(pilot, "u", "BLIND 1 of 9")
        assert _shown(pilot) == first
        assert load_votes(record).standing == {}
        await press(pilot, "u")
        await until(pilot, lambda: "Nothing of this round to take back." in told(pilot))
        for key in ("c", "R", "e", "f", "o", "slash", "d", "v"):
            assert "BLIND 1 of 9" in await press(pilot, key), f"{key} does nothing now"

        for at in range(9):  # the person always prefers the trained model's replies
            key = "left" if _meaning(_shown(pilot)[0]) == "win" else "right"
            text = await _voted(pilot, key, f"BLIND {at + 2} of 9" if at < 8 else "your blind votes")
        # The judge: 4 wins, 3 losses, one inconsistent and one failed of these 9; the same as the person in 4 of 8.
        assert "you, blind: B 9, A 0, ties 0" in text
        assert "judge on the same: B 4, A 3, ties 1" in text
        assert "you agree on 50 % [22, 78]" in text, "Wilson's interval of 4 of 8"
        text = await press(pilot, "escape")
        assert listed(text)[0] == "5.0 8.0 +3.0 B B"
        assert "you, blind: B 9, A 0, ties 0  you agree on 50 % [22, 78]" in text
        await press(pilot, "b")
        await until(pilot, lambda: "Nothing to vote on" in told(pilot))


async def _voted(pilot: Pilot[Any], key: str, then: str) -> str:
    await pilot.press(key)
    return await read_until(pilot, then)


def _shown(pilot: Pilot[Any]) -> tuple[str, str]:
    view = pilot.app.view
    assert view.round is not None
    left, right = view.round.shown(view.round.item)
    text = words(pilot)
    assert left.text[:12] in text
    assert right.text[:12] in text
    regions = [pilot.app.screen.query_one(name).region for name in ("#left", "#right")]
    lines = screen_text(pilot.app).splitlines()
    for reply_, area in zip((left, right), regions, strict=True):
        assert reply_.text[:12] in "".join(line[area.x : area.right] for line in lines[area.y : area.bottom])
    return left.text, right.text


def _meaning(text: str) -> str:
    from compare_records import TRAINED_REPLIES

    return "win" if text in TRAINED_REPLIES else "loss"


async def test_a_round_can_begin_with_the_prompt_in_view_and_end_without_a_vote(root: Path) -> None:
    run = empty_run(root)
    record = compared(run)
    async with opened(root, run) as pilot:
        await press(pilot, "j", "enter", "b")
        assert "P  Give two uses of a paper clip." in screen_text(pilot.app)
        text = await press(pilot, "escape")
        assert "prompt 2 of 12" in text, "as it was before the round"
        assert not votes_file(record).exists()
        votes_file(record).mkdir()
        assert "votes.jsonl cannot be read: Is a directory" in await press(pilot, "escape")
        assert "BLIND 1 of 9" in await press(pilot, "b", "left")
        await until(pilot, lambda: "Is a directory; the vote is not kept" in told(pilot))


async def test_figures_grow_with_the_record_until_the_process_ends(root: Path) -> None:
    run = empty_run(root)
    record = growing(run)
    async with opened(root, run) as pilot:
        with held(record):
            text = await read_until(pilot, "B answers 5/12")
            assert "5 of 12 prompts so far" in text
            assert "so far: " in text
            assert "1 min 40 s" in text, "since it began"
            assert "X Cancel" in text.splitlines()[-1]
            await press(pilot, "j", "j")
            put(
                record,
                *usual_rows(8)[5:],
                duel(5, WIN),
                Progress(time=T0 + 50, what="asking the judge", done=1, total=9),
            )
            text = await read_until(pilot, "8 of 12 prompts so far")
            assert "asking the judge 1/9" in text
            assert len(listed(text)) == 8
            assert "▸  8.0  3.0" in text, "the cursor stays"
            assert listed(text)[6:] == ["8.0 3.0 -5.0 — –", "6.0 6.0 0.0 — –"], "no score speaks for a pair to come"
            await press(pilot, "R")
            assert "A comparison is at work; X ends it" in told(pilot)
        text = await read_until(pilot, "! ended at 8 of 12 prompts without a last word")
        assert "(asking the judge); R compares anew" in words(pilot)
        assert "so far: " not in text
        put(record, Finished(time=T0 + 90, error="the judge's cap of $1.00 is spent"))
        await read_until(pilot, "! ended early: the judge's cap of $1.00 is spent")
        record.unlink()
        record.mkdir()
        text = await read_until(pilot, "cannot be read: Is a directory")
        assert len(listed(text)) == 8, "the last good content stays"
        assert "what is shown is 0.0 s old" in text


async def test_the_cursor_stays_above_all_until_somebody_moves_it(root: Path) -> None:
    run = empty_run(root)
    record = compared(run, usual_rows(6)[4:])
    async with opened(root, run) as pilot:
        with held(record):
            await read_until(pilot, "2 of 12 prompts so far")
            put(record, *usual_rows(2))
            text = await read_until(pilot, "4 of 12 prompts so far")
            assert "▸  5.0  8.0" in next(line for line in text.splitlines() if "Why is the sky" in line)
            assert "A base   score 5.0" in text
            await press(pilot, "j")
            put(record, *usual_rows(4)[2:])
            text = await read_until(pilot, "6 of 12 prompts so far")
            assert "▸  4.0  7.5" in text


_HOLDER = """
import fcntl, signal, sys
file = open(sys.argv[1], "r+b")
fcntl.flock(file, fcntl.LOCK_EX)
print("held", flush=True)
signal.pause()
"""


async def test_cancel_ends_the_process(root: Path) -> None:
    run = empty_run(root)
    record = growing(run)
    process = subprocess.Popen([sys.executable, "-c", _HOLDER, str(record)], stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        put(record, header(id="c1", pid=process.pid))
        async with opened(root, run) as pilot:
            await read_until(pilot, "X Cancel")
            await press(pilot, "X")
            text = await read_until(pilot, "! ended at 5 of 12 prompts without a last word")
            assert "Asked to end; what was done until then counts." in told(pilot)
            assert "X Cancel" not in text
        assert process.wait() == -signal.SIGTERM
    finally:
        process.kill()
        process.wait()
        if process.stdout:
            process.stdout.close()


async def test_what_is_empty_says_why_and_what_fills_it(root: Path) -> None:
    async with opened(root, None) as pilot:
        assert "No run is open. 1 shows the runs." in screen_text(pilot.app)
    run = make_run(root, "calm", life(12))
    run.config.write_text('[model]\nid = "demo"\n')
    async with opened(root, run) as pilot:
        text = await read_until(pilot, "Nothing compared. This run has no checkpoint yet")
        assert "c chooses other models" in text
        await press(pilot, "R")
        await until(pilot, lambda: "This run has no checkpoint yet" in told(pilot))
        for key in ("b", "f", "o", "d", "enter", "e", "y", "t", "p", "v", "z", "slash"):
            assert "Nothing compared" in await press(pilot, key)
        run.checkpoint(10).mkdir()
        pilot.app.view.attach(run)  # type: ignore[attr-defined]
        await read_until(pilot, "Nothing compared. R compares base and calm@10 on 64 held-out prompts: no judge costs")
    folder = run.path / "comparisons"
    folder.mkdir()
    (folder / "bad.jsonl").write_text("nonsense\n")
    async with opened(root, run, NARROW) as pilot:
        await read_until(pilot, "holds no comparison")
    compared(run, [], name="begun")
    async with opened(root, run, NARROW) as pilot:
        with held(folder / "begun.jsonl"):
            await read_until(pilot, "No prompt is done yet.")


async def test_a_judge_that_always_says_a_shows_as_position_bias(root: Path) -> None:
    run = empty_run(root)
    lines = [*usual_rows(40), *(duel(number, FLIP) for number in range(40)), Finished(time=T0 + 9)]
    compared(run, lines, rows=40)
    async with opened(root, run) as pilot:
        text = screen_text(pilot.app)
        assert "! position bias: shown first wins 100 % [9" in text
        assert "B wins 50 %" in text
        assert "the two orders disagree on 100 %" in text


NASTY = "[/] [bold]b[/] [@click=app.quit]x[/] \x1b[31m \x1b]52;c;aGk=\x07 \x9b2J \x00 \u202e \u200b \r 木木 \U000e0041"


async def test_hostile_text_is_shown_and_never_obeyed(root: Path) -> None:
    run = empty_run(root)
    text = NASTY + "e\u0301" * 20 + "long" * 400
    lines = [
        row(0, reply(text, 5.0, text), reply(text + " more", 6.0, text), prompt=text, source=text, reference=text),
        row(1, reply("", None), reply(text, 6.0, finish="length"), prompt=text, system=text),
        duel(0, WIN), duel(1, FLIP), Progress(time=T0, what=text), Finished(time=T0 + 9, error=text),
    ]  # fmt: skip
    models = (model("A", text), model("B", text, 4, named=text))
    compared(run, lines, models=models, rows=2)
    compared(run, lines, models=models, rows=2, name="c2")
    async with opened(root, run, NARROW) as pilot:
        seen = screen_text(pilot.app)
        for keys in ("enter", "G", "]", "escape", "t", "escape", "v", "escape", "c", "escape", "b", "left", "escape"):
            seen += await press(pilot, "right_square_bracket" if keys == "]" else keys)
    hidden = {c for c in seen.replace("\n", "") if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert hidden == set()
    assert "␛[31m" in " ".join(seen.split())
