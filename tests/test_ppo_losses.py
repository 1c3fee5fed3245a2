"""PPO's two losses: ``core.ppo`` against loops, by hand, and by their properties."""

from __future__ import annotations

import math
import random
from typing import Any

import loops
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from loops import LENGTHS, mask_of, table
from test_ppo import dtypes, lengths_strategy, same, seeds, tensor
from torch import Tensor

from core import ppo

CLIP = {"clip_low": 0.2, "clip_high": 0.2, "dual_clip": 3.0}


def near(rng: random.Random, rows: loops.Rows, lengths: list[int], by: float) -> loops.Rows:
    """``rows`` moved a little where a token counts."""
    return [
        [x + rng.gauss(0, by) if t < n else x for t, x in enumerate(row)] for row, n in zip(rows, lengths, strict=True)
    ]


def one_token(ratio: float, advantage: float, **options: Any) -> tuple[ppo.PolicyLoss, float]:
    """The loss of a single token with this ratio, and its gradient with respect to the log-prob."""
    new = tensor([[math.log(ratio)]]).requires_grad_()
    zero = torch.zeros(1, 1).double()
    got = ppo.policy_loss(new, zero, tensor([[advantage]]), mask_of([1]), total=1, **(CLIP | options))
    got.loss.backward()
    assert new.grad is not None
    return got, float(new.grad)


# --- against loops -----------------------------------------------------------------------------------------------


@dtypes
@pytest.mark.parametrize("dual", [3.0, 1.5, 0.0])
@pytest.mark.parametrize(("low", "high"), [(0.2, 0.2), (0.2, 0.28), (0.0, 5.0)])
def test_policy_loss_is_the_loop(low: float, high: float, dual: float, dtype: torch.dtype, tol: float) -> None:
    rng = random.Random(11)
    old, advantage = table(rng, LENGTHS), table(rng, LENGTHS, 2.0)
    new, total = near(rng, old, LENGTHS, 1.5), sum(LENGTHS) + 9  # 9 more tokens in other micro-batches
    leaf = tensor(new, dtype).requires_grad_()
    got = ppo.policy_loss(
        leaf, tensor(old, dtype), tensor(advantage, dtype), mask_of(LENGTHS),
        clip_low=low, clip_high=high, dual_clip=dual, total=total,
    )  # fmt: skip
    got.loss.backward()
    want = loops.policy_loss(new, old, advantage, LENGTHS, low, high, dual, total)
    assert want.clipped
    assert want.dual or not dual
    same(got.loss.detach(), want.loss, tol)
    same(leaf.grad, want.grad, tol)
    same(got.ratio_sum, want.ratio_sum, 20 * tol)
    same(got.ratio_error_sum, sum(abs(r - 1) for r in want.ratios), 20 * tol)
    same(got.ratio_min, min(want.ratios), tol)
    same(got.ratio_max, max(want.ratios), 5 * tol)
    same(got.approx_kl_sum, want.approx_kl, 5 * tol)
    assert (int(got.clipped), int(got.dual_clipped), bool(got.finite)) == (want.clipped, want.dual, True)


@dtypes
@pytest.mark.parametrize("clip", [0.2, 0.5, 0.0])
def test_value_loss_is_the_loop(clip: float, dtype: torch.dtype, tol: float) -> None:
    rng = random.Random(12)
    old, returns = table(rng, LENGTHS), table(rng, LENGTHS)
    value, total = near(rng, old, LENGTHS, 1.5), sum(LENGTHS) + 9
    leaf = tensor(value, dtype).requires_grad_()
    got = ppo.value_loss(leaf, tensor(old, dtype), tensor(returns, dtype), mask_of(LENGTHS), clip=clip, total=total)
    got.loss.backward()
    loss, clipped, grad = loops.value_loss(value, old, returns, LENGTHS, clip, total)
    assert clipped or not clip
    same(got.loss.detach(), loss, tol)
    same(leaf.grad, grad, tol)
    assert (int(got.clipped), bool(got.finite)) == (clipped, True)


# --- by hand -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss", "slope", "clipped", "dual"),
    [
        (1.0, 2.0, -2.0, -2.0, 0, 0),  # -1 * 2
        (1.1, 2.0, -2.2, -2.2, 0, 0),  # inside the band: -1.1 * 2
        (1.5, 2.0, -2.4, 0.0, 1, 0),  # max(-1.5 * 2, -1.2 * 2): no more to gain
        (0.5, 2.0, -1.0, -1.0, 0, 0),  # max(-.5 * 2, -.8 * 2): the way back stays open
        (0.5, -2.0, 1.6, 0.0, 1, 0),  # max(.5 * 2, .8 * 2)
        (1.5, -2.0, 3.0, 3.0, 0, 0),  # max(1.5 * 2, 1.2 * 2)
        (5.0, -2.0, 6.0, 0.0, 0, 1),  # min(5 * 2, 3 * 2)
    ],
)
def test_the_clip_by_hand(
    ratio: float, advantage: float, loss: float, slope: float, clipped: int, dual: int
) -> None:  # fmt: skip
    got, grad = one_token(ratio, advantage)
    assert float(got.loss.detach()) == pytest.approx(loss, abs=1e-12)
    assert grad == pytest.approx(slope, abs=1e-12)
    assert (int(got.clipped), int(got.dual_clipped)) == (clipped, dual)


def test_without_dual_clip_a_bad_token_costs_all_of_its_ratio() -> None:
    got, grad = one_token(5.0, -2.0, dual_clip=0.0)
    assert (float(got.loss.detach()), grad, int(got.dual_clipped)) == pytest.approx((10.0, 10.0, 0))  # 5 * 2


def test_the_two_sides_of_the_clip_are_set_apart() -> None:
    assert float(one_token(1.5, 1.0, clip_high=0.28)[0].loss.detach()) == pytest.approx(-1.28)
    assert float(one_token(0.5, -1.0, clip_low=0.1)[0].loss.detach()) == pytest.approx(0.9)


def test_value_clip_by_hand() -> None:
    value, old, returns, mask = tensor([[1.0]]), tensor([[0.0]]), tensor([[1.0]]), mask_of([1])
    # right on the target, but .8 beyond what the clip allows: (0 + .2 - 1)^2 / 2 = .32; without the clip 0
    assert float(ppo.value_loss(value, old, returns, mask, clip=0.2, total=1).loss) == pytest.approx(0.32)
    assert float(ppo.value_loss(value, old, returns, mask, clip=0.0, total=1).loss) == 0.0
    # moved the wrong way, to -1: the plain error (1 + 1)^2 / 2 = 2 is above (.2 + 1)^2 / 2 = .72
    assert float(ppo.value_loss(-value, old, returns, mask, clip=0.2, total=1).loss) == pytest.approx(2.0)


def test_first_mini_batch_identities() -> None:
    rng = random.Random(13)
    logprob, raw, old_value, mask = (*(tensor(table(rng, LENGTHS)) for _ in range(3)), mask_of(LENGTHS))
    total = int(mask.sum())
    got = ppo.policy_loss(logprob, logprob, ppo.whiten(raw, mask), mask, total=total, **CLIP)
    critic = ppo.value_loss(old_value, old_value, raw + old_value, mask, clip=0.2, total=total)
    assert float(got.ratio_sum) == total
    assert float(got.ratio_min) == float(got.ratio_max) == 1
    assert float(got.ratio_error_sum) == 0
    assert float(got.approx_kl_sum) == int(got.clipped) == int(got.dual_clipped) == int(critic.clipped) == 0
    assert float(got.loss) == pytest.approx(0, abs=1e-12)  # the mean of whitened advantages
    assert float(critic.loss) == pytest.approx(float(0.5 * raw[mask].square().mean()), abs=1e-12)


# --- properties --------------------------------------------------------------------------------------------------


@given(seeds)
@settings(max_examples=40, deadline=None)
def test_a_value_inside_the_clip_is_never_counted_as_clipped(seed: int) -> None:
    gen = torch.Generator().manual_seed(seed)
    old, returns = 1e-3 * torch.randn(4, 30, generator=gen), 1e-2 * torch.randn(4, 30, generator=gen)
    value = old + 0.19 * (2 * torch.rand(4, 30, generator=gen) - 1)  # old + (value - old) is not value here
    got = ppo.value_loss(value, old, returns, torch.ones(4, 30, dtype=torch.bool), clip=0.2, total=120)
    assert int(got.clipped) == 0


@given(lengths_strategy, seeds, st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_losses_add_up_however_the_mini_batch_is_split(lengths: list[int], seed: int, size: int) -> None:
    rng = random.Random(seed)
    old, advantage, mask = tensor(table(rng, lengths)), tensor(table(rng, lengths)), mask_of(lengths)
    new = old + 0.5 * tensor(table(rng, lengths))
    total = int(mask.sum())

    def run(parts: list[slice]) -> tuple[Tensor, Tensor]:
        leaf = new.clone().requires_grad_()
        sums = torch.zeros(8).double()
        for p in parts:
            a = ppo.policy_loss(leaf[p], old[p], advantage[p], mask[p], total=total, **CLIP)
            v = ppo.value_loss(leaf[p], old[p], advantage[p], mask[p], clip=0.2, total=total)
            (a.loss + v.loss).backward()
            sums += torch.stack(
                [a.loss.detach(), v.loss.detach(), a.ratio_sum, a.approx_kl_sum, a.clipped, a.dual_clipped,
                 v.clipped, (~a.finite | ~v.finite).double()]
            )  # fmt: skip
        assert leaf.grad is not None
        return sums, leaf.grad

    whole, pieces = run([slice(None)]), run([slice(i, i + size) for i in range(0, len(lengths), size)])
    torch.testing.assert_close(pieces, whole, rtol=1e-12, atol=1e-12)


@given(lengths_strategy, seeds, st.sampled_from([math.nan, math.inf, -math.inf, 1e300]), st.sampled_from([0.0, 0.2]))
@settings(max_examples=60, deadline=None)
def test_what_lies_outside_the_mask_reaches_no_loss_and_no_gradient(
    lengths: list[int], seed: int, junk: float, clip: float
) -> None:
    def run(outside: float) -> list[Tensor]:
        rng = random.Random(seed)
        new, old, advantage = (tensor(table(rng, lengths, junk=outside)) for _ in range(3))
        mask, leaves = mask_of(lengths), (new.requires_grad_(), new.detach().clone().requires_grad_())
        total = int(mask.sum())
        a = ppo.policy_loss(leaves[0], old, advantage, mask, total=total, **CLIP)
        v = ppo.value_loss(leaves[1], old, advantage, mask, clip=clip, total=total)
        (a.loss + v.loss).backward()
        grads = [leaf.grad for leaf in leaves if leaf.grad is not None]
        return [*grads, a.loss, v.loss, a.ratio_sum, a.ratio_max, a.approx_kl_sum, a.clipped, v.clipped,
                a.finite, v.finite]  # fmt: skip

    clean, dirty = run(0.0), run(junk)
    assert all(torch.equal(c.detach(), d.detach()) for c, d in zip(clean, dirty, strict=True))
    assert not any(bool(grad[~mask_of(lengths)].any()) for grad in dirty[:2])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("which", ["new", "old", "advantage"])
def test_anything_not_finite_inside_the_mask_is_reported(which: str, bad: float) -> None:
    rows = {name: torch.zeros(2, 3) for name in ("new", "old", "advantage")}
    rows[which][1, 1] = bad
    mask = torch.ones(2, 3, dtype=torch.bool)
    policy = ppo.policy_loss(rows["new"], rows["old"], rows["advantage"], mask, total=6, **CLIP)
    critic = ppo.value_loss(rows["new"], rows["old"], rows["advantage"], mask, clip=0.2, total=6)
    assert not policy.finite
    assert not critic.finite


def test_a_huge_log_ratio_is_bounded_but_its_mean_still_trips_the_guard() -> None:
    got, _ = one_token(math.exp(300), 1.0)
    assert float(got.ratio_sum) == pytest.approx(math.exp(20))
    assert bool(got.finite)
    assert ppo.guard_reason(float(got.ratio_sum), 10.0, finite=True, grad_norm=0.1)


@pytest.mark.parametrize("total", [0, -1])
def test_a_mini_batch_without_tokens_is_refused(total: int) -> None:
    zero, mask = torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool)
    with pytest.raises(ValueError, match="policy_loss: no token counts"):
        ppo.policy_loss(zero, zero, zero, mask, total=total, **CLIP)
    with pytest.raises(ValueError, match="value_loss: no token counts"):
        ppo.value_loss(zero, zero, zero, mask, clip=0.2, total=total)


def test_a_micro_batch_whose_rows_were_all_left_out_adds_nothing() -> None:
    junk, mask = torch.full((2, 3), math.nan), torch.zeros(2, 3, dtype=torch.bool)
    got = ppo.policy_loss(junk, junk, junk, mask, total=5, **CLIP)
    assert (float(got.loss), float(got.ratio_sum), bool(got.finite)) == (0, 0, True)
    assert float(ppo.value_loss(junk, junk, junk, mask, clip=0.2, total=5).loss) == 0
