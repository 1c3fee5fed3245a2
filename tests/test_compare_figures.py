"""The figures of a comparison, against libraries, numbers derived by hand, and judges whose taste is known."""

from __future__ import annotations

import functools
import itertools
import json
import math
import random
from typing import Any

import choix
import numpy as np
import pytest
from compare_cases import Outcome, comparison, tournament
from scipy.optimize import brentq, minimize_scalar
from scipy.stats import binomtest
from sklearn.linear_model import LogisticRegression

from core.compare import intervals
from core.compare.intervals import length_controlled, mean, position_rate, prompts_needed, win_rate
from core.compare.record import Comparison
from core.compare.summary import ranking, summarise, to_json

SIMULATIONS = 2000
KEYS = {
    "n", "a", "b", "wins", "losses", "ties", "inconsistent", "win_rate", "ci95", "length_controlled_win_rate",
    "mean_a", "mean_b", "difference", "difference_ci95", "verdict",
}  # fmt: skip


def drawn(wins: int, ties: int, losses: int, seed: int = 0) -> list[Outcome | tuple[str, str]]:
    outcomes: list[Any] = ["win"] * wins + ["tie"] * ties + ["loss"] * losses
    random.Random(seed).shuffle(outcomes)
    return outcomes


# win rates


@pytest.mark.parametrize(("wins", "losses"), [(80, 20), (1, 0), (64, 0), (0, 64), (3, 4), (500, 499)])
def test_without_ties_the_interval_is_wilsons(wins: int, losses: int) -> None:
    figure = win_rate(wins, 0, losses)
    wilson = binomtest(wins, wins + losses).proportion_ci(method="wilson")
    assert figure.value == wins / (wins + losses)
    assert figure.ci95 == pytest.approx((wilson.low, wilson.high), abs=1e-9)


def score_test(wins: int, ties: int, losses: int, delta: float) -> float:
    """Tango's statistic with the nuisance found by maximising the likelihood, nothing of it taken from our formula."""
    n = wins + ties + losses

    def against(loss: float) -> float:
        shares = (loss + delta, 1 - 2 * loss - delta, loss)
        return -sum(
            count * math.log(max(share, 1e-300)) for count, share in zip((wins, ties, losses), shares, strict=True)
        )

    low, high = max(0.0, -delta), (1 - delta) / 2
    loss = minimize_scalar(against, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x
    return (wins - losses - n * delta) / math.sqrt(n * (2 * loss + delta - delta * delta))


@pytest.mark.parametrize(("wins", "ties", "losses"), [(43, 17, 4), (12, 30, 9), (3, 60, 1), (10, 5, 10), (9, 3, 0)])
def test_with_ties_it_holds_what_the_score_test_does_not_reject(wins: int, ties: int, losses: int) -> None:
    figure = win_rate(wins, ties, losses)
    seen = (wins - losses) / (wins + ties + losses)
    limits = [
        brentq(lambda delta, at=at: score_test(wins, ties, losses, delta) - at, *bounds, xtol=1e-10)
        for at, bounds in ((intervals.Z, (-0.999, seen - 1e-6)), (-intervals.Z, (seen + 1e-6, 0.9999)))
    ]
    assert figure.value == (wins + ties / 2) / (wins + ties + losses)
    assert figure.ci95 == pytest.approx([0.5 + limit / 2 for limit in limits], abs=1e-5)


@pytest.mark.parametrize("n", [32, 64, 200])
@pytest.mark.parametrize(("rate", "ties"), [(0.5, 0.0), (0.5, 0.4), (0.65, 0.2), (0.8, 0.0), (0.8, 0.25), (0.9, 0.1)])
def test_the_interval_covers_the_taste_of_a_simulated_judge(n: int, rate: float, ties: float) -> None:
    limits = functools.cache(win_rate)
    shares = [rate - ties / 2, ties, 1 - rate - ties / 2]
    counts = np.random.default_rng([n, int(100 * rate), int(100 * ties)]).multinomial(n, shares, SIMULATIONS)
    found = [limits(*map(int, row)).ci95 for row in counts]
    covered = sum(ci is not None and ci[0] <= rate <= ci[1] for ci in found) / SIMULATIONS
    assert 0.93 <= covered <= 0.97, covered


def test_the_summary_has_that_interval() -> None:
    pair = summarise(comparison(drawn(43, 17, 4)))
    assert (pair.wins, pair.ties, pair.losses, pair.n) == (43, 17, 4, 64)
    assert pair.win_rate == win_rate(43, 17, 4)
    assert (pair.standing, pair.needed) == ("better", None)
    assert pair.verdict == "better: B wins 80 % (95 % CI 72 % to 87 %, ties as half) on 64 prompts"
    worse = summarise(comparison(drawn(4, 17, 43)))
    assert worse.standing == "worse"
    assert worse.verdict.startswith("worse: B wins 20 % ")


# differences of scores


def test_a_difference_is_covered_as_often_as_it_says() -> None:
    rng, truth = np.random.default_rng(5), 0.8
    hits = 0
    for number in range(SIMULATIONS // 4):
        ci = mean(rng.normal(truth, 2.0, 40).tolist(), seed=number).ci95
        hits += ci is not None and ci[0] <= truth <= ci[1]
    # 500 intervals: two standard errors of the share are 1.9 points.
    assert 0.93 <= hits / (SIMULATIONS // 4) <= 0.97


def test_a_difference_agrees_with_the_t_interval_of_normal_data() -> None:
    from scipy.stats import t

    values = np.random.default_rng(1).normal(0.4, 1.5, 60)
    figure = mean(values.tolist())
    half = t.ppf(0.975, 59) * values.std(ddof=1) / math.sqrt(60)
    assert figure.value == pytest.approx(values.mean())
    assert figure.ci95 == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05)


def test_scores_alone_decide_where_no_pairs_were_judged() -> None:
    rng = np.random.default_rng(2)
    scores = [
        (a, min(10.0, a + 1.0 + 0.5 * d)) for a, d in zip(rng.uniform(1, 6, 30), rng.normal(0, 1, 30), strict=True)
    ]
    whole = comparison(["tie"] * 30, scores=scores)
    alone = Comparison(whole.path, whole.header, whole.rows)
    pair = summarise(alone)
    assert (pair.n, pair.scored, pair.win_rate.value, pair.standing) == (0, 30, None, "better")
    gaps = [b - a for a, b in scores]
    assert pair.difference.value == pytest.approx(sum(gaps) / 30)
    assert pair.verdict.startswith(f"better: B scores {sum(gaps) / 30:+.2f} points (95 % CI +")


# length


def test_the_length_controlled_rate_is_scikit_learns_fit_with_ties_as_halves() -> None:
    rng = np.random.default_rng(3)
    lengths = rng.normal(40, 60, 80)
    outcomes = rng.choice([0.0, 0.5, 1.0], 80).tolist()
    figure = length_controlled(outcomes, lengths.tolist())
    x = np.tanh(lengths / lengths.std())[:, None]
    # A tie as one win and one loss of half a pair each: here as whole ones, with the others twice and half the ridge.
    rows = [(i, y) for i, o in enumerate(outcomes) for y in ((1, 1) if o == 1 else (0, 0) if o == 0 else (1, 0))]
    fit = LogisticRegression(C=0.5 / intervals.RIDGE, tol=1e-10, max_iter=1000).fit(
        x[[i for i, _ in rows]], [y for _, y in rows]
    )
    assert figure.value == pytest.approx(fit.predict_proba([[0.0]])[0, 1], abs=1e-4)
    assert figure.ci95 is not None
    assert figure.ci95[0] < (figure.value or 0) < figure.ci95[1]


def test_newtons_fits_are_scikit_learns() -> None:
    rng = np.random.default_rng(4)
    x, y = np.tanh(rng.normal(0.5, 1, (5, 40))), (rng.random((5, 40)) < 0.7).astype(float)
    for row, found in enumerate(intervals.intercepts(x, y)):
        fit = LogisticRegression(C=1 / intervals.RIDGE, tol=1e-10, max_iter=1000).fit(x[row][:, None], y[row])
        assert found == pytest.approx(fit.intercept_[0], abs=1e-4)


def test_a_judge_that_loves_length_is_seen_through() -> None:
    rng = np.random.default_rng(6)
    gaps = rng.integers(-80, 220, 300)
    wins = rng.random(300) < 1 / (1 + np.exp(-3.0 * np.tanh(gaps / gaps.std())))
    texts = [("x" * 300, "x" * (300 + int(gap))) for gap in gaps]
    pair = summarise(comparison(["win" if won else "loss" for won in wins], texts=texts))
    raw, fair = pair.win_rate, pair.length_controlled
    assert raw.ci95 is not None
    assert fair.ci95 is not None
    assert raw.ci95[0] > 0.6
    assert fair.ci95[0] <= 0.5 <= fair.ci95[1]


def test_nothing_to_correct_is_said() -> None:
    everything = summarise(comparison(["win"] * 20)).length_controlled
    assert (everything.value, everything.ci95) == (1.0, win_rate(20, 0, 0).ci95)
    assert "nothing to correct" in everything.why
    few = summarise(comparison(["win", "loss"])).length_controlled
    assert few.value is None
    assert "at least 10 pairs" in few.why


# honesty


def test_a_model_against_itself_has_no_difference_and_no_win() -> None:
    same = [(f"the same {i}", f"the same {i}") for i in range(50)]
    pair = summarise(comparison(["tie"] * 50, texts=same, scores=[(float(i % 10), float(i % 10)) for i in range(50)]))
    assert (pair.difference.value, pair.difference.ci95) == (0.0, (0.0, 0.0))
    assert (pair.win_rate.value, pair.wins, pair.losses, pair.standing) == (0.5, 0, 0, "unclear")
    assert pair.verdict == "not distinguishable: A and B gave the same reply to every one of 50 prompts"


def test_a_judge_that_always_says_a_shows_as_position_bias() -> None:
    pair = summarise(comparison([("A", "A")] * 40))
    assert (pair.wins, pair.losses, pair.ties, pair.inconsistent) == (0, 0, 40, 40)
    assert (pair.win_rate.value, pair.standing) == (0.5, "unclear")
    assert pair.first_position.value == 1.0
    assert pair.verdict.endswith("beware, the judge prefers what it is shown first (100 % of its preferences)")
    fair = summarise(comparison(["win"] * 20 + ["loss"] * 20))
    assert fair.first_position.value == 0.5
    assert "beware" not in fair.verdict


def test_the_interval_of_the_position_is_wilsons_of_one_preference_a_prompt() -> None:
    wilson = binomtest(30, 40).proportion_ci(method="wilson")
    assert position_rate(60, 20, 40).ci95 == pytest.approx((wilson.low, wilson.high))


def test_what_is_not_distinguishable_says_how_many_prompts_it_would_take() -> None:
    pair = summarise(comparison(drawn(35, 0, 29)))
    # (1.96 + 0.842)^2 * 0.25 * 64 / 63 / (3 / 64)^2, with the variance of a fair coin nearly.
    rate = 35 / 64
    expected = math.ceil((intervals.Z + intervals.Z_POWER) ** 2 * rate * (1 - rate) * 64 / 63 / (rate - 0.5) ** 2)
    assert pair.needed == expected
    assert pair.standing == "unclear"
    assert f"takes about {expected:,} prompts, {expected - 64:,} more" in pair.verdict
    assert prompts_needed([1.0, 0.0], 0.5) is None


def test_that_many_prompts_do_find_the_difference_four_times_in_five() -> None:
    rate, ties = 0.6, 0.2
    values = [1.0] * 50 + [0.5] * 20 + [0.0] * 30
    needed = prompts_needed(values, 0.5)
    assert needed is not None
    counts = np.random.default_rng(9).multinomial(needed, [rate - ties / 2, ties, 1 - rate - ties / 2], SIMULATIONS)
    limits = functools.cache(win_rate)
    found = sum((ci := limits(*map(int, row)).ci95) is not None and ci[0] > 0.5 for row in counts) / SIMULATIONS
    assert 0.76 <= found <= 0.84, found


def test_failed_judgements_are_counted_and_in_no_figure() -> None:
    whole = comparison(["win"] * 12 + ["loss"] * 4)
    import msgspec

    failed = msgspec.structs.replace(whole.duels[0], first=None, failure="no verdict")
    pair = summarise(Comparison(whole.path, whole.header, whole.rows, (failed, *whole.duels[1:])))
    assert (pair.n, pair.wins, pair.errors) == (15, 11, 1)


def test_groups_by_length_and_by_source_hold_every_pair_once() -> None:
    outcomes = drawn(20, 4, 6)
    pair = summarise(
        comparison(
            outcomes, lengths=[3 + i % 10 for i in range(30)], sources=["web" if i % 3 else "book" for i in range(30)]
        )
    )
    assert [group.n for group in pair.by_length] == [9, 12, 9]
    assert [group.name for group in pair.by_length] == ["up to 5 tokens", "6 to 9 tokens", "from 10 tokens"]
    assert [(group.name, group.n) for group in pair.by_source] == [("web", 20), ("book", 10)]
    books = [outcome for i, outcome in enumerate(outcomes) if i % 3 == 0]
    assert pair.by_source[1].win_rate == win_rate(books.count("win"), books.count("tie"), books.count("loss"))
    assert summarise(comparison(outcomes)).by_length == summarise(comparison(outcomes)).by_source == ()


# several models


def test_two_models_are_ranked_by_the_odds_of_their_wins() -> None:
    order = ranking(tournament({(0, 1): (30, 0, 10)}))
    # Half a win more for each: the maximum likelihood of Bradley and Terry for one pair is the log of the odds.
    assert [rank.model for rank in order.ranks] == [1, 0]
    assert order.ranks[0].strength.value == pytest.approx(math.log(30.5 / 10.5), abs=1e-4)
    assert order.ranks[0].strength.ci95 is not None


def test_three_models_are_ranked_as_choix_ranks_them() -> None:
    results = {(0, 1): (20, 4, 10), (0, 2): (28, 2, 4), (1, 2): (18, 6, 10)}
    order = ranking(tournament(results))
    games: list[tuple[int, int]] = [(i, j) for i, j in itertools.permutations(range(3), 2)]  # half a win, in halves
    for (left, right), (wins, ties, losses) in results.items():
        games += [(right, left)] * (2 * wins + ties) + [(left, right)] * (2 * losses + ties)
    found = choix.opt_pairwise(3, games, method="Newton-CG", tol=1e-9)
    assert [rank.model for rank in order.ranks] == [2, 1, 0]
    for rank in order.ranks:
        assert rank.strength.value == pytest.approx(found[rank.model] - found[0], abs=1e-3)
    ranked = {rank.model: rank.strength for rank in order.ranks}
    assert ranked[2].ci95 is not None
    assert ranked[2].ci95[0] > 0


def test_a_model_that_never_lost_has_a_finite_strength() -> None:
    order = ranking(tournament({(0, 1): (12, 0, 0)}))
    assert order.ranks[0].strength.value == pytest.approx(math.log(12.5 / 0.5), abs=1e-4)
    assert order.ranks[0].strength.ci95 is None
    assert order.ranks[0].strength.why


def test_the_json_has_what_scripts_rely_on() -> None:
    pair = to_json(comparison(drawn(12, 3, 5), scores=[(4.0, 6.0)] * 20))
    assert set(pair) >= KEYS
    assert (pair["n"], pair["a"], pair["b"], pair["difference"]) == (20, "model-0", "model-1", 2.0)
    assert "pairs" not in pair
    many = to_json(tournament({(0, 1): (20, 4, 10), (0, 2): (28, 2, 4), (1, 2): (18, 6, 10)}))
    assert [(each["a"], each["b"]) for each in many["pairs"]] == [
        ("model-0", "model-1"), ("model-0", "model-2"), ("model-1", "model-2"),
    ]  # fmt: skip
    assert [each["model"] for each in many["ranking"]] == ["model-2", "model-1", "model-0"]
    json.dumps(many, allow_nan=False)


def test_figures_do_not_depend_on_the_run() -> None:
    case = comparison(drawn(12, 3, 5), texts=[("a" * i, "b" * (i * 7 % 20)) for i in range(20)])
    assert summarise(case, seed=3) == summarise(case, seed=3)


def test_nothing_judged_is_nothing_claimed() -> None:
    pair = summarise(comparison([]))
    assert (pair.n, pair.win_rate.value, pair.standing) == (0, None, "unclear")
    assert "nothing to compare" in pair.verdict
    json.dumps(to_json(comparison([])), allow_nan=False)
