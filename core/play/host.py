"""The process of the playground: loads a run's models once and answers until its standard input ends.

It holds nothing that could be lost, so it ends at once when whoever started it is gone, whatever it is doing, and by
itself when nobody has asked for a while.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

from ..config_file import load_config
from ..errors import ConfigError, RlaifError
from ..heartbeat import rss_mb
from ..process import quieten
from ..run_dir import RunDir, open_run
from .protocol import Ask, Cancel, Loading, Ready, Refused, Told, decode_asked, encode

if TYPE_CHECKING:
    from .loaded import Loaded

IDLE_S = 900.0
LOADING_TOLD_EVERY_S = 0.5
END_PATIENCE_S = 60.0
Say = Callable[[Told], None]


class Inbox:
    """What was asked and not yet answered. The end of the stream ends the process."""

    def __init__(self, stream: IO[bytes], ended: Callable[[], None]) -> None:
        self._asks: queue.SimpleQueue[Ask] = queue.SimpleQueue()
        self._cancelled: set[int] = set()
        self._stream, self._ended = stream, ended
        threading.Thread(target=self._read, name="asks", daemon=True).start()

    def next(self, idle_s: float) -> Ask | None:
        """Waits for the next ask; None after so long without one."""
        try:
            return self._asks.get(timeout=idle_s)
        except queue.Empty:
            return None

    def is_cancelled(self, number: int) -> bool:
        return number in self._cancelled

    def _read(self) -> None:
        try:
            for line in self._stream:
                match decode_asked(line):
                    case Ask() as ask:
                        self._asks.put(ask)
                    case Cancel(number=number):
                        self._cancelled.add(number)
        except (msgspec.DecodeError, OSError, ValueError):
            traceback.print_exc()
        self._ended()


def main(arguments: Sequence[str] | None = None) -> int:
    """Answer until standard input ends. Returns the exit code."""
    # Libraries may print to standard output; the parent reads only what we say on the real one.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Ctrl-C and a hang-up reach the whole group, and it is the parent that decides what they mean.
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    options = _parser().parse_args(arguments)
    lock, reading = threading.Lock(), threading.Lock()

    def say(told: Told) -> None:
        with lock:
            answers.write(encode(told) + b"\n")
            answers.flush()

    def end() -> None:
        # A checkpoint that is being read has second names in the run's folder, which must not stay there.
        reading.acquire(timeout=END_PATIENCE_S)
        os._exit(0)

    inbox = Inbox(sys.stdin.buffer, end)
    try:
        with _LoadingTold(say):
            loaded = _load(options.run, options.step, reading, on_cpu=options.cpu)
    except BrokenPipeError:
        return 0
    except Exception as error:  # noqa: BLE001  whoever asked reads it where the answer would stand
        say(Refused(reason=_reason(error)))
        return 1
    say(Ready(step=loaded.step, device=loaded.device))
    while (ask := inbox.next(options.idle)) is not None:
        _answer(loaded, ask, inbox, say)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="core.play", description="Answer prompts with a run's models.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--step", type=int, metavar="N", help="checkpoint to begin with; else the newest")
    parser.add_argument("--cpu", action="store_true", help="load on the CPU even if there is a GPU")
    parser.add_argument("--idle", type=float, default=IDLE_S, metavar="SECONDS", help="end after so long unasked")
    return parser


def _load(path: Path, step: int | None, reading: threading.Lock, *, on_cpu: bool) -> Loaded:
    run: RunDir = open_run(str(path.absolute()), path.absolute().parent)
    with contextlib.suppress(ConfigError):  # only a hint to libraries; the checkpoint has the one that counts
        quieten(load_config(run.config))
    from .loaded import Loaded

    return Loaded(run, step, reading, on_cpu=on_cpu)


def _answer(loaded: Loaded, ask: Ask, inbox: Inbox, say: Say) -> None:
    from .duet import answer

    try:
        loaded.turn_to(ask.step)
        for said in answer(
            loaded.policy, ask.messages, ask.draw, number=ask.number, step=loaded.step,
            cancelled=lambda: inbox.is_cancelled(ask.number),
        ):  # fmt: skip
            say(said)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # noqa: BLE001  the next prompt may do better
        say(Refused(reason=_reason(error), number=ask.number))


def _reason(error: Exception) -> str:
    if isinstance(error, RlaifError):
        return " ".join(str(error).split())
    traceback.print_exception(error)
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text[:240]}"


class _LoadingTold:
    """Says twice a second how long loading has taken and what memory it has."""

    def __init__(self, say: Say) -> None:
        self._say, self._began = say, time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="loading", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _tell(self) -> None:
        while not self._over.is_set():
            seconds = round(time.monotonic() - self._began, 1)
            try:
                self._say(Loading(what="model", seconds=seconds, memory_mb=rss_mb()))
            except OSError:
                return
            self._over.wait(LOADING_TOLD_EVERY_S)
