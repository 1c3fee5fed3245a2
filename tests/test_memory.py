"""Out of memory, planted: smaller pieces, the same tokens, the same gradient, no row lost or doubled."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import bench
import pytest
import tiny
import torch

from core.errors import TrainingError
from core.events import MicroBatchHalved
from core.memory import is_out_of_memory
from core.policy import Policy


def shrink(policy: Policy, rows: int) -> list[int]:
    """From now on a forward pass over more rows than this runs out of memory; returns the sizes that were tried."""
    tried: list[int] = []

    def refuse(_module: Any, inputs: tuple[torch.Tensor, ...]) -> None:
        tried.append(inputs[0].shape[0])
        if inputs[0].shape[0] > rows:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    policy.trunk.get_input_embeddings().register_forward_pre_hook(refuse)
    return tried


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_step_in_less_memory_is_the_same_step(models: dict[str, Path], limit: int) -> None:
    sections: dict[str, dict[str, Any]] = {
        "rollout": {"batch_size": 8, "max_new_tokens": 8},
        "ppo": {"mini_batch_size": 8},
    }
    logs, weights, events, kept = [], [], [], []
    for rows in (8, limit):
        policy = tiny.policy(models["mistral"], stirred=False)
        tried = shrink(policy, rows)
        trained = bench.trainer(policy, bench.config(**sections))
        log = bench.step(trained)
        assert max(tried) == 8
        logs.append(log)
        weights.append(bench.snapshot(trained))
        events.append([(e.where, e.micro_batch_size) for e in log.of(MicroBatchHalved)])
        kept.append(trained.state().values["decode_batch"])
        trained.close()
    assert [r.response_tokens for r in logs[0].rollouts] == [r.response_tokens for r in logs[1].rollouts]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-6, rtol=1e-5, msg=name)
    # 8 -> 4 -> 2 -> 1, as far down as it must, told once each; the update begins with what scoring has found to fit.
    down = [4, 2, 1][: {3: 2, 2: 2, 1: 3}[limit]]
    assert events == [[], [*(("generation", rows) for rows in down), ("scoring", down[-1])]]
    assert kept == [0, down[-1]]


def test_the_next_step_does_not_run_out_again_and_a_resumed_run_neither(models: dict[str, Path]) -> None:
    sections: dict[str, dict[str, Any]] = {
        "rollout": {"batch_size": 8, "max_new_tokens": 8},
        "ppo": {"mini_batch_size": 8},
    }
    policy = tiny.policy(models["gpt2"], stirred=False)
    tried = shrink(policy, 2)
    trained = bench.trainer(policy, bench.config(**sections))
    bench.step(trained)
    tried.clear()
    assert not bench.step(trained).of(MicroBatchHalved)
    assert max(tried) == 2
    again = bench.trainer(policy, bench.config(**sections))
    again.load(trained.state())
    assert not bench.step(again).of(MicroBatchHalved)
    assert max(tried) == 2
    trained.close()
    again.close()


@pytest.mark.parametrize("fails_at", range(4))
def test_an_update_that_runs_out_at_any_pass_has_the_same_gradient(models: dict[str, Path], fails_at: int) -> None:
    weights, events = [], []
    for planted in (None, fails_at):
        policy = tiny.policy(models["gpt2"], stirred=False)
        settings = {"mini_batch_size": 4, "micro_batch_size": 2, "epochs": 1}
        trained = bench.trainer(policy, bench.config(ppo=settings))
        made = bench.experience(policy, [0.5, -0.5, 0.1, 0.2])
        passes = itertools.count()

        def refuse(_module: Any, _inputs: Any, at: int | None = planted, count: Any = passes) -> None:
            if next(count) == at:
                raise torch.OutOfMemoryError("CUDA out of memory")

        handle = policy.trunk.get_input_embeddings().register_forward_pre_hook(refuse)
        said = [e for e in bench.updates(trained, made) if isinstance(e, MicroBatchHalved)]
        handle.remove()
        events.append([(e.where, e.micro_batch_size) for e in said])
        weights.append(bench.snapshot(trained))
        trained.close()
    assert events == [[], [("update", 1)]], "passes of actor and critic, two each"
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-6, rtol=1e-5, msg=name)


def test_no_memory_for_a_single_row_is_said_with_what_to_do(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["gpt2"])
    trained = bench.trainer(policy, bench.config())
    made = bench.experience(policy, [0.5, -0.5, 0.1, 0.2])
    shrink(policy, 0)
    with pytest.raises(TrainingError, match=r"one row per forward pass.*max_new_tokens"):
        list(bench.updates(trained, made))
    trained.close()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("anything"), True),
        (MemoryError(), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), True),
        (
            RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
            True,
        ),
        (RuntimeError("expected scalar type Half but found Float"), False),
    ],
)
def test_an_allocation_error_is_told_from_a_bug(error: BaseException, expected: bool) -> None:
    assert is_out_of_memory(error) is expected


def test_a_real_allocator_error_is_recognised() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60)
    assert is_out_of_memory(caught.value)


def test_no_memory_to_sample_or_score_a_single_row_is_said_too(models: dict[str, Path]) -> None:
    policy = tiny.policy(models["gpt2"])
    trained = bench.trainer(policy, bench.config())
    tried = shrink(policy, 0)
    with pytest.raises(TrainingError, match=r"one row per forward pass \(CUDA out of memory.*max_new_tokens"):
        bench.step(trained)
    assert tried[-1] == 1
    trained.close()
