"""When a run is saved and what goes along: one checkpoint a step at most, announced once verified, then rotation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from . import checkpoint
from .command_queue import CommandQueue
from .events import PhaseStarted
from .recorder import Recorder
from .run_dir import RunDir

if TYPE_CHECKING:
    from .trainer import Trainer


@dataclass
class Saver:
    """Writes the checkpoints of one launch."""

    run: RunDir
    recorder: Recorder
    commands: CommandQueue
    keep: int
    config_hash: str
    identity: dict[str, Any]
    """Values that every checkpoint carries so that a resume can tell whether it is the same run."""
    resumed_from: int | None = None
    saved_step: int | None = field(init=False)
    busy: bool = field(default=False, init=False)
    """True while a checkpoint is being written."""

    def __post_init__(self) -> None:
        self.saved_step = self.resumed_from

    def save(self, trainer: Trainer) -> None:
        """Save the trainer's step unless that was done. Waits while the disk is full."""
        step = trainer.completed
        if self.saved_step == step:
            return
        self.busy = True
        self.recorder.write(PhaseStarted(step=step, phase="checkpoint"))
        self.recorder.sync()
        state = trainer.state()
        values = {"trainer": state.values, "worker": self._worker_values(trainer)}
        saved = self.recorder.patiently(
            lambda: checkpoint.save(self.run, step, state.tensors, values, self.config_hash)
        )
        self.saved_step = step
        self.recorder.write(saved)
        self.recorder.sync()
        protected = [] if self.resumed_from is None else [self.resumed_from]
        self.recorder.patiently(lambda: checkpoint.retain(self.run, self.keep, protected))
        self.busy = False

    def _worker_values(self, trainer: Trainer) -> dict[str, Any]:
        return {
            **self.identity,
            "settings": trainer.settings,
            "commands_offset": self.commands.offset,
            "commands_answered": sorted(self.commands.answered),
            "seconds": trainer.seconds,
            "cost_usd": trainer.cost_usd,
        }
