"""Copying out of a terminal: what works depends on what the terminal is in, so a file always has the text too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from core.files import write_atomic

from .background import in_background
from .text import one_line

MOST_BYTES = 64_000
"""Terminals drop longer clipboard messages without a word."""
FILE_NAME = "last-copy.txt"
_TMUX_PATIENCE_S = 3


async def copy_text(
    text: str, *, folder: Path, write_osc52: Callable[[str], None], environment: Mapping[str, str] = os.environ
) -> str:
    """Copy ``text``; returns the sentence that says where it went.

    Under tmux its own buffer and clipboard are filled, because it ignores OSC 52 by default; elsewhere
    ``write_osc52`` (the app's ``copy_to_clipboard``) asks the terminal. ``folder/last-copy.txt`` always has the whole
    text. Of a longer one than 64 kB only the beginning is on the clipboard.
    """
    file, failure = folder / FILE_NAME, ""
    try:
        await in_background(_write, file, text)
    except OSError as error:
        failure = error.strerror or str(error)
    short = text.encode("utf-8", "replace")[:MOST_BYTES].decode("utf-8", "ignore")
    in_tmux = bool(environment.get("TMUX")) and await in_background(_to_tmux, short)
    if in_tmux:
        where = "tmux and its clipboard"
    else:
        write_osc52(short)
        where = "the terminal's clipboard, if it allows that"
    cut = "" if short == text else " (the first 64 kB)"
    kept = f"{one_line(str(file))} cannot be written: {failure}" if failure else f"whole in {one_line(str(file))}"
    return f"copied to {where}{cut}; {kept}"


def _write(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(file, text.encode("utf-8", "surrogatepass"))


def _to_tmux(text: str) -> bool:
    try:
        done = subprocess.run(
            ["tmux", "load-buffer", "-w", "-"],
            input=text.encode(),
            capture_output=True,
            timeout=_TMUX_PATIENCE_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
