"""The edit loop of a judge: a disagreement becomes an exemplar, a third is kept apart, trouble beside it is told."""

from __future__ import annotations

import asyncio
import tomllib
from pathlib import Path

import pytest
from judge_app import Alone, of_server, open_judge, opened, rules, scored, write
from judge_server import JudgeServer, constant
from samples_runs import sampled_run
from shell_pilot import read_until, told, until
from textual.pilot import Pilot

from core.errors import JudgeError
from core.judge.spec import TemplateSpec
from core.run_dir import RunDir
from rlaif_tui.desks.judge_exemplar import Exemplar, with_exemplar
from rlaif_tui.desks.judge_labels import COLUMNS, is_held, keep_mark
from rlaif_tui.desks.judge_sets import data_set
from rlaif_tui.desks.judge_state import Opened
from rlaif_tui.desks.purse import Purse

BEES, SKY, FISH = "What do bees make?", "Name a colour of the sky.", "Where do fish live?"
RESPONSES = f'prompt,response\n{SKY},"Blue, ""of\ncourse""."\n{SKY},No idea.\n{BEES},Honey.\n{FISH},In water.\n'
EXEMPLAR = Exemplar(task='a "b"\n\x1b[31m', response="c'''\\", reference="", score=2.0, reason="why")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    path = tmp_path / "answers.csv"
    path.write_text(RESPONSES)
    labels = tmp_path / "data" / "labels.csv"
    for response, mark in (('Blue, "of\ncourse".', 9.0), ("No idea.", 0.0)):
        keep_mark(labels, (SKY, response), mark)
    keep_mark(labels, (BEES, "Honey."), 6.0)
    keep_mark(labels, (FISH, "In water."), 1.0)
    assert labels.read_text().startswith(",".join(COLUMNS))
    return path


def test_a_third_of_the_prompts_is_kept_apart_the_same_everywhere(data: Path) -> None:
    held = {item.request.task for item in data_set(str(data)).items if is_held(item)}
    assert held == {FISH}


async def go_to(pilot: Pilot[None], response: str) -> None:
    view = pilot.app.view  # type: ignore[attr-defined]
    await pilot.press("g")
    for _ in view.bench.rows:
        if view.row.item.request.response == response:
            return
        await pilot.press("j")
    raise AssertionError(response)


async def refused(pilot: Pilot[None], response: str, words: str) -> None:
    await go_to(pilot, response)
    await pilot.press("x")
    await until(pilot, lambda: words in told(pilot))


async def test_a_disagreement_becomes_an_exemplar_and_is_no_longer_scored(tmp_path: Path, data: Path) -> None:
    blue = 'Blue, "of\ncourse".'
    with JudgeServer(constant(6.0)) as server:
        async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
            view = pilot.app.view  # type: ignore[attr-defined]
            await open_judge(pilot, of_server(tmp_path, server.url))
            await refused(pilot, "No idea.", "this judge's prompt has no place for exemplars")
            anchored = TemplateSpec(built_in="anchored")
            await open_judge(pilot, of_server(tmp_path, server.url, "anchored.toml", template=anchored, output="json"))
            text = await scored(pilot, "ctrl+r")
            assert "agrees with you: ρ" in text.replace("\n", " ")
            assert "kept apart:" in " ".join(text.split())
            await refused(pilot, "Honey.", "you and the judge agree on it (6 and 6.0)")
            await refused(pilot, "In water.", "this one is kept for measuring (h)")
            assert f"{view.query_one('#rows').cursor + 1}h" in await read_until(pilot, "In water.")

            await go_to(pilot, blue)
            before = view.text
            await pilot.press("x")
            text = await read_until(pilot, "show it to the judge")
            assert "score     9 of 10 from you; the judge gave 6.0" in text
            assert "^z takes it back" in text
            assert view.text == before, "it is shown before it is done"
            await write(pilot, "It names one.")
            await pilot.press("enter")
            await until(pilot, lambda: view.is_current and view.row.exemplar)
            assert view.text.startswith(before.replace("exemplars = []\n", "").rstrip("\n"))
            assert tomllib.loads(view.text)["exemplars"] == [
                {"task": SKY, "response": blue, "score": 9.0, "reason": "It names one."}
            ]
            await read_until(pilot, "an exemplar in the text")
            await refused(pilot, blue, "the judge is shown this one already")
            asked = len(server.requests)
            text = await scored(pilot, "ctrl+r")
            assert "scored 3 of 3" in text
            assert len(server.requests) == asked + 3
            assert all("It names one." in str(request) for request in server.requests[asked:])

            await pilot.press("i", "ctrl+z", "escape")
            await until(pilot, lambda: view.text == before and not any(row.exemplar for row in view.bench.rows))


async def test_what_cannot_be_an_exemplar_says_why(tmp_path: Path, data: Path) -> None:
    async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
        await open_judge(pilot, rules(tmp_path))
        await refused(pilot, "No idea.", "fixed rules cannot be shown anything")
        (tmp_path / "data" / "labels.csv").unlink()
    async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
        await refused(pilot, "No idea.", "this response has no mark of yours: r gives marks")


@pytest.mark.parametrize("text", ['name = "a"', 'exemplars = []\nname = "a"\n[scale]\nlow = 1.0\n', ""])
def test_the_text_stays_as_it_is_but_for_the_exemplar(text: str) -> None:
    once = with_exemplar(text, EXEMPLAR)
    twice = with_exemplar(once, EXEMPLAR)
    told = tomllib.loads(twice)
    assert [one["response"] for one in told.pop("exemplars")] == ["c'''\\"] * 2
    assert told == {key: value for key, value in tomllib.loads(text).items() if key != "exemplars"}


@pytest.mark.parametrize("text", ["= 3", "exemplars = [ {task = 'a', response = 'b', score = 1.0} ]", "exemplars = 3"])
def test_a_text_that_takes_no_exemplar_is_refused(text: str) -> None:
    with pytest.raises(JudgeError, match="the exemplar cannot be added to this text"):
        with_exemplar(text, EXEMPLAR)


async def test_data_set_down_for_use_is_tried_if_it_holds_responses(tmp_path: Path, data: Path) -> None:
    prompts = tmp_path / "prompts.csv"
    prompts.write_text("prompt\nWhy?\n")
    app = Alone(tmp_path)
    app.view.use_data(str(data))  # before the screen was ever shown
    async with opened(app) as pilot:
        await read_until(pilot, "4 of 4 responses of answers.csv")
        app.view.use_data(str(prompts))
        await pilot.press("s")
        text = await read_until(pilot, "built-in answers")
        assert "✗" not in text.splitlines()[2]
        assert told(pilot) == ""
        app.view.use_data(str(data))
        await read_until(pilot, "4 of 4 responses of answers.csv")


async def test_a_cache_that_cannot_be_written_is_told(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "file"))
    with JudgeServer(constant(6.0)) as server:
        async with opened(Alone(tmp_path, memory={"set": "data", "path": str(data)})) as pilot:
            await open_judge(pilot, of_server(tmp_path, server.url))
            text = await scored(pilot, "ctrl+r")
            assert "! the judge cache" in text
            assert "scored 4 of 4" in text


async def test_money_is_counted_from_the_start_of_the_app(tmp_path: Path) -> None:
    purse = Purse(cap_usd=2.0)
    ledger = purse.ledger()
    ledger.settle(ledger.reserve(250_000), 250_000)
    assert purse.ledger() is ledger
    app = Alone(tmp_path, purse=purse)
    async with opened(app) as pilot:
        await read_until(pilot, "spent $0.25 of $2.00")
        app.desk.set_cap(None)
        await read_until(pilot, "spent $0.25, no cap")
        assert ledger.cap_usd is None


async def test_the_judge_of_the_run_comes_last_however_slow_the_one_before_is(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = sampled_run(root)
    app = Alone(tmp_path)
    slow, open_texts = asyncio.Event(), app.desk.texts.open

    async def late(wanted: RunDir | None, *, fresh: bool = True) -> Opened:
        found = await open_texts(wanted, fresh=fresh)
        if wanted is None:
            await slow.wait()
        return found

    monkeypatch.setattr(app.desk.texts, "open", late)
    async with app.run_test(size=(120, 36)) as pilot:
        app.view.attach(run)
        await pilot.pause()
        slow.set()
        await read_until(pilot, "responses of calm")
        assert 'backend = "rubric"' in app.view.text
        assert app.view.run_uses == app.view.base.version
