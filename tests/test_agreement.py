"""Agreement of judge and person over a run: the curve, when it has drifted, and when fresh ratings are asked for."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import spearmanr

from core import agreement
from core.agreement import FEWEST, MOST_POINTS, WINDOW, Agreement, AgreementReader, Pair, agreement_of, fall_z
from core.judge.workbench.statistics import spearman
from core.ratings import Origin, fingerprint, rate, rating_id
from core.rollout_log import RolloutLog
from core.run_dir import RunDir, create
from core.spot_checks import HANDFUL, Asked, SpotChecks, asked, chosen, mark_at, not_now
from core.types import JudgedRollout, Message, Prompt, Rollout, Verdict


def pairs(count: int, rho: float, first: int = 1, seed: int = 0) -> list[Pair]:
    """Ratings, one a step, whose rank correlation with the judge is about ``rho``."""
    draw, found = random.Random(seed), []
    for n in range(count):
        truth, noise = draw.gauss(0, 1), draw.gauss(0, 1)
        seen = rho * truth + math.sqrt(1 - rho * rho) * noise
        found.append(Pair(first + n, float(n), 5 + 2 * seen, 5 + 2 * truth, f"p{first + n}"))
    return found


def test_the_newest_ratings_make_a_point_with_its_interval() -> None:
    found = agreement_of(pairs(60, 0.9))
    newest = found.newest
    assert newest is not None
    assert (newest.first_step, newest.step, newest.n) == (41, 60, WINDOW)
    last = pairs(60, 0.9)[-WINDOW:]
    expected = spearmanr([p.score for p in last], [p.rating for p in last]).statistic
    assert newest.rho.value == pytest.approx(expected)
    assert newest.rho.ci95 is not None
    assert newest.rho.ci95[0] <= expected <= newest.rho.ci95[1]
    assert f"ρ {expected:.2f}" in newest.words
    assert "on 20 replies of steps 41 to 60" in newest.words
    assert (found.rated, found.alarm) == (60, "")
    steps = [window.step for window in found.windows]
    assert steps == sorted(steps)
    assert len(steps) == MOST_POINTS


def test_the_interval_is_that_of_the_bench() -> None:
    known = [replace(pair, prompt_id=f"p{n % 13}", rating=round(pair.rating)) for n, pair in enumerate(pairs(20, 0.7))]
    ours = agreement_of(known).newest
    assert ours is not None
    bench = spearman([p.score for p in known], [p.rating for p in known], [p.prompt_id for p in known])
    assert ours.rho.value == pytest.approx(bench.value)
    assert ours.rho.ci95 == pytest.approx(bench.ci95)
    equal = agreement_of([replace(pair, rating=5.0) for pair in known]).newest
    assert equal is not None
    assert equal.rho.why == "all ratings are equal"


def test_the_order_in_which_it_was_rated_does_not_matter() -> None:
    known = pairs(30, 0.6)
    assert agreement_of(known[::-1]) == agreement_of(known)


def test_too_few_is_said() -> None:
    assert agreement_of([]) == Agreement()
    found = agreement_of(pairs(FEWEST - 1, 0.9))
    assert found.newest is not None
    assert found.newest.rho.value is None
    assert "too few ratings, 4 of 5" in found.newest.words
    few = agreement_of(pairs(8, 0.9)).newest
    assert few is not None
    assert few.words.endswith("too few to rely on")
    assert agreement_of(pairs(8, -0.9)).alarm == "", "nothing is made of so few"


def test_a_fall_and_a_judge_that_never_agreed_are_alarms() -> None:
    fell = agreement_of([*pairs(40, 0.95), *pairs(20, 0.0, first=41, seed=3)])
    assert fell.alarm.startswith("agreement of judge and person fell from ρ 0.9")
    assert agreement_of(pairs(20, -0.5)).alarm.startswith("judge and person agree at ρ -0.")
    assert not agreement_of([*pairs(40, 0.9), *pairs(20, 0.85, first=41, seed=4)]).alarm


def test_scores_of_an_earlier_judge_are_another_series() -> None:
    both = [*pairs(40, -0.9), *pairs(20, 0.95, first=41, seed=1)]
    found = agreement_of(both, since=41)
    assert (found.rated, found.alarm) == (20, "")
    assert agreement_of(both, since=100) == Agreement()


def test_the_standard_error_of_a_fall_is_that_of_the_formula_and_alarms_are_rare_without_one() -> None:
    # By hand: atanh .8 = 1.0986, atanh .2 = .2027, sqrt(2 * 1.06 / 17) = .3531.
    assert fall_z(0.8, 20, 0.2, 20) == pytest.approx(2.537, abs=0.001)
    alarms, runs = 0, 1500
    for seed in range(runs):
        first, second = (pairs(20, 0.7, seed=2 * seed + part) for part in (0, 1))
        rho = [float(spearmanr([p.score for p in x], [p.rating for p in x]).statistic) for x in (first, second)]
        alarms += fall_z(rho[0], 20, rho[1], 20) > agreement.SIGNIFICANT_Z
    assert 0.01 < alarms / runs < 0.045, "one side of 95 %"


def written(run: RunDir, step: int, scores: list[float]) -> list[Rollout]:
    """Rollouts of a step as a worker leaves them."""
    log = RolloutLog(run.rollouts(step))
    found = []
    for row, score in enumerate(scores):
        rollout = Rollout(
            id=f"{step:06d}-{row:04d}", step=step, row=row,
            prompt=Prompt(id=f"q{row}", messages=(Message("user", "?"),)),
            prompt_tokens=(1,), response_tokens=(2,), response=f"reply {step} {row}", finish="stop",
        )  # fmt: skip
        verdict = Verdict(score=score, reward=score / 5 - 1, reason="", backend="x", judge_version="v")
        log.append(JudgedRollout(rollout=rollout, result=verdict))
        found.append(rollout)
    log.close()
    return found


def test_ratings_of_every_screen_come_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = create(tmp_path, "calm")
    reader = AgreementReader(run)
    assert reader.read() == Agreement()
    rollouts = written(run, 3, [1.0, 4.0, 7.0, 9.0])
    for rollout, score in zip(rollouts, (0, 5, 6, 10), strict=True):
        rate(run, rating_id(rollout.id), score, "ana", text=fingerprint(rollout.response))
    origin = Origin(judge=3.0, step=5, prompt_id="typed")
    rate(run, "play:1", 2, "ana", origin=origin)
    rate(run, "compare:c1/4", 8, "bob", origin=Origin(judge=8.0, step=6, prompt_id="q9"))
    found = reader.read()
    assert found.rated == 6
    assert found.newest is not None
    assert found.newest.rho.value == pytest.approx(1.0)
    assert (found.newest.first_step, found.newest.step) == (3, 6)
    opened: list[Any] = []
    real = agreement.read_rollouts
    monkeypatch.setattr(agreement, "read_rollouts", lambda path: (opened.append(path), real(path))[1])
    assert reader.read() is found, "nothing has changed"
    rate(run, "play:1", 10, "ana", origin=origin)
    changed = reader.read()
    assert changed.newest is not None
    assert (changed.newest.rho.value or 0) < 1
    assert not opened, "what is known is not read again"
    rate(run, rollouts[0].id, None, "ana")
    assert reader.read().rated == 5


def test_what_cannot_be_set_beside_a_score_is_left_out(tmp_path: Path) -> None:
    run = create(tmp_path, "calm")
    (rollout,) = written(run, 3, [5.0])
    for id_, text in (
        ("000009-0000", ""), ("000003-0007", ""), (rollout.id, "another text"), ("x" * 40, ""), ("9" * 30 + "-1", ""),
        ("validation:000003-0000", ""),
    ):  # fmt: skip
        rate(run, id_, 5, "ana", text=text)
    rate(run, "play:2", 5, "ana", origin=Origin(judge=None, step=3, prompt_id=""))
    assert AgreementReader(run).read() == Agreement()


def test_a_few_fresh_ratings_are_asked_for_at_each_mark() -> None:
    assert [mark_at(step, 50) for step in (0, 49, 50, 99, 100)] == [0, 0, 50, 50, 100]
    assert asked(49, 50, [], 0) is None
    assert asked(50, 50, [], 0) == Asked(50, HANDFUL)
    assert asked(72, 50, [3, 50, 50, 61], 0) == Asked(50, 1)
    assert asked(72, 50, [50, 50, 50, 61], 0) is None
    assert asked(72, 50, [], 50) is None, "not now"
    assert asked(100, 50, [50] * 9, 50) == Asked(100, HANDFUL)
    assert asked(100, 0, [], 0) is None
    assert Asked(50, 1).words == "1 fresh reply to rate"


def test_each_person_is_asked_and_may_refuse(tmp_path: Path) -> None:
    run = create(tmp_path, "calm")
    ana, bob = SpotChecks(run, "ana"), SpotChecks(run, "bob")
    rollouts = written(run, 50, [1.0, 4.0, 7.0, 9.0])
    assert ana.look(53, 50) == bob.look(53, 50) == Asked(50, 4)
    rate(run, rollouts[0].id, 5, "ana")
    assert ana.look(53, 50) == Asked(50, 3)
    not_now(run, 50, "bob")
    assert bob.look(99, 50) is None
    assert bob.look(100, 50) == Asked(100, 4)
    assert ana.look(53, 50) == Asked(50, 3)


def test_the_replies_that_are_asked_about_differ_in_score() -> None:
    scored = [(float(n % 10), f"id{n}", n) for n in range(40)]
    picks = chosen(scored, 4)
    assert picks == chosen(scored[::-1], 4)
    scores = sorted(scored[pick][0] for pick in picks)
    for low, score in zip((0, 2.5, 5, 7.5), scores, strict=True):
        assert low - 1 <= score < low + 2.5
    assert chosen(scored[:2], 4) == [0, 1]
    assert chosen([], 4) == []
