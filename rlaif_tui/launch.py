"""Starting a worker that outlives this process: its own session, no terminal, its output in ``worker.log``."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import core
from core.config import RunConfig
from core.config_file import to_toml
from core.errors import RunDirError
from core.events import RunFinished, RunStarted
from core.files import write_atomic
from core.journal import EventReader
from core.run_dir import RunDir, create

POLL_S = 0.05
LOG_LINES_TOLD = 3
LOG_BYTES_READ = 64 * 1024


def prepare_run(config: RunConfig, root: Path, name: str) -> RunDir:
    """Make the run directory ``root/name`` with the resolved configuration and judges in it.

    Raises ``RunDirError`` or ``JudgeError``.
    """
    from core.run_judges import judges_of, keep_judges

    judges = judges_of(config.judge)
    run = create(root, name)
    try:
        keep_judges(run, judges)
        write_atomic(run.config, to_toml(config).encode())
    except OSError as error:
        raise RunDirError(f"cannot write {run.config}: {error.strerror}") from error
    return run


def start_worker(run: RunDir, *, resume: bool = False, timeout_s: float = 60.0) -> None:
    """Start the run's worker and return once its first event is in the log.

    Raises ``RunDirError`` with the exit code and the last words of ``worker.log`` if it died first, or if it is silent
    for ``timeout_s`` (then it is left alone, for it may only be slow).
    """
    reader = EventReader.at_end(run.events)
    log_start = run.log.stat().st_size if run.log.exists() else 0
    process = _spawn(run, resume)
    # Whoever outlives the worker must collect its exit status, or it stays a zombie.
    threading.Thread(target=process.wait, name="worker-exit", daemon=True).start()
    deadline = time.monotonic() + timeout_s
    started = False
    while time.monotonic() < deadline:
        code = process.poll()
        for event in reader.scan():
            started = started or (isinstance(event, RunStarted) and event.pid == process.pid)
            if started and isinstance(event, RunFinished) and event.outcome == "crashed":
                raise RunDirError(f"the worker of run '{run.name}' failed: {event.error}")
        if started:
            return
        if code is not None:
            raise RunDirError(_death(run, code, log_start))
        time.sleep(POLL_S)
    raise RunDirError(f"the worker of run '{run.name}' said nothing for {timeout_s:g} s; see {run.log}")


def _spawn(run: RunDir, resume: bool) -> subprocess.Popen[bytes]:
    path = run.path.absolute()
    command = [sys.executable, "-P", "-m", "core.worker", str(path), *(["--resume"] if resume else [])]
    try:
        log = os.open(run.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise RunDirError(f"cannot write {run.log}: {error.strerror}") from error
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=path,
            env=_environment(),
            start_new_session=True,
            close_fds=True,
        )
    except OSError as error:
        raise RunDirError(f"cannot start {sys.executable}: {error.strerror}") from error
    finally:
        os.close(log)


def _environment() -> dict[str, str]:
    """Ours, so that the worker's ``core`` is the one that this process uses, whatever else is called so."""
    package_parent = str(Path(core.__file__).resolve().parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != package_parent]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([package_parent, *others]),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",
    }


def _death(run: RunDir, code: int, log_start: int) -> str:
    ended = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    words = last_words(run.log, log_start)
    if words.startswith("error: "):
        return f"{words.removeprefix('error: ')} (the worker {ended})"
    return f"the worker of run '{run.name}' {ended} before its first event: {words or f'see {run.log}'}"


def last_words(log: Path, start: int = 0) -> str:
    """The last lines with a meaning that were written to ``worker.log`` behind ``start``, without stack frames."""
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(start, size - LOG_BYTES_READ))
            text = file.read().decode("utf-8", "replace")
    except OSError:
        return ""
    lines = [
        line.strip() for line in text.split("\n") if line.strip() and not line.startswith((" ", "\t", "Traceback"))
    ]
    told = next((line for line in reversed(lines) if line.startswith("error: ")), None)
    joined = told or "; ".join(lines[-LOG_LINES_TOLD:])
    return "".join(c if c.isprintable() else "�" for c in joined)


def logout_hint() -> str:
    """A sentence if this system ends a user's processes at logout, which also ends a detached worker; else empty."""
    if os.getuid() == 0 or Path("/var/lib/systemd/linger", _user()).exists():
        return ""
    places = [Path("/etc/systemd/logind.conf"), *sorted(Path("/etc/systemd/logind.conf.d").glob("*.conf"))]
    found = ""
    for place in places:
        try:
            text = place.read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        for match in re.finditer(r"^\s*KillUserProcesses\s*=\s*(\S+)", text, re.MULTILINE):
            found = match[1]
    if found.lower() not in {"yes", "true", "1", "on"}:
        return ""
    return "this system ends your processes when you log out; 'loginctl enable-linger' keeps the run going"


def _user() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
