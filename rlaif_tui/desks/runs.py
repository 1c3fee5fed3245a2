"""What the list of runs needs done: read every run, and resume, rename, put away, delete or begin one."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from core.errors import RlaifError, RunDirError
from core.gpu import GpuFigures, GpuReader
from core.run_dir import RunDir, list_runs

from ..background import in_background
from ..feed import RunFeed
from ..run_state import RunState
from ..text import one_line

LOOK_AROUND_S = 10.0
Entry = RunState | str | None
"""What is known of a run: its state, why it cannot be read, or nothing yet."""


def start_again(run: RunDir) -> None:
    """Start a worker that resumes this run from its last checkpoint. Raises ``RlaifError``."""
    from ..launch import start_worker

    start_worker(run, resume=True)


@dataclass(frozen=True)
class Surroundings:
    """What every run of a folder shares; None is not known."""

    free_gib: float | None = None
    """Room on the disk of the folder."""
    gpus: tuple[GpuFigures, ...] = ()


class RunsDesk:
    """The runs of one folder, each followed by a feed that is kept, so that looking again costs little."""

    def __init__(
        self,
        root: Path,
        *,
        now: Callable[[], float] = time.time,
        restart: Callable[[RunDir], None] = start_again,
        reader: GpuReader | None = None,
    ) -> None:
        self.root = root
        self._reader = reader or GpuReader()
        self._around: tuple[Path, float, Surroundings] | None = None
        self.now = now
        self._restart = restart
        self._feeds: dict[Path, RunFeed] = {}

    def run(self, name: str) -> RunDir:
        """The run of this name."""
        return RunDir(self.root / name)

    async def runs(self) -> list[RunDir]:
        """Every run of the folder, newest first. Raises ``RunDirError`` if it cannot be read."""
        return await in_background(list_runs, self.root)

    async def read(self, run: RunDir) -> Entry:
        """The run's state, the same object as before if nothing changed; why it cannot be read otherwise."""
        feed = self._feeds.setdefault(run.path, RunFeed(run, self.now))
        try:
            return await in_background(feed.poll)
        except (OSError, RlaifError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            return f"{one_line(str(run.path))} cannot be read: {one_line(reason or str(error))}"

    async def surroundings(self) -> Surroundings:
        """Disk and GPUs; looked at every ten seconds, so that a screen at rest sends nothing."""
        now, root = time.monotonic(), self.root
        if self._around is None or self._around[0] != root or now - self._around[1] >= LOOK_AROUND_S:
            self._around = root, now, await in_background(self._look_around, root)
        return self._around[2]

    def _look_around(self, root: Path) -> Surroundings:
        return Surroundings(_free_gib(root), self._reader.every())

    async def resume(self, run: RunDir) -> None:
        """Start a worker on a run that has none. Raises ``RlaifError`` or ``OSError``."""
        await in_background(self._restart, run)

    async def demo(self) -> RunDir:
        """Make a run of the offline demo and start it. Raises ``RlaifError``."""
        return await in_background(_demo, self.root)

    async def rename(self, run: RunDir, name: str) -> RunDir:
        """Raises ``RunDirError`` if the name is bad or taken, or the run live."""
        from ..run_files import rename_run

        renamed = await in_background(rename_run, run, name)
        self._feeds.pop(run.path, None)
        return renamed

    async def archive(self, run: RunDir) -> Path:
        """Put it away; returns where it is. Raises ``RunDirError``."""
        from ..run_files import archive_run

        place = await in_background(archive_run, run)
        self._feeds.pop(run.path, None)
        return place

    async def delete(self, run: RunDir) -> None:
        """Remove it for ever. Raises ``RunDirError``."""
        from ..run_files import delete_run

        await in_background(delete_run, run)
        self._feeds.pop(run.path, None)

    async def open_folder(self, text: str) -> None:
        """Look at the runs of another folder from now on. Raises ``RunDirError`` if it is none."""
        folder = Path(text).expanduser()
        if not await in_background(folder.is_dir):
            raise RunDirError(f"{folder}: no such folder")
        await in_background(list_runs, folder)
        self.root = folder


def _free_gib(folder: Path) -> float | None:
    """Of the disk on which a folder lies, or will lie; None if that cannot be found out."""
    folder = next((each for each in (folder, *folder.absolute().parents) if each.is_dir()), folder)
    try:
        return shutil.disk_usage(folder).free / (1 << 30)
    except OSError:
        return None


def _demo(root: Path) -> RunDir:
    from ..launch import start_worker
    from ..starting import demo_config, make_run, queue_comparison

    run = make_run(demo_config(0), root, "")
    start_worker(run)
    with contextlib.suppress(RlaifError):  # the run is what was asked for; Compare can be told to compare later
        queue_comparison(run)
    return run
