"""Out of memory, planted: smaller pieces, the same tokens, the same gradient, no row lost or doubled."""

from __future__ import annotations

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
    logs, weights, events = [], [], []
    for rows in (8, limit):
        policy = tiny.policy(models["mistral"], stirred=False)
        tried = shrink(policy, rows)
        trained = bench.trainer(policy, bench.config(**sections))
        log = bench.step(trained)
        assert max(tried) == 8
        logs.append(log)
        weights.append(bench.snapshot(trained))
        events.append([e.micro_batch_size for e in log.of(MicroBatchHalved)])
        trained.close()
    assert [r.response_tokens for r in logs[0].rollouts] == [r.response_tokens for r in logs[1].rollouts]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(tensor, weights[1][name], atol=1e-6, rtol=1e-5, msg=name)
    # 8 -> 4 -> 2 -> 1, as far down as it must.
    assert events == [[], [4, 2, 1][: {3: 2, 2: 2, 1: 3}[limit]]]


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
