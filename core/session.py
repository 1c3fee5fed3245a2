"""One worker's training: the trainer's outputs go into the run directory, commands are met at step boundaries.

A session is deterministic but for the commands it gets, and what a command changed is in the event log with the step
from which it holds. So a run that is killed and resumed from a checkpoint takes the same steps as one that never was.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, cast

from . import checkpoint
from .command_queue import CommandQueue
from .commands import (
    SETTINGS,
    CancelGenerate,
    CheckpointNow,
    Command,
    Generate,
    Pause,
    ReplaceJudge,
    Resume,
    Set,
    Stop,
    name_of,
)
from .config import RunSettings
from .errors import JudgeError, RlaifError, RunDirError
from .events import (
    Advice,
    CommandApplied,
    JudgeReplaced,
    Paused,
    PhaseStarted,
    Resumed,
    RolledBack,
    StepCompleted,
    ValidationCompleted,
)
from .heartbeat import Activity
from .history import History, JudgeChange, SettingChange, setting_detail
from .recorder import Output, Recorder
from .rollout_log import RolloutLog, supersede_after
from .run_dir import RunDir
from .saver import Saver
from .types import RolloutMeasures

if TYPE_CHECKING:
    from .trainer import Trainer

PAUSE_POLL_S = 0.1
ROLLBACK_WINDOW_STEPS = 20


@dataclass(frozen=True)
class Surroundings:
    """What a session is given besides its trainer."""

    run: RunDir
    settings: RunSettings
    recorder: Recorder
    commands: CommandQueue
    saver: Saver
    history: History
    restore: Callable[[checkpoint.Snapshot], None]
    """Puts a snapshot into the trainer."""
    replace_judge: Callable[[str, Callable[[], bool]], JudgeReplaced]
    """Puts the judge of a version into the trainer; asks meanwhile whether to stop."""
    generate: Callable[[Generate, int, Callable[[], bool]], str]
    """Answers a chat after so many steps, and asks meanwhile whether to stop; returns what it did, in words."""
    interrupted: Callable[[], bool]
    """Whether a signal asked the worker to end."""


class _StopAskedError(Exception):
    """A person or a signal wants the worker to end."""


class Session:
    """Trains to the last step or until asked to stop."""

    def __init__(self, trainer: Trainer, around: Surroundings) -> None:
        self._trainer, self._around = trainer, around
        self._run, self._recorder, self._commands = around.run, around.recorder, around.commands
        self._saver, self._write = around.saver, around.recorder.write
        self._recorder.give_up = self._asked_to_stop
        self._stop_applied = self._paused = False
        self._warned: set[str] = set()
        self._attempt = trainer.completed
        self._judge = around.history.timeline.judge_before(trainer.completed + 1)

    def activity(self) -> Activity:
        """What is under way, for the heartbeat."""
        trainer = self._trainer
        if self._saver.busy or self._paused:
            return Activity(trainer.completed, "checkpoint" if self._saver.busy else "idle")
        return Activity(self._attempt, trainer.phase, trainer.phase_done, trainer.phase_total)

    def train(self) -> Literal["completed", "stopped"]:
        """Everything from the first validation to the last. Raises ``RlaifError`` where training must not go on."""
        trainer = self._trainer
        try:
            self._validate_if_due()
            if trainer.completed == 0:
                self._saver.save(trainer)
            while trainer.completed < trainer.total_steps:
                self._boundary()
                self._step()
                self._meet_demand()
                if trainer.completed % self._around.settings.checkpoint_every == 0:
                    self._saver.save(trainer)
                if trainer.completed < trainer.total_steps:
                    self._validate_if_due()
            self._saver.save(trainer)
            self._validate_if_due()
        except _StopAskedError:
            self._answer_waiting()
            self._saver.save(trainer)
            self._commands.reject_all("the worker is ending; send it again after 'resume'")
            return "stopped"
        self._commands.reject_all("the run is complete")
        return "completed"

    # steps and validations

    def _step(self) -> None:
        self._attempt = self._trainer.completed + 1
        log = self._recorder.patiently(lambda: RolloutLog(self._run.rollouts(self._attempt)))
        self._drive(self._trainer.step(log.recorded.rows()), log)
        self._tell_warnings()

    def _tell_warnings(self) -> None:
        """Note once what a judge says went wrong beside its judging, such as a cache that cannot be written."""
        for text in getattr(self._trainer.judge.judge, "warnings", ()):
            if text not in self._warned:
                self._warned.add(text)
                self._write(Advice(step=self._trainer.completed, code="judge_cache", message=text))

    def _validate_if_due(self) -> None:
        trainer, every = self._trainer, self._around.settings.validate_every
        step = trainer.completed
        planned = step in (0, trainer.total_steps) or (every > 0 and step % every == 0)
        while planned and all(done.step != step for done in trainer.validations):
            self._attempt = step
            log = self._recorder.patiently(lambda: RolloutLog(self._run.validation(step)))
            self._drive(trainer.validate(), log)
            if trainer.demand is not None:
                self._meet_demand()
                self._boundary()

    def _drive(self, outputs: Iterator[Output], log: RolloutLog) -> None:
        """Record outputs as they come. A stop ends it at once, but lets an update that has begun come to its end."""
        must_end = False
        self._recorder.open_rollouts(log)
        try:
            with contextlib.closing(cast("Generator[Output, None, None]", outputs)):
                for output in outputs:
                    self._recorder.write(output)
                    self._answer_waiting_judge()
                    must_end = must_end or self._trainer.updating or _ends(output)
                    if not must_end and self._asked_to_stop():
                        raise _StopAskedError
        finally:
            self._recorder.step = self._trainer.completed
            self._recorder.close_rollouts()
        self._recorder.sync()

    # what a step asks for

    def _meet_demand(self) -> None:
        demand = self._trainer.demand
        if demand is None:
            return
        if demand.kind == "pause":
            self._pause(demand.reason, automatic=True)
        else:
            self._roll_back(demand.reason)

    def _pause(self, reason: str, automatic: bool) -> None:
        self._paused = True
        self._write(Paused(step=self._trainer.completed, reason=reason, automatic=automatic))
        self._recorder.sync()

    def _roll_back(self, reason: str) -> None:
        earlier = self._around.history.rollbacks
        if earlier and self._attempt - earlier[-1] <= ROLLBACK_WINDOW_STEPS:
            return self._pause(f"{reason}; it was rolled back at step {earlier[-1]} already: change a setting", True)
        try:
            snapshot = checkpoint.load_latest(self._run, self._write)
        except RunDirError as error:
            return self._pause(f"{reason}; {error}", automatic=True)
        in_force = self._trainer.settings
        self._around.restore(snapshot)
        self._again(self._around.history.timeline.judge_before(snapshot.step + 1))
        self._saver.saved_step = snapshot.step
        earlier.append(self._attempt)
        for name in SETTINGS:
            if name.endswith("learning_rate"):
                self._change(name, in_force[name] / 2, f"rollback-{self._attempt}-{name}", "worker")
        self._write(
            RolledBack(
                from_step=self._attempt,
                to_step=snapshot.step,
                reason=reason,
                learning_rate=in_force["learning_rate"] / 2,
            )
        )
        return self._recorder.sync()

    # commands

    def _boundary(self) -> None:
        """Between two steps: answer what was asked, and wait here while the run is paused."""
        for change in self._around.history.timeline.at(self._trainer.completed + 1):
            self._trainer.set(change.name, change.value)
        self._again(self._around.history.timeline.judge_before(self._trainer.completed + 2))
        while True:
            self._answer_waiting()
            if self._asked_to_stop():
                raise _StopAskedError
            if not self._paused:
                return
            time.sleep(PAUSE_POLL_S)

    def _asked_to_stop(self) -> bool:
        self._commands.poll()
        return self._stop_applied or self._commands.stop_asked or self._around.interrupted()

    def _answer_waiting(self) -> None:
        self._commands.poll()
        for command in self._commands.take():
            self._answer(command)

    def _answer(self, command: Command) -> None:
        step = self._trainer.completed
        match command:
            case Stop():
                self._stop_applied = True
                self._applied(command, f"stopping after step {step}")
            case Pause() | Resume() if self._asked_to_stop():
                self._commands.reject(command, "the worker is stopping")
            case Pause() if self._paused:
                self._commands.reject(command, "the run is paused already")
            case Pause():
                self._applied(command)
                self._pause(f"asked by {command.by}", automatic=False)
            case Resume() if not self._paused:
                self._commands.reject(command, "the run is not paused")
            case Resume():
                self._paused = False
                self._applied(command)
                self._write(Resumed(step=step))
            case CheckpointNow():
                self._saver.save(self._trainer)
                self._applied(command, f"step {step} is saved")
            case ReplaceJudge():
                self._replace(command)
            case Generate():
                self._generate(command)
            case CancelGenerate():
                self._commands.reject(command, "that prompt is not being answered")
            case Set(name=name, value=value):
                try:
                    self._change(name, value, command.id, command.by)
                except ValueError as error:
                    self._commands.reject(command, str(error))

    def _replace(self, command: ReplaceJudge) -> None:
        """Another judge from the next step on. As with a setting, the log gets the answer last."""
        try:
            event = self._around.replace_judge(command.version, self._asked_to_stop)
        except JudgeError as error:
            return self._commands.reject(command, str(error))
        supersede_after(self._run, event.step - 1)
        self._around.history.timeline.add_judge(JudgeChange(event.step, command.version))
        self._judge = command.version
        self._commands.answered.add(command.id)
        self._write(event)
        return self._write(
            CommandApplied(
                command_id=command.id, name="replace_judge", step=event.step, detail=command.version, by=command.by
            )
        )

    def _generate(self, command: Generate) -> None:
        """Let somebody try the model. It leaves no trace in training, and is never done again after a resume."""
        if self._asked_to_stop():
            return self._commands.reject(command, "the worker is stopping")

        def cancelled() -> bool:
            stopping = self._asked_to_stop()
            cancels = list(self._commands.take_cancels(command.id))
            for cancel in cancels:
                self._applied(cancel)
            return stopping or bool(cancels)

        try:
            detail = self._around.generate(command, self._trainer.completed, cancelled)
        except RlaifError as error:
            return self._commands.reject(command, str(error))
        return self._applied(command, detail)

    def _again(self, version: str) -> None:
        """Steps that are done again after a resume meet the judge that they had."""
        if version != self._judge:
            self._around.replace_judge(version, self._asked_to_stop)
            self._judge = version

    def _answer_waiting_judge(self) -> None:
        """While the judge's server does not answer, a request to go on is one to ask it again now."""
        link = self._trainer.judge.link()
        if link is not None and link.open:
            for command in self._commands.take_resumes():
                self._trainer.judge.reset()
                self._applied(command, "the judge is asked again now")

    def _change(self, name: str, value: float, id_: str, by: str) -> None:
        """Set from the next step on. The log gets it last, so that a kill in between leaves the request unanswered."""
        step = self._trainer.completed + 1
        self._trainer.set(name, value)
        supersede_after(self._run, step)
        self._around.history.timeline.add(SettingChange(step, name, value))
        self._commands.answered.add(id_)
        self._write(CommandApplied(command_id=id_, name="set", step=step, detail=setting_detail(name, value), by=by))

    def _applied(self, command: Command, detail: str = "") -> None:
        step, name = self._trainer.completed, name_of(command)
        self._commands.answered.add(command.id)
        self._write(CommandApplied(command_id=command.id, name=name, step=step, detail=detail, by=command.by))


def _ends(output: Output) -> bool:
    """Whether what comes after this output belongs to it: an update from its beginning on, a validation's result."""
    if isinstance(output, PhaseStarted):
        return output.phase == "update"
    return isinstance(output, RolloutMeasures | StepCompleted | ValidationCompleted)
