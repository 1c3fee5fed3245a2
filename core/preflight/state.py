"""What the checks hand on to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from ..build import Prompts, pick_device
from ..collect import PromptRow
from ..config import RunConfig
from ..errors import ModelError
from ..estimate import Memory, ModelShape, memory
from ..model import Tokenizer
from ..policy import Policy
from ..prompts import Dataset
from ..run_dir import runs_root
from ..types import Message, Prompt, Rollout
from .dry import DryBatch
from .machine import free_memory, shape_of
from .result import CheckFailedError, NotRunError

SAMPLE = Prompt(
    id="preflight", messages=(Message(role="user", content="What is rain, and why does it matter to a farmer?"),)
)
SAMPLE_RESPONSE = "Rain is water that falls from clouds. It matters to a farmer because crops need water to grow."


@dataclass
class State:
    """One preflight. A field is set by the check that finds it out; those that need it run only after that."""

    config: RunConfig
    runs: Path
    dataset: Dataset | None = None
    tokenizer: Tokenizer | None = None
    prompts: Prompts | None = None
    longest_prompt: int | None = None
    """Tokens of the longest prompt that is kept."""
    base: nn.Module | None = None
    policy: Policy | None = None
    weights_before: str = ""
    """Hash of the trained weights as they were made."""
    rollout: Rollout | None = None
    judge_latency_s: float | None = None
    dry: DryBatch | None = None
    _shape: ModelShape | ModelError | None = field(default=None, init=False)
    _device: torch.device | None = field(default=None, init=False)
    _free_memory: float = field(default=0.0, init=False)

    def shape(self) -> ModelShape:
        """Shape of the model, read once. Raises ``ModelError`` each time if it cannot be read."""
        if self._shape is None:
            try:
                self._shape = shape_of(self.config.model)
            except ModelError as error:
                self._shape = error
        if isinstance(self._shape, ModelError):
            raise self._shape
        return self._shape

    def shape_or_not_run(self) -> ModelShape:
        """The shape, for a check that has no business telling that it cannot be read."""
        try:
            return self.shape()
        except ModelError:
            raise NotRunError("model") from None

    def device(self) -> torch.device:
        """Where training would run; its free memory is taken before anything is put there. Raises ``ConfigError``."""
        if self._device is None:
            device = pick_device(self.config)
            self._free_memory = free_memory(device)
            self._device = device
        return self._device

    def free_memory(self) -> float:
        """Bytes that were free on the device before the model was loaded."""
        self.device()
        return self._free_memory

    def memory(self) -> Memory:
        """The forecast."""
        gpu = self.device().type == "cuda"
        return memory(self.shape(), self.config, gpu=gpu, prompt_tokens=self.longest_prompt)

    def require_memory(self) -> None:
        """Raises ``CheckFailedError`` if the run cannot fit, so that nobody tries."""
        table, free = self.memory(), self.free_memory()
        if table.peak > free:
            largest = max(table.items, key=lambda item: item.bytes)
            raise CheckFailedError(
                f"the run needs about {size(table.peak)} of memory on {self.device()}, {size(free)} are free; "
                f"the largest part is {largest.name}, {size(largest.bytes)}",
                "use a smaller model, model.quantization = 'nf4', model.gradient_checkpointing = true, a smaller "
                "ppo.micro_batch_size, rollout.decode_batch or rollout.max_new_tokens, or free some memory",
                {"memory_forecast_bytes": table.peak, "memory_free_bytes": free},
            )

    def rows(self, limit: int) -> list[PromptRow]:
        """The first prompts of training with their ids."""
        assert self.prompts is not None
        assert self.tokenizer is not None
        return [PromptRow(p, self.tokenizer.encode(p)) for p in self.prompts.train[:limit]]


def make_state(config: RunConfig, runs: Path | None) -> State:
    """The state before the first check, with torch's threads set as the run sets them."""
    if config.run.threads:
        torch.set_num_threads(config.run.threads)
    return State(config, runs_root(runs))


def size(count: float) -> str:
    """Bytes for people: ``4.6 MB``, ``28 GB``."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}" if count < 1000 * unit else f"{count / unit:,.0f} {name}"
    return f"{count / 1e3:.3g} kB"


def duration(seconds: float) -> str:
    """Seconds for people: ``2.4 s``, ``12 min``, ``3 h 17 min``."""
    if seconds < 100:
        return f"{seconds:.2g} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"
