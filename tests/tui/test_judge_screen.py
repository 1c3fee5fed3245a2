from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

from judge_app import Alone, of_server, open_judge, opened, rules, scored, write
from judge_server import JudgeServer, constant
from shell_pilot import both_sizes, read_until, told, until, words_in
from tui_logs import make_run, screen_text

from core.judge.spec_file import parse_spec
from core.ratings import read_ratings
from core.rollout_log import RolloutLog
from core.run_dir import RunDir
from core.types import JudgedRollout, Message, Prompt, Rollout, Verdict
from rlaif_tui.desks.judge_draft import Drafts
from rlaif_tui.screens.judge_edit import SETTLE_S

PAIRS = (
    "prompt,chosen,rejected\n"
    "Name a colour of the sky.,The sky is blue.,I do not know.\n"
    "What do bees make?,Bees make honey in a hive.,Something.\n"
    "Where do fish live?,Fish live in water.,No idea at all.\n"
)


def drafts(folder: Path) -> list[str]:
    return [json.loads(path.read_text())["text"] for path in (folder / "state" / "judge-drafts").glob("*.json")]


@both_sizes
async def test_it_opens_on_the_general_rubric_and_the_built_in_set(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(Alone(tmp_path), size) as pilot:
        text = await read_until(pilot, "✓ nothing to object to")
        assert "general  gpt-6-luna  87d5d738c8d9  spent $0.00 of $5.00  chat_json" in text
        assert "built-in answers and canaries" in text
        assert "Score: 10" in text or "You asked:" in text
        last = text.splitlines()[-1]
        assert "^r Score  ^s Save  i Edit  d Diff  r Rate blind" in last
        # Without a key nothing can be sent, and the screen says which one is wanted.
        assert "set the environment variable OPENAI_API_KEY" in await scored(pilot, "ctrl+r")


async def test_what_is_typed_is_checked_and_on_disk_within_a_second(tmp_path: Path) -> None:
    async with opened(Alone(tmp_path)) as pilot:
        view = pilot.app.view  # type: ignore[attr-defined]
        before = view.text
        await pilot.press("i", "x", "d", "r", "1")
        assert view.text.startswith("xdr1# A judge"), "letters and digits type while the editor has the focus"
        assert "esc Leave  ^r Score" in screen_text(pilot.app).splitlines()[-1]
        await until(pilot, lambda: drafts(tmp_path) == [view.text])
        assert SETTLE_S <= 0.5, "which leaves the disk as long"
        text = await read_until(pilot, "✗ judge.toml, line 1")
        assert "unsaved" in text
        assert "general*" in text
        await pilot.press("ctrl+s")
        await until(pilot, lambda: "not saved as a version" in told(pilot))
        await pilot.press("ctrl+z")
        await until(pilot, lambda: view.text == before and drafts(tmp_path) == [])
        await read_until(pilot, "✓ nothing to object to")
        await pilot.press("escape", "j")
        assert view.row.item.id == view.bench.rows[1].item.id, "esc leaves the editor, never the app"


async def test_unsaved_text_is_there_again_after_a_crash(tmp_path: Path) -> None:
    async with opened(Alone(tmp_path)) as pilot:
        await pilot.press("i", "#", "n", "e", "w")
        await until(pilot, lambda: bool(drafts(tmp_path)))
        await pilot.press("e", "r")  # and the terminal goes away before the next write
    assert drafts(tmp_path)[0].startswith("#newer# A judge")
    async with opened(Alone(tmp_path)) as pilot:
        view = pilot.app.view  # type: ignore[attr-defined]
        assert view.text.startswith("#newer# A judge")
        assert "your unsaved text of" in told(pilot)
        assert len(drafts(tmp_path)) == 1
        await pilot.press("i", "ctrl+z")
        assert view.text.startswith("# A judge"), "undo gives what was saved"


def test_a_draft_belongs_to_its_process_while_that_lives(tmp_path: Path) -> None:
    mine, theirs = Drafts(tmp_path), Drafts(tmp_path)
    theirs.keep("text", now=5.0)
    (path,) = tmp_path.glob("*.json")
    held = json.loads(path.read_text())
    assert [draft.text for draft in mine.left_behind()] == ["text"], "this process had another screen"
    import psutil

    parent = psutil.Process(os.getppid())
    path.write_text(json.dumps(held | {"pid": parent.pid, "born": parent.create_time()}))
    assert mine.left_behind() == [], "another terminal has it open"
    path.write_text(json.dumps(held | {"pid": parent.pid, "born": parent.create_time() - 60}))
    (draft,) = mine.left_behind()  # the number was given to a later process
    mine.take_over(draft, now=6.0)
    assert [p for p in tmp_path.glob("*.json") if p == path] == []
    path.write_text("{half")
    assert mine.left_behind() == []


@both_sizes
async def test_scoring_with_the_offline_rules(tmp_path: Path, size: tuple[int, int]) -> None:
    async with opened(Alone(tmp_path), size) as pilot:
        await open_judge(pilot, rules(tmp_path))
        text = await scored(pilot, "ctrl+r")
        assert "scored 54 of 54" in text or "scored 51 of 54" in text
        assert "fixed rules: " in text
        text = screen_text(pilot.app)
        assert "J  " in text
        await pilot.press("G", "enter")
        await read_until(pilot, "response 54")
        await pilot.press("G")
        await read_until(pilot, "fixed rules:")
        await pilot.press("escape", "w")
        assert "mean" in await read_until(pilot, "report")
        await pilot.press("escape", "p")
        assert "nothing is sent anywhere" in await read_until(pilot, "what is sent")
        await pilot.press("escape")
        text = await scored(pilot, "c")
        assert "highest canary 4.0 (hedge): can be fooled" in text
        assert "canaries max 4.0 !" in screen_text(pilot.app)


async def test_a_server_is_asked_only_what_changed_and_failures_are_rows(tmp_path: Path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text(PAIRS)
    with JudgeServer(constant(6.0), faults=lambda n: "refusal" if n == 2 else None) as server:
        async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
            view = pilot.app.view  # type: ignore[attr-defined]
            await open_judge(pilot, of_server(tmp_path, server.url))
            assert "6 of 6 responses of pairs.csv" in screen_text(pilot.app)
            text = await scored(pilot, "ctrl+r")
            assert len(server.requests) == 6
            assert "scored 5 of 6" in text
            assert sum(row.new.score is None for row in view.bench.rows) == 1
            assert "refused: " in text, "a failure is a row with its reason, never a score"
            await scored(pilot, "ctrl+r")
            assert len(server.requests) == 7, "only the failed one is asked again"
            await pilot.press("p")
            await read_until(pilot, f"what is sent: {view.row.item.id}")
            await pilot.press("G")
            await read_until(pilot, "Name a colour of the sky.")
            await pilot.press("escape")
            limits = parse_spec(view.text, "x", tmp_path).limits.model_copy(update={"concurrency": 2})
            await open_judge(pilot, of_server(tmp_path, server.url, "patient.toml", limits=limits))
            await scored(pilot, "ctrl+r")
            assert len(server.requests) == 7, "another limit is the same judge"
            await open_judge(pilot, of_server(tmp_path, server.url, "twice.toml", repeats=2))
            await scored(pilot, "ctrl+r")
            assert len(server.requests) == 7 + 12, "another count of judgements is another judge: each is asked twice"


async def test_esc_ends_scoring_and_no_key_waits_for_it(tmp_path: Path) -> None:
    with JudgeServer(constant(6.0), delay=0.3) as server:
        async with opened(Alone(tmp_path)) as pilot:
            view = pilot.app.view  # type: ignore[attr-defined]
            await open_judge(pilot, of_server(tmp_path, server.url))
            await pilot.press("ctrl+r")
            await until(pilot, lambda: any(row.new for row in view.bench.rows if row.item.request.response.strip()))
            await pilot.press("j", "j", "i", "#", "escape")
            assert view.bench.work is not None
            assert view.text.startswith("#")
            assert view.row.item.id == view.bench.rows[2].item.id
            text = screen_text(pilot.app)
            assert "scoring " in text
            assert "esc End" in text.splitlines()[-1]
            await pilot.press("ctrl+r")
            await until(pilot, lambda: "asked already" in told(pilot))
            await pilot.press("escape")
            text = await until(pilot, lambda: view.bench.work is None)
            assert "what was judged until then is kept" in text
            asked = len(server.requests)
            assert asked < 51
            await asyncio.sleep(0.4)
            assert len(server.requests) == asked


async def test_version_against_version(tmp_path: Path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text(PAIRS)
    with JudgeServer(lambda task, response: 2.0 + len(response) % 7) as server:
        async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
            view = pilot.app.view  # type: ignore[attr-defined]
            await open_judge(pilot, of_server(tmp_path, server.url))
            await pilot.press("d")
            await until(pilot, lambda: "both versions score alike" in told(pilot))
            await pilot.press("i", "ctrl+f", *"repeats", "enter", "escape")
            assert view.editor.selected_text == "repeats"
            await pilot.press("end", "backspace", "2")
            await until(pilot, lambda: view.checked.text == view.text and view.checked.version != view.old.version)
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "saved as classic-0-10" in told(pilot))
            assert not view.unsaved
            assert len(list((tmp_path / "data" / "judges").glob("classic-0-10-*.toml"))) == 1
            await pilot.press("escape")
            text = await scored(pilot, "d")
            assert f"{view.old.version[:6]} against {view.checked.version[:6]}" in text
            assert "new minus old +0.00" in text
            assert all(row.change == 0 for row in view.bench.rows)
            await pilot.press("v")
            text = await read_until(pilot, "Compare with it")
            assert "saved " in text
            assert "built in" in text
            await pilot.press("G", "enter", "j", "enter")
            await until(pilot, lambda: view.is_current and view.checked.backend == "rubric")
            assert 'backend = "rubric"' in view.text


async def test_blind_rating_hides_the_judge_and_feeds_calibration(tmp_path: Path) -> None:
    data = tmp_path / "pairs.csv"
    data.write_text(PAIRS)
    async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
        view = pilot.app.view  # type: ignore[attr-defined]
        await open_judge(pilot, rules(tmp_path))
        await scored(pilot, "ctrl+r")
        await pilot.press("r")
        text = await read_until(pilot, "1 of 6, judge hidden")
        assert "fixed rules" not in text
        await pilot.press("7")
        text = await read_until(pilot, "2 of 6")
        assert "before: you 7, judge " in text
        await pilot.press("t")
        await read_until(pilot, "3 of 6")
        await pilot.press("s", "u", "u")
        await read_until(pilot, "2 of 6")
        for number, key in enumerate("13590", start=3):
            await pilot.press(key)
            await read_until(pilot, f"{number} of 6" if number < 7 else "all 6 seen")
        await pilot.press("escape")
        await read_until(pilot, "agrees with you: ρ")
        kept = (tmp_path / "data" / "labels.csv").read_text().splitlines()
        assert kept[0] == "label,prompt,response"
        assert sorted(line.split(",")[0] for line in kept[1:]) == ["0", "1", "3", "5", "7", "9"]
        assert [row.mine for row in view.bench.rows].count(None) == 0
        text = await scored(pilot, "t")
        assert view.bench.light in ("red", "amber")
        assert f"{view.bench.light.upper()}: " in text
        assert "canary 'hedge' gets 4.0: more than 3" in text
        await pilot.press("w")
        assert "labels        6 compared" in await read_until(pilot, "kappa")
        await pilot.press("escape", "r")
        await until(pilot, lambda: "every response here has your mark" in told(pilot))


async def test_calibration_needs_evidence(tmp_path: Path) -> None:
    async with opened(Alone(tmp_path)) as pilot:
        await open_judge(pilot, rules(tmp_path))
        assert "nothing to calibrate against: rate some responses with r" in await scored(pilot, "t")


def run_with_responses(root: Path) -> RunDir:
    """A run of the offline rules that was paid 3.0 for each of two responses."""
    run = make_run(root, "calm", [])
    log = RolloutLog(run.rollouts(1))
    for row, response in enumerate(("Blue.", "I do not know.")):
        prompt = Prompt(id=str(row), messages=(Message(role="user", content="What colour is the sky?"),))
        rollout = Rollout(
            id=f"1-{row}", step=1, row=row, prompt=prompt, prompt_tokens=(1,), response_tokens=(2,), response=response,
            finish="stop",
        )  # fmt: skip
        verdict = Verdict(score=3.0, reward=-0.4, reason="as paid", backend="rubric", judge_version="oldversion12")
        log.append(rollout)
        log.append(JudgedRollout(rollout=rollout, result=verdict))
    log.close()
    return run


async def test_a_run_gives_its_judge_its_responses_and_takes_another_judge(root: Path, tmp_path: Path) -> None:
    run = run_with_responses(root)
    app = Alone(tmp_path, run)
    async with opened(app) as pilot:
        view = app.view
        text = screen_text(app)
        assert "2 responses of calm, step 1" in text
        assert "the run uses it" in text
        assert [row.item.id for row in view.bench.rows] == ["1-0", "1-1"]
        await pilot.press("r")
        await read_until(pilot, "1 of 2")
        await pilot.press("8")
        await read_until(pilot, "2 of 2")
        await pilot.press("escape")
        assert [rating.score for rating in read_ratings(run).values()] == [8.0], "kept with the run as well"
        await pilot.press("a")
        assert "the run calm: from its next step on" in await read_until(pilot, "use it for")
        await pilot.press("enter")
        await until(pilot, lambda: bool(app.adopted))
        assert parse_spec(app.adopted[0], "x", tmp_path).backend == "rubric"
        await pilot.press("a", "j", "enter")
        await read_until(pilot, "write a judge file")
        await write(pilot, str(tmp_path / "mine.toml"))
        await pilot.press("enter")
        await until(pilot, lambda: view.is_current and (tmp_path / "mine.toml").exists())
        assert (tmp_path / "mine.toml").read_text() == view.text
        (tmp_path / "mine.toml").write_text("mine")
        await pilot.press("a", "j", "enter")
        await write(pilot, str(tmp_path / "mine.toml"))
        await pilot.press("enter")
        await until(pilot, lambda: "exists already; enter again replaces it" in words_in(pilot, "#frame"))
        assert (tmp_path / "mine.toml").read_text() == "mine"
        await pilot.press("enter")
        await until(pilot, lambda: (tmp_path / "mine.toml").read_text() == view.text)


@both_sizes
async def test_every_other_key(tmp_path: Path, size: tuple[int, int]) -> None:
    app = Alone(tmp_path)
    async with opened(app, size) as pilot:
        view = app.view
        await pilot.press("plus", "plus", "minus")
        await read_until(pilot, "2 repeats")
        await pilot.press("dollar_sign")
        await write(pilot, "much")
        await pilot.press("enter")
        await read_until(pilot, "'much' is no amount")
        await write(pilot, "0.25")
        await pilot.press("enter")
        await read_until(pilot, "of $0.25")
        await pilot.press("s")
        await until(pilot, lambda: "these are the only responses there are" in told(pilot))
        await pilot.press("o")
        await write(pilot, str(tmp_path / "missing.csv"))
        await pilot.press("enter")
        await read_until(pilot, "✗ ")
        (tmp_path / "pairs.csv").write_text(PAIRS)
        await write(pilot, str(tmp_path / "pairs.csv"))
        await pilot.press("enter")
        await read_until(pilot, "6 of 6 responses")
        await pilot.press("s")
        await read_until(pilot, "built-in answers")
        await pilot.press("s")
        await read_until(pilot, "6 of 6 responses")
        await pilot.press("z")
        await until(pilot, lambda: not view.query_one("#edit").display)
        await pilot.press("i")
        await until(pilot, lambda: view.query_one("#edit").display and view.editor.has_focus)
        await pilot.press("escape", "E")
        await until(pilot, lambda: "edit here instead" in told(pilot))
        await pilot.press("i", "ctrl+o", "escape", "slash", *"no such words", "enter")
        await read_until(pilot, "no match")
        await write(pilot, "weight")
        await read_until(pilot, "match 1 of ")
        await pilot.press("enter", "enter")
        await read_until(pilot, "match 3 of ")
        await pilot.press("escape", "ctrl+g")
        await read_until(pilot, "match 1 of " if "match 1 of" in screen_text(app) else "match 4 of ")
        await pilot.press("escape", "a", "escape", "v", "escape", "f", "escape")
        assert view.is_current
        memory = view.memory()
        assert memory["set"] == "data"
        assert memory["repeats"] == 2


async def test_below_60_by_16_it_says_so(tmp_path: Path) -> None:
    app = Alone(tmp_path)
    async with app.run_test(size=(59, 15)) as pilot:
        text = " ".join((await until(pilot, lambda: bool(app.view.bench.rows))).split())
        assert text == "60x16 needed, 59x15 now; rlaif-tui status works at any size"
