"""Signs of life: an event when nothing else was written for five seconds, from a thread of its own."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from .events import Heartbeat, Phase
from .gpu import GpuReader, own_uuids
from .journal import EventLog

SILENCE_S = 5.0
_MEBIBYTE = 1 << 20


class Activity(NamedTuple):
    """What the worker is doing at this instant."""

    step: int
    phase: Phase
    done: int = 0
    total: int = 0


class HeartbeatThread:
    """Beats until closed. ``activity`` is called from the thread and must only read."""

    def __init__(self, events: EventLog, activity: Callable[[], Activity], silence_s: float = SILENCE_S) -> None:
        self._events, self._activity, self._silence_s = events, activity, silence_s
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._closed.set()
        self._thread.join()

    def _beat(self) -> None:
        wait, reader = self._silence_s, GpuReader()
        while not self._closed.wait(wait):
            silent = time.monotonic() - self._events.last_write
            wait = max(0.05, self._silence_s - silent)
            if silent >= self._silence_s:
                now, uuids = self._activity(), own_uuids()
                beat = Heartbeat(
                    step=now.step,
                    phase=now.phase,
                    done=now.done,
                    total=now.total,
                    rss_mb=rss_mb(),
                    gpu_memory_mb=gpu_memory_mb(),
                    gpus=reader.read(os.getpid(), uuids=uuids) if uuids else (),
                )
                with contextlib.suppress(OSError):  # a full disk is the main thread's to tell
                    self._events.write(beat)
                wait = self._silence_s


def rss_mb() -> float:
    """Resident memory of this process, MiB."""
    import psutil

    return float(round(psutil.Process().memory_info().rss / _MEBIBYTE, 1))


def gpu_memory_mb() -> float | None:
    """GPU memory allocated by this process, MiB; None where torch uses no GPU or is not imported yet."""
    torch = sys.modules.get("torch")
    cuda = getattr(torch, "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return None
    return float(round(sum(cuda.memory_allocated(i) for i in range(cuda.device_count())) / _MEBIBYTE, 1))
