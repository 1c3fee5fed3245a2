"""One sentence for a person per noteworthy event. Texts inside are as the run gave them: make them safe to show."""

from __future__ import annotations

from typing import assert_never

from core.events import (
    Advice,
    CanariesScored,
    CheckpointRejected,
    CheckpointSaved,
    CommandApplied,
    CommandRejected,
    Event,
    Heartbeat,
    JudgeFailed,
    JudgeReplaced,
    MicroBatchHalved,
    Paused,
    PhaseStarted,
    RefereeScored,
    Resumed,
    RolledBack,
    RunFinished,
    RunStarted,
    SamplesShown,
    StepCompleted,
    UpdateSkipped,
    ValidationCompleted,
    WorkerReady,
)

UNKNOWN = "—"


def number(value: float | None, pattern: str = ".2f") -> str:
    """The figure in this format, or a dash where it is not known."""
    return UNKNOWN if value is None else format(value, pattern)


def sentence(event: Event) -> str:
    """What happened, in one sentence; empty for events that say nothing to a person."""
    match event:
        case RunStarted() | WorkerReady() | RunFinished() | Paused() | Resumed() | RolledBack():
            return _life(event)
        case ValidationCompleted() | CheckpointSaved() | CheckpointRejected() | CommandApplied() | CommandRejected():
            return _work(event)
        case JudgeFailed(treatment=treatment, message=message, status=status):
            fate = "left out" if treatment == "mask" else f"treated as {treatment}"
            return f"step {event.step}: no verdict for {event.rollout_id} ({status}: {message}); {fate}"
        case RefereeScored() | CanariesScored() | JudgeReplaced():
            return _judges(event)
        case UpdateSkipped():
            return f"step {event.step}: mini-batch {event.mini_batch} of epoch {event.epoch} skipped: {event.reason}"
        case MicroBatchHalved():
            return (
                f"step {event.step}: out of memory in the {event.where}; "
                f"now {event.micro_batch_size} rows at a time, same gradient"
            )
        case Advice():
            return event.message
        case PhaseStarted() | Heartbeat() | SamplesShown() | StepCompleted():
            return ""
        case _:
            assert_never(event)


def _life(event: RunStarted | WorkerReady | RunFinished | Paused | Resumed | RolledBack) -> str:
    match event:
        case RunStarted(resumed_from=None):
            return f"started on {event.host}: {event.model}, judge {event.judge}, {event.total_steps} steps"
        case RunStarted():
            return f"resumed on {event.host} from step {event.resumed_from}"
        case WorkerReady():
            dropped = f", {event.dropped_prompts} dropped" if event.dropped_prompts else ""
            return (
                f"ready on {event.device}: {event.trainable:,} of {event.parameters:,} parameters train; "
                f"{event.train_prompts} prompts, {event.validation_prompts} held out{dropped}"
            )
        case RunFinished(outcome="crashed"):
            return f"crashed at step {event.step}: {event.error or 'no reason was written'}"
        case RunFinished():
            return f"{event.outcome} at step {event.step}"
        case Paused():
            return f"paused after step {event.step}: {event.reason}" if event.reason else f"paused after {event.step}"
        case Resumed():
            return f"goes on from step {event.step}"
        case RolledBack():
            return (
                f"rolled back from step {event.from_step} to {event.to_step}: {event.reason}; "
                f"learning rate now {event.learning_rate:g}"
            )
        case _:
            assert_never(event)


def _work(
    event: ValidationCompleted | CheckpointSaved | CheckpointRejected | CommandApplied | CommandRejected,
) -> str:
    match event:
        case ValidationCompleted():
            return _validation(event)
        case CheckpointSaved():
            return f"checkpoint {event.step} saved, {event.size_mb:.1f} MB in {event.seconds:.1f} s"
        case CheckpointRejected():
            return f"checkpoint {event.step} is damaged and was set aside: {event.reason}"
        case CommandApplied():
            what = f"{event.name} {event.detail}".strip()
            return f"{what}, from step {event.step}{_by(event.by)}"
        case CommandRejected():
            return f"{event.name or 'command'} refused{_by(event.by)}: {event.reason}"
        case _:
            assert_never(event)


def _validation(event: ValidationCompleted) -> str:
    text = f"validation at step {event.step}: score {number(event.mean)} on {event.n} held-out prompts"
    if event.difference is None:
        return text
    interval = f" [{event.ci95[0]:+.2f}, {event.ci95[1]:+.2f}]" if event.ci95 else ""
    return f"{text}, {event.difference:+.2f}{interval} since the start"


def _judges(event: RefereeScored | CanariesScored | JudgeReplaced) -> str:
    match event:
        case RefereeScored():
            drift = f"; the judge is {event.drift:.1f} points ahead of it" if event.drift else ""
            return (
                f"step {event.step}: on {event.n} rollouts the judge gave {number(event.judge_mean)}, the referee "
                f"{event.referee} {number(event.referee_mean)}{drift}"
            )
        case CanariesScored():
            told = ", ".join(f"{each.name} {number(each.score)}" for each in event.scores)
            return f"step {event.step}: known bad answers got {told}; {event.fooled} of {event.seen} fooled the judge"
        case JudgeReplaced():
            agree = f", rank agreement {event.spearman:.2f}" if event.spearman is not None else ""
            return (
                f"judge {event.name} ({event.to_version}) scores from step {event.step}: "
                f"{number(event.new_mean)} where the one before gave {number(event.old_mean)}, "
                f"on {event.n} rollouts{agree}; scores before and after are not one series"
            )
        case _:
            assert_never(event)


def _by(who: str) -> str:
    return f", asked by {who}" if who else ""
