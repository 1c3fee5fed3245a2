"""The run directory: its layout, its owner and its lock. The only module that knows where things lie."""

from __future__ import annotations

import fcntl
import os
import re
import socket
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from .errors import RunDirError

NAME_PATTERN = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}")


def runs_root(option: Path | None = None) -> Path:
    """Folder of all runs: the option, else ``RLAIF_TUI_RUNS``, else the user's data folder."""
    if option is not None:
        return option.expanduser()
    if from_environment := os.environ.get("RLAIF_TUI_RUNS"):
        return Path(from_environment).expanduser()
    import platformdirs

    return Path(platformdirs.user_data_dir("rlaif-tui")) / "runs"


@dataclass(frozen=True)
class RunDir:
    """Paths of one run."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def config(self) -> Path:
        return self.path / "config.toml"

    @property
    def events(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def commands(self) -> Path:
        return self.path / "commands.jsonl"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def exports(self) -> Path:
        return self.path / "exports"

    @property
    def judges(self) -> Path:
        return self.path / "judge"

    @property
    def log(self) -> Path:
        return self.path / "worker.log"

    @property
    def lock(self) -> Path:
        return self.path / "worker.lock"

    def rollouts(self, step: int) -> Path:
        return self.path / "rollouts" / f"step_{step:06d}.jsonl"

    def validation(self, step: int) -> Path:
        return self.path / "rollouts" / f"validation_{step:06d}.jsonl"

    @property
    def ballast(self) -> Path:
        """A file of zeros that is given up when the disk is full, to have room for saying so."""
        return self.path / ".ballast"

    def checkpoint(self, step: int) -> Path:
        return self.checkpoints / f"step_{step:06d}"


def create(root: Path, name: str) -> RunDir:
    """Make an empty run directory, readable by its owner only. Raises ``RunDirError`` if the name is bad or taken."""
    if not NAME_PATTERN.fullmatch(name):
        raise RunDirError(f"run name '{name}': use 1 to 64 of a-z, 0-9 and '-', not starting with '-'")
    run = RunDir(root / name)
    try:
        root.mkdir(parents=True, exist_ok=True)
        run.path.mkdir(mode=0o700)
        for folder in (run.checkpoints, run.exports, run.judges, run.path / "rollouts"):
            folder.mkdir(mode=0o700)
    except FileExistsError:
        raise RunDirError(f"run '{name}' exists already in {root}; choose another --name") from None
    except OSError as error:
        raise RunDirError(f"cannot make run directory {run.path}: {error.strerror}") from error
    return run


def open_run(reference: str, root: Path) -> RunDir:
    """The run with this name or path. Raises ``RunDirError`` naming the runs that exist."""
    as_path = Path(reference).expanduser()
    candidates = [as_path] if "/" in reference or as_path.is_absolute() else [root / reference, as_path]
    for path in candidates:
        if (path / "config.toml").is_file():
            _check_owner(path)
            return RunDir(path)
    names = [run.name for run in list_runs(root)[:8]]
    hint = f"there are: {', '.join(names)}" if names else "there are none yet"
    raise RunDirError(f"no run '{reference}' in {root}; {hint}")


def list_runs(root: Path) -> list[RunDir]:
    """Every run directory under ``root``, newest first. A missing root is an empty list."""
    found: list[tuple[float, str, RunDir]] = []
    try:
        entries = list(root.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise RunDirError(f"cannot read {root}: {error.strerror}") from error
    for path in entries:
        run = RunDir(path)
        try:
            made = run.config.stat()
        except OSError:  # not a run, not ours to read, or deleted since it was listed
            continue
        if stat.S_ISREG(made.st_mode) and not path.is_symlink():
            found.append((made.st_mtime, run.name, run))
    return [run for *_, run in sorted(found, key=lambda each: each[:2], reverse=True)]


def _check_owner(path: Path) -> None:
    info = path.stat()
    if path.is_symlink():
        raise RunDirError(f"run directory {path} is a symbolic link; give the real path")
    if info.st_uid != os.getuid() and os.getuid() != 0:
        raise RunDirError(f"run directory {path} belongs to another user")
    if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise RunDirError(f"run directory {path} can be written by others; 'chmod go-w' it first")


class RunLock:
    """Exclusive ownership of a run for the life of a process; the kernel releases it on any death.

    A forked child would keep it after its parent's death, so a process that holds it starts children by spawn only.
    """

    def __init__(self, run: RunDir) -> None:
        self._path = run.lock
        try:
            self._descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise RunDirError(f"cannot write {run.lock}: {error.strerror}") from error

    def acquire(self, patience_s: float = 1.0) -> None:
        """Take the lock or raise ``RunDirError`` naming the owner.

        Waits briefly, because a viewer that looks whether the run is alive holds the lock for an instant.
        """
        deadline = time.monotonic() + patience_s
        while not self._try():
            if time.monotonic() > deadline:
                owner = os.pread(self._descriptor, 200, 0).decode("utf-8", "replace").strip() or "an unknown process"
                raise RunDirError(f"run '{self._path.parent.name}' already has a live worker: {owner}")
            time.sleep(0.05)
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"pid {os.getpid()} on {socket.gethostname()}\n".encode(), 0)

    def _try(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise RunDirError(
                f"{self._path}: no locks here ({error.strerror}); keep runs on a local disk (--runs-dir)"
            ) from error
        return True

    def release(self) -> None:
        os.close(self._descriptor)


def is_alive(run: RunDir) -> bool:
    """Whether a worker holds the run's lock. The lock decides, never the pid."""
    try:
        descriptor = os.open(run.lock, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise RunDirError(f"cannot read {run.lock}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def lock_owner_pid(run: RunDir) -> int | None:
    """Pid that the live worker wrote into its lock file, for showing; None if no worker is alive."""
    if not is_alive(run):
        return None
    match = re.match(r"pid (\d+)", run.lock.read_text(encoding="utf-8", errors="replace"))
    return int(match[1]) if match else None
