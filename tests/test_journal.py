"""The event log and the command file: what is written is read once, in order, whatever was torn or damaged."""

from __future__ import annotations

import fcntl
import json
import math
import os
import re
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.commands import CommandError, Pause, Set
from core.errors import RunDirError
from core.events import Advice, Event, Heartbeat, PhaseStarted, scrub
from core.files import AppendLog, write_atomic
from core.journal import CommandReader, EventLog, EventReader, last_seq, read_events, send
from core.run_dir import RunDir, create


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path, "one")


def say(text: str) -> Advice:
    return Advice(step=1, code="note", message=text)


def texts(events: list[Event]) -> list[str]:
    return [event.message for event in events if isinstance(event, Advice)]


def write(run: RunDir, *messages: str) -> None:
    log = EventLog(run)
    for message in messages:
        log.write(say(message))
    log.close()


def test_events_come_back_once_in_order_and_numbered(run: RunDir) -> None:
    log, reader = EventLog(run), EventReader(run.events)
    log.write(say("one"))
    log.write(say("two"))
    assert texts(reader.read()) == ["one", "two"]
    assert reader.read() == []
    log.write(say("three"))
    assert texts(reader.read()) == ["three"]
    assert (reader.last_seq, reader.damaged, reader.unknown, reader.missing) == (3, 0, 0, 0)
    log.close()
    write(run, "four")
    assert [json.loads(line)["seq"] for line in run.events.read_bytes().splitlines()] == [1, 2, 3, 4]


def test_a_torn_line_is_held_back_until_it_is_whole(run: RunDir) -> None:
    write(run, "one", "two")
    data = run.events.read_bytes()
    first = data.index(b"\n") + 1
    reader = EventReader(run.events)
    for cut in range(first, len(data)):  # every place a line can be cut at
        run.events.write_bytes(data[:cut])
        assert texts(reader.read()) == (["one"] if cut == first else [])
    run.events.write_bytes(data)
    assert texts(reader.read()) == ["two"]
    assert reader.damaged == 0


def test_a_torn_tail_is_cut_when_the_log_opens(run: RunDir) -> None:
    write(run, "one", "two")
    run.events.write_bytes(run.events.read_bytes()[:-9])
    write(run, "three")
    reader = EventReader(run.events)
    assert texts(reader.read()) == ["one", "three"]
    assert (reader.last_seq, reader.damaged, reader.missing) == (2, 0, 0)


def test_a_file_that_is_one_torn_line_becomes_empty(run: RunDir) -> None:
    run.events.write_bytes(b'{"seq":1,"crc":12,"kind":"adv')
    write(run, "one")
    assert texts(list(read_events(run.events))) == ["one"]


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{}", b"\xff\xfe\x00", b'{"seq":' + b"9" * 5000 + b',"crc":1,"kind":"x"}', b"[" * 100_000, b"null"],
    ids=["blank", "object", "bytes", "digits", "deep", "null"],
)
def test_garbage_between_events_is_counted_and_skipped(run: RunDir, garbage: bytes) -> None:
    write(run, "one", "two")
    first, second = run.events.read_bytes().splitlines(keepends=True)
    run.events.write_bytes(first + garbage + b"\n" + second)
    reader = EventReader(run.events)
    assert texts(list(reader.scan())) == ["one", "two"]
    assert reader.damaged == 1


def test_a_flipped_byte_loses_its_line_only_and_is_counted(run: RunDir) -> None:
    write(run, "one", "two", "three")
    lines = run.events.read_bytes().splitlines(keepends=True)
    for position in range(len(lines[1]) - 1):
        flipped = bytearray(lines[1])
        flipped[position] ^= 1
        if flipped[position] == ord("\n"):
            continue
        run.events.write_bytes(lines[0] + flipped + lines[2])
        reader = EventReader(run.events)
        assert texts(reader.read()) == ["one", "three"], position
        assert (reader.damaged, reader.missing) == (1, 1), position


def test_damage_longer_than_a_block_hides_nothing_behind_it(run: RunDir) -> None:
    write(run, "one")
    with run.events.open("ab") as file:
        file.write(b"x\n" * (1 << 20))  # 2 MiB, two reads without an event
    write(run, "two")
    assert texts(list(read_events(run.events))) == ["one", "two"]
    assert last_seq(run.events) == 2


def test_an_event_of_a_later_version_is_skipped_and_counted(run: RunDir) -> None:
    import zlib

    write(run, "one")
    body = b'"kind":"not_yet_invented","time":1.0}'
    with run.events.open("ab") as file:
        file.write(b'{"seq":2,"crc":%d,' % zlib.crc32(body, 2) + body + b"\n")
    reader = EventReader(run.events)
    assert texts(reader.read()) == ["one"]
    assert (reader.unknown, reader.damaged, reader.last_seq) == (1, 0, 2)


def test_a_replaced_or_shorter_log_is_read_again_from_the_start(run: RunDir) -> None:
    write(run, "one", "two")
    reader = EventReader(run.events)
    reader.read()
    run.events.write_bytes(run.events.read_bytes().splitlines(keepends=True)[0])
    assert texts(reader.read()) == ["one"]
    write_atomic(run.events, run.events.read_bytes())
    assert texts(reader.read()) == ["one"]
    assert reader.restarts == 2


def test_a_reader_at_the_end_sees_only_what_comes(run: RunDir) -> None:
    assert EventReader.at_end(run.events).offset == 0
    write(run, "one")
    reader = EventReader.at_end(run.events)
    assert reader.read() == []
    write(run, "two")
    assert texts(reader.read()) == ["two"]


def test_numbers_that_are_not_finite_become_null_and_lone_surrogates_a_mark(run: RunDir) -> None:
    log = EventLog(run)
    log.write(Heartbeat(step=1, phase="update", rss_mb=math.nan, gpu_memory_mb=math.inf))
    log.write(say("a\ud800b\u2028c\x85d"))
    log.close()
    assert b"NaN" not in run.events.read_bytes()
    beat, advice = read_events(run.events)
    assert isinstance(beat, Heartbeat)
    assert (beat.rss_mb, beat.gpu_memory_mb) == (None, None)
    (text,) = texts([advice])
    assert re.fullmatch("a�+b\u2028c\x85d", text)  # the last two would end a line for str.splitlines


def test_a_record_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    log = AppendLog(tmp_path / "log.jsonl")
    log.append(b"x" * 99)  # 100 bytes with its newline
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (150, before[1]))  # the kernel writes 50 bytes of the next record
    try:
        with pytest.raises(OSError, match="50 of 100 bytes"):
            log.append(b"y" * 99)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert log.path.read_bytes() == b"x" * 99 + b"\n"
    log.append(b"z")
    log.close()
    assert log.path.read_bytes() == b"x" * 99 + b"\nz\n"


def test_threads_share_one_log(run: RunDir) -> None:
    log = EventLog(run)
    threads = [
        threading.Thread(target=lambda: [log.write(PhaseStarted(step=i, phase="idle")) for i in range(50)])
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    log.close()
    reader = EventReader(run.events)
    assert len(reader.read()) == 200
    assert (reader.last_seq, reader.damaged, reader.missing) == (200, 0, 0)


WRITER = """
import sys
from pathlib import Path
from core.events import Advice
from core.journal import EventLog
from core.run_dir import RunDir
log = EventLog(RunDir(Path(sys.argv[1])))
for i in range(1_000_000):
    log.write(Advice(step=i, code="n", message="x" * (i % 997)))
    print(i, flush=True)
"""


def test_no_event_that_was_acknowledged_is_lost_by_kill_9(run: RunDir) -> None:
    acknowledged = 0
    for round_ in range(3):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, run.path], stdout=subprocess.PIPE)
        assert writer.stdout is not None
        for _ in range(50 + 70 * round_):
            writer.stdout.readline()
            acknowledged += 1
        writer.kill()
        acknowledged += len(writer.stdout.read().split(b"\n")) - 1
        writer.stdout.close()
        writer.wait()
        reader = EventReader(run.events)
        found = len(list(reader.scan()))
        assert (reader.damaged, reader.missing) == (0, 0)
        assert acknowledged <= found <= acknowledged + round_ + 1  # at most one written, not yet acknowledged, a kill


def test_commands_are_read_from_an_offset_with_errors_in_their_place(run: RunDir) -> None:
    reader = CommandReader(run.commands)
    assert reader.read() == []
    send(run, Pause(id="a"))
    with run.commands.open("ab") as file:
        file.write(b'{"kind":"format_disk"}\n\n')
    send(run, Set(id="b", name="kl_coef", value=0.25))
    one, bad, two = reader.read()
    assert isinstance(one.command, Pause)
    assert isinstance(bad.command, CommandError)
    assert isinstance(two.command, Set)
    assert (two.command.id, two.command.value) == ("b", 0.25)
    data = run.commands.read_bytes()
    assert [data[each.start : each.end][-1:] for each in (one, bad, two)] == [b"\n"] * 3
    assert b"format_disk" in data[bad.start : bad.end]
    assert reader.read() == []
    again = CommandReader(run.commands, two.start)
    assert [each.command for each in again.read()] == [two.command]


def test_a_command_behind_a_torn_one_still_counts(run: RunDir) -> None:
    run.commands.write_bytes(b'{"kind":"pau')
    send(run, Pause(id="a"))
    bad, good = CommandReader(run.commands).read()
    assert isinstance(bad.command, CommandError)
    assert isinstance(good.command, Pause)


def test_an_unfinished_command_waits_and_a_shorter_file_is_read_anew(run: RunDir) -> None:
    send(run, Pause(id="a"))
    whole = run.commands.read_bytes()
    reader = CommandReader(run.commands)
    run.commands.write_bytes(whole[:-1])
    assert reader.read() == []
    run.commands.write_bytes(whole + whole)
    assert len(reader.read()) == 2
    run.commands.write_bytes(whole)
    assert len(reader.read()) == 1


def test_an_endless_line_is_an_error_and_what_follows_is_heard(run: RunDir) -> None:
    run.commands.write_bytes(b"x" * (3 << 20) + b"\n")
    send(run, Pause(id="a"))
    reader, heard = CommandReader(run.commands), []
    for _ in range(5):
        heard += reader.read()
    assert isinstance(heard[-1].command, Pause)
    assert all(isinstance(each.command, CommandError) for each in heard[:-1])


def test_senders_take_turns(run: RunDir) -> None:
    threads = [
        threading.Thread(target=lambda n=n: [send(run, Pause(id=f"{n}-{i}")) for i in range(25)]) for n in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    commands = [each.command for each in CommandReader(run.commands).read()]
    assert len({command.id for command in commands if isinstance(command, Pause)}) == 100


def test_a_sender_waits_for_the_one_that_is_writing(run: RunDir) -> None:
    run.commands.touch()
    descriptor = os.open(run.commands, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    sender = threading.Thread(target=send, args=(run, Pause(id="a")))
    sender.start()
    sender.join(timeout=0.2)
    assert sender.is_alive()
    assert run.commands.read_bytes() == b""
    os.close(descriptor)
    sender.join()
    assert len(CommandReader(run.commands).read()) == 1


def test_a_command_that_cannot_be_written_is_said_so(run: RunDir) -> None:
    with pytest.raises(RunDirError, match="at most 65536"):
        send(run, Pause(id="x" * 70_000))
    run.commands.mkdir()
    with pytest.raises(RunDirError, match=r"cannot write to .*commands\.jsonl"):
        send(run, Pause())


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            write_atomic(path, b"n" * 1000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("text", "clean"), [("a\ud800b", "a\ufffdb"), ("\udfff", "\ufffd"), ("é😀", "é😀"), ("x", "x")]
)
def test_a_lone_surrogate_becomes_one_replacement_character(text: str, clean: str) -> None:
    assert scrub(text) == clean
