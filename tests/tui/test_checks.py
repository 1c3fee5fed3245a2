"""Fresh ratings are asked for quietly, given in one round, refused with one key, and drawn as a curve."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import test_samples_screen as samples
from samples_runs import judged, rollout, verdict
from train_host import look, opened, press
from train_runs import eventful
from tui_logs import T0, life, make_run

from core.ratings import Origin, person, rate
from core.run_dir import RunDir, RunLock
from core.spot_checks import SpotChecks
from rlaif_tui.background import in_background
from rlaif_tui.desks.checks import ChecksDesk
from rlaif_tui.desks.samples import SamplesDesk
from rlaif_tui.settings import Settings, load

SIZES = [(120, 36), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


@pytest.fixture
def asking(tmp_path: Path) -> Any:
    """A live run past its first mark, whose step 50 has replies of all scores."""
    run = make_run(tmp_path, "calm", life(53, total=100))
    run.config.write_text('[model]\nid = "demo"\n')
    for row in range(12):
        judged(run.rollouts(50), rollout(50, row), verdict(row * 0.8))
    lock = RunLock(run)
    lock.acquire()
    yield run
    lock.release()


def rated(run: RunDir, count: int, rho: float = 1.0, first: int = 1) -> None:
    draw = random.Random(first)
    for n in range(count):
        judge = draw.uniform(0, 10)
        mine = judge if rho > 0 else 10 - judge
        origin = Origin(judge=judge, step=first + n, prompt_id=f"p{n}")
        rate(run, f"play:{first + n}", mine, "ana", origin=origin)


@both_sizes
async def test_train_asks_in_one_line_and_d_refuses(asking: RunDir, size: tuple[int, int]) -> None:
    async with opened(asking, size, now=T0 + 200) as pilot:
        assert "4 fresh replies to rate: 6 then r   (d: not now)" in await look(pilot)
        text = await press(pilot, "d")
        assert "fresh replies" not in text
        assert SpotChecks(asking, person()).look(99, 50) is None
        assert "fresh replies" not in await press(pilot, "d")


async def test_a_run_that_has_ended_asks_nothing(tmp_path: Path) -> None:
    run = make_run(tmp_path, "calm", life(53, total=100))
    async with opened(run, SIZES[0], now=T0 + 200) as pilot:
        assert "fresh replies" not in await look(pilot)


@both_sizes
async def test_the_curve_is_a_page_of_charts_and_a_fall_a_warning(tmp_path: Path, size: tuple[int, int]) -> None:
    run = eventful(tmp_path)
    rated(run, 25, 1.0)
    lock = RunLock(run)
    lock.acquire()
    async with opened(run, size, now=T0 + 60) as pilot:
        text = await look(pilot)
        assert "judge and" not in text
        text = await press(pilot, "c", "c", "c", "c")
        for words in ("judge and you ρ 1.00", "length and score r —", "said twice —", "approx KL —"):
            assert words in text
        if size == SIZES[0]:
            assert "95% 1.00 to 1.00, n 6, too few" in text, "of the judge in force, from step 20 on"
        rated(run, 20, -1.0, first=26)
        await look(pilot)
        text = await look(pilot)
        assert "judge and person agree at ρ -1.00 only: the judge may want something else than you" in " ".join(
            text.split()
        )
        assert "agreement ρ -1.00" in " ".join((await press(pilot, "w")).split())
    lock.release()


async def test_the_round_is_ready_made_and_the_header_tells_the_curve(asking: RunDir) -> None:
    desk = SamplesDesk(checks=ChecksDesk(50))
    desk.attach(asking)
    while (await desk.refresh()).left:
        pass
    wanted = (await desk.checks()).asked
    assert wanted is not None
    fresh = await desk.fresh(wanted)
    scores = sorted(row.score or 0 for row in fresh)
    assert len(scores) == 4
    assert all(a < b for a, b in zip(scores, (2.4, 4.8, 7.2, 9.6), strict=True)), "one of each part of the range"
    await desk.rate(fresh[0], 5)
    await desk.refresh()
    left = (await desk.checks()).asked
    assert left is not None
    assert left.left == 3
    assert fresh[0].key not in {row.key for row in await desk.fresh(left)}
    await desk.not_now(left)
    assert (await desk.checks()).asked is None


@both_sizes
async def test_r_on_samples_begins_that_round_and_d_refuses(asking: RunDir, size: tuple[int, int]) -> None:
    async with samples.opened(asking, size) as pilot:
        assert "4 fresh to rate: r (d: not now)" in await samples.look(pilot)
        text = await samples.press(pilot, "r")
        assert "RATING 1 of 4, judge hidden" in text
        text = await samples.press(pilot, "5", "escape")
        assert "3 fresh to rate: r (d: not now)" in text
        assert "RATING 1 of 3" in await samples.press(pilot, "r")
        text = await samples.press(pilot, "escape", "d")
        assert "fresh to rate" not in text
        assert "RATING 1 of 11" in await samples.press(pilot, "r"), "all that is left, as ever"


async def test_looks_that_overlap_wait_for_nobody(asking: RunDir) -> None:
    desk = ChecksDesk(50)
    first = await desk.look(asking, 53, 0)
    with desk._looking:
        assert await in_background(desk._look, asking, 53, 0) is first
    assert (await ChecksDesk(0).look(asking, 53, 0)).asked is None


def test_the_setting(tmp_path: Path) -> None:
    file = tmp_path / "app.toml"
    assert Settings().spot_check_every == 50
    file.write_text("spot_check_every = 20\n")
    assert load(file, {}).spot_check_every == 20
    assert load(file, {"RLAIF_TUI_SPOT_CHECK_EVERY": "0"}).spot_check_every == 0
    for bad in ("-1", "true", '"often"', "2.5"):
        file.write_text(f"spot_check_every = {bad}\n")
        settings = load(file, {})
        assert settings.spot_check_every == 50
        assert "spot_check_every" in settings.problems[0]
        assert "a whole number of steps, 0 for never" in settings.problems[0]
