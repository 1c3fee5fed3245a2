"""The ratio guard, explained variance, and what ``core.ppo`` carries from step to step."""

from __future__ import annotations

import math
import random
import statistics

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from loops import LENGTHS, mask_of, table
from test_ppo import tensor

from core import ppo

rewards = st.floats(-1, 1, allow_subnormal=False)


def test_explained_variance_is_the_loop_over_tokens_that_count() -> None:
    rng = random.Random(21)
    value, returns = table(rng, LENGTHS), table(rng, LENGTHS)
    g = [returns[b][t] for b, n in enumerate(LENGTHS) for t in range(n)]
    error = [returns[b][t] - value[b][t] for b, n in enumerate(LENGTHS) for t in range(n)]
    expected = 1 - statistics.pvariance(error) / statistics.pvariance(g)
    got = ppo.explained_variance(tensor(value), tensor(returns), mask_of(LENGTHS))
    assert got == pytest.approx(expected, abs=1e-12)


def test_explained_variance_by_hand() -> None:
    returns, mask = tensor([[1.0, 2.0, 3.0]]), mask_of([3])
    assert ppo.explained_variance(returns, returns, mask) == 1
    assert ppo.explained_variance(torch.zeros(1, 3).double(), returns, mask) == 0
    assert ppo.explained_variance(returns + 5, returns, mask) == 1  # a constant offset is not variance
    # errors -2 0 2: variance 8/3 against 2/3
    assert ppo.explained_variance(tensor([[3.0, 2.0, 1.0]]), returns, mask) == pytest.approx(-3)


@pytest.mark.parametrize("returns", [[[0.5, 0.5, 0.5]], [[0.5]], [[]]])
def test_explained_variance_is_blank_where_returns_do_not_vary(returns: list[list[float]]) -> None:
    mask = torch.ones(1, len(returns[0]), dtype=torch.bool)
    assert ppo.explained_variance(torch.zeros(1, len(returns[0])).double(), tensor(returns), mask) is None


@pytest.mark.parametrize(
    ("kl_seq", "expected"),
    [
        (6.0, 0.05),  # on target
        (6.6, 0.05 * (1 + 0.1 * 64 / 1000)),  # 10 % over
        (5.4, 0.05 * (1 - 0.1 * 64 / 1000)),
        (600.0, 0.05 * (1 + 0.2 * 64 / 1000)),  # the error is clipped to 20 %
        (-3.0, 0.05 * (1 - 0.2 * 64 / 1000)),
    ],
)
def test_the_kl_controller_by_hand(kl_seq: float, expected: float) -> None:
    got = ppo.adapted_kl_coef(0.05, kl_seq, target=6.0, rows=64, horizon=1000)
    assert got == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("kl_seq", [math.nan, math.inf, -math.inf])
def test_a_kl_that_is_not_finite_leaves_the_coefficient_alone(kl_seq: float) -> None:
    assert ppo.adapted_kl_coef(0.05, kl_seq, target=6.0, rows=64, horizon=1000) == 0.05


def test_a_step_without_valid_rows_leaves_the_coefficient_alone() -> None:
    assert ppo.adapted_kl_coef(0.05, 0.0, target=6.0, rows=0, horizon=1000) == 0.05


@given(st.lists(st.lists(rewards, max_size=6), max_size=6))
def test_running_moments_equal_those_of_all_values_at_once(batches: list[list[float]]) -> None:
    moments = ppo.RunningMoments()
    for batch in batches:
        moments = moments.updated(batch)
    flat = [x for batch in batches for x in batch]
    assert moments.count == len(flat)
    if flat:
        assert moments.mean == pytest.approx(statistics.fmean(flat), abs=1e-12)
    if len(flat) > 1 and statistics.stdev(flat) > 1e-6:
        assert moments.std == pytest.approx(statistics.stdev(flat), rel=1e-9)


@pytest.mark.parametrize("batches", [[], [[0.4]], [[0.1, 0.1, 0.1]], [[0.1], [0.1], [0.1]], [[0.7] * 6, [0.7] * 5]])
def test_without_spread_the_deviation_is_one(batches: list[list[float]]) -> None:
    moments = ppo.RunningMoments()
    for batch in batches:
        moments = moments.updated(batch)
    assert moments.std == 1.0  # .1 + .1 + .1 is not .3: rounding must not pass for spread


def test_shaped_reward_by_hand() -> None:
    seen = ppo.RunningMoments().updated([-0.5, 0.0, 0.5, 1.0])
    # mean .25; deviations -.75 -.25 .25 .75: sum of squares 1.25, over 3 = .416667, root .645497
    assert ppo.shaped_reward(0.8, seen, "none", 0.0, eos_penalty=0.0) == 0.8
    assert ppo.shaped_reward(0.8, seen, "scale", 0.0, eos_penalty=0.0) == pytest.approx(1.239355, abs=1e-6)
    assert ppo.shaped_reward(0.8, seen, "norm", 0.0, eos_penalty=0.0) == pytest.approx(0.852056, abs=1e-6)


def test_the_clip_bounds_both_ends_and_the_penalty_comes_after_it() -> None:
    seen = ppo.RunningMoments().updated([0.0, 0.01])
    # deviation .00707: .8 / .00707 = 113, clipped to 5, then 1 off: a penalty of 1 keeps its units
    assert ppo.shaped_reward(0.8, seen, "scale", 5.0, eos_penalty=1.0) == 4.0
    assert ppo.shaped_reward(-0.8, seen, "scale", 5.0, eos_penalty=1.0) == -6.0
    assert ppo.shaped_reward(0.8, seen, "none", 0.5, eos_penalty=0.0) == 0.5


@pytest.mark.parametrize(
    ("ratio", "finite", "norm", "reason"),
    [
        (1.0, True, 0.5, None),
        (10.0, True, 0.5, None),  # the threshold itself is still applied
        (0.1, True, 0.0, None),
        (11.0, True, 0.5, "mean ratio 11 is outside 1/10..10"),
        (1 / 11, True, 0.5, "mean ratio 0.09091 is outside 1/10..10"),
        (math.inf, True, 0.5, "mean ratio inf is outside 1/10..10"),
        (-math.inf, True, 0.5, "mean ratio -inf is outside 1/10..10"),
        (math.nan, True, 0.5, "mean ratio nan is outside 1/10..10"),
        (1.0, False, 0.5, "a log-ratio, value or loss was not finite"),
        (1.0, True, math.nan, "the gradient norm was not finite"),
        (1.0, True, math.inf, "the gradient norm was not finite"),
    ],
)
def test_the_guard(ratio: float, finite: bool, norm: float, reason: str | None) -> None:
    assert ppo.guard_reason(ratio, 10.0, finite=finite, grad_norm=norm) == reason
