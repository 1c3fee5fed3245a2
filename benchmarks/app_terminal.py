"""A program in a pseudo-terminal that is read at once: when it has drawn what, its CPU seconds and its bytes."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|[@-Z\\-_]|[P\]^_][^\x07\x1b]*(?:\x07|\x1b\\)?)")
_MOST_S = 180.0


class Moment(NamedTuple):
    """Seconds since the program was started or a key was sent; both of its own CPU and on the wall."""

    cpu: float
    wall: float


class Terminal:
    """Runs ``command``; a thread reads whatever it draws, as a terminal that is never in the way."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str], columns: int = 120, rows: int = 36):
        self._began, self._cpu_began, self._from = time.perf_counter(), 0.0, 0
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            # Its own size before its first line runs, so that it draws once.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.execvpe(command[0], list(command), dict(environment))
        # Linux: the clock of all CPU time of another process, to the nanosecond, ended threads included.
        self._clock = (~self.pid << 3) | 2
        self._read = bytearray()
        self._last = Moment(0.0, 0.0)
        self._news = threading.Condition()
        self._ended = False
        threading.Thread(target=self._follow, daemon=True).start()

    @property
    def bytes(self) -> int:
        """How many bytes it has written so far."""
        return len(self._read)

    def cpu(self) -> float:
        """CPU seconds it has used so far; 0 once it is gone."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def send(self, keys: str) -> None:
        """Type this; the moments that follow count from here."""
        with self._news:
            self._from, self._began, self._cpu_began = len(self._read), time.perf_counter(), self.cpu()
            self._last = Moment(0.0, 0.0)
        os.write(self._master, keys.encode())

    def until(self, text: str, most_s: float = _MOST_S) -> Moment:
        """When this stood in what was written since the last ``send``. Raises ``TimeoutError``."""
        wanted, deadline = text.encode(), time.perf_counter() + most_s
        with self._news:
            while wanted not in self._said():
                if self._ended or not self._news.wait(deadline - time.perf_counter()):
                    end = self._said()[-1500:].decode("utf-8", "replace")
                    raise TimeoutError(f"{text!r} was not drawn in {most_s:g} s; it ends with {end!r}")
            return self._last

    def settled(self, quiet_s: float = 0.4, most_s: float = _MOST_S) -> Moment:
        """When the last byte came before it was quiet for so long."""
        deadline = time.perf_counter() + most_s
        with self._news:
            while time.perf_counter() < deadline:
                seen = len(self._read)
                self._news.wait(quiet_s)
                if len(self._read) == seen and seen > self._from:
                    break
            return self._last

    def close(self) -> None:
        """End it, in whatever state it is."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)
            for _ in range(100):
                with contextlib.suppress(ChildProcessError):
                    if os.waitpid(self.pid, os.WNOHANG)[0] == 0:
                        time.sleep(0.02)
                        continue
                with contextlib.suppress(OSError):
                    os.close(self._master)
                return

    def _said(self) -> bytes:
        return _ESCAPES.sub(b"", bytes(self._read[self._from :]))

    def _follow(self) -> None:
        while True:
            try:
                select.select([self._master], [], [])
                data = os.read(self._master, 1 << 16)
            except (OSError, ValueError):
                data = b""
            now, used = time.perf_counter(), self.cpu()
            with self._news:
                if not data:
                    self._ended = True
                    self._news.notify_all()
                    return
                self._read += data
                self._last = Moment(used - self._cpu_began, now - self._began)
                self._news.notify_all()
