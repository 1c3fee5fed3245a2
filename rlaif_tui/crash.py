"""Reports of defects: where in the program it broke, never the values it worked on, which may hold a key."""

from __future__ import annotations

import os
import time
import traceback
from pathlib import Path


def write_report(error: BaseException) -> str:
    """Write the traceback, without local variables, and return where it is, or why it is nowhere."""
    import platformdirs

    try:
        folder = Path(platformdirs.user_log_dir("rlaif-tui"))
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = folder / f"crash-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.txt"
        path.touch(mode=0o600)
        path.write_text("".join(traceback.format_exception(error)), encoding="utf-8", errors="backslashreplace")
    except OSError as problem:
        return f"no file ({problem.strerror})"
    return str(path)
