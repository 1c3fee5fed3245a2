"""A terminal that a test types into and looks at: a pseudo-terminal with the app in it, its screen emulated."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pyte

PROJECT = Path(__file__).resolve().parents[1]
# The terminal belongs to the process from its start, as one that is hung up tells its process so.
_OWN = "import fcntl, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
_KITTY = re.compile(rb"\x1b\[[<>=]\d*u")
"""A later protocol for keys, which the emulator would print."""
APP = "from rlaif_tui.cli import main; main()"


class _Screen(pyte.Screen):
    """Passes over what an emulator of a VT102 has no notion of: modes of keyboards and of later terminals."""

    def select_graphic_rendition(self, *attrs: int, private: bool = False) -> None:
        if not private:
            super().select_graphic_rendition(*attrs)

    def report_device_attributes(self, *_: object, **__: object) -> None: ...

    def report_device_status(self, *_: object, **__: object) -> None: ...


class Terminal:
    """One terminal with one Python program in it, by default the app. Leaving the block hangs it up."""

    def __init__(
        self,
        *words: str,
        code: str = APP,
        size: tuple[int, int] = (120, 36),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        width, height = size
        self._screen = _Screen(width, height)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = bytearray()
        """Every byte that the terminal was sent."""
        self._ours, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (height, width))
        known = {**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor", "TZ": "UTC", **(environment or {})}
        for name in (
            "NO_COLOR",
            "COLUMNS",
            "LINES",
        ):  # a runner of tests sets sizes, which would go before the terminal's
            known.pop(name, None)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _OWN + code, *words],
            cwd=PROJECT, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, env=known,
        )  # fmt: skip
        os.close(theirs)
        self._open = True

    def __enter__(self) -> Terminal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.hang_up()
        try:
            self.process.wait(timeout=60)
        finally:
            self.process.kill()
            self.process.wait()

    def hang_up(self) -> None:
        """The person closes the terminal, or the connection is lost."""
        if self._open:
            self._open = False
            os.close(self._ours)

    def send(self, *keys: str) -> None:
        """Type these, all at once."""
        os.write(self._ours, "".join(keys).encode())

    def screen(self) -> str:
        """What a person reads now."""
        self._take(0.0)
        return "\n".join(line.rstrip() for line in self._screen.display)

    def wait_for(self, *texts: str, patience_s: float = 120.0) -> str:
        """The screen once one of these is read on it. ``patience_s`` only bounds a test that fails."""
        end = time.monotonic() + patience_s
        while not any(text in (seen := self.screen()) for text in texts):
            assert time.monotonic() < end, f"none of {texts} within {patience_s:g} s:\n{seen}"
            assert self._take(0.2), f"the app ended before any of {texts} was read:\n{seen}"
        return seen

    def wait_until_gone(self, text: str, patience_s: float = 120.0) -> str:
        """The screen once this is no longer read on it."""
        end = time.monotonic() + patience_s
        while text in (seen := self.screen()):
            assert time.monotonic() < end, f"{text!r} after {patience_s:g} s:\n{seen}"
            assert self._take(0.2), f"the app ended with {text!r}:\n{seen}"
        return seen

    def end(self, patience_s: float = 120.0) -> int:
        """The exit code of the program, once it has gone by itself; its last words are read, which it waits for."""
        end = time.monotonic() + patience_s
        while self._take(0.2):
            assert time.monotonic() < end, f"still there after {patience_s:g} s:\n{self.screen()}"
        return self.process.wait(timeout=60)

    def _take(self, patience_s: float) -> bool:
        """Take up what was sent; False: nothing will come any more."""
        while select.select([self._ours], [], [], patience_s)[0]:
            try:
                sent = os.read(self._ours, 65536)
            except OSError:  # nobody holds the other end
                return False
            if not sent:
                return False
            self.raw += sent
            self._stream.feed(_KITTY.sub(b"", sent))
            patience_s = 0.0
        return True
