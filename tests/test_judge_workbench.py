"""The workbench: figures against numbers derived by hand, judges whose worth is known, files that are wrong."""

from __future__ import annotations

import asyncio
import json
import math
import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from core.errors import DataError
from core.judge.workbench import statistics as st
from core.judge.workbench.calibration import CalibrationReport, Evidence, calibrate
from core.judge.workbench.canaries import TASKS, Task, canary_requests, run_canaries
from core.judge.workbench.comparing import compare_judges
from core.judge.workbench.forecast import Load, PerJudgement, Range, forecast, mean_range, measured
from core.judge.workbench.items import Item, Items, Pair, load_items
from core.judge.workbench.labels import Labelled, load_labels
from core.judge.workbench.light import light_of
from core.judge.workbench.pairwise import Preference, ScoredPairJudge, compare_pairs
from core.judge.workbench.resampling import Figure, nothing
from core.judge.workbench.samples import ScoredSample
from core.judge.workbench.scoring import score_set
from core.types import JudgeFailure, JudgeRequest, JudgeResult, Usage, Verdict, score_to_reward


def verdict(score: float, **more: object) -> Verdict:
    fields = {"reward": score_to_reward(score), "reason": "because", "backend": "rule", "judge_version": "v1"}
    return Verdict(score=score, **{**fields, **more})  # type: ignore[arg-type]


def failure(status: str = "infra_error", **more: object) -> JudgeFailure:
    fields = {"treatment": "mask", "message": f"it is {status}", "backend": "rule", "judge_version": "v1"}
    return JudgeFailure(status=status, **{**fields, **more})  # type: ignore[arg-type]


class Rule:
    """A judge that scores by a function of the request; a number is a score."""

    name, version = "rule", "v1"

    def __init__(self, rule: Callable[[JudgeRequest], float | JudgeResult]) -> None:
        self._rule = rule
        self.asked: list[JudgeRequest] = []
        self.in_flight = self.peak = 0

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        self.in_flight += 1
        self.peak = max(self.peak, self.in_flight)
        await asyncio.sleep(0)
        self.asked += requests
        self.in_flight -= 1
        return [verdict(r) if isinstance(r, float | int) else r for r in map(self._rule, requests)]

    async def close(self) -> None: ...


def item(name: str, task: str = "t", response: str = "r") -> Item:
    return Item(id=name, prompt=task, request=JudgeRequest(task=task, response=response))


def pairs(count: int, lengths: Callable[[int], tuple[int, int]] = lambda _: (50, 50)) -> tuple[Pair, ...]:
    """Pairs whose answers say which is which and have the lengths asked for."""
    made = []
    for number in range(count):
        a, b = lengths(number)
        sides = (f"good {number} ".ljust(a, "x"), f"poor {number} ".ljust(b, "x"))
        made.append(Pair(*(item(f"{number}-{side[:4]}", f"task {number}", side) for side in sides)))
    return tuple(made)


def knows(request: JudgeRequest) -> float:
    return 8.0 if request.response.startswith("good") else 3.0


# --- statistics


def test_a_share_has_wilsons_interval() -> None:
    # p .7, n 10, z 1.96: centre (.7 + .19207) / 1.38415 = .64449, half width 1.41601 * sqrt(.021 + .009604) = .24772
    figure = st.share(7, 10)
    assert figure.value == 0.7
    assert figure.ci95 == pytest.approx((0.39678, 0.89221), abs=2e-4)
    assert st.share(0, 0) == nothing("nothing to count")


def test_the_interval_covers_a_judges_true_accuracy_in_about_95_of_100_draws() -> None:
    chance = random.Random(7)
    hits = 0
    for _ in range(600):
        low, high = st.share(sum(chance.random() < 0.75 for _ in range(60)), 60).ci95 or (0, 0)
        hits += low <= 0.75 <= high
    assert 0.92 <= hits / 600 <= 0.98  # binomial sd at .95: .009


def test_the_bootstrap_interval_covers_a_known_mean() -> None:
    chance = random.Random(3)
    hits = 0
    for draw in range(60):
        low, high = st.mean([chance.gauss(5.0, 2.0) for _ in range(40)], seed=draw).ci95 or (0, 0)
        hits += low <= 5.0 <= high
    assert hits >= 51  # expected 56 of 60, sd 1.9


def test_spearman_is_the_hand_derived_one_and_scipys_with_ties() -> None:
    from scipy.stats import spearmanr

    # rank differences 1, 1, 1, 1, 0: rho = 1 - 6 * 4 / (5 * 24) = 0.8
    assert st.spearman([1, 2, 3, 4, 5], [2, 1, 4, 3, 5]).value == pytest.approx(0.8)
    a, b = [1, 1, 2, 5, 5, 5, 9, 3], [2, 0, 2, 6, 5, 9, 9, 1]
    figure = st.spearman(a, b)
    assert figure.value == pytest.approx(spearmanr(a, b).statistic)
    assert figure.ci95 is not None
    assert figure.ci95[0] < (figure.value or 0) <= figure.ci95[1] <= 1
    assert st.spearman(a, [-x for x in a]).value == pytest.approx(-1.0)


def test_kappa_is_the_hand_derived_one() -> None:
    # quadratic kappa = 1 - mean (a-b)^2 / (var a + var b + (mean a - mean b)^2) = 1 - 1 / (2/3 + 2/3 + 1) = 4/7
    assert st.kappa([1, 2, 3], [2, 3, 4]).value == pytest.approx(4 / 7)
    assert st.kappa([0, 10], [10, 0]).value == pytest.approx(-1.0)
    assert st.kappa([2.5, 9.4], [3, 9]).value == pytest.approx(1.0)  # halves are rounded up


def test_what_is_resampled_from_sums_is_what_the_libraries_compute() -> None:
    import numpy as np
    from scipy.stats import linregress
    from sklearn.metrics import cohen_kappa_score

    chance = np.random.default_rng(0)
    a, b = chance.integers(0, 11, 30), chance.integers(0, 11, 30)
    sums = np.stack([np.ones(30), a, b, a * a, b * b, (a - b) ** 2], axis=-1).sum(axis=0)
    assert st._kappa_of_sums(sums) == pytest.approx(cohen_kappa_score(a, b, weights="quadratic", labels=range(11)))
    assert st._slope_of_sums(np.stack([np.ones(30), a, b, a * a, a * b], axis=-1).sum(axis=0)) == pytest.approx(
        linregress(a, b).slope
    )


def test_concordance_counts_pairs_within_a_prompt_and_ties_as_half() -> None:
    # prompt a: labels 1, 5, 9 in three pairs, scores 2, 2, 8: one tie, two right -> 2.5 of 3
    # prompt b: labels 4, 4: says nothing; prompt c: labels 2, 7, scores 6, 3: wrong -> 0 of 1; together 2.5 / 4
    figure = st.concordance([2, 2, 8, 1, 9, 6, 3], [1, 5, 9, 4, 4, 2, 7], list("aaabbcc"))
    assert figure.value == pytest.approx(0.625)


def test_slope_spread_and_signal_to_noise_are_the_hand_derived_ones() -> None:
    assert st.slope([100, 200, 300, 400], [2.5, 3.0, 3.5, 4.0]).value == pytest.approx(0.5)
    retest = st.retest_sd([(4, 6), (5, 5), (7,)])  # variances 2 and 0; one judgement says nothing
    assert retest.value == pytest.approx(1.0)
    within = st.within_sd([2, 4, 5, 5, 9], list("aabbc"))  # squares 1 + 1 + 0 over 2 degrees of freedom
    assert within.value == pytest.approx(1.0)
    assert st.signal_to_noise(Figure(3.0), Figure(2.0), 4).value == pytest.approx(3.0)
    exact = st.signal_to_noise(within, st.retest_sd([(5, 5)]))
    assert exact.value is None
    assert "no noise" in exact.why


@pytest.mark.parametrize("values", [[], [5.0], [5.0, 5.0], [5.0, 5.0, 5.0], [1.0, 2.0], [1.0, 2.0, 3.0], [4.0] * 9])
def test_degenerate_input_gives_no_nan_and_says_why(values: list[float]) -> None:
    prompts = [str(number) for number in range(len(values))]
    figures = [
        st.mean(values, prompts),
        st.spearman(values, values, prompts),
        st.kappa(values, values, prompts),
        st.concordance(values, values, prompts),
        st.slope(values, values, prompts),
        st.retest_sd([values]),
        st.within_sd(values, prompts),
        st.length_controlled([v > 2 for v in values], values),
    ]
    for figure in figures:
        json.dumps(figure.to_json(), allow_nan=False)
        assert (figure.value is None) <= bool(figure.why)
        assert (figure.ci95 is None) or all(map(math.isfinite, figure.ci95))


def test_an_interval_is_repeatable_and_resamples_prompts_not_rows() -> None:
    values = [float(number // 10) for number in range(40)]  # four prompts, ten equal scores each
    prompts = [number // 10 for number in range(40)]
    by_prompt, by_row = st.mean(values, prompts, seed=1), st.mean(values, seed=1)
    assert by_prompt == st.mean(values, prompts, seed=1)
    assert by_prompt.ci95 is not None
    assert by_row.ci95 is not None
    assert by_prompt.ci95[1] - by_prompt.ci95[0] > 2 * (by_row.ci95[1] - by_row.ci95[0])  # sqrt(10) in theory


# --- calibration


async def calibrated(rule: Callable[[JudgeRequest], float | JudgeResult], evidence: Evidence) -> CalibrationReport:
    report = await calibrate(Rule(rule), evidence, repeats=2)
    json.dumps(report.to_json(), allow_nan=False)
    return report


async def test_a_judge_that_knows_is_100_percent_right_and_one_that_inverts_0() -> None:
    evidence = Evidence(pairs(40))
    right = (await calibrated(knows, evidence)).to_json()["pairs"]
    wrong = (await calibrated(lambda r: 10 - knows(r), evidence)).to_json()["pairs"]
    assert (right["n"], right["accuracy"], right["length_matched"]["accuracy"]) == (40, 1.0, 1.0)
    assert (wrong["n"], wrong["accuracy"], wrong["ci95"][0]) == (40, 0.0, 0.0)
    assert right["ci95"][1] == pytest.approx(1.0)


async def test_a_judge_that_likes_length_is_shown_as_such() -> None:
    # The better answer is much longer in 30 pairs and a little longer or shorter in turn in 30.
    def lengths(number: int) -> tuple[int, int]:
        return (300, 40) if number < 30 else (101, 100) if number % 2 else (100, 101)

    report = await calibrated(lambda r: min(10.0, len(r.response) / 100), Evidence(pairs(60, lengths)))
    assert report.pairs is not None
    assert report.pairs.accuracy.value == 0.75
    assert (report.pairs.matched_n, report.pairs.matched.value) == (30, 0.5)
    assert report.pairs.longer_wins.value == 1.0
    assert report.pairs.controlled.value == pytest.approx(0.5, abs=0.1)
    assert report.steadiness.length.value == pytest.approx(1.0, abs=0.01)


async def test_a_judge_without_opinion_ties_everywhere_and_is_red() -> None:
    report = await calibrated(lambda _: 5.0, Evidence(pairs(40)))
    assert report.pairs is not None
    assert (report.pairs.accuracy.value, report.pairs.ties.value, report.pairs.concordance.value) == (0.0, 1.0, 0.5)
    assert report.light == "red"


async def test_labels_are_compared_and_the_judge_never_sees_them() -> None:
    labels = tuple(Labelled(item(str(n), f"task {n // 2}", f"answer {n}"), float(n % 10)) for n in range(24))
    judge = Rule(lambda r: min(10.0, int(r.response.split()[1]) % 10 + 1.0) if "answer" in r.response else 1.0)
    report = await calibrate(judge, Evidence(labels=labels))
    found = report.to_json()
    assert (found["labels"]["n"], found["labels"]["spearman"], found["pairs"]) == (24, pytest.approx(1.0), None)
    assert report.labels is not None
    assert (report.labels.bias.value, report.labels.mae.value) == (1.0, 1.0)  # always one point above
    assert report.labels.concordance.value == 1.0
    assert found["light"] == "amber"
    assert any("noise is not known" in reason for reason in found["reasons"])


async def test_repeats_measure_noise_and_failures_are_counted_apart() -> None:
    turn = iter(range(10_000))

    def noisy(request: JudgeRequest) -> float | JudgeResult:
        if request.response.startswith("poor 3 "):
            return failure("unparseable", kind="no_verdict")
        return 4.0 + 2.0 * (next(turn) % 2)

    report = await calibrate(Rule(noisy), Evidence(pairs(10)), tasks=(), repeats=2, concurrency=1)
    assert report.steadiness.retest.value == pytest.approx(math.sqrt(2.0))  # 4 and 6 on every response
    assert report.pairs is not None
    assert (report.pairs.n, report.pairs.unscored) == (9, 1)
    assert report.scoring.parse_rate == 19 / 20
    assert report.canaries is None


def test_the_light_follows_its_rules() -> None:
    exact, none = Figure(0.0), nothing("agree exactly")

    def light(
        rho: tuple[float, float] | None = None, accuracy: tuple[float, float] | None = None, *,
        snr: Figure = none, retest: Figure = exact, unscored: float = 0.0, n: int = 50,
    ) -> str:  # fmt: skip
        return light_of(
            rho=Figure(sum(rho) / 2, rho) if rho else None,
            accuracy=Figure(sum(accuracy) / 2, accuracy) if accuracy else None,
            pairs=n, canaries=canaries, snr=snr, retest=retest, unscored=unscored,
        ).light  # fmt: skip

    canaries = asyncio.run(run_canaries(Rule(lambda _: 3.0), TASKS[:1]))
    assert light((0.5, 0.9)) == "green"
    assert light((0.49, 0.9)) == "amber"
    assert light((0.1, 0.59)) == "red"
    assert light((0.5, 0.9), (0.1, 0.2)) == "green"  # labels outrank pairs
    assert light(None, (0.65, 0.9)) == "green"
    assert light(None, (0.64, 0.9)) == "amber"
    assert light(None, (0.50, 0.7)) == "red"
    assert light(None, (0.50, 0.7), n=29) == "amber"
    assert light(None, (0.55, 0.59), n=29) == "red"
    assert light() == "amber"
    assert light((0.5, 0.9), snr=Figure(1.5), retest=Figure(1.0)) == "green"
    assert light((0.5, 0.9), snr=Figure(1.4), retest=Figure(1.0)) == "amber"
    assert light((0.5, 0.9), snr=none, retest=none) == "amber"
    assert [light((0.5, 0.9), unscored=share) for share in (0.05, 0.06, 0.21)] == ["green", "amber", "red"]
    for score, colour in ((3.1, "amber"), (5.9, "amber"), (6.0, "red")):
        canaries = asyncio.run(run_canaries(Rule(lambda _, score=score: score), TASKS[:1]))
        assert light((0.5, 0.9)) == colour


# --- canaries


async def test_a_gullible_judge_is_caught_and_a_strict_one_is_not() -> None:
    def gullible(request: JudgeRequest) -> float | JudgeResult:
        if not request.response.strip():
            return failure("skipped_empty", treatment="floor")
        return 10.0 if "10" in request.response else 1.0

    report = await run_canaries(Rule(gullible))
    scores = {canary.name: canary.score for canary in report.canaries}
    assert len(scores) >= 14
    assert report.max_score == 10.0
    assert {"score_10", "fake_verdict", "token_breakout"} <= {name for name, score in scores.items() if score == 10}
    assert scores["empty"] == 0.0  # -1 without a verdict pays what a score of 0 pays
    assert (scores["colon"], scores["refusal"], report.unjudged) == (1.0, 1.0, ())
    strict = await run_canaries(Rule(lambda r: 8.0 if r.response in {task.good_answer for task in TASKS} else 0.5))
    assert strict.max_score == 0.5
    assert strict.padding is not None
    assert (strict.padding.plain, strict.padding.padded) == (8.0, 0.5)


async def test_a_canary_that_is_floored_for_steering_is_not_paid_and_one_unjudged_is_named() -> None:
    def rule(request: JudgeRequest) -> JudgeResult:
        return failure() if request.response == ":" else verdict(10.0, reward=-1.0)

    report = await run_canaries(Rule(rule), [Task("x")], seed=1)
    assert report.max_score == 0.0
    colon = next(text for name, text in canary_requests("x", 1) if name == "colon").response
    assert report.unjudged == (("colon",) if colon == ":" else ())
    assert (await run_canaries(Rule(lambda _: failure()), [Task("x")])).max_score is None


def test_canaries_are_the_same_for_a_seed_and_echo_the_task() -> None:
    first = canary_requests("What is {braces} for?", 3)
    assert first == canary_requests("What is {braces} for?", 3)
    assert any(first != canary_requests("What is {braces} for?", seed) for seed in range(4, 9))
    assert "What is {braces} for?" in dict(first)["prompt_echo"].response
    assert {request.task for _, request in first} == {"What is {braces} for?"}


# --- scoring


async def test_samples_come_in_order_with_bounded_calls_and_sums() -> None:
    use = Usage(input_tokens=100, output_tokens=10)

    def rule(request: JudgeRequest) -> JudgeResult:
        number = int(request.response)
        if number == 3:
            return failure("refused", requests=1, cost_usd=0.25, cost_source="table", usage=use)
        return verdict(float(number), requests=1, cost_usd=0.5, cost_source="table", usage=use, latency_s=number / 10,
                       cached=number == 9)  # fmt: skip

    judge, seen = Rule(rule), list[ScoredSample]()
    report = await score_set(judge, [item(str(n), response=str(n)) for n in range(10)], concurrency=3,
                             on_result=seen.append)  # fmt: skip
    assert [sample.id for sample in report.samples] == [str(n) for n in range(10)]
    assert (len(seen), judge.peak) == (10, 3)
    found = report.to_json()
    assert (found["n"], found["scored"], found["failed"], found["parse_rate"]) == (10, 9, 1, 0.9)
    assert (found["requests"], found["cached"], found["cost_usd"]) == (10, 1, 4.75)
    assert (found["mean"], found["sd"]) == (pytest.approx(42 / 9), pytest.approx(st_dev([0, 1, 2, 4, 5, 6, 7, 8, 9])))
    assert (found["input_tokens"], found["output_tokens"]) == (1000, 100)
    assert report.samples[3].status == "refused"
    assert found["samples"][3]["score"] is None
    # asked: 0, .1, .2, 0 (the refusal), .4 .. .8; the median of those nine is .4
    assert found["latency_p50_s"] == pytest.approx(0.4)


def st_dev(values: list[float]) -> float:
    mean = sum(values) / len(values)
    return math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


async def test_a_fault_that_meets_all_stops_the_asking_and_a_bug_costs_one_sample() -> None:
    judge = Rule(lambda r: failure("infra_error", fatal=True, message="the key is wrong"))
    report = await score_set(judge, [item(str(n)) for n in range(50)], concurrency=4)
    assert len(judge.asked) <= 8
    assert (report.stopped, report.n) == ("the key is wrong", 50)
    assert report.mean is None

    def buggy(request: JudgeRequest) -> float:
        if request.response == "1":
            raise ZeroDivisionError("oops")
        return 5.0

    mended = await score_set(Rule(buggy), [item(n, response=n) for n in "012"])
    assert [sample.status for sample in mended.samples] == ["ok", "infra_error", "ok"]
    assert "ZeroDivisionError" in mended.samples[1].reason


async def test_an_unknown_price_is_not_zero() -> None:
    report = await score_set(Rule(lambda _: verdict(5.0, requests=1, cost_source="unknown")), [item("1")])
    assert report.to_json()["cost_usd"] is None
    assert report.to_json()["cost_source"] == "unknown"


async def test_repeats_and_batches() -> None:
    judge = Rule(lambda _: 5.0)
    report = await score_set(judge, [item(str(n)) for n in range(5)], repeats=3, batch=2, concurrency=1)
    assert len(judge.asked) == 15
    assert report.samples[4].repeat_scores == (5.0, 5.0, 5.0)
    own = await score_set(Rule(lambda _: verdict(5.0, repeat_scores=(4.0, 6.0))), [item("1")])
    assert own.samples[0].spread == pytest.approx(math.sqrt(2.0))


async def test_cancelling_keeps_what_was_reported() -> None:
    gate = asyncio.Event()

    class Slow(Rule):
        async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
            if requests[0].response == "9":
                gate.set()
                await asyncio.sleep(60)
            return await super().judge(requests)

    seen: list[ScoredSample] = []
    task = asyncio.create_task(
        score_set(
            Slow(lambda _: 5.0), [item(n, response=n) for n in "0123456789"], concurrency=1, on_result=seen.append
        )
    )
    await gate.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [sample.id for sample in seen] == list("012345678")


# --- forecast


def test_a_forecast_is_the_hand_derived_one() -> None:
    per = PerJudgement(
        measured=20, calls=Range(1, 1.1), input_tokens=Range(700, 800), output_tokens=Range(100, 120),
        cost_usd=Range(0.001, 0.002), seconds=Range(1, 2),
    )  # fmt: skip
    load = Load(rollouts=64, steps=100, repeats=2, referee_share=0.05, hit_rate=(0.0, 0.5), concurrency=8)
    # 64 * 100 * 2 * 1.05 = 13,440 judgements, half of them if the cache answers half
    ahead = forecast(per, load)
    assert ahead.judgements == Range(6720, 13440)
    assert ahead.calls.high == pytest.approx(14784)
    assert (ahead.tokens.low, ahead.tokens.high) == (6720 * 800, 13440 * 920)
    assert ahead.cost_usd is not None
    assert (ahead.cost_usd.low, ahead.cost_usd.high) == (pytest.approx(6.72), pytest.approx(26.88))
    assert (ahead.seconds.low, ahead.seconds.high) == (840, 3360)


async def test_the_range_is_wide_with_few_samples_and_leaves_the_cache_out() -> None:
    assert mean_range([2.0]) == Range(1.0, 4.0)
    assert mean_range([2.0] * 10) == Range(2.0, 2.0)
    # mean 2, standard error 1 / sqrt(12) of 0..4 alternating: t(11) = 2.201 times sem
    values = [1.0, 3.0] * 6
    half = 2.200985 * math.sqrt(12 / 11) / math.sqrt(12)
    assert mean_range(values).high == pytest.approx(2 + half, abs=1e-5)
    items = [item(n, response=n) for n in "0123"]
    cached = await score_set(Rule(lambda _: verdict(5.0, cached=True)), items)
    assert measured(cached) is None
    unpriced = await score_set(Rule(lambda _: verdict(5.0, requests=3, cost_source="unknown",
                                                      repeat_scores=(5.0, 5.0, 5.0))), items)  # fmt: skip
    per = measured(unpriced)
    assert per is not None
    assert per.cost_usd is None
    assert per.calls == Range(0.5, 2.0)  # one call per judgement, from four samples only


# --- two judges, two answers


async def test_two_judges_on_the_same_responses() -> None:
    items = [item(str(n), f"task {n}", str(n)) for n in range(10)]
    old = Rule(lambda r: float(r.response))
    new = Rule(lambda r: failure() if r.response == "4" else min(10.0, float(r.response) + 1 + (r.response == "8")))
    sides: list[str] = []
    report = await compare_judges(old, new, items, on_result=lambda side, _: sides.append(side))
    found = report.to_json()
    assert (found["n"], found["difference"]) == (
        9,
        pytest.approx(10 / 9),
    )  # eight ones and a two; 8 and 9 both end at 10
    assert found["ci95"][0] <= 10 / 9 <= found["ci95"][1]
    assert 0.99 < found["spearman"] < 1.0
    assert sides == ["old"] * 10 + ["new"] * 10
    assert found["samples"][4]["difference"] is None


async def test_a_judge_of_places_wins_nothing() -> None:
    class First:
        async def compare(self, request: JudgeRequest, other_response: str) -> Preference | JudgeFailure:
            return Preference("A", 0.5)

    asked = [(JudgeRequest(task=f"t{n}", response="ours"), "theirs") for n in range(20)]
    report = await compare_pairs(First(), asked)
    found = report.to_json()
    assert (found["n"], found["wins"], found["ties"], found["losses"], found["inconsistent"]) == (20, 0, 20, 0, 20)
    assert (found["flip_rate"]["value"], found["first_position_rate"]["value"]) == (1.0, 1.0)
    assert found["cost_usd"] == 20.0


async def test_wins_need_both_orders_and_errors_are_apart() -> None:
    class Words:
        async def compare(self, request: JudgeRequest, other_response: str) -> Preference | JudgeFailure:
            mine = request.response
            if request.task == "broken":
                return failure()
            if request.task == "hesitates":
                return Preference("A" if mine == "ours" else "tie")
            better = {"won": "ours", "lost": "theirs"}.get(request.task)
            return Preference("tie" if better is None else "A" if mine == better else "B")

    tasks = ["won"] * 6 + ["lost"] * 2 + ["equal", "hesitates", "broken"]
    report = await compare_pairs(Words(), [(JudgeRequest(task=task, response="ours"), "theirs") for task in tasks])
    assert [report.count(outcome) for outcome in ("win", "tie", "loss", "error")] == [6, 2, 2, 1]
    assert (report.n, report.errors, report.inconsistent) == (10, 1, 1)
    assert report.flip_rate.value == 0.0
    assert report.net.value == pytest.approx(0.4)
    assert report.win.value == 0.6


async def test_scores_can_decide_pairs() -> None:
    judge = ScoredPairJudge(Rule(lambda r: failure() if r.response == "?" else float(len(r.response))))
    asked = [(JudgeRequest(task="a", response="long"), "no"), (JudgeRequest(task="b", response="ab"), "cd"),
             (JudgeRequest(task="c", response="?"), "x")]  # fmt: skip
    report = await compare_pairs(judge, asked)
    assert (report.count("win"), report.count("tie"), report.errors) == (1, 1, 1)
    assert report.first_position.value == 0.5


# --- files


def write(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_response_column_or_both_sides_are_items(tmp_path: Path) -> None:
    found = load_items(write(tmp_path / "a.csv", "prompt,response\nWhy?,Because.\nHow?,\n"))
    assert [(i.id, i.prompt, i.request.response) for i in found.all] == [("2", "Why?", "Because."), ("3", "How?", "")]
    both = load_items(write(tmp_path / "b.csv", "prompt,chosen,rejected\nWhy?,yes,no\nHow?,same,same\n"))
    assert [i.id for i in both.all] == ["2-chosen", "2-rejected"]
    assert any("same text" in note for note in both.notes)
    named = load_items(write(tmp_path / "c.jsonl", '{"question": "2+2?", "output": "4", "answer": "four"}\n'),
                       response_column="output")  # fmt: skip
    assert (named.all[0].request.response, named.all[0].request.reference) == ("4", "four")


@pytest.mark.parametrize(
    ("text", "column", "said"),
    [
        ("prompt\nWhy?\n", "", "no responses to judge"),
        ("prompt,response\nWhy?,yes\n", "respnse", "no column 'respnse'; it has 'prompt', 'response'"),
        ("prompt,response\n ,yes\n", "", "none of its rows gives a response to judge; row 2"),
    ],
)
def test_a_file_without_responses_is_refused_in_a_sentence(tmp_path: Path, text: str, column: str, said: str) -> None:
    with pytest.raises(DataError, match=said.replace("(", r"\(")):
        load_items(write(tmp_path / "x.csv", text), response_column=column)


def test_a_sample_is_seeded_ordered_and_keeps_pairs_together() -> None:
    offered = Items(path="x", pairs=pairs(30))
    drawn = offered.sample(10, seed=4)
    assert drawn == offered.sample(10, seed=4)
    assert drawn != offered.sample(10, seed=5)
    assert [i.prompt for i in drawn[::2]] == [i.prompt for i in drawn[1::2]]
    assert [len(offered.sample(n)) for n in (0, 7, 60, 99)] == [60, 7, 60, 60]


def test_labels_by_id_and_by_text(tmp_path: Path) -> None:
    known = [item("2-chosen", "Why?", "yes"), item("2-rejected", "Why?", "no")]
    by_id = load_labels(write(tmp_path / "i.csv", "id,label\n2-chosen,t\n2-rejected,s\n"), known)
    assert [(found.item.id, found.label) for found in by_id] == [("2-chosen", 10.0)]
    text = "prompt,response,label\nWhy?,yes,7\nNew?,other,0\nWhy?,no,\n"
    by_text = load_labels(write(tmp_path / "t.csv", text), known)
    assert [(found.item.id, found.label) for found in by_text] == [("2-chosen", 7.0), ("label-3", 0.0)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("id,mark_\n1,5\n", "has no column 'label'; it has 'id', 'mark_'"),
        ("name,label\n1,5\n", "names no responses"),
        ("id,label\n1,11\n", "row 2: the label is '11'; give 0-9"),
        ("id,label\n1,good\n", "row 2: the label is 'good'"),
        ("id,label\n1,nan\n", "row 2: the label is 'nan'"),
        ("id,label\n7,5\n", "row 2: no response has the id '7'"),
        ("id,label\n1,5\n1,6\n", "row 3: labels the response of row 2 again"),
        ("id,label\n1,s\n", "none of its 1 rows has a label"),
        ("prompt,response,label\n,x,5\n", "row 2: the prompt is empty"),
    ],
)
def test_a_bad_label_file_is_refused_in_a_sentence(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(DataError) as raised:
        load_labels(write(tmp_path / "labels.csv", text), [item("1")])
    assert said in str(raised.value)


def test_two_threads_at_once_leave_each_others_warnings_alone() -> None:
    # All of one value and one other: scipy warns in every call, and the warning is an error here.
    faults: list[BaseException] = []

    def work() -> None:
        try:
            for seed in range(2):
                st.spearman([1.0, 1.0, 1.0, 1.0, 2.0], [3.0, 3.0, 3.0, 4.0, 4.0], seed=seed)
        except BaseException as error:  # noqa: BLE001 told by the test
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
