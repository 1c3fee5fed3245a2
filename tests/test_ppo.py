"""From log-probs and scores to whitened advantages: ``core.ppo`` against loops, by hand, and by its properties."""

from __future__ import annotations

import math
import random

import loops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import LENGTHS, mask_of, table
from torch import Tensor

from core import ppo

DTYPES = [(torch.float64, 1e-12), (torch.float32, 1e-5)]
dtypes = pytest.mark.parametrize(("dtype", "tol"), DTYPES, ids=["fp64", "fp32"])
lengths_strategy = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)
seeds = st.integers(0, 2**31)


def tensor(rows: object, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(rows, dtype=dtype)


def same(got: Tensor, expected: object, tol: float) -> None:
    torch.testing.assert_close(got.double(), tensor(expected), rtol=tol, atol=tol)


# --- against loops -----------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("estimator", ["k1", "k2", "k3", "abs"])
def test_token_kl_is_the_loop(estimator: ppo.KlEstimator, dtype: torch.dtype, tol: float) -> None:
    rng = random.Random(1)
    old, ref = table(rng, LENGTHS), table(rng, LENGTHS)
    got = ppo.token_kl(tensor(old, dtype), tensor(ref, dtype), mask_of(LENGTHS), estimator)
    same(got, loops.kl(old, ref, LENGTHS, estimator), tol)


@dtypes
def test_token_rewards_are_the_loop(dtype: torch.dtype, tol: float) -> None:
    rng = random.Random(2)
    kl, reward = table(rng, LENGTHS), [0.3, -0.8, math.nan, 1.0, -0.1]  # the row left out has no score
    got = ppo.token_rewards(tensor(reward, dtype), tensor(kl, dtype), mask_of(LENGTHS), 0.07)
    same(got, loops.token_rewards(reward, kl, LENGTHS, 0.07), tol)


@dtypes
@pytest.mark.parametrize(("gamma", "lam"), [(1.0, 0.95), (0.9, 0.5), (1.0, 1.0), (0.99, 0.0), (0.0, 0.95)])
def test_gae_is_the_sum_of_discounted_deltas(gamma: float, lam: float, dtype: torch.dtype, tol: float) -> None:
    rng = random.Random(3)
    reward, value = table(rng, LENGTHS), table(rng, LENGTHS)
    got = ppo.gae(tensor(reward, dtype), tensor(value, dtype), mask_of(LENGTHS), gamma, lam)
    advantage, returns = loops.gae(reward, value, LENGTHS, gamma, lam)
    same(got.advantage_BT, advantage, tol)
    same(got.return_BT, returns, tol)


@dtypes
def test_whiten_is_the_loop(dtype: torch.dtype, tol: float) -> None:
    advantage = table(random.Random(4), LENGTHS, scale=3.0)
    same(ppo.whiten(tensor(advantage, dtype), mask_of(LENGTHS)), loops.whiten(advantage, LENGTHS), tol)


# --- by hand -----------------------------------------------------------------------------------------------------


def test_kl_estimates_by_hand() -> None:
    old, ref, mask = tensor([[math.log(0.5)]]), tensor([[math.log(0.25)]]), mask_of([1])
    by = {k: float(ppo.token_kl(old, ref, mask, k)) for k in ("k1", "k2", "k3", "abs")}
    # d = ln .5 - ln .25 = ln 2 = .693147; d^2/2 = .240227; e^-d - 1 + d = .5 - 1 + .693147 = .193147
    assert by == pytest.approx({"k1": 0.693147, "k2": 0.240227, "k3": 0.193147, "abs": 0.693147}, abs=1e-6)


def test_gae_by_hand_and_returns_come_from_raw_advantages() -> None:
    # r = 0 0 1, V = .2 .4 .6, gamma 1, lambda .5; nothing follows the last token, so V_3 = 0
    # delta_2 = 1 + 0 - .6 = .4;  delta_1 = 0 + .6 - .4 = .2;  delta_0 = 0 + .4 - .2 = .2
    # A_2 = .4;  A_1 = .2 + .5 * .4 = .4;  A_0 = .2 + .5 * .4 = .4;  G = A + V = .6 .8 1.0
    got = ppo.gae(tensor([[0.0, 0.0, 1.0]]), tensor([[0.2, 0.4, 0.6]]), mask_of([3]), 1.0, 0.5)
    same(got.advantage_BT, [[0.4, 0.4, 0.4]], 1e-12)
    same(got.return_BT, [[0.6, 0.8, 1.0]], 1e-12)


def test_whiten_by_hand_with_bessel_and_without_the_mean() -> None:
    # 1 2 3 (and a pad that does not count): mean 2, variance ((-1)^2 + 0 + 1^2) / (3 - 1) = 1
    got = ppo.whiten(tensor([[1.0, 2.0], [3.0, 99.0]]), mask_of([2, 1]))
    same(got, [[-1.0, 0.0], [1.0, 0.0]], 1e-7)  # 1 / sqrt(1 + 1e-8)


def test_the_score_lands_on_the_last_response_token() -> None:
    got = ppo.token_rewards(tensor([0.5, -1.0, 0.25]), torch.zeros(3, 4).double(), mask_of([4, 2, 1]), 0.1)
    same(got, [[0, 0, 0, 0.5], [0, -1.0, 0, 0], [0.25, 0, 0, 0]], 0)


def test_a_response_of_only_eos_carries_score_and_kl_on_its_one_token() -> None:
    mask, value = mask_of([1]), tensor([[0.1]])
    reward = ppo.token_rewards(tensor([0.6]), tensor([[2.0]]), mask, 0.05)
    got = ppo.gae(reward, value, mask, 1.0, 0.95)
    same(reward, [[0.5]], 1e-12)  # .6 - .05 * 2
    same(got.advantage_BT, [[0.4]], 1e-12)  # .5 - .1
    same(got.return_BT, [[0.5]], 1e-12)


def test_a_row_left_out_is_zero_everywhere_and_others_do_not_notice() -> None:
    rng = random.Random(5)
    kl, value, reward = table(rng, LENGTHS), table(rng, LENGTHS), [0.3, -0.8, math.nan, 1.0, -0.1]
    keep = [0, 1, 3, 4]
    full = _pipeline(kl, value, reward, LENGTHS)
    alone = _pipeline([kl[b] for b in keep], [value[b] for b in keep], [reward[b] for b in keep], [5, 1, 7, 3])
    assert not full[2].any()
    torch.testing.assert_close(full[keep], alone, rtol=1e-12, atol=1e-12)


def test_all_rows_left_out_gives_zeros_not_nan() -> None:
    nothing = [[math.nan] * 3] * 2
    assert not _pipeline(nothing, nothing, [math.nan, math.nan], [0, 0], width=3).any()


def _pipeline(
    kl: loops.Rows, value: loops.Rows, reward: list[float], lengths: list[int], width: int | None = None
) -> Tensor:
    mask = mask_of(lengths) if width is None else torch.zeros(len(lengths), width, dtype=torch.bool)
    rewards = ppo.token_rewards(tensor(reward), tensor(kl), mask, 0.1)
    return ppo.whiten(ppo.gae(rewards, tensor(value), mask, 1.0, 0.95).advantage_BT, mask)


def test_one_token_cannot_be_whitened_and_stays_raw() -> None:
    same(ppo.whiten(tensor([[0.7, math.nan]]), torch.tensor([[True, False]])), [[0.7, 0.0]], 0)


def test_equal_advantages_whiten_to_zero() -> None:
    assert ppo.whiten(torch.full((3, 5), 0.1), torch.ones(3, 5, dtype=torch.bool)).abs().max() < 1e-3


# --- properties --------------------------------------------------------------------------------------------------


@given(lengths_strategy, seeds, st.floats(-2, 2), st.floats(0, 3))
@settings(max_examples=60, deadline=None)
def test_rewards_of_a_row_sum_to_score_minus_price(lengths: list[int], seed: int, score: float, beta: float) -> None:
    rng = random.Random(seed)
    old, ref, mask = tensor(table(rng, lengths)), tensor(table(rng, lengths)), mask_of(lengths)
    kl = ppo.token_kl(old, ref, mask)
    got = ppo.token_rewards(tensor([score] * len(lengths)), kl, mask, beta)
    rows = mask.any(dim=1)
    expected = torch.where(rows, score - beta * torch.where(mask, old - ref, 0.0).sum(dim=1), 0.0)
    torch.testing.assert_close(got.sum(dim=1), expected, rtol=1e-12, atol=1e-12)
    assert not got[~mask].any()


@given(lengths_strategy, seeds, st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_gae_with_lambda_one_returns_the_discounted_reward_to_go(lengths: list[int], seed: int, gamma: float) -> None:
    rng = random.Random(seed)
    reward, value = table(rng, lengths), table(rng, lengths)
    got = ppo.gae(tensor(reward), tensor(value), mask_of(lengths), gamma, 1.0).return_BT
    for b, n in enumerate(lengths):
        to_go = [sum(gamma ** (s - t) * reward[b][s] for s in range(t, n)) for t in range(n)]
        same(got[b, :n], to_go, 1e-11)


@given(lengths_strategy, seeds, st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_gae_with_lambda_zero_is_the_one_step_error(lengths: list[int], seed: int, gamma: float) -> None:
    rng = random.Random(seed)
    reward, value = table(rng, lengths), table(rng, lengths)
    got = ppo.gae(tensor(reward), tensor(value), mask_of(lengths), gamma, 0.0)
    for b, n in enumerate(lengths):
        target = [reward[b][t] + gamma * (value[b][t + 1] if t + 1 < n else 0.0) for t in range(n)]
        same(got.return_BT[b, :n], target, 1e-12)
        same(got.advantage_BT[b, :n], [target[t] - value[b][t] for t in range(n)], 1e-12)


@given(lengths_strategy, st.floats(0, 1), st.floats(-1, 1))
def test_without_critic_and_kl_credit_decays_by_lambda(lengths: list[int], lam: float, score: float) -> None:
    mask = mask_of(lengths)
    zero = torch.zeros(mask.shape).double()
    reward = ppo.token_rewards(tensor([score] * len(lengths)), zero, mask, 0.0)
    got = ppo.gae(reward, zero, mask, 1.0, lam).advantage_BT
    for b, n in enumerate(lengths):
        same(got[b, :n], [lam ** (n - 1 - t) * score for t in range(n)], 1e-12)


@given(lengths_strategy.filter(lambda n: sum(n) >= 3), seeds, st.floats(0.1, 50), st.floats(-50, 50))
@settings(max_examples=60, deadline=None)
def test_whitened_advantages_have_mean_zero_and_bessel_deviation_one(
    lengths: list[int], seed: int, scale: float, shift: float
) -> None:
    mask = mask_of(lengths)
    kept = ppo.whiten(tensor(table(random.Random(seed), lengths, scale)) + shift, mask)[mask]
    assert abs(float(kept.mean())) < 1e-10
    assert float(kept.std(unbiased=True)) == pytest.approx(1, abs=1e-4)  # 1e-8 under the root, at deviation 0.01


@given(lengths_strategy.filter(lambda n: sum(n) >= 2), seeds, st.sampled_from([math.nan, math.inf, -math.inf, 1e30]))
@settings(max_examples=60, deadline=None)
def test_what_lies_outside_the_mask_changes_nothing(lengths: list[int], seed: int, junk: float) -> None:
    def run(outside: float) -> Tensor:
        rng = random.Random(seed)
        old, ref, value = (tensor(table(rng, lengths, junk=outside)) for _ in range(3))
        reward = tensor([0.5 if n else outside for n in lengths])
        mask = mask_of(lengths)
        rewards = ppo.token_rewards(reward, ppo.token_kl(old, ref, mask, "k3"), mask, 0.1)
        got = ppo.gae(rewards, value, mask, 0.9, 0.8)
        return torch.stack([ppo.whiten(got.advantage_BT, mask), got.return_BT])

    clean, dirty = run(0.0), run(junk)
    assert torch.equal(clean, dirty)
    assert not dirty[:, ~mask_of(lengths)].any()


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_k3_is_never_negative_and_estimates_agree_to_second_order(seed: int) -> None:
    rng = random.Random(seed)
    old, ref, mask = tensor(table(rng, [20])), tensor(table(rng, [20])), mask_of([20])
    assert (ppo.token_kl(old, ref, mask, "k3") >= 0).all()
    near = old + 1e-4 * (ref - old)
    # e^-d - 1 + d = d^2/2 - d^3/6 + ...; |d| < 1e-3 here, so the two differ by less than 1e-9 / 6
    gap = ppo.token_kl(old, near, mask, "k3") - ppo.token_kl(old, near, mask, "k2")
    assert gap.abs().max() < 2e-10
