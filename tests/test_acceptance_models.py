"""Adapters, reference, precision, dropout, checkpointing; and every architecture trains in every mode."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bench
import pytest
import tiny
import torch
from torch import Tensor, nn

from core.config import ModelConfig
from core.errors import ModelError
from core.model import layers_of, load_tokenizer
from core.policy import CriticKind, Policy


def parameters(policy: Policy) -> dict[str, nn.Parameter]:
    return {f"actor.{n}": p for n, p in policy.actor_parameters().items()} | {
        f"critic.{n}": p for n, p in policy.critic_parameters().items()
    }


def reference_bytes(policy: Policy) -> dict[str, bytes]:
    """Every weight that must never change: the frozen base, or the frozen copy in full mode."""
    trained = {id(p) for p in parameters(policy).values()}
    modules: list[Any] = [policy.model, policy._reference]
    return {
        f"{i}.{name}": p.detach().float().numpy().tobytes()
        for i, module in enumerate(modules)
        if module is not None
        for name, p in module.named_parameters()
        if id(p) not in trained
    }


def gradients(policy: Policy) -> tuple[dict[str, Tensor], int]:
    """Gradients of actor and critic on the usual rows, and how often the first block's inside ran."""
    calls: list[int] = []
    trunks = [policy.trunk] if policy._critic_trunk is None else [policy.trunk, policy._critic_trunk]
    insides = [next(layers_of(trunk)[0].children()) for trunk in trunks]  # a recomputed block is not called anew
    handles = [inside.register_forward_hook(lambda *_: calls.append(1)) for inside in insides]
    batch = tiny.batch(policy)
    policy.train()
    policy.actor_pass(batch).logprob_BT.square().sum().backward()
    policy.critic_pass(batch).square().sum().backward()
    for handle in handles:
        handle.remove()
    return {name: p.grad.clone() for name, p in parameters(policy).items() if p.grad is not None}, len(calls)


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_gradient_checkpointing_recomputes_and_changes_no_gradient(folder: Path, mode: str) -> None:
    plain, once = gradients(tiny.policy(folder, adapter=mode))
    checkpointed, twice = gradients(tiny.policy(folder, adapter=mode, gradient_checkpointing=True))
    assert (once, twice) == (2, 4)  # actor and critic, each once; each again in its backward pass
    assert plain.keys() == checkpointed.keys()
    assert any(float(g.abs().max()) > 1e-3 for n, g in plain.items() if n.startswith("critic."))
    for name, grad in plain.items():
        torch.testing.assert_close(checkpointed[name], grad, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}")


def test_actor_and_critic_adapters_learn_apart(folder: Path) -> None:
    policy = tiny.policy(folder)
    batch = tiny.batch(policy)
    policy.actor_pass(batch).logprob_BT.sum().backward()
    by_name = parameters(policy)
    assert all(by_name[n].grad is not None for n in by_name if n.startswith("actor."))
    assert all(by_name[n].grad is None for n in by_name if n.startswith("critic."))
    for p in by_name.values():
        p.grad = None
    policy.critic_pass(batch).sum().backward()
    assert all(by_name[n].grad is None for n in by_name if n.startswith("actor."))
    assert all(by_name[n].grad is not None for n in by_name if n.startswith("critic."))
    names = [n for n in by_name if n.startswith("actor.")]
    assert len(names) == len([n for n in by_name if n.startswith("critic.") and "lora" in n])


@pytest.mark.parametrize("mode", ["lora", "full"])
def test_the_reference_is_the_starting_model_exactly(folder: Path, mode: str) -> None:
    start = tiny.policy(folder, stirred=False, adapter="full")
    moved = tiny.policy(folder, adapter=mode)
    batch = tiny.batch(start)
    with torch.no_grad():
        expected = start.actor_pass(batch).logprob_BT
        for _ in range(2):  # also after the adapters were on in between
            assert torch.equal(moved.reference_pass(batch).logprob_BT, expected)
            assert not torch.allclose(moved.actor_pass(batch).logprob_BT, expected, atol=1e-3)
            moved.critic_pass(batch)
    fresh = tiny.policy(folder, stirred=False, adapter=mode)
    with torch.no_grad():
        assert torch.equal(fresh.actor_pass(batch).logprob_BT, expected)
        assert not fresh.critic_pass(batch).any()  # the value head starts at zero


def test_one_base_is_resident_under_both_adapters(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["mistral"])
    every = sum(p.numel() for p in {id(p): p for p in policy.model.parameters()}.values())
    base = sum(p.numel() for p in tiny.model("mistral").parameters())
    adapters = sum(p.numel() for n, p in parameters(policy).items() if "lora" in n)
    assert every == base + adapters
    head = 32 + 1
    assert policy.parameter_counts() == (base + adapters + head, adapters + head)


def test_adapters_and_head_are_fp32_and_trainable_on_a_bf16_base(folder: Path) -> None:
    policy = tiny.policy(folder, dtype="bfloat16")
    assert next(layers_of(policy.trunk).parameters()).dtype == torch.bfloat16
    batch = tiny.batch(policy)
    for use in (policy.actor_pass, policy.reference_pass, policy.critic_pass):
        with torch.no_grad():
            use(batch)
        for name, parameter in parameters(policy).items():
            assert parameter.dtype == torch.float32, name
            assert parameter.requires_grad, name
    with torch.no_grad():
        assert policy.actor_pass(batch).logprob_BT.dtype == torch.float32


def test_full_mode_trains_every_weight_in_fp32(folder: Path) -> None:
    policy = tiny.policy(folder, adapter="full", critic="shared")
    architecture = next(name for name in tiny.ARCHITECTURES if folder.name.startswith(name))
    assert len(policy.actor_parameters()) == len(list(tiny.model(architecture).parameters()))
    assert all(p.dtype == torch.float32 and p.requires_grad for p in parameters(policy).values())
    assert policy._reference is not None
    assert not any(p.requires_grad for p in policy._reference.parameters())


@pytest.mark.parametrize(
    ("architecture", "dropout"),
    [("gpt2", {"resid_pdrop": 0.4, "embd_pdrop": 0.4, "attn_pdrop": 0.4}), ("llama", {"attention_dropout": 0.4}),
     ("mistral", {"attention_dropout": 0.4}), ("qwen2", {"attention_dropout": 0.4})],
)  # fmt: skip
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_there_is_no_dropout_in_train_mode(tmp_path: Path, architecture: str, dropout: Any, attention: str) -> None:
    policy = tiny.policy(tiny.save(architecture, tmp_path, **dropout), attention=attention)
    policy.train()
    batch = tiny.batch(policy)
    with torch.no_grad():
        assert torch.equal(policy.actor_pass(batch).logprob_BT, policy.actor_pass(batch).logprob_BT)
        policy.model.eval()
        evaluated = policy.actor_pass(batch).logprob_BT
        policy.train()
        assert torch.equal(policy.actor_pass(batch).logprob_BT, evaluated)


@pytest.mark.parametrize(
    ("architecture", "mode", "critic"),
    [
        ("gpt2", "lora", "adapter"), ("gpt2", "full", "shared"),
        ("llama", "lora", "shared"), ("llama", "full", "features"),
        ("mistral", "lora", "features"), ("mistral", "full", "none"),
        ("qwen2", "lora", "none"), ("qwen2", "full", "adapter"),
    ],
)  # fmt: skip
def test_every_architecture_trains_in_every_mode(
    models: dict[str, Path], architecture: str, mode: str, critic: CriticKind
) -> None:
    policy = tiny.policy(models[architecture], critic=critic, stirred=False, adapter=mode)
    frozen = reference_bytes(policy)
    trained = bench.trainer(policy, bench.config(ppo={"critic": critic}))
    before = {n: p.detach().clone() for n, p in parameters(policy).items()}
    logs = [bench.step(trained) for _ in range(2)]
    for log in logs:
        assert (log.metrics.updates, log.metrics.skipped) == (4, 0)
        figures = (getattr(log.metrics, name) for name in log.metrics.__struct_fields__)
        assert all(math.isfinite(x) for x in figures if isinstance(x, float))
        assert (log.metrics.value_loss is None) is (critic == "none")
    still = [n for n, p in parameters(policy).items() if torch.equal(p, before[n]) and not unused(n, architecture)]
    assert still == []
    assert frozen
    assert reference_bytes(policy) == frozen
    trained.close()


def unused(name: str, architecture: str) -> bool:
    """Key biases have no gradient: adding a constant to every key shifts all scores of a query alike."""
    return architecture == "qwen2" and name.endswith("k_proj.bias")


def test_validation_changes_no_weight_and_a_model_ties_with_itself(models: dict[str, Path]) -> None:
    trained = bench.trainer(tiny.policy(models["mistral"]), bench.config(), validation=tiny.prompts(5, seed=9))
    before = bench.snapshot(trained)
    for _ in range(2):
        list(trained.validate())
    assert bench.equal(before, bench.snapshot(trained))
    first, second = trained.validations
    assert first.mean is not None
    assert (first.difference, first.ci95) == (None, None)
    assert (second.mean, second.difference, second.ci95, second.n) == (first.mean, 0.0, (0.0, 0.0), 5)
    trained.close()


def test_a_4_bit_base_trains_on_the_cpu(tmp_path: Path) -> None:
    pytest.importorskip("bitsandbytes", reason="bitsandbytes is not installed on this platform")
    folder = tiny.save("mistral", tmp_path, hidden_size=64, intermediate_size=128)  # a block of NF4 is 64 wide
    policy = tiny.policy(folder, stirred=False, quantization="nf4")
    kinds = {type(m).__name__ for m in layers_of(policy.trunk).modules()}
    assert "Linear4bit" in kinds
    trained = bench.trainer(policy, bench.config())
    before = trained.weights_sha256()
    for _ in range(2):
        log = bench.step(trained)
        assert (log.metrics.updates, log.metrics.skipped) == (4, 0)
        assert log.metrics.first_ratio_error == pytest.approx(0, abs=1e-3)
    assert trained.weights_sha256() != before
    assert all(t.dtype == torch.float32 and t.isfinite().all() for t in policy.trained_tensors().values())
    trained.close()


def test_a_model_path_that_is_not_there_is_called_a_path(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"is a path, and there is no such folder"):
        load_tokenizer(ModelConfig(id=str(tmp_path / "gone")))
