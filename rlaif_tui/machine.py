"""What the computer under a live run does. Only of a run on this host: elsewhere the worker's signs of life tell it."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.gpu import GpuFigures, GpuReader

from .background import in_background
from .run_state import RunState

LOOK_EVERY_S = 2.0
LOADS_KEPT = 8
_MEBIBYTE = 1 << 20
WORKER = "core.worker"


@dataclass(frozen=True)
class Machine:
    """One look; None is not known. ``loads`` are those of this look and the ones before, oldest first."""

    gpus: tuple[GpuFigures, ...] = ()
    cpu_percent: float | None = None
    """CPU time of the worker since the look before, 100 for a whole core."""
    rss_mb: float | None = None
    """Memory of the worker, MiB."""
    free_mb: float | None = None
    total_mb: float | None = None
    """Of the whole computer, MiB: what programs could still take without swapping, and what there is."""
    loads: tuple[float, ...] = ()
    """Percent: of the busiest of the run's GPUs, without one of the worker's CPU time."""


NOTHING = Machine()


class MachineWatch:
    """Looks at most every two seconds, beside the event loop, and only while the run in view has a worker here."""

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        host: Callable[[], str] = socket.gethostname,
        reader: GpuReader | None = None,
    ) -> None:
        self._clock, self._host = clock, host
        self._reader = reader or GpuReader()
        self._process: Any = None
        self._pid = 0
        self._cpu: tuple[float, float] | None = None
        """CPU seconds of the worker, and when."""
        self._last = float("-inf")
        self._known = NOTHING

    def is_here(self, state: RunState) -> bool:
        """Whether the run's worker is, or was, on this host."""
        return state.started is not None and state.started.host == self._host()

    async def look(self, state: RunState) -> Machine:
        """What is known now; ``NOTHING`` without a worker on this host."""
        if state.pid is None or not self.is_here(state):
            self._forget(0)
            return NOTHING
        if state.pid != self._pid:
            self._forget(state.pid)
        if self._clock() - self._last >= LOOK_EVERY_S:
            self._last = self._clock()
            self._known = await in_background(self._read, state, self._known.loads)
        return self._known

    def _forget(self, pid: int) -> None:
        self._pid, self._process, self._cpu, self._known, self._last = pid, None, None, NOTHING, float("-inf")

    def _read(self, state: RunState, loads: tuple[float, ...]) -> Machine:
        import psutil

        memory = psutil.virtual_memory()
        gpus = self._gpus(state)
        cpu, rss = self._worker()
        load = max((gpu.load_percent for gpu in gpus if gpu.load_percent is not None), default=None) if gpus else cpu
        return Machine(
            gpus=gpus,
            cpu_percent=cpu,
            rss_mb=rss,
            free_mb=memory.available / _MEBIBYTE,
            total_mb=memory.total / _MEBIBYTE,
            loads=loads if load is None else (*loads, load)[-LOADS_KEPT:],
        )

    def _gpus(self, state: RunState) -> tuple[GpuFigures, ...]:
        if state.ready is None or state.ready.device.upper().startswith("CPU"):
            return ()
        told = state.beat.gpus if state.beat is not None else ()
        return self._reader.read(self._pid, indexes=[gpu.index for gpu in told])

    def _worker(self) -> tuple[float | None, float | None]:
        """CPU time in percent and memory in MiB of the worker's process."""
        import psutil

        try:
            if self._process is None:
                process = psutil.Process(self._pid)
                # In another container the same number may be another process.
                if not any(WORKER in part for part in process.cmdline()):
                    return None, None
                self._process = process
            with self._process.oneshot():
                times, rss = self._process.cpu_times(), self._process.memory_info().rss / _MEBIBYTE
        except psutil.Error:
            return None, None
        before, self._cpu = self._cpu, (times.user + times.system, self._clock())
        if before is None or self._cpu[1] <= before[1]:
            return None, rss
        return 100 * (self._cpu[0] - before[0]) / (self._cpu[1] - before[1]), rss
