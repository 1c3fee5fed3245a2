"""What the compare screen begins, opens and writes: models, runs of the judge, other comparisons, files."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import pytest
from compare_app import NARROW, WIDE, give, opened, ready, run_with_checkpoints
from compare_records import THREE, WIN, compared, duel, model, put, reply, row
from samples_runs import empty_run
from shell_pilot import look, press, read_until, told, until
from tui_logs import T0, screen_text

from core.compare.record import Finished
from core.run_dir import RunLock
from rlaif_tui.app import RlaifApp


async def test_models_are_chosen_and_compared(root: Path) -> None:
    run = run_with_checkpoints(root)
    async with opened(root, run, NARROW) as pilot:
        await read_until(pilot, "R compares base and calm@10")
        await press(pilot, "c")
        text = await read_until(pilot, "which models?")
        assert [line.split()[1:] for line in text.splitlines() if "calm@" in line] == [
            ["B", "calm@10", "newest", "checkpoint", "of", "this", "run", "│"], ["calm@5", "checkpoint", "│"],
        ]  # fmt: skip
        assert "mark at least two, A and B" in await press(pilot, "x", "enter")
        await press(pilot, "a", "t")
        await give(pilot, "no/such/model/here")
        await press(pilot, "enter", "b", "enter")
        await read_until(pilot, "'no/such/model/here' is no run in")
        await press(pilot, "x", "k", "c", "k", "b", "enter")
        text = await read_until(pilot, "at most, $")
        assert "A base   B calm@10   C calm@5" in text

        await give(pilot, "x7")
        assert "'x7' is no number of prompts; write 200, or all" in await look(pilot)
        await press(pilot, "enter")
        assert pilot.app.asked == []  # type: ignore[attr-defined]
        await give(pilot, "20")
        assert "20 prompts: " in await look(pilot)
        await press(pilot, "tab")
        await give(pilot, "~/prompts.csv")
        await press(pilot, "tab")
        await give(pilot, "judge.toml")
        await press(pilot, "tab")
        await give(pilot, "perhaps")
        assert "pairs: write yes or no" in await press(pilot, "enter")
        await give(pilot, "no")
        await press(pilot, "tab")
        await give(pilot, "$-1")
        assert "is no amount in dollars" in await press(pilot, "enter")
        await give(pilot, "2.50")
        await press(pilot, "enter")
        await until(pilot, lambda: pilot.app.asked)  # type: ignore[attr-defined]
        job = pilot.app.asked[0]  # type: ignore[attr-defined]
        assert job.models == ("base", "calm@10", "calm@5")
        assert (job.n, job.judge, job.pairs, job.cap_usd) == (20, "judge.toml", False, 2.5)
        assert job.data == str(Path("~/prompts.csv").expanduser())
        assert Path(job.run) == run.path.absolute()
        assert (job.wait, job.until_ended) == (False, False)
        await read_until(pilot, "▸  5.0  8.0")

        await press(pilot, "R")
        text = await read_until(pilot, "at most, $")
        assert "A base   B calm@40" in text, "of the comparison in view"
        # The one before took 90 s and $0.18 for 4 prompts; 64 are held out: 16 times as much.
        assert "64 prompts: ~24 min, ~$2.88" in text
        await press(pilot, "escape")
        assert len(pilot.app.asked) == 1  # type: ignore[attr-defined]


@pytest.mark.parametrize(("key", "wait", "until_ended"), [("n", False, False), ("p", True, False), ("e", True, True)])
async def test_while_the_run_trains_it_asks_when(root: Path, key: str, wait: bool, until_ended: bool) -> None:
    run = run_with_checkpoints(root)
    lock = RunLock(run)
    lock.acquire()
    try:
        async with opened(root, run) as pilot:
            await read_until(pilot, "R compares base and calm@10")
            await press(pilot, "R")
            await read_until(pilot, "at most, $")
            await press(pilot, "enter")
            await read_until(pilot, "calm is training.")
            await press(pilot, key)
            await until(pilot, lambda: pilot.app.asked)  # type: ignore[attr-defined]
            job = pilot.app.asked[0]  # type: ignore[attr-defined]
            assert (job.wait, job.until_ended, job.n) == (wait, until_ended, 0)
    finally:
        lock.release()


async def test_three_models_are_looked_at_in_pairs_and_ranked(root: Path) -> None:
    run = empty_run(root)
    compared(run, name="c1")
    compared(run, name="c2", models=THREE)
    os.utime(run.path / "comparisons" / "c1.jsonl", (T0, T0))
    async with opened(root, run) as pilot:
        assert "B wins 55 %" in screen_text(pilot.app), "the newest is open at first"
        await press(pilot, "p")
        text = await read_until(pilot, "A base  C calm step 80  C wins 55 %")
        assert "C calm step 80   score 8.0" in text
        await press(pilot, "p")
        text = await read_until(pilot, "B calm step 40  C calm step 80  C wins 50 %")
        assert text.splitlines()[text.splitlines().index(next(x for x in text.splitlines() if "diff" in x))].split()[
            :2
        ] == ["B", "C"]
        await press(pilot, "t")
        text = await read_until(pilot, "all figures")
        assert "Ranking" in text
        assert "strength +0.00" in text
        seen = text
        for _ in range(3):
            seen += await press(pilot, "pagedown")
        for told_ in (
            "by length of the prompt",
            "How it was made",
            "temperature 1, top-p 1",
            "held-out prompts of calm",
        ):
            assert told_ in seen, told_
        await press(pilot, "escape")
        await press(pilot, "p")
        await read_until(pilot, "A base  B calm step 40")
        await press(pilot, "v")
        text = await read_until(pilot, "comparisons of this run")
        assert "A base B calm step 40 C calm step 80" in " ".join(text.split())
        await press(pilot, "j", "enter")
        text = await ready(pilot)
        assert "p Pair" not in text.splitlines()[-1], "two models are one pair"
        left_as_it_was = pilot.app.view.memory()  # type: ignore[attr-defined]
        assert left_as_it_was["record"] == "c1.jsonl"
    async with opened(root, run, memory=left_as_it_was) as pilot:
        assert "B calm step 40   score" in screen_text(pilot.app)
        assert "p Pair" not in screen_text(pilot.app)
        put(run.path / "comparisons" / "c1.jsonl", Finished(time=T0 + 95))
        await until(pilot, lambda: pilot.app.view.memory()["record"] == "")  # type: ignore[attr-defined]


async def test_choosing_what_is_compared_already_opens_it(root: Path) -> None:
    run = run_with_checkpoints(root)
    compared(run, name="c1", models=(model("A"), model("B", step=5)))
    compared(run, name="c2", models=(model("A"), model("B", step=10)))
    os.utime(run.path / "comparisons" / "c1.jsonl", (T0, T0))
    async with opened(root, run) as pilot:
        assert "B calm step 10" in screen_text(pilot.app)
        await press(pilot, "c")
        await read_until(pilot, "which models?")
        await press(pilot, "j", "j", "b", "enter")
        await read_until(pilot, "A base  B calm step 5  ")
        assert "These are compared already; R compares them anew." in told(pilot)


@pytest.mark.parametrize("name", ["shown.csv", "shown.jsonl", "shown.md"])
async def test_what_is_shown_is_exported(root: Path, name: str) -> None:
    run = empty_run(root)
    hostile = '=HYPERLINK("http://x")'
    lines = [
        row(0, reply("-1+1", 5.0, "@sum"), reply(hostile, 6.0, "```\n# no heading"), prompt="+x"),
        row(1, reply("\tcmd", None), reply("````\nfenced\x1b[31m", 6.0), prompt="<b>[y](z)</b>"),
        *(duel(number, WIN) for number in range(2)), Finished(time=T0 + 9),
    ]  # fmt: skip
    compared(run, lines, rows=2)
    async with opened(root, run) as pilot:
        await press(pilot, "e")
        assert "2 prompts to a new file" in screen_text(pilot.app)
        await give(pilot, name)
        await press(pilot, "enter")
        await until(pilot, lambda: "2 prompts written to" in told(pilot))
        await press(pilot, "e")
        await give(pilot, name)
        await press(pilot, "enter")
        assert f"{name} exists already; give another name" in await look(pilot)
        await press(pilot, "escape")
        await press(pilot, "y")
        await until(pilot, lambda: "last-copy.txt" in told(pilot))
    written = Path(name).read_text()
    if name.endswith(".csv"):
        cells = [cell for line in csv.reader(written.splitlines()[1:]) for cell in line]
        assert not [cell for cell in cells if cell.startswith(("=", "@", "\t", "+", "-1"))]
        assert "'-1+1" in cells
        assert f"'{hostile}" in cells
    elif name.endswith(".jsonl"):
        first, second = map(json.loads, written.splitlines())
        assert (first["response_b"], first["difference"], first["judge"]) == (hostile, 1.0, "win")
        assert (second["score_a"], second["failure_a"]) == (None, "unparseable: it said nothing")
    else:
        assert "`````\n````\nfenced" in written, "the fence is longer than any within"
        assert "\x1b" not in written
        assert "\n# no heading" not in written
        assert written.startswith("# A base against B calm step 40\n")


async def test_key_7_opens_it_and_the_help_names_every_key(root: Path) -> None:
    run = empty_run(root)
    compared(run)
    app = RlaifApp(root, run, now=lambda: T0 + 100)
    async with app.run_test(size=WIDE) as pilot:
        await look(pilot)
        await press(pilot, "7")
        text = await read_until(pilot, "B wins 55 %")
        assert "[7 Compare]" in text.splitlines()[0]
        assert "calm" in text.splitlines()[0]
        await press(pilot, "question_mark")
        text = await read_until(pilot, "help: Compare")
        for _ in range(4):
            await pilot.press("pagedown")
            text += await look(pilot)
        read = " ".join(text.replace("│", " ").split())
        for id_ in ("choose", "blind", "only", "order", "diff", "run", "table", "search", "copy", "export"):
            assert f"compare.{id_}" in read, id_
        for figure in ("B wins", "flips", "length-controlled", "too few to tell"):
            assert figure in read
        await press(pilot, "escape")
        await pilot.resize_terminal(59, 15)
        assert "60x16 needed, 59x15 now" in await look(pilot)
        await pilot.resize_terminal(60, 16)
        assert "A base" in await look(pilot)
