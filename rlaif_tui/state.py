"""The pure fold of a run's events into a ``RunState``: the same in batches or one by one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

from msgspec.structs import replace

from core.advisor import RULES, advance
from core.commands import Command
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

from .marking import answer, judges, mark
from .run_state import Marker, Message, RunState, Severity, Word, summary, validation_summary
from .sentences import sentence

__all__ = [
    "Marker",
    "Message",
    "RunState",
    "Severity",
    "Word",
    "apply",
    "apply_all",
    "ask",
    "summary",
    "validation_summary",
]

MESSAGES_KEPT = 200
DURATIONS_KEPT = 20


def apply_all(state: RunState, events: Iterable[Event]) -> RunState:
    """The state after these events."""
    for event in events:
        state = apply(state, event)
    return state


def ask(state: RunState, command: Command) -> RunState:
    """The state once this request is known; one that was answered or meant for an earlier worker changes nothing."""
    if command.id in state.answered or any(command.id == known.id for known in state.pending):
        return state
    if state.started is not None and command.time < state.started.time:
        return state
    return replace(state, pending=(*state.pending, command))


def apply(state: RunState, event: Event) -> RunState:
    """The state after one more event."""
    state = replace(
        state,
        last_time=event.time or state.last_time,
        first_time=state.first_time or event.time,
        course=advance(state.course, event),
    )
    match event:
        case Heartbeat(step=step, phase=phase, done=done, total=total):
            state = replace(state, phase=phase, phase_step=step, phase_done=done, phase_total=total)
            memory = event.rss_mb or state.rss_mb
            return replace(state, rss_mb=memory, gpu_memory_mb=event.gpu_memory_mb, beat=event)
        case PhaseStarted(step=step, phase=phase, total=total):
            return replace(state, phase=phase, phase_step=step, phase_done=0, phase_total=total)
        case SamplesShown():
            return replace(state, samples=event.samples, samples_step=event.step)
        case StepCompleted():
            return _step(state, event)
        case RunStarted() | WorkerReady() | RunFinished() | Paused() | Resumed() | RolledBack():
            return _noted(_life(state, event), event)
        case ValidationCompleted() | CheckpointSaved():
            return _noted(_work(state, event), event)
        case CommandApplied(command_id=id_) | CommandRejected(command_id=id_):
            return _noted(answer(state, event, id_), event)
        case JudgeReplaced() | RefereeScored() | CanariesScored():
            return _noted(judges(state, event), event)
        case UpdateSkipped(step=step):
            last = state.markers.last
            known = last is not None and (last.step, last.letter) == (step, "!")
            return _noted(state if known else mark(state, step, "!", f"update skipped: {event.reason}"), event)
        case JudgeFailed() | MicroBatchHalved() | CheckpointRejected() | Advice():
            return _noted(state, event)
        case _:
            assert_never(event)


def _step(state: RunState, event: StepCompleted) -> RunState:
    if state.step >= event.step:  # a log that was continued without saying so
        state = _rewind(state, event.step - 1)
    durations, timer = state.durations, state.timer
    if event.time:
        if timer is not None and event.time >= timer:
            durations = (*durations[1 - DURATIONS_KEPT :], event.time - timer)
        timer = event.time
    return replace(
        state,
        step=event.step,
        word="running",
        steps=state.steps.append(event),
        cost_usd=event.cost_total_usd,
        durations=durations,
        timer=timer,
        step_time=event.time or state.step_time,
    )


def _life(state: RunState, event: RunStarted | WorkerReady | RunFinished | Paused | Resumed | RolledBack) -> RunState:
    match event:
        case RunStarted():
            return _started(state, event)
        case WorkerReady():
            return replace(state, ready=event, word="running", timer=event.time or None)
        case RunFinished():
            return replace(
                state,
                word=event.outcome,
                finished=event,
                error=event.error,
                cost_usd=event.cost_usd,
                pid=None,
                phase="idle",
                timer=None,
                paused_at=None,
            )
        case Paused():
            paused = replace(state, word="paused", pause_reason=event.reason, pause_automatic=event.automatic)
            text = f"paused: {event.reason}" if event.reason else "paused"
            return mark(replace(paused, paused_at=event.time or None), event.step, "P", text)
        case Resumed():
            away = event.time - state.paused_at if state.paused_at and event.time else 0.0
            timer = state.timer + away if state.timer is not None else None
            running = replace(
                state, word="running", pause_reason="", pause_automatic=False, paused_at=None, timer=timer
            )
            return mark(running, event.step, "R", "went on")
        case RolledBack():
            text = f"rolled back from {event.from_step}: {event.reason}"
            back = replace(_rewind(state, event.to_step), timer=event.time or None)
            return mark(back, event.to_step, "!", text)
        case _:
            assert_never(event)


def _started(state: RunState, event: RunStarted) -> RunState:
    kept = event.resumed_from or 0
    state = _rewind(state, kept) if event.resumed_from is not None else _rewind(state, -1)
    state = replace(
        state,
        name=event.name,
        word="starting",
        step=kept,
        total_steps=event.total_steps,
        phase="load",
        phase_step=kept,
        phase_done=0,
        phase_total=0,
        started=event,
        ready=None,
        finished=None,
        resumed_from=event.resumed_from,
        pid=event.pid,
        error="",
        pause_reason="",
        pause_automatic=False,
        pending=tuple(command for command in state.pending if command.time >= event.time),
        timer=None,
        paused_at=None,
    )
    return mark(state, kept, "R", f"a new worker went on, on {event.host}") if event.resumed_from is not None else state


def _rewind(state: RunState, step: int) -> RunState:
    """Forget figures of steps after ``step``; what was said stays said."""
    last = state.last_checkpoint_step
    return replace(
        state,
        step=max(0, min(state.step, step)),
        steps=state.steps.keep(lambda done: done.step <= step) if state.step > step else state.steps,
        validations=tuple(v for v in state.validations if v.step <= step),
        markers=state.markers.keep(lambda marker: marker.step <= step),
        referee=state.referee.keep(lambda scored: scored.step <= step),
        canaries=state.canaries.keep(lambda scored: scored.step <= step),
        judge_since=state.judge_since if (state.judge_since or 0) <= step + 1 else None,
        samples=state.samples if state.samples_step <= step else (),
        samples_step=min(state.samples_step, max(0, step)),
        last_checkpoint_step=last if last is None or last <= step else (step if step > 0 else None),
    )


def _work(state: RunState, event: ValidationCompleted | CheckpointSaved) -> RunState:
    match event:
        case ValidationCompleted(step=step):
            earlier = tuple(v for v in state.validations if v.step < step)
            timer = event.time if step == 0 and event.time else state.timer
            return replace(state, validations=(*earlier, event), timer=timer)
        case CheckpointSaved(step=step):
            return mark(replace(state, last_checkpoint_step=step), step, "C", "checkpoint saved")
        case _:
            assert_never(event)


def _noted(state: RunState, event: Event) -> RunState:
    text = sentence(event)
    rule = event.code if isinstance(event, Advice) and event.code in RULES else ""
    ended = isinstance(event, Advice) and event.ended
    message = Message(event.time, getattr(event, "step", state.step), text, severity_of(event), rule, ended)
    return replace(state, messages=(*state.messages[1 - MESSAGES_KEPT :], message))


def severity_of(event: Event) -> Severity:
    """How bad the news of an event is."""
    match event:
        case Advice():
            return event.severity
        case RunFinished(outcome="crashed"):
            return "error"
        case JudgeFailed() | UpdateSkipped() | CheckpointRejected() | RolledBack() | CommandRejected():
            return "warning"
        case Paused(automatic=True):
            return "warning"
        case _:
            return "info"
