"""Padding must not matter: left, right, wider, junk in the pads, shuffled, alone or together."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import pytest
import tiny
import torch
from tiny import SEQUENCES
from torch import Tensor

from core import ppo
from core.batch import TokenBatch
from core.policy import CriticKind, Policy

TOTAL = sum(len(response) for _, response in SEQUENCES)
WIDTH = max(len(response) for _, response in SEQUENCES)


@dataclass
class Measured:
    """Everything a step reads of some rows, (rows, WIDTH), and the summed gradients."""

    tensors: dict[str, Tensor]
    losses: Tensor
    grads: dict[str, Tensor]


def measure(policy: Policy, batch: TokenBatch, rows: list[int]) -> Measured:
    """Passes and losses of the rows with these numbers; old log-probs, advantages and returns are the row's own."""
    for parameter in (*policy.actor_parameters().values(), *policy.critic_parameters().values()):
        parameter.grad = None
    generator = torch.Generator().manual_seed(5)
    table = torch.randn(3, len(SEQUENCES), WIDTH, generator=generator)[:, rows, : batch.mask_BT.shape[1]]
    reference = policy.reference_pass(batch)
    actor = policy.actor_pass(batch, entropy=True)
    old_BT, advantage_BT, return_BT = actor.logprob_BT.detach() + 0.1 * table[0], table[1], table[2]
    clip = {"clip_low": 0.2, "clip_high": 0.2, "dual_clip": 3.0, "total": TOTAL}
    loss = ppo.policy_loss(actor.logprob_BT, old_BT, advantage_BT, batch.mask_BT, **clip).loss
    value_BT = actor.value_BT
    if policy.critic_kind == "features":
        assert reference.features_BTF is not None
        value_BT = policy.feature_values(reference.features_BTF, batch.mask_BT)
    if value_BT is None:
        loss.backward()
        value_BT = policy.critic_pass(batch)
    value_loss = ppo.value_loss(value_BT, 0 * return_BT, return_BT, batch.mask_BT, clip=0.2, total=TOTAL).loss
    (value_loss if policy.critic_kind == "adapter" else loss + value_loss).backward()
    found = {
        "actor": actor.logprob_BT,
        "entropy": actor.entropy_BT,
        "reference": reference.logprob_BT,
        "value": value_BT,
    }
    parameters = policy.actor_parameters() | {f"critic.{n}": p for n, p in policy.critic_parameters().items()}
    return Measured(
        {name: _wide(t) for name, t in found.items() if t is not None},
        torch.stack([loss.detach(), value_loss.detach()]),
        {name: p.grad.clone() for name, p in parameters.items() if p.grad is not None},
    )


def _wide(tensor_BT: Tensor) -> Tensor:
    return torch.nn.functional.pad(tensor_BT.detach(), (0, WIDTH - tensor_BT.shape[1]))


def junk(batch: TokenBatch) -> TokenBatch:
    """The same batch with random ids wherever no token counts."""
    real_BS = batch.attention_BS
    if real_BS is None:
        columns = torch.arange(batch.ids_BS.shape[1])
        real_BS = columns < torch.tensor([[p + r] for p, r in batch.lengths])
    random = torch.randint(0, tiny.VOCABULARY, batch.ids_BS.shape, generator=torch.Generator().manual_seed(9))
    response = torch.where(batch.mask_BT, batch.response_BT, random[:, : batch.mask_BT.shape[1]])
    return dataclasses.replace(batch, ids_BS=torch.where(real_BS, batch.ids_BS, random), response_BT=response)


def same(got: Measured, expected: Measured) -> None:
    assert got.grads.keys() == expected.grads.keys()
    for name, tensor in expected.tensors.items():
        torch.testing.assert_close(got.tensors[name], tensor, rtol=1e-5, atol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    torch.testing.assert_close(got.losses, expected.losses, rtol=1e-5, atol=1e-5)
    largest = max(float(g.abs().max()) for g in expected.grads.values())
    assert largest > 1e-3
    for name, grad in expected.grads.items():
        torch.testing.assert_close(
            got.grads[name], grad, rtol=1e-4, atol=1e-4 * largest, msg=lambda m, n=name: f"{n}: {m}"
        )


def added(parts: list[Measured], order: list[int]) -> Measured:
    """Measurements of single rows put together in ``order``."""
    back = [order.index(row) for row in range(len(order))]
    return Measured(
        {name: torch.cat([p.tensors[name] for p in parts])[back] for name in parts[0].tensors},
        torch.stack([p.losses for p in parts]).sum(dim=0),
        {name: torch.stack([p.grads[name] for p in parts]).sum(dim=0) for name in parts[0].grads},
    )


def check(policy: Policy) -> None:
    everything = list(range(len(SEQUENCES)))
    one_by_one = added([measure(policy, tiny.batch(policy, [SEQUENCES[r]]), [r]) for r in everything], everything)
    for side in ("right", "left"):
        same(measure(policy, tiny.batch(policy, side=side, pad_id=tiny.EOS), everything), one_by_one)  # Zephyr's pad
        same(measure(policy, junk(tiny.batch(policy, side=side, extra=7)), everything), one_by_one)
    order = [2, 0, 3, 1]
    shuffled = tiny.batch(policy, [SEQUENCES[r] for r in order], side="left")
    same(added([measure(policy, shuffled, order)], order), one_by_one)
    whole = tiny.batch(policy)
    halves = [[1, 3], [2, 0]]
    same(added([measure(policy, whole.select(rows), rows) for rows in halves], [1, 3, 2, 0]), one_by_one)


def test_lora_with_its_own_critic(folder: Path) -> None:
    check(tiny.policy(folder))


@pytest.mark.parametrize("critic", ["shared", "features"])
def test_the_other_critics(models: dict[str, Path], critic: CriticKind) -> None:
    check(tiny.policy(models["gpt2"], critic=critic))
    check(tiny.policy(models["mistral"], critic=critic))


@pytest.mark.parametrize("architecture", ["gpt2", "qwen2"])
def test_full_weights(models: dict[str, Path], architecture: str) -> None:
    check(tiny.policy(models[architecture], adapter="full"))


def test_temperature_and_minimum_length(models: dict[str, Path]) -> None:
    check(tiny.policy(models["mistral"], temperature=0.7, min_new_tokens=0))
    check(tiny.policy(models["gpt2"], temperature=1.3))
