"""The checks by name, with what to say where an error brings no advice of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..config import RunConfig
from . import inputs, resources, training
from .result import Passed
from .state import State, make_state


@dataclass(frozen=True)
class Check:
    """A check ready to run, and its advice for errors that come without one."""

    run: Callable[[], Passed]
    hint: str


_CHECKS: dict[str, tuple[Callable[[State], Passed], str]] = {
    "data": (
        inputs.check_data,
        "give the right path and columns under [data]; 'rlaif-tui data FILE' shows what a file holds",
    ),
    "tokenizer": (
        inputs.check_tokenizer,
        "put the tokenizer files that came with the model beside it; tokenizer_config.json names eos_token",
    ),
    "prompt_lengths": (inputs.check_prompt_lengths, "check data.max_prompt_tokens and [data]'s split"),
    "model": (
        inputs.check_model,
        "check model.id; its folder must hold config.json and whole *.safetensors files: download it again",
    ),
    "reference": (training.check_reference, training.REFERENCE_HINT),
    "generation": (training.check_generation, "try model.attention = 'eager' or model.dtype = 'float32'"),
    "judge": (training.check_judge, training.JUDGE_HINT),
    "batch": (training.check_batch, training.BATCH_HINT),
    "resources": (resources.check_resources, "set model.device to 'auto' or 'cpu'"),
}


def checks_of(config: RunConfig, runs: Path | None) -> dict[str, Check]:
    """All checks but the one on the configuration itself, over a state that they share."""
    state = make_state(config, runs)

    def bound(check: Callable[[State], Passed]) -> Callable[[], Passed]:
        return lambda: check(state)

    return {name: Check(bound(check), hint) for name, (check, hint) in _CHECKS.items()}
