"""What the events of a run have told so far, as far as advice rests on it: the pure fold that app and worker share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import msgspec

from ..events import (
    CanariesScored,
    CheckpointSaved,
    CommandApplied,
    Event,
    JudgeFailed,
    JudgeReplaced,
    MicroBatchHalved,
    RefereeScored,
    RolledBack,
    RunStarted,
    StepCompleted,
    UpdateSkipped,
    ValidationCompleted,
)

OPENING = 20
"""First PPO steps that are kept for good: everything is compared with the start."""
KEPT = 200
"""Newest steps that are kept. A run that goes back further than this begins its comparisons anew."""
_FEW = 64

_Dated = TypeVar(
    "_Dated",
    StepCompleted,
    ValidationCompleted,
    CanariesScored,
    RefereeScored,
    MicroBatchHalved,
    UpdateSkipped,
    JudgeFailed,
)


@dataclass(frozen=True)
class Course:
    """Bounded in size, whatever the length of the run."""

    name: str = ""
    """Of the run, as commands take it."""
    total_steps: int = 0
    ppo_steps: int = 0
    """Steps of PPO done, those that trained the critic only left out."""
    opening: tuple[StepCompleted, ...] = ()
    steps: tuple[StepCompleted, ...] = ()
    """The newest, the critic's own steps among them."""
    validations: tuple[ValidationCompleted, ...] = ()
    """Without their samples."""
    canaries: tuple[CanariesScored, ...] = ()
    referee: tuple[RefereeScored, ...] = ()
    halvings: tuple[MicroBatchHalved, ...] = ()
    skips: tuple[UpdateSkipped, ...] = ()
    failures: tuple[JudgeFailed, ...] = ()
    judge_since: int = 0
    """First step of the judge in force, 0 for the one that the run began with: earlier scores are another series."""
    checkpoint: int | None = None
    """Step of the newest one."""
    cap_usd: float | None = None
    """What the judge may cost, where that was changed while the run went on; 0: no cap."""

    @property
    def step(self) -> int:
        """The newest step."""
        return self.steps[-1].step if self.steps else 0


def advance(course: Course, event: Event) -> Course:
    """The course after one more event."""
    match event:
        case StepCompleted():
            return _stepped(course if event.step > course.step else rewound(course, event.step - 1), event)
        case RunStarted():
            begun = rewound(course, event.resumed_from) if event.resumed_from is not None else Course()
            return replace(begun, name=event.name, total_steps=event.total_steps)
        case RolledBack():
            return rewound(course, event.to_step)
        case ValidationCompleted():
            earlier = tuple(v for v in course.validations if v.step < event.step)
            return replace(course, validations=(*earlier, msgspec.structs.replace(event, samples=()))[-_FEW:])
        case CanariesScored():
            return replace(course, canaries=(*course.canaries, event)[-_FEW:])
        case RefereeScored():
            return replace(course, referee=(*course.referee, event)[-_FEW:])
        case MicroBatchHalved():
            return replace(course, halvings=(*course.halvings, event)[-_FEW:])
        case UpdateSkipped():
            return replace(course, skips=(*course.skips, event)[-_FEW:])
        case JudgeFailed():
            return replace(course, failures=(*course.failures, event)[-_FEW:])
        case JudgeReplaced():
            return replace(course, judge_since=event.step)
        case CheckpointSaved():
            return replace(course, checkpoint=event.step)
        case CommandApplied(name="set"):
            return _set(course, event.detail)
        case _:
            return course


def _stepped(course: Course, event: StepCompleted) -> Course:
    count = course.ppo_steps + (not event.warmup)
    opening = course.opening if event.warmup or count > OPENING else (*course.opening, event)
    return replace(course, ppo_steps=count, opening=opening, steps=(*course.steps[1 - KEPT :], event))


def _set(course: Course, detail: str) -> Course:
    name, _, value = detail.partition(" = ")
    if name != "judge_cap_usd":
        return course
    try:
        return replace(course, cap_usd=float(value))
    except ValueError:
        return course


def rewound(course: Course, step: int) -> Course:
    """The course with everything after ``step`` forgotten: those steps are done again."""
    lost = sum(not done.warmup for done in course.steps if done.step > step)
    return replace(
        course,
        ppo_steps=course.ppo_steps - lost,
        opening=_until(course.opening, step),
        steps=_until(course.steps, step),
        validations=_until(course.validations, step),
        canaries=_until(course.canaries, step),
        referee=_until(course.referee, step),
        halvings=_until(course.halvings, step),
        skips=_until(course.skips, step),
        failures=_until(course.failures, step),
        judge_since=course.judge_since if course.judge_since <= step + 1 else 0,
        checkpoint=None if course.checkpoint is None or step <= 0 else min(course.checkpoint, step),
    )


def _until(events: tuple[_Dated, ...], step: int) -> tuple[_Dated, ...]:
    return tuple(event for event in events if event.step <= step)
