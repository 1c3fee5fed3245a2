"""What the worker tells the world. One tagged struct per event; a reader finds the tag under ``kind``.

Readers skip kinds they do not know and ignore fields they do not know; a written field is never renamed. Numbers that
are not finite are written as null, so every measured figure is ``float | None`` and None means "not known".
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from .errors import RlaifError
from .figures import Sample as Sample
from .figures import StepMetrics as StepMetrics
from .figures import finite as finite
from .gpu import GpuFigures

Phase = Literal["load", "validate", "generate", "judge", "score", "update", "checkpoint", "idle"]
SCHEMA_VERSION = 1


class _Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    time: float = 0.0
    """Seconds since the epoch, set when the event is written."""


class RunStarted(_Event, frozen=True, kw_only=True, tag="run_started"):
    """A worker owns the run. On resume the fold rewinds to ``resumed_from``."""

    name: str
    total_steps: int
    pid: int
    host: str
    model: str
    judge: str
    data: str
    resumed_from: int | None = None
    versions: dict[str, str] = {}
    schema_version: int = SCHEMA_VERSION


class WorkerReady(_Event, frozen=True, kw_only=True, tag="worker_ready"):
    """Model, data and judge are loaded; the first step may begin."""

    device: str
    parameters: int
    trainable: int
    train_prompts: int
    validation_prompts: int
    dropped_prompts: int
    notes: tuple[str, ...] = ()


class PhaseStarted(_Event, frozen=True, kw_only=True, tag="phase_started"):
    """The worker began something that takes a while."""

    step: int
    phase: Phase
    total: int = 0
    """Things to do in this phase (rows, mini-batches), 0 if not counted."""


class Heartbeat(_Event, frozen=True, kw_only=True, tag="heartbeat"):
    """Written when nothing else was for five seconds: the worker lives, and this is where it is."""

    step: int
    phase: Phase
    done: int = 0
    total: int = 0
    rss_mb: float | None = None
    gpu_memory_mb: float | None = None
    gpus: tuple[GpuFigures, ...] = ()
    """The GPUs that the worker computes on, as their driver tells it; viewers on another machine see only this."""


class JudgeFailed(_Event, frozen=True, kw_only=True, tag="judge_failed"):
    """A rollout got no verdict. It is never scored as zero; ``treatment`` says whether it was left out or floored."""

    step: int
    rollout_id: str
    status: str
    treatment: str
    message: str
    attempts: int = 1


class SamplesShown(_Event, frozen=True, kw_only=True, tag="samples_shown"):
    """Some responses of a step, worst and best among them."""

    step: int
    samples: tuple[Sample, ...]


class StepCompleted(_Event, frozen=True, kw_only=True, tag="step_completed"):
    """A PPO step is done; its updates are in the weights."""

    step: int
    metrics: StepMetrics
    cost_total_usd: float
    warmup: bool = False
    """True while only the critic trains."""


class UpdateSkipped(_Event, frozen=True, kw_only=True, tag="update_skipped"):
    """The ratio guard or a non-finite number stopped an optimiser step; the weights are bit-identical."""

    step: int
    epoch: int
    mini_batch: int
    reason: str
    ratio_mean: float | None = None
    rollout_ids: tuple[str, ...] = ()


class MicroBatchHalved(_Event, frozen=True, kw_only=True, tag="micro_batch_halved"):
    """Memory ran out; the same mini-batch is replayed in smaller pieces with the same gradient."""

    step: int
    micro_batch_size: int
    where: str = "update"


class ValidationCompleted(_Event, frozen=True, kw_only=True, tag="validation_completed"):
    """Held-out prompts, fixed seeds. ``difference`` and its CI are against the run's first validation."""

    step: int
    n: int
    mean: float | None
    difference: float | None = None
    ci95: tuple[float, float] | None = None
    failed: int = 0
    samples: tuple[Sample, ...] = ()


class CheckpointSaved(_Event, frozen=True, kw_only=True, tag="checkpoint_saved"):
    """A checkpoint is complete, verified and on disk; the step is now safe."""

    step: int
    path: str
    size_mb: float
    seconds: float


class CheckpointRejected(_Event, frozen=True, kw_only=True, tag="checkpoint_rejected"):
    """A damaged checkpoint was set aside; the one before it is tried."""

    step: int
    path: str
    reason: str


class CommandApplied(_Event, frozen=True, kw_only=True, tag="command_applied"):
    """The worker did what was asked, effective with ``step``."""

    command_id: str
    name: str
    step: int
    detail: str = ""
    by: str = ""


class CommandRejected(_Event, frozen=True, kw_only=True, tag="command_rejected"):
    """The worker refused a command and says why."""

    command_id: str
    reason: str
    name: str = ""
    by: str = ""


class Paused(_Event, frozen=True, kw_only=True, tag="paused"):
    """The run waits after ``step``; ``reason`` says for what, ``automatic`` whether a person asked for it."""

    step: int
    reason: str
    automatic: bool = False


class Resumed(_Event, frozen=True, kw_only=True, tag="resumed"):
    """The run goes on."""

    step: int


class RolledBack(_Event, frozen=True, kw_only=True, tag="rolled_back"):
    """Numbers went bad; training returned to a checkpoint with a smaller learning rate."""

    from_step: int
    to_step: int
    reason: str
    learning_rate: float


class RefereeScored(_Event, frozen=True, kw_only=True, tag="referee_scored"):
    """A second judge scored a share of the step's rollouts; means are over the ``n`` that both scored, 0-10."""

    step: int
    n: int
    failed: int
    judge_mean: float | None
    referee_mean: float | None
    drift: float
    """CUSUM of how far the judge has risen above the referee, points; 0 while they move together."""
    referee: str


class CanaryScore(msgspec.Struct, frozen=True, kw_only=True):
    """A known bad answer and what the judge gave it; None where it gave no score."""

    name: str
    score: float | None


class CanariesScored(_Event, frozen=True, kw_only=True, tag="canaries_scored"):
    """Known bad answers were put before the judge. ``seen`` and ``fooled`` count over the run."""

    step: int
    scores: tuple[CanaryScore, ...]
    seen: int
    fooled: int


class JudgeReplaced(_Event, frozen=True, kw_only=True, tag="judge_replaced"):
    """Another judge scores from ``step`` on. ``n`` earlier rollouts were scored by both, so the jump can be read.

    Scores before and after are not one series: the new judge's score of the same text is about
    ``slope`` x old + ``intercept``. Held-out prompts were scored anew, so before and after still compare.
    """

    step: int
    from_version: str
    to_version: str
    name: str
    n: int
    failed: int
    old_mean: float | None
    new_mean: float | None
    spearman: float | None = None
    slope: float | None = None
    intercept: float | None = None
    cost_usd: float = 0.0


class Advice(_Event, frozen=True, kw_only=True, tag="advice"):
    """Something a person should know, with what to do: written when it begins and, ``ended``, when it is over."""

    step: int
    code: str
    """Rule of ``core.advisor`` that found it, or another name."""
    message: str
    severity: Literal["info", "warning", "error"] = "warning"
    ended: bool = False
    what: str = ""
    evidence: str = ""
    cause: str = ""
    action: str = ""
    key: str = ""
    command: str = ""


class RunFinished(_Event, frozen=True, kw_only=True, tag="run_finished"):
    """The last event of a worker that ended in order."""

    outcome: Literal["completed", "stopped", "crashed"]
    step: int
    seconds: float
    """Seconds of work over the whole run, resumed parts included."""
    cost_usd: float
    weights_sha256: str = ""
    """Over the trained tensors in the order of their names."""
    error: str = ""


Event = (
    RunStarted
    | WorkerReady
    | PhaseStarted
    | Heartbeat
    | JudgeFailed
    | SamplesShown
    | StepCompleted
    | UpdateSkipped
    | MicroBatchHalved
    | ValidationCompleted
    | CheckpointSaved
    | CheckpointRejected
    | CommandApplied
    | CommandRejected
    | Paused
    | Resumed
    | RolledBack
    | RefereeScored
    | CanariesScored
    | JudgeReplaced
    | Advice
    | RunFinished
)

_decoder: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)
_encoder = msgspec.json.Encoder()


class EventError(RlaifError):
    """A line of the event log is not an event this version knows."""


def encode(message: Any) -> bytes:
    """One JSON object without a newline. Lone surrogates, which UTF-8 cannot carry, become U+FFFD."""
    try:
        return _encoder.encode(message)
    except UnicodeEncodeError:
        return _encoder.encode(_scrub(msgspec.to_builtins(message)))


def decode(line: bytes) -> Event:
    """Read one event. Raises ``EventError`` for an unknown kind or a malformed line."""
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise EventError(f"not an event: {error}") from error


def scrub(text: str) -> str:
    """The text with lone surrogates replaced by U+FFFD."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") if not text.isascii() else text


def _scrub(value: Any) -> Any:
    match value:
        case str():
            return scrub(value)
        case dict():
            return {_scrub(k): _scrub(v) for k, v in value.items()}
        case list() | tuple():
            return [_scrub(v) for v in value]
        case _:
            return value
