"""The worker process: ``python -P -m core.worker RUN_DIR [--resume]`` trains one run and outlives its terminal.

Exit codes: 0 the run is complete or was stopped by command; 143 and 130 it was stopped by SIGTERM or SIGINT and can be
resumed; 1 it failed, and the last event of the log or the last line of ``worker.log`` says why. The first event is
written before torch is imported, so that whoever looks sees life at once.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import socket
import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from . import checkpoint
from .advice import AdviceWriter
from .advisor import limits_of
from .command_queue import CommandQueue
from .errors import RlaifError, RunDirError
from .events import Advice, PhaseStarted, RunFinished, RunStarted
from .heartbeat import Activity, HeartbeatThread
from .identity import Identity, installed_versions
from .journal import EventLog
from .process import EndedInWaitError, Signals, quieten
from .recorder import Recorder
from .run_dir import RunLock, open_run
from .run_judges import judge_name, judges_in, keep_version
from .saver import Saver
from .session import Session, Surroundings
from .stock import Stock, take_stock
from .swap import JudgeSwap

if TYPE_CHECKING:
    from .trainer import Trainer

ERROR_CHARS = 500
Outcome = Literal["completed", "stopped", "crashed"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train the run that the arguments name; returns the exit code."""
    os.umask(0o077)
    signals = Signals()
    signals.install()
    parser = argparse.ArgumentParser(prog="core.worker", description="Train one run. Started by rlaif-tui.")
    parser.add_argument("run", type=Path, help="run directory")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    options = parser.parse_args(arguments)
    try:
        run = open_run(str(options.run.absolute()), options.run.absolute().parent)
        lock = RunLock(run)  # held until the process ends
        lock.acquire()
        stock = take_stock(run, resume=options.resume)
        events = EventLog(run, stock.history.last_seq)
    except RlaifError as error:
        _say(f"error: {_one_line(str(error))}")
        return 1
    quieten(stock.config)
    return Worker(stock, events, signals).work()


class Worker:
    """One launch: loads, trains, and writes how it ended whatever happens."""

    def __init__(self, stock: Stock, events: EventLog, signals: Signals) -> None:
        self._stock, self._events, self._signals = stock, events, signals
        self._step = stock.found.step if stock.found else 0
        advice = AdviceWriter(stock.run, limits_of(stock.config), stock.history.told)
        self._recorder = Recorder(stock.run, events, give_up=lambda: signals.number is not None, advice=advice)
        self._trainer: Trainer | None = None
        self._session: Session | None = None

    def work(self) -> int:
        """Returns the exit code of the process."""
        outcome: Outcome = "crashed"
        error = sha256 = ""
        heartbeat = HeartbeatThread(self._events, self._activity)
        try:
            self._recorder.write(self._started())
            outcome, sha256 = self._train()
        except EndedInWaitError:
            outcome = "stopped"
        except RlaifError as known:
            error = str(known)
        except Exception as unexpected:  # noqa: BLE001 - the one place that answers for everything
            traceback.print_exc()
            error = f"{type(unexpected).__name__}: {unexpected}"
        heartbeat.close()
        error = _one_line(error)
        self._end(self._finished(outcome, sha256, error[:ERROR_CHARS]))
        if outcome == "crashed":
            _say(f"error: {error}")
            return 1
        return 128 + self._signals.number if outcome == "stopped" and self._signals.number else 0

    def _train(self) -> tuple[Outcome, str]:
        """Load and train; returns the outcome and the hash of what was trained."""
        for rejected in self._stock.rejected:
            self._recorder.write(rejected)
        self._recorder.write(PhaseStarted(step=self._step, phase="load"))
        with self._signals.nothing_to_save():
            from .build import build

            version = self._stock.history.timeline.judge_before(self._step + 1)
            judges = judges_in(self._stock.run, self._stock.config, version)
            parts = build(self._stock.config, judges)
        self._trainer = parts.trainer
        identity = Identity(
            config=self._stock.config.model_dump(mode="json"),
            data_fingerprint=parts.data_fingerprint,
            model_fingerprint=parts.model_fingerprint,
            versions=installed_versions(),
            device=parts.ready.device,
        )
        keep_version(self._stock.run, parts.trainer.judge.judge.version, judges.judge)
        commands = self._resume(identity)
        swap = JudgeSwap(self._stock.run, self._stock.config, parts.trainer, parts.make_judge, self._recorder)
        self._session = Session(self._trainer, self._surroundings(identity, commands, swap))
        self._recorder.write(parts.ready)
        outcome = self._session.train()
        return outcome, self._trainer.weights_sha256()

    def _surroundings(self, identity: Identity, commands: CommandQueue, swap: JudgeSwap) -> Surroundings:
        from .play.answers import Answers

        assert self._trainer is not None, "a session is made around a trainer"
        stock, recorder = self._stock, self._recorder
        saver = Saver(
            run=stock.run,
            recorder=recorder,
            commands=commands,
            keep=stock.config.run.keep_checkpoints,
            config_hash=stock.config_hash,
            identity=identity.values(),
            resumed_from=stock.found.step if stock.found else None,
        )
        return Surroundings(
            run=stock.run,
            settings=stock.config.run,
            recorder=recorder,
            commands=commands,
            saver=saver,
            history=stock.history,
            restore=self._restore,
            replace_judge=swap.replace,
            generate=Answers(stock.run, self._trainer.policy).answer,
            interrupted=lambda: self._signals.number is not None,
        )

    def _resume(self, identity: Identity) -> CommandQueue:
        """Put the newest checkpoint, if there is one, into the trainer; returns the commands that still wait."""
        stock, answered, offset = self._stock, self._stock.history.answered, 0
        if stock.found is not None:
            snapshot = checkpoint.load(stock.found)
            before = snapshot.values["worker"]
            if broken := identity.broken_by(before):
                raise RunDirError(f"run '{stock.run.name}' cannot go on from step {snapshot.step}: {broken}")
            if shifted := identity.shifted_by(before):
                message = f"resumed, but not bit for bit: {shifted}"
                self._recorder.write(Advice(step=snapshot.step, code="not_bit_exact", message=message, severity="info"))
            self._restore(snapshot)
            offset = before["commands_offset"]
            answered = answered | set(before["commands_answered"])
        return CommandQueue(stock.run, self._recorder.write, answered, offset, stock.commands_size)

    def _restore(self, snapshot: checkpoint.Snapshot) -> None:
        from .trainer import TrainerState

        assert self._trainer is not None, "nothing is restored before the trainer is built"
        self._trainer.load(TrainerState(snapshot.tensors, snapshot.values["trainer"]))

    def _started(self) -> RunStarted:
        config = self._stock.config
        return RunStarted(
            name=self._stock.run.name,
            total_steps=config.run.steps,
            pid=os.getpid(),
            host=socket.gethostname(),
            model=config.model.id,
            judge=judge_name(self._stock.run, config),
            data=config.data.path,
            resumed_from=self._stock.found.step if self._stock.found else None,
            versions=installed_versions(),
        )

    def _activity(self) -> Activity:
        return self._session.activity() if self._session is not None else Activity(self._step, "load")

    def _finished(self, outcome: Outcome, sha256: str, error: str) -> RunFinished:
        trainer, stock = self._trainer, self._stock
        return RunFinished(
            outcome=outcome,
            step=trainer.completed if trainer else self._step,
            seconds=trainer.seconds if trainer else stock.seconds,
            cost_usd=trainer.cost_usd if trainer else stock.cost_usd,
            weights_sha256=sha256,
            error=error,
        )

    def _end(self, finished: RunFinished) -> None:
        with contextlib.suppress(OSError, RunDirError):  # a log that cannot be written has nobody to tell it to
            if finished.outcome == "crashed":
                self._recorder.close()  # its ballast is room for the last event
                self._events.write(finished)
            else:
                self._recorder.write(finished)
            self._events.sync()
        self._recorder.close()
        if self._trainer is not None:
            self._trainer.close()


def _one_line(text: str) -> str:
    """The text with every run of white space, line ends included, as one space."""
    return " ".join(text.split())


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - standard error is worker.log


if __name__ == "__main__":
    sys.exit(main())
