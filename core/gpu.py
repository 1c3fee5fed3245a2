"""What a GPU is doing, as the driver tells it through NVML. Without a driver, or without a GPU, there is nothing.

Every figure stands alone: a card that does not tell one (power in a container, load on a MIG slice) still tells the
others, and what it does not tell is None. Nothing here needs torch or CUDA, so the app's process may read it as well.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from typing import Any, TypeVar

import msgspec

_MEBIBYTE = 1 << 20
T = TypeVar("T")


class GpuFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU at one instant, of everything that runs on it; None is not known."""

    index: int
    """As ``nvidia-smi`` counts; not the index inside a process that sees only some of them."""
    name: str = ""
    load_percent: float | None = None
    """Share of the last sample period in which a kernel ran."""
    memory_used_mb: float | None = None
    memory_total_mb: float | None = None
    """Of all processes and of the card, MiB."""
    power_w: float | None = None
    temperature_c: float | None = None


class GpuReader:
    """NVML, loaded at the first look. Where that fails it is not tried again: drivers do not appear while one runs."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._is_known = False

    def read(self, pid: int, *, uuids: Collection[str] = (), indexes: Collection[int] = ()) -> tuple[GpuFigures, ...]:
        """The GPUs that this process uses: those of ``uuids`` or ``indexes``, else those on which NVML sees it, else
        the only one.

        Empty where there is none, and where there are several and none is known to be its. Never raises.
        """
        nvml = self._library()
        if nvml is None:
            return ()
        all_of = _cards(nvml)
        wanted = {uuid.removeprefix("GPU-") for uuid in uuids}
        chosen = [each for each in all_of if each[0] in indexes or (wanted and _uuid(nvml, each[1]) in wanted)]
        # In a container pids differ from those of the driver, so none may match.
        chosen = chosen or [each for each in all_of if pid in _pids(nvml, each[1])]
        return tuple(_figures(nvml, *each) for each in chosen or all_of[: len(all_of) == 1])

    def every(self) -> tuple[GpuFigures, ...]:
        """All GPUs of this computer. Never raises."""
        nvml = self._library()
        return () if nvml is None else tuple(_figures(nvml, *each) for each in _cards(nvml))

    def _library(self) -> Any:
        if not self._is_known:
            self._is_known = True
            try:
                import pynvml
            except ImportError:
                return None
            if _try(pynvml, lambda: pynvml.nvmlInit() or True):
                self._nvml = pynvml
        return self._nvml


def own_uuids() -> list[str]:
    """UUIDs of the GPUs on which torch has allocated memory in this process; empty where it uses none."""
    cuda = getattr(sys.modules.get("torch"), "cuda", None)
    if cuda is None or not getattr(cuda, "is_initialized", bool)():
        return []
    used = [i for i in range(cuda.device_count()) if cuda.memory_allocated(i)]
    return [str(getattr(cuda.get_device_properties(i), "uuid", "")).removeprefix("GPU-") for i in used]


def _cards(nvml: Any) -> list[tuple[int, Any]]:
    """Index and handle of each."""
    read = _try(nvml, lambda: [nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())])
    return list(enumerate(read or []))


def _figures(nvml: Any, index: int, handle: Any) -> GpuFigures:
    memory = _try(nvml, lambda: nvml.nvmlDeviceGetMemoryInfo(handle))
    load = _try(nvml, lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu)
    power = _try(nvml, lambda: nvml.nvmlDeviceGetPowerUsage(handle))
    heat = _try(nvml, lambda: nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))
    return GpuFigures(
        index=index,
        name=_text(_try(nvml, lambda: nvml.nvmlDeviceGetName(handle))),
        load_percent=None if load is None else float(load),
        memory_used_mb=None if memory is None else round(memory.used / _MEBIBYTE, 1),
        memory_total_mb=None if memory is None else round(memory.total / _MEBIBYTE, 1),
        power_w=None if power is None else round(power / 1000, 1),  # NVML counts milliwatts
        temperature_c=None if heat is None else float(heat),
    )


def _uuid(nvml: Any, handle: Any) -> str:
    return _text(_try(nvml, lambda: nvml.nvmlDeviceGetUUID(handle))).removeprefix("GPU-")


def _pids(nvml: Any, handle: Any) -> set[int]:
    processes = _try(nvml, lambda: nvml.nvmlDeviceGetComputeRunningProcesses(handle))
    return {process.pid for process in processes or ()}


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")  # bytes until NVML 11.5


def _try(nvml: Any, read: Callable[[], T]) -> T | None:
    """What this returns, None where the driver, or this version of the library, does not tell it."""
    try:
        return read()
    except (nvml.NVMLError, AttributeError, OSError):
        return None
