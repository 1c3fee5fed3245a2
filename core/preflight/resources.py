"""The check on memory, disk and time: forecast, beside what was measured."""

from __future__ import annotations

from ..estimate import Rates, StepTime, disk_bytes, step_time
from .machine import free_disk, peak_memory
from .result import CheckFailedError, Passed
from .state import State, duration, size


def check_resources(state: State) -> Passed:
    """The run fits into memory and onto the disk; how long it will take, if a dry batch was timed."""
    state.device()
    state.shape_or_not_run()
    state.require_memory()
    table, free = state.memory(), state.free_memory()
    disk, disk_free = _disk(state)
    figures = {
        "memory_forecast_bytes": table.peak,
        "memory_free_bytes": free,
        "memory_measured_bytes": peak_memory(state.device()),
        "disk_forecast_bytes": disk,
        "disk_free_bytes": disk_free,
        **{f"memory {item.name}": item.bytes for item in table.items},
    }
    measured = f" ({size(figures['memory_measured_bytes'])} measured)" if state.dry else ""
    evidence = f"memory ~{size(table.peak)}{measured} of {size(free)}; disk ~{size(disk)} of {size(disk_free)}"
    time = _step_time(state)
    if time is None:
        return Passed(f"{evidence}; time not known without a dry batch", figures=figures)
    total = time.total * state.config.run.steps
    figures |= {"step_s": time.total, "run_s": total, "generate_s": time.generate, "score_s": time.score,
                "judge_s": time.judge, "update_s": time.update}  # fmt: skip
    return Passed(
        f"{evidence}; ~{duration(time.total)} a step, ~{duration(total)} for {state.config.run.steps:,} steps "
        "without validation",
        figures=figures,
    )


def _disk(state: State) -> tuple[float, float]:
    rollout = state.config.rollout
    prompt = state.dry.prompt_tokens if state.dry else state.config.data.max_prompt_tokens
    response = state.dry.response_tokens if state.dry else rollout.max_new_tokens
    needed = disk_bytes(state.shape(), state.config, prompt_tokens=prompt, response_tokens=response)
    try:
        place, free = free_disk(state.runs)
    except OSError as error:
        raise CheckFailedError(
            f"runs cannot be kept in {state.runs}: {error.strerror or error}",
            "choose another folder with --runs-dir or the variable RLAIF_TUI_RUNS",
        ) from error
    if needed > free:
        raise CheckFailedError(
            f"checkpoints and rollouts need about {size(needed)} in {state.runs}, {size(free)} are free on {place}",
            "free some disk, set run.keep_checkpoints lower or run.checkpoint_every higher, or choose another folder "
            "with --runs-dir",
            {"disk_forecast_bytes": needed, "disk_free_bytes": free},
        )
    return needed, free


def _step_time(state: State) -> StepTime | None:
    dry, config = state.dry, state.config
    if dry is None:
        return None
    batches = -(-dry.rollouts // (config.rollout.decode_batch or dry.rollouts))
    rates = Rates(
        decode_step_s=dry.generate_s / (batches * dry.response_tokens),
        score_token_s=dry.score_s / dry.tokens,
        update_token_s=dry.update_s / (config.ppo.epochs * dry.tokens),
        judge_row_s=(state.judge_latency_s or 0.0) / config.judge.concurrency,
    )
    rollout = config.rollout.model_copy(update={"batch_size": dry.rollouts})
    return step_time(
        rates,
        config.model_copy(update={"rollout": rollout}),
        prompt_tokens=dry.prompt_tokens,
        response_tokens=dry.response_tokens,
    )
