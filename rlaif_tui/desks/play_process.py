"""The playground's own process: loads a run's models beside everything else, and ends with the app."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import threading
from collections import deque
from pathlib import Path
from typing import IO

import msgspec

from core.play.protocol import Ask, Cancel, Ready, Refused, Told, decode_told, encode
from core.run_dir import RunDir

CLOSE_PATIENCE_S = 60.0
"""It may be reading a checkpoint; nobody waits meanwhile."""
_LAST_WORDS_BYTES = 8192


class PlayProcess:
    """``core.play`` for one run. Its standard input is ours alone, so it ends when we do, however that happens."""

    def __init__(self, run: RunDir, *, on_cpu: bool = False) -> None:
        """Raises ``OSError`` if no process can be started."""
        self.ready: Ready | None = None
        self.ended = False
        self._news: deque[Told] = deque()
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed when the process has ended
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.play", str(run.path.absolute()), *(["--cpu"] if on_cpu else [])],
            env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.pid = self._process.pid
        self._reader = threading.Thread(target=self._read, name="play", daemon=True)
        self._reader.start()

    def ask(self, ask: Ask) -> None:
        """Have this answered; what comes of it is in ``read``."""
        self._say(ask)

    def cancel(self, number: int) -> None:
        self._say(Cancel(number=number))

    def read(self) -> list[Told]:
        """What is new. Never waits."""
        news = []
        while self._news:
            news.append(self._news.popleft())
        return news

    def close(self) -> None:
        """End the process, by force if it takes long."""
        self._hang_up()
        try:
            self._process.wait(CLOSE_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(CLOSE_PATIENCE_S)

    def _say(self, line: Ask | Cancel) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, or is closed: the reader tells why
            self._process.stdin.write(encode(line) + b"\n")
            self._process.stdin.flush()

    def _hang_up(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        told_why = False
        with self._process.stdout as lines:
            for line in lines:
                try:
                    told = decode_told(line)
                except msgspec.DecodeError:
                    self._process.kill()
                    break
                if isinstance(told, Ready):
                    self.ready = told
                told_why = told_why or (isinstance(told, Refused) and told.number == 0)
                self._news.append(told)
        code = self._process.wait()
        self._hang_up()
        if code and not told_why:
            ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
            self._news.append(Refused(reason=f"the process that answers {ended}: {self._last_words()}"))
        self._errors.close()
        self.ended = True

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - _LAST_WORDS_BYTES))
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")


def _environment() -> dict[str, str]:
    """Ours, so that the child's ``core`` is the one that this process uses, whatever else is called so."""
    import core

    ours = str(Path(core.__file__).resolve().parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([ours, *others]), "PYTHONIOENCODING": "utf-8"}
