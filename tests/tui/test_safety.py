"""What others write never reaches the terminal as a command, whatever happens the terminal is left sane, and fast."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
import unicodedata
from pathlib import Path

import msgspec
import pytest
from shell_pilot import look, press
from tui_logs import T0, ending, life, make_run, metrics, ready, screen_text, started

from core.events import (
    Advice,
    CommandRejected,
    Event,
    JudgeFailed,
    Paused,
    PhaseStarted,
    Sample,
    SamplesShown,
    StepCompleted,
    UpdateSkipped,
)
from core.run_dir import RunLock
from rlaif_tui.app import RlaifApp

PROJECT = Path(__file__).parents[2]
HOSTILE = (
    "[/] [bold]loud[/bold] [@click=app.quit]here[/] [INST] {x} \x1b[31mred \x1b]52;c;aGk=\x07 \x1bP+q\x1b\\ \x9b2J "
    "\x00\x08\x7f \u202egpj.exe\u2066 \u200b\ufeff \r over \ud800 木木 "
    + "e\u0301" * 20
    + " 👩\u200d🚀 "
    + "long" * 3000
)
HIDDEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def hostile_life(text: str = HOSTILE) -> list[Event]:
    """A run in which every text is hostile."""
    awkward = Sample(rollout_id=text, prompt=text, response=text, score=None, reason=text, tokens=3, finish=text)
    return [
        msgspec.structs.replace(started(), model=text, judge=text, data=text, host=text, name=text),
        msgspec.structs.replace(ready(), device=text, notes=(text,)),
        PhaseStarted(step=1, phase="judge", total=3),
        SamplesShown(step=1, samples=(awkward, awkward)),
        StepCompleted(step=1, metrics=metrics(), cost_total_usd=0.0),
        JudgeFailed(step=1, rollout_id=text, status=text, treatment=text, message=text),
        UpdateSkipped(step=1, epoch=0, mini_batch=0, reason=text),
        CommandRejected(command_id=text, name=text, reason=text, by=text),
        Advice(step=1, code=text, message=text),
    ]


def assert_plain(text: str) -> None:
    assert {c for c in text.replace("\n", "") if unicodedata.category(c) in HIDDEN} == set()


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "narrow"])
async def test_hostile_text_is_shown_and_never_obeyed(root: Path, size: tuple[int, int]) -> None:
    run = make_run(root, "calm", [*hostile_life(), Paused(step=1, reason=HOSTILE, automatic=True)])
    run.log.write_bytes(HOSTILE.encode("utf-8", "surrogatepass") + b"\xff\xfe\n")
    strange = root / os.fsdecode(b"we\x1b[31mird[bold]\xff")
    make_run(root, "broken", [*hostile_life(), *ending("crashed", 1, HOSTILE)]).path.rename(strange)
    lock = RunLock(run)
    lock.acquire()
    app = RlaifApp(root, run, now=lambda: T0 + 60)
    async with app.run_test(size=size) as pilot:
        seen = await look(pilot)
        assert "P  [/] [bold]loud[/bold]" in seen, "markup is text"
        assert "␛[31mred ␛]52;c;aGk=␇" in " ".join(seen.split())
        for keys in (["z"], ["z", "l"], ["G"], ["escape", "question_mark"], ["escape", "escape"], ["G"], ["enter"]):
            seen += await press(pilot, *keys)
        assert "we␛[31mird[bold]⟨U+DCFF⟩" in seen
        assert "✗ crashed @1" in screen_text(app)
        await pilot.press("q")
        await pilot.pause()
        assert_plain(seen)
    assert_plain(str(app.return_value))
    lock.release()


def test_the_app_starts_without_the_heavy_libraries() -> None:
    heavy = ("torch", "transformers", "peft", "accelerate", "bitsandbytes", "pandas", "pyarrow", "scipy", "pydantic")
    code = (
        "import sys, rlaif_tui.app, rlaif_tui.screens.train, rlaif_tui.screens.runs\n"
        f"print(*[name for name in {heavy!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def show(root: Path) -> tuple[subprocess.Popen[bytes], int]:
    """The app on a live run in a terminal of its own; returns the process and the other end of the terminal."""
    code = (
        "import fcntl, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); from pathlib import Path\n"
        "from core.run_dir import RunDir; from rlaif_tui.app import RlaifApp\n"
        "root = Path(sys.argv[1]); print(RlaifApp(root, RunDir(root / 'calm')).run())"
    )
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (36, 120))
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(root.resolve())],
        cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    return process, ours


def read_until(terminal: int, words: bytes, patience_s: float = 120.0) -> bytes:
    """What the terminal was sent, up to these words; as far as it came if they do not come."""
    seen, end = b"", time.monotonic() + patience_s
    while words not in seen and (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            try:
                seen += os.read(terminal, 65536)
            except OSError:
                break
    return seen


def test_a_terminal_that_stops_reading_does_not_keep_it(root: Path) -> None:
    run = make_run(root, "calm", life(5, total=200))
    lock = RunLock(run)
    lock.acquire()
    process, terminal = show(root)
    try:
        assert b"5/200" in read_until(terminal, b"5/200")
        os.write(terminal, b"z" * 60)  # 60 screens, of which the terminal's buffer holds less than one; nobody reads
        waiting, end = 0, time.monotonic() + 60
        while waiting < 4000 and time.monotonic() < end:
            (waiting,) = struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))
            time.sleep(0.01)
        assert waiting >= 4000, "the buffer is full, and what writes to it stands still"
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    lock.release()


@pytest.mark.parametrize("how", ["hang up", "term", "q"])
def test_however_it_is_closed_it_goes_and_the_run_stays(root: Path, how: str) -> None:
    run = make_run(root, "calm", life(5))
    before = run.events.read_bytes()
    lock = RunLock(run)
    lock.acquire()
    process, terminal = show(root)
    try:
        assert b"5/40" in read_until(terminal, b"5/40")
        if how == "hang up":
            os.close(terminal)
        else:
            process.send_signal(signal.SIGTERM) if how == "term" else os.write(terminal, b"q")
            last = read_until(terminal, b"attach calm")
            assert b"\x1b[?1049l" in last, "the terminal is back on its own screen"
            assert b"calm goes on; rlaif-tui attach calm" in last
            assert b"Traceback" not in last
            os.close(terminal)
        process.wait(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (run.events.read_bytes(), run.commands.exists()) == (before, False)
    lock.release()
