"""Forecasts against numbers worked out by hand for Zephyr 7B, and against what a checkpoint really weighs."""

from __future__ import annotations

from typing import Any

import pytest

from core.config import RunConfig
from core.estimate import (
    GB,
    Memory,
    ModelShape,
    Rates,
    checkpoint_bytes,
    disk_bytes,
    memory,
    planned_rates,
    step_time,
    trained_parameters,
)
from core.presets import preset

# Layer widths: q 8192, k and v 5120 each, o 8192, gate, up and down 18432 each: 81,920 a layer.
ZEPHYR = ModelShape(
    parameters=7_241_732_096,
    embedding_parameters=2 * 32_000 * 4096,
    adapted_width=32 * 81_920,
    layers=32,
    hidden=4096,
    intermediate=14_336,
    kv_heads=8,
    head_dim=128,
    vocab=32_000,
    positions=32_768,
)
WORKSPACE = {"logits", "float32 norms", "dequantised layer", "libraries and workspace", "fragments"}


def config(rows: int, tokens: int, quantization: str, **sections: dict[str, Any]) -> RunConfig:
    """Rollouts of ``tokens`` in all; updates 8 rows of 768 tokens at a time where tokens is 768."""
    base: dict[str, dict[str, Any]] = {
        "model": {
            "id": "zephyr", "dtype": "bfloat16", "compute": "bfloat16", "quantization": quantization,
            "gradient_checkpointing": True,
        },
        "data": {"max_prompt_tokens": tokens - 256},
        "rollout": {"batch_size": rows, "max_new_tokens": 256},
        "ppo": {"mini_batch_size": 16, "micro_batch_size": 8},
    }  # fmt: skip
    return RunConfig.model_validate({k: base.get(k, {}) | sections.get(k, {}) for k in {*base, *sections}})


def item(table: Memory, name: str) -> float:
    (found,) = [i.bytes for i in table.items if i.name == name]
    return found / GB


def workspace(table: Memory) -> float:
    return sum(i.bytes for i in table.items if i.name in WORKSPACE) / GB


def test_zephyr_in_bfloat16_with_64_rollouts() -> None:
    table = memory(ZEPHYR, config(64, 1024, "none"), gpu=True)
    assert item(table, "base") == pytest.approx(14.5, rel=0.1)  # 7.24e9 x 2
    assert item(table, "trained weights") == pytest.approx(1.34, rel=0.1)  # 2 x 41.9e6 x 16
    assert item(table, "KV cache") == pytest.approx(8.6, rel=0.1)  # 64 x 1024 x 131,072
    assert 3 <= workspace(table) <= 5
    assert 28 <= table.peak / GB <= 32


def test_zephyr_in_four_bits_with_16_rollouts() -> None:
    table = memory(ZEPHYR, config(16, 768, "nf4"), gpu=True)
    assert item(table, "base") == pytest.approx(4.1, rel=0.1)  # 6.98e9 x 0.516 + 0.262e9 x 2
    assert item(table, "trained weights") == pytest.approx(1.34, rel=0.1)
    assert item(table, "KV cache") == pytest.approx(1.6, rel=0.1)  # 16 x 768 x 131,072
    assert item(table, "activations") == pytest.approx(1.6 + 1.0, rel=0.1)  # 8 x 768 x (32 x 4096 + 77,824) x 2
    assert 3 <= workspace(table) <= 4
    assert 11 <= table.peak / GB <= 13
    assert item(memory(ZEPHYR, config(16, 768, "int8"), gpu=True), "base") == pytest.approx(7.5, rel=0.01)  # 6.98 + .52


def test_the_larger_of_rollout_and_update_counts() -> None:
    small, large = (memory(ZEPHYR, config(rows, 768, "nf4"), gpu=True) for rows in (16, 17))
    assert small.of("update") > small.of("rollout")
    assert large.peak == small.peak  # one more row of cache hides behind the activations
    without = config(16, 768, "nf4", model={"gradient_checkpointing": False})
    # 8 x 768 tokens x 32 layers x 77,824 states x 2 bytes.
    assert item(memory(ZEPHYR, without, gpu=True), "activations") == pytest.approx(30.6, rel=0.01)


def test_prompts_known_to_be_short_need_a_smaller_cache() -> None:
    settings = config(64, 1024, "none")
    assert item(memory(ZEPHYR, settings, gpu=True, prompt_tokens=256), "KV cache") == pytest.approx(4.29, rel=0.01)
    assert item(memory(ZEPHYR, settings, gpu=True, prompt_tokens=10**9), "KV cache") == pytest.approx(8.59, rel=0.01)


def test_a_small_model_on_a_cpu_as_it_was_measured() -> None:
    """Mistral, 8 layers of 512, 16 rows of 253 tokens, one process: 3.47 GB resident, 2.23 GB with checkpointing."""
    shape = ModelShape(
        parameters=23_700_000, embedding_parameters=2 * 96 * 512, adapted_width=8 * 9_088, layers=8, hidden=512,
        intermediate=1408, kv_heads=4, head_dim=64, vocab=96, positions=512,
    )  # fmt: skip
    for checkpointing, measured in ((False, 3.47), (True, 2.23)):
        model = {"gradient_checkpointing": checkpointing, "dtype": "float32", "compute": "float32"}
        settings = config(16, 768, "none", model=model, rollout={"batch_size": 16, "max_new_tokens": 128},
                          ppo={"mini_batch_size": 16, "micro_batch_size": 16})  # fmt: skip
        table = memory(shape, settings, gpu=False, prompt_tokens=125)
        assert table.peak / GB == pytest.approx(measured, rel=0.1)


def test_full_training_keeps_a_reference_and_a_critic_of_its_own() -> None:
    """Half a billion parameters, a features critic: 16 + 4 bytes each; an adapter critic is another trunk."""
    shape = ModelShape(
        parameters=494_000_000, embedding_parameters=151_936 * 896, adapted_width=1, layers=24, hidden=896,
        intermediate=4864, kv_heads=2, head_dim=64, vocab=151_936, positions=32_768,
    )  # fmt: skip
    full = {"adapter": "full", "dtype": "float32", "compute": "float32"}
    table = memory(shape, config(16, 768, "none", model=full, ppo={"critic": "shared"}), gpu=True)
    assert item(table, "trained weights") + item(table, "reference copy") == pytest.approx(0.494 * 20, rel=0.001)
    assert all(i.name != "base" for i in table.items)
    own = trained_parameters(shape, config(16, 768, "none", model=full))
    assert own == (494_000_000, 494_000_000 + 897)  # tied embeddings: the head is no extra matrix


@pytest.mark.parametrize(
    ("critic", "expected"),
    [
        ("adapter", 41_943_040 + 4097),
        ("shared", 4097),
        # 12,290 inputs: norm 2 x 12290, then 12290 x 512 + 512, 512 x 512 + 512, 512 + 1.
        ("features", 24_580 + 6_292_992 + 262_656 + 513),
        ("none", 0),
    ],
)
def test_trained_parameters_by_critic(critic: str, expected: int) -> None:
    settings = config(16, 768, "nf4", ppo={"critic": critic, "critic_warmup_steps": 0})
    assert trained_parameters(ZEPHYR, settings) == (41_943_040, expected)


def test_disk_is_checkpoints_and_rollouts() -> None:
    settings = config(10, 768, "nf4", ppo={"critic": "shared", "mini_batch_size": 2}, run={"steps": 7})
    one = checkpoint_bytes(ZEPHYR, settings)
    assert one == 12 * (41_943_040 + 4097)
    # Step 0 and the last one are kept, two more are room; 70 rows of 1200 + 12 x 100 + 32 x 50 bytes.
    assert disk_bytes(ZEPHYR, settings, prompt_tokens=100, response_tokens=50) == 4 * one + 70 * 4000


def test_a_step_from_planning_arithmetic() -> None:
    """64 rollouts of 128 + 256 tokens, 300 TFLOP/s, 35 ms a decode step, four epochs, 500 verdicts a minute."""
    settings = config(64, 384, "none", ppo={"epochs": 4, "critic": "shared"})
    rates = planned_rates(ZEPHYR, settings, flops=3e14, decode_step_s=0.035, judge_per_minute=500)
    time = step_time(rates, settings, prompt_tokens=128, response_tokens=256)
    assert time.generate == pytest.approx(9.0, abs=0.05)
    assert time.score == pytest.approx(2.4, abs=0.05)  # 2 x 2 x 7.24e9 x 24,576 / 3e14
    assert time.update == pytest.approx(14.2, abs=0.05)
    assert time.judge == pytest.approx(7.7, abs=0.05)
    assert time.total == pytest.approx(25.6, abs=0.1)  # the judge hides behind the first two


def test_a_slow_judge_shows_and_decode_batches_queue() -> None:
    settings = config(64, 384, "none", rollout={"batch_size": 64, "max_new_tokens": 256, "decode_batch": 24})
    rates = Rates(decode_step_s=0.01, score_token_s=0.0, update_token_s=0.0, judge_row_s=1.0)
    time = step_time(rates, settings, prompt_tokens=128, response_tokens=256)
    assert time.generate == pytest.approx(3 * 2.56)  # 24 + 24 + 16 rows
    assert time.total == pytest.approx(64.0)


def test_presets_fit_what_they_say() -> None:
    """The QLoRA preset is for a card of 16 to 24 GB."""
    assert memory(ZEPHYR, preset("zephyr-7b-qlora"), gpu=True).peak < 16 * GB
