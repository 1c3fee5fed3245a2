from __future__ import annotations

import time
from pathlib import Path

import pytest

from core import journal
from core.commands import Pause
from core.events import CommandApplied, Event, Heartbeat, RunFinished, RunStarted, WorkerReady
from core.journal import EventLog, send
from core.run_dir import RunDir, RunLock, create
from rlaif_tui import words
from rlaif_tui.feed import RunFeed, log_tail

NOW = 1000.0


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    made = create(tmp_path / "runs", "calm")
    made.config.write_text("")
    return made


def begin() -> list[Event]:
    return [
        RunStarted(name="calm", total_steps=10, pid=7, host="h", model="m", judge="j", data="d"),
        WorkerReady(
            device="cpu", parameters=9, trainable=1, train_prompts=8, validation_prompts=2, dropped_prompts=0
        ),
        Heartbeat(step=3, phase="generate", done=1, total=4),
    ]  # fmt: skip


def write(run: RunDir, *events: Event, at: float = NOW) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal.time, "time", lambda: at)
        log = EventLog(run)
        for event in events:
            log.write(event)
        log.close()


def feed_at(run: RunDir, now: float = NOW) -> RunFeed:
    return RunFeed(run, lambda: now)


def test_alive_means_running_and_a_free_lock_crashed(run: RunDir) -> None:
    write(run, *begin())
    feed = feed_at(run)
    lock = RunLock(run)
    lock.acquire()
    state = feed.poll()
    assert (state.word, state.pid) == ("running", 7)
    lock.release()
    state = feed.poll()
    assert (state.word, state.pid) == ("crashed", None)
    assert state.error == "the worker is gone without a last word, in phase generate of step 3"


def test_a_crash_quotes_the_end_of_the_log(run: RunDir) -> None:
    write(run, *begin())
    run.log.write_text("loading\nMemoryError: out of memory\n\n")
    assert feed_at(run).poll().error.endswith("; worker.log ends: MemoryError: out of memory")


@pytest.mark.parametrize("outcome", ["completed", "stopped", "crashed"])
def test_a_last_word_is_believed(run: RunDir, outcome: str) -> None:
    write(run, *begin(), RunFinished(outcome=outcome, step=3, seconds=1.0, cost_usd=0.0, error="boom"))  # type: ignore[arg-type]
    state = feed_at(run).poll()
    assert (state.word, state.error) == (outcome, "boom")


def test_a_run_without_events_is_starting_while_young(run: RunDir) -> None:
    now = time.time()
    assert feed_at(run, now).poll().word == "starting"
    old = feed_at(run, now + 120).poll()
    assert (old.word, old.error) == ("crashed", "the worker never wrote an event")
    lock = RunLock(run)
    lock.acquire()
    assert feed_at(run, now + 120).poll().word == "starting"
    lock.release()


def test_silence_of_a_live_worker_is_lost_and_revives(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    write(run, *begin())
    now = [NOW + 59]
    feed = RunFeed(run, lambda: now[0])
    assert not feed.poll().lost
    now[0] = NOW + 72
    state = feed.poll()
    assert (state.lost, state.word, words.word(state)) == (True, "running", "lost")
    assert words.health(state).text.startswith("no sign for 1 min 12 s, last: generate 1/4")
    write(run, Heartbeat(step=3, phase="generate", done=2, total=4), at=now[0])
    assert not feed.poll().lost
    lock.release()


def test_nothing_new_is_the_same_object(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    write(run, *begin())
    feed = feed_at(run)
    first = feed.poll()
    assert feed.poll() is first
    write(run, Heartbeat(step=3, phase="generate", done=2, total=4))
    assert feed.poll() is not first
    lock.release()


def test_a_torn_line_is_held_back_and_a_damaged_one_counted(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    write(run, *begin())
    whole = run.events.read_bytes()
    run.events.write_bytes(whole[:-10])
    feed = feed_at(run)
    assert feed.poll().phase == "load"
    with run.events.open("ab") as file:
        file.write(whole[-10:] + b'{"seq":4,"crc":1,"kind":"heartbeat"}\n')
    state = feed.poll()
    assert (state.phase_done, state.damaged) == (1, 1)
    lock.release()


def test_a_replaced_log_is_read_from_its_beginning(run: RunDir) -> None:
    write(run, *begin(), RunFinished(outcome="completed", step=9, seconds=1.0, cost_usd=0.0))
    feed = feed_at(run)
    assert feed.poll().word == "completed"
    run.events.rename(run.path / "old.jsonl")
    # Longer than what was read: size alone would not tell.
    write(run, *begin() * 3, RunFinished(outcome="stopped", step=4, seconds=1.0, cost_usd=0.0))
    state = feed.poll()
    assert (state.word, len([m for m in state.messages if "started" in m.text])) == ("stopped", 3)


def test_requests_are_pending_until_answered(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    write(run, *begin())
    feed = feed_at(run)
    command = Pause(by="ana@pts/3")
    send(run, command)
    with run.commands.open("ab") as file:
        file.write(b"not a command\n")
    assert feed.poll().pending == (command,)
    write(run, CommandApplied(command_id=command.id, name="pause", step=3))
    assert feed.poll().pending == ()
    assert feed_at(run).poll().pending == ()
    send(run, Pause())
    lock.release()
    assert feed.poll().pending == (), "nobody is there to answer"


def test_an_unreadable_run_raises(run: RunDir, tmp_path: Path) -> None:
    run.events.mkdir()
    with pytest.raises(IsADirectoryError):
        feed_at(run).poll()


def test_log_tail_is_bounded_and_lenient(run: RunDir) -> None:
    assert log_tail(run.log) == []
    run.log.write_bytes(b"x" * 100_000 + b"\nlast but one\n\xff\x1b[31mlast\n")
    assert log_tail(run.log) == ["last but one", "\ufffd\x1b[31mlast"]
    run.log.write_text("".join(f"{k}\n" for k in range(5000)))
    assert log_tail(run.log, 3) == ["4997", "4998", "4999"]
