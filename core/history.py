"""What the event log of earlier launches says: how far the run got, what was answered, which settings were changed."""

from __future__ import annotations

from dataclasses import dataclass, field

from .advice import Told
from .events import (
    CommandApplied,
    CommandRejected,
    RolledBack,
    RunFinished,
    RunStarted,
    StepCompleted,
)
from .journal import EventReader
from .run_dir import RunDir


@dataclass(frozen=True)
class SettingChange:
    """``name`` is ``value`` from ``step`` on."""

    step: int
    name: str
    value: float


@dataclass(frozen=True)
class JudgeChange:
    """The judge in the file ``version`` scores from ``step`` on."""

    step: int
    version: str


@dataclass
class Timeline:
    """Live settings and judges as they were changed, so that steps done again after a resume meet the same ones."""

    changes: list[SettingChange] = field(default_factory=list)
    judges: list[JudgeChange] = field(default_factory=list)

    def add(self, change: SettingChange) -> None:
        """Take in a change made now. What was changed later in a part that is being done again gives way to it."""
        self.changes = [c for c in self.changes if c.name != change.name or c.step < change.step]
        self.changes.append(change)

    def at(self, step: int) -> list[SettingChange]:
        """The changes that take effect with ``step``."""
        return [change for change in self.changes if change.step == step]

    def add_judge(self, change: JudgeChange) -> None:
        """Take in a judge that replaces the one before, and whatever was to follow in a part that is done again."""
        self.judges = [c for c in self.judges if c.step < change.step]
        self.judges.append(change)

    def judge_before(self, step: int) -> str:
        """Version of the judge that scored the step before ``step``; empty for the one that the run began with."""
        return next((c.version for c in reversed(self.judges) if c.step < step), "")


@dataclass
class History:
    """The fold of a log that the worker needs before it goes on."""

    started: bool = False
    furthest: int = 0
    """Highest step ever completed, whether its updates survived or not."""
    finished: RunFinished | None = None
    """The ending, if nothing was started after it."""
    last_seq: int = 0
    answered: set[str] = field(default_factory=set)
    """Ids of commands that were applied or rejected."""
    timeline: Timeline = field(default_factory=Timeline)
    told: Told = field(default_factory=Told)
    """What advice rests on, and what was advised."""
    rollbacks: list[int] = field(default_factory=list)
    """Steps from which training was rolled back."""


def setting_detail(name: str, value: float) -> str:
    """The detail of the event that says a setting was changed; ``read_history`` reads it back exactly."""
    return f"{name} = {value!r}"


def read_history(run: RunDir) -> History:
    """Fold the event log of a run; an empty history for a run that never started."""
    history, reader = History(), EventReader(run.events)
    for event in reader.scan():
        history.told.read(event)
        match event:
            case RunStarted():
                history.started, history.finished = True, None
            case StepCompleted(step=step):
                history.furthest = max(history.furthest, step)
            case CommandApplied(command_id=id_):
                history.answered.add(id_)
                if event.name == "set" and (change := _change(event)) is not None:
                    history.timeline.add(change)
                if event.name == "replace_judge":
                    history.timeline.add_judge(JudgeChange(event.step, event.detail))
            case CommandRejected(command_id=id_):
                history.answered.add(id_)
            case RolledBack(from_step=step):
                history.rollbacks.append(step)
            case RunFinished():
                history.finished = event
            case _:
                pass
    history.last_seq = reader.last_seq
    return history


def _change(event: CommandApplied) -> SettingChange | None:
    name, _, value = event.detail.partition(" = ")
    try:
        return SettingChange(event.step, name, float(value))
    except ValueError:
        return None
