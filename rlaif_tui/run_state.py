"""The frozen picture of a run that every screen, line and JSON object is made from. No files, no clock, no widgets.

Texts in a state are as the run wrote them; a view makes them safe before it shows them.
"""

from __future__ import annotations

import statistics
from typing import Any, Literal

import msgspec

from core.advisor import Course
from core.commands import Command
from core.events import (
    CanariesScored,
    Heartbeat,
    Phase,
    RefereeScored,
    RunFinished,
    RunStarted,
    Sample,
    StepCompleted,
    StepMetrics,
    ValidationCompleted,
    WorkerReady,
)
from core.run_dir import RunDir

from .history import History

Word = Literal["starting", "running", "paused", "stopped", "crashed", "completed"]
Severity = Literal["info", "warning", "error"]


class Message(msgspec.Struct, frozen=True):
    """One line of the run's story."""

    time: float
    step: int
    text: str
    severity: Severity = "info"
    advice: str = ""
    """The advisor's rule, if this is of the advisor."""
    ended: bool = False
    """The advisor says that it is over."""


class Marker(msgspec.Struct, frozen=True):
    """Something that happened at a step, as one letter for a chart: C checkpoint, P, R, β, η, $, J judge, ! trouble."""

    step: int
    letter: str
    text: str = ""
    """What happened and who asked for it, as the run wrote it."""


class RunState(msgspec.Struct, frozen=True, kw_only=True):
    """A run as its events tell it. Every figure that is not known is None."""

    name: str = ""
    word: Word = "starting"
    lost: bool = False
    """Set by the feed: a worker holds the lock but has been silent for a minute."""
    silent_s: float = 0.0
    """How long, while lost."""
    damaged: int = 0
    """Lines of the event log that could not be read, counted by the feed."""
    step: int = 0
    """PPO steps completed."""
    total_steps: int = 0
    phase: Phase = "load"
    phase_step: int = 0
    phase_done: int = 0
    phase_total: int = 0
    started: RunStarted | None = None
    ready: WorkerReady | None = None
    finished: RunFinished | None = None
    resumed_from: int | None = None
    pid: int | None = None
    """Process of the live worker."""
    steps: History[StepCompleted] = History()
    samples: tuple[Sample, ...] = ()
    samples_step: int = 0
    validations: tuple[ValidationCompleted, ...] = ()
    last_checkpoint_step: int | None = None
    referee: History[RefereeScored] = History()
    canaries: History[CanariesScored] = History()
    settings: tuple[tuple[str, float], ...] = ()
    """Name and value of what was set while the run went on; what was not is as the run was configured."""
    course: Course = Course()
    """What advice rests on."""
    judge_since: int | None = None
    """First step of the judge now in force, if it was replaced: earlier scores are another series."""
    rss_mb: float | None = None
    gpu_memory_mb: float | None = None
    """Memory of the worker, MiB, as of its last sign of life that told it."""
    beat: Heartbeat | None = None
    """The worker's last sign of life, with what its GPUs did then."""
    cost_usd: float = 0.0
    error: str = ""
    pause_reason: str = ""
    pause_automatic: bool = False
    messages: tuple[Message, ...] = ()
    markers: History[Marker] = History()
    answered: frozenset[str] = frozenset()
    """Ids of commands that the worker has answered."""
    pending: tuple[Command, ...] = ()
    """Commands without an answer, oldest first."""
    durations: tuple[float, ...] = ()
    """Seconds from step to step, newest last; checkpoints counted, pauses not."""
    first_time: float = 0.0
    last_time: float = 0.0
    """Time of the first and of the newest event, seconds since the epoch."""
    step_time: float = 0.0
    """Time of the newest completed step."""
    timer: float | None = None
    """When the step under way began, moved on by pauses."""
    paused_at: float | None = None

    @property
    def metrics(self) -> StepMetrics | None:
        """Figures of the newest step."""
        last = self.steps.last
        return last.metrics if last else None

    @property
    def step_seconds(self) -> float | None:
        """Median seconds per step over the last 20; None before the third step."""
        return statistics.median(self.durations) if len(self.durations) >= 3 else None

    @property
    def eta_seconds(self) -> float | None:
        """Seconds of work that were left at ``step_time``; None before the third step or once finished."""
        each = self.step_seconds
        return None if each is None or self.finished else max(0, self.total_steps - self.step) * each

    @property
    def tokens_per_s(self) -> float | None:
        return self.metrics.tokens_per_s if self.metrics else None

    @property
    def weights_sha256(self) -> str:
        return self.finished.weights_sha256 if self.finished else ""

    @property
    def seconds(self) -> float | None:
        """Seconds of work over the whole run, known once a worker has ended."""
        return self.finished.seconds if self.finished else None

    @property
    def score_before(self) -> float | None:
        """Score to compare ``score_now`` with: of the first validation if there is a later one, else of the first step.

        Held-out scores and those of training steps are never mixed, unless no step is done yet.
        """
        first = next(iter(self.steps), None)
        if self.validations and (len(self.validations) > 1 or first is None):
            return self.validations[0].mean
        return first.metrics.score_mean if first else None

    @property
    def score_now(self) -> float | None:
        """Score of the newest validation but the first, else of the newest step."""
        if len(self.validations) > 1:
            return self.validations[-1].mean
        return self.metrics.score_mean if self.metrics else None

    @property
    def warnings(self) -> tuple[Message, ...]:
        """Messages that are more than information, oldest first."""
        return tuple(message for message in self.messages if message.severity != "info")

    def series(self, name: str) -> tuple[tuple[int, float | None], ...]:
        """(step, value) of one field of ``StepMetrics`` over the run; None where it was not defined."""
        return tuple((done.step, getattr(done.metrics, name)) for done in self.steps)


def summary(state: RunState, run: RunDir) -> dict[str, Any]:
    """The object of ``status --json``: plain JSON values, the keys that scripts rely on."""
    result: dict[str, Any] = {
        "run": run.name,
        "state": state.word,
        "step": state.step,
        "total_steps": state.total_steps,
        "last_checkpoint_step": state.last_checkpoint_step,
        "pid": state.pid,
    }
    if state.finished is not None:
        result |= {
            "outcome": state.finished.outcome,
            "steps": state.finished.step,
            "seconds": state.finished.seconds,
            "weights_sha256": state.finished.weights_sha256,
            "cost_usd": state.finished.cost_usd,
            "validation": validation_summary(state.validations),
        }
    return result


def validation_summary(validations: tuple[ValidationCompleted, ...]) -> dict[str, Any] | None:
    """First against newest validation: n, before, after, difference, ci95; scores 0-10, None where not measured."""
    if not validations:
        return None
    first, last = validations[0], validations[-1]
    return {
        "n": last.n,
        "before": first.mean,
        "after": last.mean if len(validations) > 1 else None,
        "difference": last.difference,
        "ci95": list(last.ci95) if last.ci95 else None,
    }
