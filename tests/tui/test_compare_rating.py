"""Rating single replies of a comparison by hand, and that the ratings of every screen come together."""

from __future__ import annotations

from pathlib import Path

import play_host
import pytest
from compare_app import opened, words
from compare_records import BASE_REPLIES, PROMPTS, TRAINED_REPLIES, compared, header, put, usual_duels, usual_rows
from samples_runs import empty_run, judged, rollout, verdict
from shell_pilot import both_sizes, press, read_until, told, until
from textual.pilot import Pilot
from tui_logs import T0, screen_text

from core.agreement import AgreementReader
from core.compare.record import Finished, folder_of
from core.compare.votes import load_votes
from core.ratings import load_ratings, ratings_file
from core.run_dir import RunDir
from rlaif_tui.desks.rated import version_in
from rlaif_tui.desks.samples import SamplesDesk
from rlaif_tui.desks.samples_store import Query
from rlaif_tui.run_state import RunState
from rlaif_tui.screens.person_page import person_page
from rlaif_tui.screens.play_field import PromptField


def by_own_judge(run: RunDir) -> Path:
    """A comparison that the run's own judge has scored."""
    lines = [*usual_rows(), *usual_duels(), Finished(time=T0 + 90)]
    return put(folder_of(run) / "c1.jsonl", header(judge_version=version_in(run)), *lines)


def given(run: RunDir) -> dict[str, tuple[float | None, int | None]]:
    """What was rated and of which step, by id of the reply."""
    return {id_: (rating.score, rating.step) for (id_, _), rating in load_ratings(run).standing.items()}


async def rated(pilot: Pilot[None], run: RunDir, key: str, count: int) -> None:
    await pilot.press(key)
    await until(pilot, lambda: len(given(run)) == count)


@both_sizes
async def test_both_replies_are_rated_in_turn_with_judge_and_models_hidden(root: Path, size: tuple[int, int]) -> None:
    run = empty_run(root)
    by_own_judge(run)
    async with opened(root, run, size) as pilot:
        text = await press(pilot, "r")
        assert "RATING the left reply, 1 of 2, 0 to 10, judge and models hidden" in text
        assert PROMPTS[0] in text
        assert BASE_REPLIES[0] in text
        for hidden in ("base", "step 40", "score", "too short", "clear and right", "wins", "[-", "tokens"):
            assert hidden not in text, hidden
        assert "0-9 Score" in text.splitlines()[-1]
        for key in ("c", "R", "b", "slash", "tab", "m", "s"):
            assert "RATING the left" in await press(pilot, key), f"{key} does nothing now"
        await rated(pilot, run, "4", 1)
        assert "RATING the right reply, 2 of 2" in await read_until(pilot, "the right reply")
        await pilot.press("u")
        await read_until(pilot, "RATING the left reply")
        assert given(run) == {}
        await press(pilot, "u")
        await until(pilot, lambda: "you have not rated this reply" in told(pilot))
        await rated(pilot, run, "3", 1)
        await read_until(pilot, "the right reply")
        await rated(pilot, run, "t", 2)
        text = await read_until(pilot, "A base")
        assert given(run) == {"compare:c1/0/0": (3.0, 0), "compare:c1/0/1": (10.0, 40)}
        assert "A base   you 3   score 5.0" in text
        assert "B calm step 40   you 10   score 8.0" in text
        if size[1] > 24:
            assert "you rated 2 replies" in words(pilot)
        assert AgreementReader(run).read().rated == 2


async def test_the_pane_in_use_is_rated_alone_and_esc_leaves_it(root: Path) -> None:
    run = empty_run(root)
    by_own_judge(run)
    async with opened(root, run) as pilot:
        await press(pilot, "j", "enter", "tab")
        assert pilot.app.focused is not None
        assert pilot.app.focused.id == "right"
        assert "RATING the right reply, 1 of 1" in await press(pilot, "r")
        await rated(pilot, run, "6", 1)
        text = await read_until(pilot, "B calm step 40   you 6")
        assert "prompt 2 of 12" in text, "as it was before"
        assert pilot.app.focused.id == "right"
        await press(pilot, "r")
        assert "prompt 2 of 12" in await press(pilot, "escape")
        assert given(run) == {"compare:c1/1/1": (6.0, 40)}


async def test_amid_a_blind_vote_names_stay_hidden_and_the_vote_goes_on(root: Path) -> None:
    run = empty_run(root)
    record = by_own_judge(run)
    async with opened(root, run) as pilot:
        await press(pilot, "b")
        shown = (await press(pilot, "r")).replace("│", " ")
        assert "RATING the left reply" in shown
        assert "base" not in shown
        assert "step 40" not in shown
        left = str(pilot.app.screen.query_one("#left Static").render())  # type: ignore[attr-defined]
        model = 1 if any(" ".join(left.split()) == reply for reply in TRAINED_REPLIES) else 0
        await rated(pilot, run, "8", 1)
        [id_] = given(run)
        assert id_.endswith(f"/{model}"), "the score belongs to the model whose reply stood there"
        assert "BLIND 1 of 9" in await press(pilot, "escape")
        await press(pilot, "left")
        assert "BLIND 2 of 9" in await read_until(pilot, "BLIND 2")
        assert len(load_votes(record).standing) == 1


async def test_scores_of_another_judge_are_kept_but_do_not_count(root: Path) -> None:
    run = empty_run(root)
    compared(run)  # by a judge that is not the run's
    async with opened(root, run) as pilot:
        await press(pilot, "r")
        await rated(pilot, run, "3", 1)
        await read_until(pilot, "the right reply")
        await rated(pilot, run, "9", 2)
        assert "you 9" in await read_until(pilot, "A base")
        assert AgreementReader(run).read().rated == 0
        ratings_file(run).unlink()
        ratings_file(run).mkdir()
        await press(pilot, "r", "5")
        await until(pilot, lambda: "the rating is not kept" in told(pilot))
        assert "RATING the left reply" in screen_text(pilot.app), "it can be tried again"


async def test_ratings_of_samples_playground_and_compare_are_one_curve(root: Path, tmp_path: Path) -> None:
    run = play_host.play_run(root, steps=(20,))
    for row, score in enumerate((1.0, 4.0, 9.0)):
        judged(run.rollouts(3), rollout(3, row), verdict(score))
    by_own_judge(run)
    samples = SamplesDesk()
    samples.attach(run)
    while (await samples.refresh()).left:
        pass
    listing = await samples.listing(Query())
    for row in listing.rows:
        await samples.rate(row, row.score)
    assert AgreementReader(run).read().rated == 3
    async with play_host.opened(tmp_path, run) as (pilot, app):
        app.view.query_one(PromptField).put(PROMPTS[1])
        await play_host.press(pilot, "ctrl+r")
        app.process.begins()
        app.process.ends()
        await play_host.until(pilot, lambda _: not app.view.seen.busy)
        await play_host.press(pilot, "s")
        await play_host.until(pilot, lambda text: text.count("/10") == 2)
        await play_host.press(pilot, "r", "7")
        await play_host.until(pilot, lambda text: "you 7" in text)
    async with opened(root, run) as pilot:
        await press(pilot, "r")
        await rated(pilot, run, "5", 5)
        await read_until(pilot, "the right reply")
        await rated(pilot, run, "8", 6)
    found = AgreementReader(run).read()
    assert found.rated == 6
    assert found.newest is not None
    assert (found.newest.first_step, found.newest.step, found.newest.n) == (0, 40, 6)
    curve = person_page(found)[0]
    assert curve.points(RunState(name="calm"))[-1] == (40, found.newest.rho.value)
    await samples.refresh()
    figure = await samples.agreement()
    assert figure is not None
    assert figure.value == pytest.approx(found.newest.rho.value)
