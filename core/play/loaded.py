"""A run's base, loaded once, and on it the weights of one checkpoint after the other."""

from __future__ import annotations

import threading

import torch

from .. import checkpoint
from ..build import device_name, pick_device
from ..config import RunConfig
from ..errors import ModelError
from ..export.source import read_run
from ..export.weights import require_same_base
from ..memory import is_out_of_memory, release_memory
from ..model import load_base, load_tokenizer
from ..policy import Policy, make_policy
from ..run_dir import RunDir
from .protocol import PlayError, checkpoint_steps

_ACTOR = "weights.actor."


class Loaded:
    """A policy that stands at a checkpoint of ``run``; without critic and optimiser, which nobody asks here.

    Raises ``RlaifError`` in one sentence if there is no such checkpoint, the base is another one, or memory runs out.
    """

    def __init__(
        self, run: RunDir, step: int | None, reading: threading.Lock | None = None, *, on_cpu: bool = False
    ) -> None:
        """``reading`` is held while a checkpoint is read."""
        self._run, self._reading = run, reading or threading.Lock()
        snapshot, config = self._read(step)
        require_same_base(snapshot, config.model)
        if on_cpu:
            config = config.model_copy(update={"model": config.model.model_copy(update={"device": "cpu"})})
        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        self.policy = _policy(config)
        self.step = self._put(snapshot)
        self.device = device_name(self.policy.device)

    def turn_to(self, step: int | None) -> None:
        """Stand at the checkpoint of ``step``, or at the newest one; the base stays where it is."""
        steps = checkpoint_steps(self._run)
        if self.step != (step if step is not None else max(steps, default=self.step)):
            self.step = self._put(self._read(step)[0])

    def _read(self, step: int | None) -> tuple[checkpoint.Snapshot, RunConfig]:
        with self._reading:
            return read_run(self._run, step)

    def _put(self, snapshot: checkpoint.Snapshot) -> int:
        prefix = "weights."
        self.policy.load_trained(
            {name.removeprefix(prefix): t for name, t in snapshot.tensors.items() if name.startswith(_ACTOR)}
        )
        return snapshot.step


def _policy(config: RunConfig) -> Policy:
    tokenizer, device = load_tokenizer(config.model), pick_device(config)
    # Nothing is differentiated here, and recomputing needs a mode that has no cache.
    model = config.model.model_copy(update={"gradient_checkpointing": False})
    full = ""
    try:
        return make_policy(
            load_base(model, device),
            tokenizer,
            model,
            critic="none",
            temperature=config.rollout.temperature,
            min_new_tokens=config.rollout.min_new_tokens,
            max_new_tokens=config.rollout.max_new_tokens,
            seed=config.run.seed,
        )
    except ModelError as error:
        if not (isinstance(error.__cause__, BaseException) and is_out_of_memory(error.__cause__)):
            raise
        full = str(error.__cause__)
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        full = str(error)
    release_memory()
    raise PlayError(
        f"there is no room for the model on {device} beside what is there ({full.splitlines()[0][:120]}): "
        "take the CPU, or ask the live run"
    )
