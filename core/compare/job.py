"""What is to be compared, as one value, and the process that does it: started detached, looked after, ended.

The record is locked by that process for as long as it lives, so whether it is at work never depends on a pid. No torch.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec

from ..errors import RunDirError
from ..events import Paused, Resumed, RunStarted
from ..files import write_atomic
from ..journal import EventReader
from ..run_dir import RunDir, is_alive
from .record import SUFFIX, ComparedModel, Comparison, Header, Settings, encode, folder_of, read
from .targets import Target, label_of, resolve

APART = ".comparisons"
"""Folder under the runs root for comparisons in which no run takes part."""


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison to be made."""

    models: tuple[str, ...]
    """As a person names them: ``RUN``, ``RUN@STEP``, ``base``, an adapter's folder, a model's id or folder."""
    runs_root: str
    run: str = ""
    """Folder of the run whose base ``base`` is, whose judge and held-out prompts are used and which keeps the record.
    Empty: the first run among the models; if there is none, the record lies apart."""
    data: str = ""
    """File of prompts; empty: the run's held-out prompts. Of a run's own file only what was held out is used."""
    n: int = 0
    """At most this many prompts, drawn by ``seed``; 0: all."""
    seed: int = 0
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    max_new_tokens: int | None = None
    """Sampling; None: as in the run, else the defaults of a run."""
    judge: str = ""
    """A judge file, or the name of a built-in judge; empty: the run's own."""
    pairs: bool = True
    """Ask the judge about pairs too, in both orders."""
    cap_usd: float | None = None
    """This comparison may cost so much; None: as much as the run's judge may."""
    wait: bool = False
    """Begin once no run among the models is training: when it is paused or has ended."""
    until_ended: bool = False
    """With ``wait``: a pause is not enough."""
    id: str = ""
    """Name of the record, made by ``start``."""


def start(job: Job) -> Path:
    """Begin a comparison in a process that outlives this one; returns the record, which has its header already.

    Raises ``RlaifError`` with one sentence for models that are not there, or ``RunDirError`` if nothing can be written.
    """
    here = {"runs_root": os.path.abspath(job.runs_root), "run": os.path.abspath(job.run) if job.run else ""}
    job = msgspec.structs.replace(job, **here)
    targets = targets_of(job, waiting=job.wait)
    folder = _folder(job, targets)
    name, record = _new(folder)
    job = msgspec.structs.replace(job, id=name, run=str(run.path) if (run := home_of(job, targets)) else "")
    try:
        write_atomic(folder / f"{name}.job.json", msgspec.json.encode(job))
        held = os.open(record, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    except OSError as error:
        raise RunDirError(f"cannot write to {folder}: {error.strerror}") from error
    try:
        # The lock belongs to the open file, which the child inherits: there is no moment in which nobody holds it. A
        # viewer that looks whether somebody is at work holds it for an instant, so it is waited for.
        fcntl.flock(held, fcntl.LOCK_EX)
        os.write(held, encode(first_header(job, targets)) + b"\n")
        process = _spawn(folder, name, held)
    except OSError as error:
        raise RunDirError(f"cannot start the comparison in {folder}: {error.strerror}") from error
    finally:
        os.close(held)
    _started[record] = process.pid
    threading.Thread(target=process.wait, name="comparison-exit", daemon=True).start()  # or it stays a zombie
    return record


_started: dict[Path, int] = {}
"""Processes of this one's, by record: known before they have written their pid."""


def read_job(path: Path) -> Job:
    """The job in a file. Raises ``RunDirError``."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Job)
    except (OSError, msgspec.DecodeError) as error:
        raise RunDirError(f"{path} is no comparison to be made: {error}") from error


def targets_of(job: Job, *, waiting: bool = False) -> tuple[Target, ...]:
    """What the models of a job are. Raises ``RlaifError`` with one sentence."""
    return resolve(job.models, Path(job.runs_root), RunDir(Path(job.run)) if job.run else None, waiting=waiting)


def home_of(job: Job, targets: tuple[Target, ...]) -> RunDir | None:
    """The run that keeps the record and lends its judge and prompts; None if no run takes part."""
    return RunDir(Path(job.run)) if job.run else next((target.run for target in targets if target.run), None)


def first_header(job: Job, targets: tuple[Target, ...], pid: int = 0) -> Header:
    """What can be said before anything is loaded: prompts are not counted yet and the judge is as it was named."""
    run = home_of(job, targets)
    return Header(
        id=job.id,
        time=time.time(),
        models=tuple(model_of(place, target) for place, target in enumerate(targets)),
        settings=Settings(seed=job.seed, temperature=job.temperature or 1.0, max_new_tokens=job.max_new_tokens or 0),
        data=job.data or (f"held-out prompts of {run.name}" if run else ""),
        data_fingerprint="",
        rows=0,
        judge=job.judge or (f"judge of {run.name}" if run else ""),
        judge_version="",
        pid=pid,
    )


def model_of(place: int, target: Target, fingerprint: str = "") -> ComparedModel:
    """A target as the record names it."""
    return ComparedModel(
        label=label_of(place),
        named=target.named,
        title=target.title,
        kind=target.kind,
        source=target.source,
        step=target.step,
        fingerprint=fingerprint,
    )


def is_at_work(comparison: Comparison | Path) -> bool:
    """Whether the process of this comparison lives; the lock on its record says so."""
    path = comparison if isinstance(comparison, Path) else comparison.path
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def cancel(comparison: Comparison | Path) -> None:
    """Ask the process to end; it closes its record with what was done until then. Nothing if it has ended."""
    path = comparison if isinstance(comparison, Path) else comparison.path
    if not is_at_work(path):
        return
    known = read(path)
    pid = (known.header.pid if known else 0) or _started.get(path, 0)
    if pid:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, signal.SIGTERM)


class Activity:
    """Whether a run is being trained; asked again and again it reads only what is new in the run's log."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._events = EventReader(run.events)
        self._paused = False

    def is_training(self, *, paused_counts: bool = False) -> bool:
        """A live worker trains it at this moment, or waits in a pause if that counts as well."""
        if not is_alive(self.run):
            return False
        for event in self._events.scan():
            match event:
                case Paused():
                    self._paused = True
                case Resumed() | RunStarted():
                    self._paused = False
                case _:
                    pass
        return paused_counts or not self._paused


def training(runs: tuple[RunDir, ...]) -> tuple[RunDir, ...]:
    """Those of the runs that a live worker trains at this moment."""
    return tuple(run for run in runs if Activity(run).is_training())


def runs_of(targets: tuple[Target, ...], home: RunDir | None) -> tuple[RunDir, ...]:
    """The runs that take part, each once."""
    return tuple(dict.fromkeys(run for run in (*(target.run for target in targets), home) if run is not None))


def _folder(job: Job, targets: tuple[Target, ...]) -> Path:
    run = home_of(job, targets)
    folder = folder_of(run) if run else Path(job.runs_root) / APART
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise RunDirError(f"cannot make {folder}: {error.strerror}") from error
    return folder


def _new(folder: Path) -> tuple[str, Path]:
    """A name that no comparison has, with its empty record."""
    base = time.strftime("%Y%m%d-%H%M%S")
    for number in range(1, 1000):
        name = base if number == 1 else f"{base}-{number}"
        record = folder / f"{name}{SUFFIX}"
        try:
            os.close(os.open(record, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            continue
        except OSError as error:
            raise RunDirError(f"cannot write {record}: {error.strerror}") from error
        return name, record
    raise RunDirError(f"{folder} has too many comparisons of this second; try again")


def _spawn(folder: Path, name: str, held: int) -> subprocess.Popen[bytes]:
    log = os.open(folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    ours = str(Path(__file__).resolve().parent.parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours]
    paths = {"PYTHONPATH": os.pathsep.join([ours, *others]), "PYTHONSAFEPATH": "1", "PYTHONIOENCODING": "utf-8"}
    try:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "core.compare", str((folder / f"{name}.job.json").absolute())],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **paths},
            start_new_session=True, pass_fds=(held,),
        )  # fmt: skip
    finally:
        os.close(log)
