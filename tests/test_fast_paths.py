"""Shortcuts that change nothing but time: fused adapters, the head's own gradient, clipping, attention on CPUs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from torch import Tensor, nn

from core.config import PPOConfig
from core.logprobs import HeadOptions, chosen_logprobs
from core.optim import Optimizer
from core.policy import Policy


def passes(policy: Policy) -> list[Tensor]:
    """Log-probs of the actor and gradients of its adapters on ``tiny.SEQUENCES``."""
    parameters = list(policy.actor_parameters().values())
    logprob_BT = policy.actor_pass(tiny.batch(policy)).logprob_BT
    return [logprob_BT.detach(), *torch.autograd.grad(logprob_BT.sin().sum(), parameters)]


def fused_layers(policy: Policy) -> list[Any]:
    return [m for m in policy.model.modules() if "forward" in vars(m)]


@pytest.mark.parametrize("architecture", ["gpt2", "mistral"])
@pytest.mark.parametrize("options", [{}, {"compute": "bfloat16"}, {"dtype": "bfloat16"}])
def test_fused_adapters_compute_what_peft_computes(tmp_path: Path, architecture: str, options: Any) -> None:
    policy = tiny.policy(tiny.save(architecture, tmp_path), **options)
    # Per block GPT-2 has 4 matrices (c_attn, c_proj, c_fc, c_proj), Mistral 7; two blocks.
    assert len(fused_layers(policy)) == {"gpt2": 8, "mistral": 14}[architecture]
    fused = passes(policy)
    for layer in fused_layers(policy):
        del layer.forward
    plain = passes(policy)
    # alpha / r = 8 / 4 is a power of two, so float32 agrees to the last bit. bfloat16 (8 bits) is rounded less often.
    limit = 0.1 if options.get("compute") == "bfloat16" else 0.0
    for one, other in zip(fused, plain, strict=True):
        assert float((one - other).norm()) <= limit * float(other.norm())
    assert float(fused[1].abs().max()) > 0


def test_fused_adapters_are_off_with_the_adapter(tmp_path: Path) -> None:
    policy = tiny.policy(tiny.save("mistral", tmp_path))
    reference = policy.reference_pass(tiny.batch(policy)).logprob_BT
    for parameter in policy.actor_parameters().values():
        parameter.data.zero_()
    torch.testing.assert_close(policy.actor_pass(tiny.batch(policy)).logprob_BT.detach(), reference, rtol=0, atol=0)


@pytest.mark.parametrize("banned", [False, True])
def test_the_heads_gradient_is_that_of_log_softmax(banned: bool) -> None:
    torch.manual_seed(0)
    head, hidden_Nh, weight_N = nn.Linear(6, 9, bias=False), torch.randn(5, 6, requires_grad=True), torch.randn(5)
    target_N = torch.tensor([3, 1, 4, 1, 5])
    banned_N = torch.tensor([True, False, True, True, False]) if banned else None
    inputs = [hidden_Nh, head.weight]
    got = chosen_logprobs(head, hidden_Nh, target_N, HeadOptions(1.7, (2,)), banned_N=banned_N).logprob_N
    logits_NV = head(hidden_Nh) / 1.7
    if banned_N is not None:
        logits_NV = logits_NV.masked_fill(banned_N[:, None] & (torch.arange(9) == 2), float("-inf"))
    wanted = logits_NV.log_softmax(dim=1)[torch.arange(5), target_N]
    torch.testing.assert_close(got, wanted)
    slopes = torch.autograd.grad((got * weight_N).sum(), inputs), torch.autograd.grad((wanted * weight_N).sum(), inputs)
    for one, other in zip(*slopes, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("side", ["left", "right"])
def test_bfloat16_attends_in_float32_on_a_cpu(tmp_path: Path, side: str) -> None:
    folder = tiny.save("mistral", tmp_path)
    coarse, fine = tiny.policy(folder, compute="bfloat16"), tiny.policy(folder)
    settings: Any = coarse.trunk.config
    assert settings._attn_implementation == "sdpa_float32"
    assert fine.trunk.config._attn_implementation == "sdpa"  # type: ignore[union-attr]
    seen: list[torch.dtype] = []
    plain = nn.functional.scaled_dot_product_attention

    def watched(query: Tensor, *args: Any, **options: Any) -> Tensor:
        seen.append(query.dtype)
        return plain(query, *args, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.functional, "scaled_dot_product_attention", watched)
        got = coarse.actor_pass(tiny.batch(coarse, side=side)).logprob_BT
    assert seen == [torch.float32, torch.float32]
    wanted = fine.actor_pass(tiny.batch(fine, side=side)).logprob_BT
    torch.testing.assert_close(got, wanted, rtol=0, atol=0.1)  # of about 5 nats; bfloat16 has 8 bits


@pytest.mark.parametrize(("norm", "factor"), [(0.5, 1.0), (2.0, 0.5)])
def test_gradients_are_clipped_only_above_the_limit(norm: float, factor: float) -> None:
    parameter = nn.Parameter(torch.zeros(4))
    optimizer = Optimizer("actor", {"w": parameter}, PPOConfig(max_grad_norm=1.0))
    parameter.grad = torch.full((4,), norm / 2)  # the norm of four equal entries is twice one of them
    assert optimizer.grad_norm() == pytest.approx(norm)
    optimizer.step(norm)
    torch.testing.assert_close(parameter.grad, torch.full((4,), norm / 2 * factor))
