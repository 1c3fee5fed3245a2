"""The loop around a trainer: commands, pauses, demands, a full disk; and the worker as a process."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from steady import ROWS, SteadyTrainer

from core import checkpoint
from core.command_queue import BAD_LINES_TOLD, CommandQueue
from core.commands import CheckpointNow, Command, Generate, Pause, ReplaceJudge, Resume, Set, Stop
from core.config import RunSettings
from core.config_file import from_dict
from core.errors import JudgeError, RunDirError
from core.events import (
    CommandApplied,
    CommandRejected,
    Event,
    Heartbeat,
    JudgeReplaced,
    Paused,
    PhaseStarted,
    Resumed,
    RolledBack,
    RunFinished,
    RunStarted,
    StepCompleted,
    ValidationCompleted,
)
from core.heartbeat import Activity, HeartbeatThread
from core.history import History, JudgeChange, SettingChange, Timeline, read_history
from core.journal import EventLog, read_events, send
from core.recorder import Recorder
from core.rollout_log import read_rollouts
from core.run_dir import RunDir, create, is_alive, lock_owner_pid
from core.saver import Saver
from core.session import Session, Surroundings
from core.trainer import Demand, TrainerState
from rlaif_tui.launch import last_words, prepare_run, start_worker


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path, "one")


def unexpected(version: str, asked_to_stop: Callable[[], bool]) -> JudgeReplaced:
    raise AssertionError(f"nobody asked for judge {version}")


def nobody_asked(command: Generate, step: int, cancelled: Callable[[], bool]) -> str:
    raise AssertionError(f"nobody asked for {command.messages}")


class Bench:
    """One launch of a steady trainer on a run directory, as the worker makes it."""

    def __init__(self, run: RunDir, trainer: SteadyTrainer, *, resume: bool = False, **settings: Any) -> None:
        self.run, self.trainer, self.signal = run, trainer, False
        self.history = read_history(run) if resume else History()
        self.events = EventLog(run)
        self.recorder = Recorder(run, self.events, retry_s=0.05)
        before: dict[str, Any] = {"commands_offset": 0, "commands_answered": []}
        resumed_from = None
        if resume and (found := checkpoint.find_latest(run, pytest.fail)):
            snapshot = checkpoint.load(found)
            self.restore(snapshot)
            before, resumed_from = snapshot.values["worker"], snapshot.step
        size = run.commands.stat().st_size if resume and run.commands.exists() else 0
        answered = self.history.answered | set(before["commands_answered"])
        commands = CommandQueue(run, self.recorder.write, answered, before["commands_offset"], size)
        replace_judge = settings.pop("replace_judge", unexpected)
        generate = settings.pop("generate", nobody_asked)
        saver = Saver(run, self.recorder, commands, settings.pop("keep", 3), "hash", {}, resumed_from)
        around = Surroundings(
            run=run,
            settings=RunSettings(**({"checkpoint_every": 2} | settings)),
            recorder=self.recorder,
            commands=commands,
            saver=saver,
            history=self.history,
            restore=self.restore,
            replace_judge=replace_judge,
            generate=generate,
            interrupted=lambda: self.signal,
        )
        self.session = Session(trainer, around)

    def restore(self, snapshot: checkpoint.Snapshot) -> None:
        self.trainer.load(TrainerState(snapshot.tensors, snapshot.values["trainer"]))

    def train(self) -> str:
        try:
            return self.session.train()
        finally:
            self.recorder.close()
            self.events.close()


class PowerCutError(Exception):
    """Ends a launch where it stands, with nothing tidied by the session."""


def events(run: RunDir, *kinds: type) -> list[Event]:
    return [event for event in read_events(run.events) if not kinds or isinstance(event, kinds)]


def at(point: tuple[str, int], do: Callable[[], Any]) -> Callable[[str, int], None]:
    """A script that does one thing, once."""
    left = [do]

    def script(what: str, step: int) -> None:
        if (what, step) == point and left:
            left.pop()()

    return script


def sends(run: RunDir, *commands: Command) -> Callable[[], None]:
    return lambda: [send(run, command) for command in commands] and None


def soon(run: RunDir, wanted: type, *commands: Command) -> threading.Thread:
    """Sends the commands once an event of the wanted kind is in the log."""

    def watch() -> None:
        deadline = time.monotonic() + 60
        while not events(run, wanted) and time.monotonic() < deadline:
            time.sleep(0.02)
        sends(run, *commands)()

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_a_run_leaves_events_rollouts_and_checkpoints_in_order(run: RunDir) -> None:
    assert Bench(run, SteadyTrainer(total_steps=5), keep=2, validate_every=3).train() == "completed"
    assert [event.step for event in events(run, StepCompleted) if isinstance(event, StepCompleted)] == [1, 2, 3, 4, 5]
    assert [e.step for e in events(run, ValidationCompleted) if isinstance(e, ValidationCompleted)] == [0, 3, 5]
    saved = [e for e in events(run) if type(e).__name__ == "CheckpointSaved"]
    assert [e.step for e in saved] == [0, 2, 4, 5]  # every second step and the last
    assert sorted(path.name for path in run.checkpoints.iterdir()) == ["step_000004", "step_000005"]
    for step in range(1, 6):
        recorded = read_rollouts(run.rollouts(step))
        assert [len(table) for table in (recorded.rollouts, recorded.results, recorded.measures)] == [ROWS] * 3
    assert not run.ballast.exists()


def test_settings_hold_from_the_next_step_and_bad_ones_are_refused(run: RunDir) -> None:
    good, bad = Set(id="good", name="kl_coef", value=0.75), Set(id="bad", name="learning_rate", value=7.0)
    trainer = SteadyTrainer(total_steps=4, script=at(("generate", 2), sends(run, good, bad)))
    Bench(run, trainer).train()
    assert trainer.in_force == {1: (0.5, 0.1), 2: (0.5, 0.1), 3: (0.5, 0.75), 4: (0.5, 0.75)}
    (applied,) = events(run, CommandApplied)
    assert isinstance(applied, CommandApplied)
    assert (applied.command_id, applied.step, applied.detail) == ("good", 3, "kl_coef = 0.75")
    (refused,) = events(run, CommandRejected)
    assert isinstance(refused, CommandRejected)
    assert (refused.command_id, refused.reason) == ("bad", "learning_rate = 7 is outside 0..1")


def test_a_paused_run_waits_obeys_and_goes_on(run: RunDir) -> None:
    asked = [Set(id="s", name="kl_coef", value=0.5), CheckpointNow(id="c"), Pause(id="p2"), Resume(id="r")]
    trainer = SteadyTrainer(total_steps=4, script=at(("generate", 3), sends(run, Pause(id="p1", by="me@tty"))))
    helper = soon(run, Paused, *asked)
    assert Bench(run, trainer).train() == "completed"
    helper.join()
    story = [e for e in events(run) if isinstance(e, CommandApplied | CommandRejected | Paused | Resumed)]
    ids = [e.command_id if isinstance(e, CommandApplied | CommandRejected) else type(e).__name__ for e in story]
    assert ids == ["p1", "Paused", "s", "c", "p2", "r", "Resumed"]
    assert [type(e).__name__ for e in story if getattr(e, "command_id", "") == "p2"] == ["CommandRejected"]
    paused = story[1]
    assert isinstance(paused, Paused)
    assert (paused.step, paused.reason, paused.automatic) == (3, "asked by me@tty", False)
    assert run.checkpoint(3).exists()
    assert trainer.in_force[4] == (0.5, 0.5)


def test_what_makes_no_sense_is_refused_in_words(run: RunDir) -> None:
    def nonsense() -> None:
        send(run, Resume(id="r"))
        with run.commands.open("ab") as file:
            file.write(b'{"kind":"dance"}\n' + b"x" * 70_000 + b"\n")

    Bench(run, SteadyTrainer(total_steps=3, script=at(("generate", 1), nonsense))).train()
    reasons = [e.reason for e in events(run, CommandRejected) if isinstance(e, CommandRejected)]
    assert reasons[0] == "the run is not paused"
    assert "not a command" in reasons[1]
    assert "at most 65536" in reasons[2]
    assert len(reasons) == 3


def test_a_flood_of_bad_lines_is_told_in_few_events(run: RunDir) -> None:
    run.commands.write_bytes(b"nonsense\n" * 5000)
    Bench(run, SteadyTrainer(total_steps=1)).train()
    refused = [e for e in events(run, CommandRejected) if isinstance(e, CommandRejected)]
    assert len(refused) == BAD_LINES_TOLD + 1
    assert refused[-1].reason == "4980 more lines are no commands"


@pytest.mark.parametrize("by", ["command", "signal"])
def test_a_stop_while_generating_gives_up_the_step_and_keeps_its_rollouts(run: RunDir, by: str) -> None:
    def stop() -> None:
        bench.signal = by == "signal"
        if by == "command":
            send(run, Stop(id="stop"))

    trainer = SteadyTrainer(script=at(("generate", 4), stop))
    bench = Bench(run, trainer)
    assert bench.train() == "stopped"
    assert (trainer.completed, trainer.updating) == (3, False)
    assert run.checkpoint(3).exists()
    assert len(read_rollouts(run.rollouts(4)).rollouts) == 1  # the first was recorded before the stop was seen
    second = SteadyTrainer()
    assert Bench(run, second, resume=True).train() == "completed"
    assert second.generated[:2] == ["000004-0001", "000004-0002"]
    assert weight_of(second) == weight_of(whole())


def test_a_stop_while_updating_lets_the_step_end(run: RunDir) -> None:
    trainer = SteadyTrainer(script=at(("update", 3), sends(run, Stop(id="stop"), Pause(id="late"))))
    assert Bench(run, trainer).train() == "stopped"
    assert trainer.completed == 3
    assert run.checkpoint(3).exists()
    assert [e.step for e in events(run, StepCompleted) if isinstance(e, StepCompleted)] == [1, 2, 3]
    assert len(read_rollouts(run.rollouts(3)).measures) == ROWS
    answers = [(type(e).__name__, e.command_id) for e in events(run, CommandApplied, CommandRejected)]  # type: ignore[attr-defined]
    assert answers == [("CommandApplied", "stop"), ("CommandRejected", "late")]


def test_a_stop_while_validating_comes_at_once(run: RunDir) -> None:
    trainer = SteadyTrainer(script=at(("validate", 0), sends(run, Stop(id="stop"))))

    def slow_validation() -> Iterator[Any]:
        yield PhaseStarted(step=0, phase="validate", total=2)
        trainer.script("validate", 0)
        yield Heartbeat(step=0, phase="validate", done=1, total=2)
        pytest.fail("it should have been closed")

    trainer.validate = slow_validation  # type: ignore[method-assign]
    assert Bench(run, trainer).train() == "stopped"
    assert trainer.validations == []


def test_commands_for_another_worker_are_refused_but_settings_hold(run: RunDir) -> None:
    trainer = SteadyTrainer(script=at(("generate", 3), sends(run, Stop(id="stop"))))
    Bench(run, trainer).train()
    sends(run, Pause(id="stale"), Set(id="wish", name="kl_coef", value=0.9), Stop(id="stale-too"))()
    second = SteadyTrainer()
    assert Bench(run, second, resume=True).train() == "completed"
    refused = [e for e in events(run, CommandRejected) if isinstance(e, CommandRejected)]
    assert [(e.command_id, "before this worker started" in e.reason) for e in refused] == [
        ("stale", True),
        ("stale-too", True),
    ]
    assert second.in_force[3] == (0.5, 0.9)


def whole(**options: Any) -> SteadyTrainer:
    """The same run with nothing in its way, worked out by the trainer alone."""
    trainer = SteadyTrainer(**options)
    for _ in range(trainer.total_steps):
        list(trainer.step())
    return trainer


def weight_of(trainer: SteadyTrainer) -> float:
    return float(trainer.weight)


@pytest.mark.parametrize("cut", [("generate", 5), ("update", 5), ("generate", 6), ("validate", 6)])
def test_steps_done_again_meet_the_settings_that_were_set_then(run: RunDir, cut: tuple[str, int]) -> None:
    def power_cut() -> None:
        raise PowerCutError

    def script(what: str, step: int) -> None:
        if (what, step) == ("generate", 4):  # holds from step 5 on, after the checkpoint of step 4
            send(run, Set(id="s", name="kl_coef", value=0.5))
        if (what, step) == cut:
            power_cut()

    with pytest.raises(PowerCutError):
        Bench(run, SteadyTrainer(script=script), checkpoint_every=2).train()
    second = SteadyTrainer()
    assert Bench(run, second, resume=True, checkpoint_every=2).train() == "completed"
    # kl_coef 0.1 for steps 1-4, then 0.5:  w = w + 0.5 n - kl w
    weight = 0.0
    for number in range(1, 7):
        weight = weight + 0.5 * number - (0.1 if number < 5 else 0.5) * weight
    assert weight_of(second) == weight
    assert len(events(run, CommandApplied)) == 1
    # what the first launch recorded is neither generated nor judged again
    repeated = {("generate", 5): 6, ("update", 5): 3, ("generate", 6): 3, ("validate", 6): 0}[cut]
    assert (len(second.generated), len(second.judged)) == (repeated, repeated)


def test_a_new_wish_overrules_what_was_set_in_the_part_done_again() -> None:
    timeline = Timeline()
    timeline.add(SettingChange(7, "kl_coef", 0.1))
    timeline.add(SettingChange(7, "learning_rate", 0.2))
    timeline.add(SettingChange(6, "kl_coef", 0.3))  # asked after going back to step 5
    assert timeline.at(7) == [SettingChange(7, "learning_rate", 0.2)]
    assert timeline.at(6) == [SettingChange(6, "kl_coef", 0.3)]


def test_a_step_without_verdicts_pauses_and_asks_for_the_missing_ones_only(run: RunDir) -> None:
    trainer = SteadyTrainer(total_steps=3, failing={2})
    helper = soon(run, Paused, Resume(id="r"))
    assert Bench(run, trainer).train() == "completed"
    helper.join()
    (paused,) = events(run, Paused)
    assert isinstance(paused, Paused)
    assert (paused.step, paused.reason, paused.automatic) == (1, "a verdict is missing", True)
    assert trainer.generated == [f"{step:06d}-{row:04d}" for step in (1, 2, 3) for row in range(ROWS)]
    assert trainer.judged == [*trainer.generated[:6], "000002-0002", *trainer.generated[6:]]


def test_a_rollback_halves_the_rate_and_a_second_one_soon_pauses(run: RunDir) -> None:
    bad = Demand("rollback", "numbers were not finite")
    trainer = SteadyTrainer(total_steps=8, demands={5: bad, 7: bad})
    helper = soon(run, Paused, Resume(id="r"))
    assert Bench(run, trainer).train() == "completed"
    helper.join()
    (back,) = events(run, RolledBack)
    assert isinstance(back, RolledBack)
    assert (back.from_step, back.to_step, back.learning_rate) == (5, 4, 0.25)
    assert trainer.settings == {"kl_coef": 0.1, "learning_rate": 0.25, "critic_learning_rate": 0.125}
    (paused,) = events(run, Paused)
    assert isinstance(paused, Paused)
    assert (paused.step, paused.automatic) == (7, True)
    assert "rolled back at step 5 already" in paused.reason
    # w after step 4 with rate 0.5, then 5..8 with half of it
    weight = 0.0
    for number in range(1, 9):
        weight = weight + (0.5 if number < 5 else 0.25) * number - 0.1 * weight
    assert weight_of(trainer) == weight


def test_a_rollback_is_done_again_after_a_power_cut(run: RunDir) -> None:
    def power_cut() -> None:
        raise PowerCutError

    demands = {3: Demand("rollback", "bad")}
    first = SteadyTrainer(demands=dict(demands), script=at(("update", 6), power_cut))
    with pytest.raises(PowerCutError):
        Bench(run, first, checkpoint_every=100).train()
    assert first.completed == 5
    second = SteadyTrainer()
    Bench(run, second, resume=True, checkpoint_every=100).train()
    assert second.in_force == dict.fromkeys(range(1, 7), (0.25, 0.1))  # from step 1 on: the way back led to step 0


def test_a_rollback_with_nothing_to_go_back_to_pauses(run: RunDir) -> None:
    def lose() -> None:
        for path in (run.checkpoint(0) / "values.json", run.checkpoint(2) / "values.json"):
            path.write_text("{}")

    trainer = SteadyTrainer(total_steps=4, demands={3: Demand("rollback", "bad")}, script=at(("update", 3), lose))
    helper = soon(run, Paused, Resume(id="r"))
    assert Bench(run, trainer).train() == "completed"
    helper.join()
    (paused,) = events(run, Paused)
    assert isinstance(paused, Paused)
    assert "no valid checkpoint" in paused.reason
    assert sorted(path.name for path in run.checkpoints.glob(".bad-*")) == [".bad-step_000000", ".bad-step_000002"]


def test_an_error_of_the_trainer_rises_with_all_before_it_recorded(run: RunDir) -> None:
    def fail() -> None:
        raise ValueError("planted")

    with pytest.raises(ValueError, match="planted"):
        Bench(run, SteadyTrainer(script=at(("update", 2), fail))).train()
    assert len(read_rollouts(run.rollouts(2)).results) == ROWS
    assert [e.step for e in events(run, StepCompleted) if isinstance(e, StepCompleted)] == [1]


def test_a_full_disk_pauses_and_the_run_goes_on_by_itself(run: RunDir) -> None:
    """The limit on file sizes stands in for the disk: writes come short, then fail, until it is lifted."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (run.events.stat().st_size + 1000, before[1]))
        threading.Timer(0.5, resource.setrlimit, [resource.RLIMIT_FSIZE, before]).start()

    trainer = SteadyTrainer(script=at(("generate", 3), fill))
    started = time.monotonic()
    try:
        assert Bench(run, trainer).train() == "completed"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert time.monotonic() - started > 0.4
    assert weight_of(trainer) == weight_of(whole())
    assert [e.step for e in events(run, StepCompleted) if isinstance(e, StepCompleted)] == [1, 2, 3, 4, 5, 6]
    story = [e for e in events(run, Paused, Resumed) if isinstance(e, Paused | Resumed)]
    assert [type(e) for e in story] == [Paused, Resumed]
    assert isinstance(story[0], Paused)
    assert story[0].automatic
    assert "disk full" in story[0].reason


def test_a_stop_ends_the_wait_for_room(run: RunDir) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        send(run, Stop(id="stop"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        room.start()

    room = threading.Timer(5.0, resource.setrlimit, [resource.RLIMIT_FSIZE, before])  # no wait is for ever
    try:
        with pytest.raises(RunDirError, match="stopped while waiting: disk full"):
            Bench(run, SteadyTrainer(script=at(("update", 3), fill))).train()
    finally:
        room.cancel()
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_heartbeat_fills_silence_and_only_silence(run: RunDir) -> None:
    log = EventLog(run)
    thread = HeartbeatThread(log, lambda: Activity(3, "generate", 1, 8), silence_s=0.5)
    longest = 0.0
    for _ in range(10):
        since = time.monotonic()
        log.write(PhaseStarted(step=3, phase="generate"))
        time.sleep(0.02)
        longest = max(longest, time.monotonic() - since)
    early = len(events(run, Heartbeat))
    assert early == 0 or longest > 0.2, "a busy machine may make a silence of its own"
    deadline = time.monotonic() + 60
    while len(events(run, Heartbeat)) < early + 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    thread.close()
    log.close()
    last, one, two = events(run)[-3:]
    assert isinstance(last, PhaseStarted)
    assert isinstance(one, Heartbeat)
    assert one.time - last.time >= 0.49
    assert two.time - one.time >= 0.49
    assert (one.step, one.phase, one.done, one.total) == (3, "generate", 1, 8)
    assert one.rss_mb is not None
    assert one.rss_mb > 10


def launched(tmp_path: Path, **model: Any) -> RunDir:
    return prepare_run(from_dict({"model": {"device": "cpu", **model}}), tmp_path / "runs", "one")


def wait_until(condition: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.02)


def test_a_worker_is_detached_alone_and_ends_when_asked_while_it_loads(tmp_path: Path) -> None:
    run = launched(tmp_path)
    start_worker(run)
    (started,) = events(run, RunStarted)
    assert isinstance(started, RunStarted)
    assert os.getsid(started.pid) == started.pid != os.getsid(0)
    assert os.readlink(f"/proc/{started.pid}/fd/0") == os.devnull
    assert os.path.samefile(f"/proc/{started.pid}/fd/2", run.log)
    assert lock_owner_pid(run) == started.pid
    os.kill(started.pid, signal.SIGHUP)
    with pytest.raises(RunDirError, match=f"already has a live worker: pid {started.pid} .*exit code 1"):
        start_worker(run, resume=True)
    os.kill(started.pid, signal.SIGTERM)
    wait_until(lambda: not is_alive(run))
    last = events(run)[-1]
    assert isinstance(last, RunFinished)
    assert (last.outcome, last.step, last.error) == ("stopped", 0, "")


def test_a_worker_that_cannot_load_says_why_before_it_ends(tmp_path: Path) -> None:
    run = launched(tmp_path, id=str(tmp_path / "no-such-model"))
    start_worker(run)
    wait_until(lambda: not is_alive(run))
    last = events(run)[-1]
    assert isinstance(last, RunFinished)
    assert last.outcome == "crashed"
    assert "no-such-model" in last.error
    assert last_words(run.log).startswith("error: ")
    assert "Traceback" not in run.log.read_text()


def test_a_worker_dead_before_its_first_event_is_explained_at_once(tmp_path: Path) -> None:
    run = launched(tmp_path)
    run.config.write_text("[ppo]\nkl_coeff = 1\n")
    with pytest.raises(RunDirError, match=r"kl_coeff.*exit code 1"):
        start_worker(run)
    assert not run.events.exists()
    run.log.write_bytes(b"Traceback (most recent call last):\n  File x\nold: \x1b[2Jnews\n")
    assert last_words(run.log) == "old: �[2Jnews"
    assert last_words(run.log, run.log.stat().st_size) == ""
    assert last_words(tmp_path / "missing") == ""


def test_nothing_heavy_is_imported_before_the_first_event() -> None:
    code = (
        "import sys, core.worker; print(sorted({'torch', 'transformers', 'pandas', 'safetensors'} & set(sys.modules)))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"


# another judge, and a judge that is away


def replaced(step: int, version: str) -> JudgeReplaced:
    return JudgeReplaced(
        step=step, from_version="a" * 12, to_version=version, name="new", n=4, failed=0, old_mean=5.0, new_mean=6.0
    )


def test_another_judge_takes_over_at_a_step_boundary_and_again_where_steps_are_done_again(run: RunDir) -> None:
    asked: list[tuple[int, str]] = []

    def replace_judge(version: str, asked_to_stop: Callable[[], bool]) -> JudgeReplaced:
        asked.append((trainer.completed, version))
        return replaced(trainer.completed + 1, version)

    version = "0123456789ab"

    def fail() -> None:
        raise RuntimeError("power cut")

    def script(what: str, step: int) -> None:
        if (what, step) == ("generate", 4):
            send(run, ReplaceJudge(id="j1", by="me@tty", version=version))
        if (what, step) == ("update", 6):
            fail()

    trainer = SteadyTrainer(script=script)
    with pytest.raises(RuntimeError):
        Bench(run, trainer, checkpoint_every=4, replace_judge=replace_judge).train()
    assert asked == [(4, version)]  # asked for in step 4, in force from step 5 on
    (answer,) = [e for e in read_events(run.events) if isinstance(e, CommandApplied)]
    assert (answer.name, answer.step, answer.detail) == ("replace_judge", 5, version)
    assert read_history(run).timeline.judges == [JudgeChange(5, version)]

    asked.clear()
    trainer = SteadyTrainer()  # from the checkpoint of step 4, before the judge changed
    Bench(run, trainer, resume=True, checkpoint_every=4, replace_judge=replace_judge).train()
    assert asked == [(4, version)]
    assert len([e for e in read_events(run.events) if isinstance(e, JudgeReplaced)]) == 1


def test_a_judge_that_cannot_be_used_is_refused_and_the_run_goes_on(run: RunDir) -> None:
    def refuse(version: str, asked_to_stop: Callable[[], bool]) -> JudgeReplaced:
        raise JudgeError("its key was refused")

    send_it = sends(run, ReplaceJudge(id="j1", version="0123456789ab"))
    trainer = SteadyTrainer(total_steps=3, script=at(("generate", 1), send_it))
    assert Bench(run, trainer, replace_judge=refuse).train() == "completed"
    (answer,) = [e for e in read_events(run.events) if isinstance(e, CommandRejected)]
    assert answer.command_id == "j1"
    assert answer.reason == "its key was refused"


def test_a_request_to_go_on_while_the_judge_is_away_is_one_to_ask_it_again(run: RunDir) -> None:
    trainer = SteadyTrainer(total_steps=2, script=at(("generate", 2), lambda: send(run, Resume(id="r1"))))
    trainer.judge.state = SimpleNamespace(open=True)
    assert Bench(run, trainer).train() == "completed"
    assert trainer.judge.resets == 1
    (answer,) = [e for e in read_events(run.events) if isinstance(e, CommandApplied)]
    assert (answer.command_id, answer.detail) == ("r1", "the judge is asked again now")
