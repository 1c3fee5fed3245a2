"""Reports of defects: where in the program it broke, never the values it worked on, which may hold a key."""

from __future__ import annotations

import itertools
import os
import time
import traceback
from pathlib import Path

from core.judge.keys import mask

_number = itertools.count(1)


def report_file() -> Path:
    """Where the next report goes; nothing is there yet."""
    import platformdirs

    name = f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}-{next(_number)}.txt"
    return Path(platformdirs.user_log_dir("rlaif-tui")) / name


def write_report(error: BaseException, path: Path | None = None) -> str:
    """Write the traceback, keys masked and without local variables; returns where it is, or why it is nowhere."""
    path = path or report_file()
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.touch(mode=0o600)
        text = mask("".join(traceback.format_exception(error)))
        path.write_text(text, encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        return f"no file ({problem.strerror})"
    return str(path)
