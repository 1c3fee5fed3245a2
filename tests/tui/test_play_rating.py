"""Rating replies of the playground by hand: the keys, what is hidden meanwhile, and that the ratings count."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from play_host import BASE, TRAINED, Alone, look, opened, play_run, press, told, until
from textual.pilot import Pilot
from tui_logs import T0, screen_text

from core.agreement import AgreementReader
from core.commands import Draw
from core.errors import RunDirError
from core.ratings import fingerprint, load_ratings, person, rate
from core.run_dir import RunDir
from core.types import Message
from rlaif_tui.desks import play_rated
from rlaif_tui.desks.play_history import history_file, keep
from rlaif_tui.desks.play_rated import rated_id
from rlaif_tui.desks.play_state import Exchange, Reply

PROMPT = (Message("user", "Give two uses of a paper clip."),)


def exchange(number: int, *, judged: bool = True, step: int = 20) -> Exchange:
    """One that is complete, and scored if ``judged``."""
    scores = (3.0, 8.0) if judged else (None, None)
    base, trained = (
        Reply(text=text, tokens=7, finish="stop", score=score, reason="because" if judged else "")
        for text, score in zip((BASE, TRAINED), scores, strict=True)
    )
    return Exchange(
        id=f"x{number}", time=T0, messages=PROMPT, draw=Draw(seed=7, max_new_tokens=64), step=step, base=base,
        trained=trained, judge="my judge 0a1b2c" if judged else "",
    )  # fmt: skip


def with_history(root: Path, folder: Path, *known: Exchange) -> RunDir:
    run = play_run(root)
    for each in known:
        keep(history_file(folder / "state", run), run, each)
    return run


def given(run: RunDir) -> dict[str, float | None]:
    return {id_: rating.score for (id_, _), rating in load_ratings(run).standing.items()}


async def rated(pilot: Pilot[None], app: Alone, *keys: str) -> str:
    """Press these and wait for the ratings to be read."""
    await press(pilot, *keys)
    return await until(pilot, lambda _: app.view.rated is None)


async def test_a_reply_is_rated_with_the_judge_hidden(root: Path, tmp_path: Path) -> None:
    run = with_history(root, tmp_path, one := exchange(1))
    async with opened(tmp_path, run) as (pilot, app):
        text = screen_text(app)
        assert "judge 8" in text
        assert "8/10  because" in text
        text = await press(pilot, "r")
        assert "RATING the reply of step 20, 0 to 10, judge hidden" in text
        assert TRAINED[:40] in text
        assert "judge 8" not in text
        assert "/10" not in text
        assert "0-9 Score" in text.splitlines()[-1]
        assert "New chat" not in text.splitlines()[-1], "a letter that is no score does nothing meanwhile"
        await press(pilot, "N", "s", "tab", "m", "i")
        assert app.view.rated is not None
        text = await rated(pilot, app, "7")
        assert "you 7   judge 8" in text
        assert "you rated 1" in text
        [rating] = load_ratings(run).standing.values()
        assert (rating.rollout_id, rating.score, rating.by) == (rated_id(one, "trained"), 7.0, person())
        assert (rating.judge, rating.judge_version, rating.step) == (8.0, "0a1b2c", 20)
        assert rating.text == fingerprint(TRAINED)
        assert AgreementReader(run).read().rated == 1


async def test_ten_undo_escape_and_the_bases_reply(root: Path, tmp_path: Path) -> None:
    run = with_history(root, tmp_path, one := exchange(1))
    async with opened(tmp_path, run, (80, 24)) as (pilot, app):
        app.view.query_one("#base").focus()
        assert "RATING the reply of base" in await press(pilot, "r")
        assert "you 10" in await rated(pilot, app, "t")
        assert given(run) == {rated_id(one, "base"): 10.0}
        [rating] = load_ratings(run).standing.values()
        assert (rating.step, rating.judge) == (0, 3.0), "the base is the policy before the first step"
        await press(pilot, "r", "u")
        assert "Your score is taken back." in told(pilot)
        assert given(run) == {}
        await press(pilot, "u")
        assert "You have not rated this reply." in told(pilot)
        text = await press(pilot, "escape")
        assert app.view.rated is None
        assert "judge 3" in text
        assert "you 10" not in text
        await rated(pilot, app, "r", "0")
        assert given(run) == {rated_id(one, "base"): 0.0}


async def test_a_rating_counts_once_the_judge_has_scored_the_reply(root: Path, tmp_path: Path) -> None:
    run = with_history(root, tmp_path, one := exchange(1, judged=False))
    async with opened(tmp_path, run) as (pilot, app):
        await rated(pilot, app, "r", "9")
        assert "9 is kept; it counts once the judge has scored the reply: s" in told(pilot)
        rate(run, rated_id(one, "trained"), 2.0, "bob", text=fingerprint(TRAINED))
        assert AgreementReader(run).read().rated == 0
        await press(pilot, "s")
        await until(pilot, lambda text: text.count("/10") == 2)
        await until(pilot, lambda _: AgreementReader(run).read().rated == 1)
        scored = app.view.seen.exchange
        assert scored is not None
        standing = load_ratings(run).standing
        assert {who: (each.score, each.judge, each.step) for (_, who), each in standing.items()} == {
            person(): (9.0, scored.trained.score, 20),
            "bob": (2.0, scored.trained.score, 20),
        }
        size = (run.path / "ratings.jsonl").stat().st_size
        await press(pilot, "s")
        await until(pilot, lambda _: not app.view.seen.scoring)
        assert (run.path / "ratings.jsonl").stat().st_size == size, "the same score is no news"


async def test_nothing_is_rated_before_it_is_said_and_a_full_disk_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RunDirError("cannot write to ratings.jsonl: no space left; the rating is not kept")

    run = play_run(root)
    async with opened(tmp_path, run) as (pilot, app):
        await press(pilot, "r")
        assert app.view.rated is None
        app.desk.show(exchange(1))
        await look(pilot)
        monkeypatch.setattr(play_rated, "rate", full)
        await rated(pilot, app, "r", "5")
        assert "no space left; the rating is not kept" in told(pilot)
        assert given(run) == {}


def test_the_version_is_the_last_word_of_who_scored() -> None:
    assert exchange(1).judge_version == "0a1b2c"
    assert msgspec.structs.replace(exchange(1), judge="").judge_version == ""
