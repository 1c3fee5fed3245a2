"""GPU figures from a driver that is played: a module in the place of pynvml."""

from __future__ import annotations

import sys
import uuid
from types import ModuleType, SimpleNamespace
from typing import Any

import msgspec
import pytest

from core import heartbeat
from core.events import Heartbeat, decode, encode
from core.gpu import GpuFigures, GpuReader, own_uuids
from core.heartbeat import Activity, HeartbeatThread

GIB = 1 << 30
FIRST, SECOND = "8f1c2d3e-0000-4000-8000-000000000000", "8f1c2d3e-0000-4000-8000-000000000001"


class NVMLError(Exception):
    pass


def driver(count: int = 1, pids: tuple[int, ...] = (), broken: tuple[str, ...] = ()) -> ModuleType:
    """``count`` cards, the last of which runs ``pids``; the functions of ``broken`` are not supported."""
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: count,
        "nvmlDeviceGetHandleByIndex": lambda index: index,
        "nvmlDeviceGetName": lambda card: b"NVIDIA H200",
        "nvmlDeviceGetUUID": lambda card: f"GPU-{(FIRST, SECOND)[card]}",
        "nvmlDeviceGetMemoryInfo": lambda card: SimpleNamespace(used=61 * GIB, total=139 * GIB),
        "nvmlDeviceGetUtilizationRates": lambda card: SimpleNamespace(gpu=84, memory=20),
        "nvmlDeviceGetPowerUsage": lambda card: 412_345,
        "nvmlDeviceGetTemperature": lambda card, sensor: 61,
        "nvmlDeviceGetComputeRunningProcesses": lambda card: [
            SimpleNamespace(pid=pid) for pid in pids if card == count - 1
        ],
    }
    module = ModuleType("pynvml")
    module.__dict__.update(answers, NVMLError=NVMLError, NVML_TEMPERATURE_GPU=0)

    def refuse(*_: object) -> None:
        raise NVMLError("not supported")

    module.__dict__.update(dict.fromkeys(broken, refuse))
    return module


@pytest.fixture
def plays(monkeypatch: pytest.MonkeyPatch) -> Any:
    return lambda module: monkeypatch.setitem(sys.modules, "pynvml", module)


def test_a_card_tells_its_figures_in_our_units(plays: Any) -> None:
    plays(driver())
    [gpu] = GpuReader().read(1)
    assert gpu == GpuFigures(
        index=0, name="NVIDIA H200", load_percent=84.0, memory_used_mb=61 * 1024.0, memory_total_mb=139 * 1024.0,
        power_w=412.3, temperature_c=61.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "load_percent"),
        ("nvmlDeviceGetPowerUsage", "power_w"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetMemoryInfo", "memory_total_mb"),
    ],
)
def test_what_a_card_does_not_tell_is_not_known_and_nothing_else_is_lost(plays: Any, function: str, field: str) -> None:
    plays(driver(broken=(function,)))
    [gpu] = GpuReader().read(1)
    assert getattr(gpu, field) is None
    assert gpu.name == "NVIDIA H200"
    assert sum(value is None for value in msgspec.structs.asdict(gpu).values()) == (2 if "memory" in field else 1)


def test_without_driver_or_library_there_are_no_cards_and_no_second_try(plays: Any) -> None:
    plays(driver(broken=("nvmlInit",)))
    reader = GpuReader()
    assert reader.read(1) == ()
    plays(driver())
    assert reader.read(1) == ()
    plays(None)  # importing it raises ImportError
    assert GpuReader().read(1) == ()


def test_of_several_cards_only_those_that_are_the_runs_own_are_told(plays: Any) -> None:
    plays(driver(count=2, pids=(77,)))
    reader = GpuReader()
    assert [gpu.index for gpu in reader.read(77)] == [1]
    assert reader.read(78) == (), "whose they are is not known, and a guess would be an invented number"
    assert [gpu.index for gpu in reader.read(78, uuids=[FIRST])] == [0]
    assert [gpu.index for gpu in reader.read(78, indexes=[1])] == [1]
    plays(driver(count=1))
    assert [gpu.index for gpu in GpuReader().read(78)] == [0], "the only one there is"


def torch_with(allocated: tuple[int, ...]) -> SimpleNamespace:
    cuda = SimpleNamespace(
        is_initialized=lambda: True,
        device_count=lambda: len(allocated),
        memory_allocated=lambda i: allocated[i],
        get_device_properties=lambda i: SimpleNamespace(uuid=uuid.UUID((FIRST, SECOND)[i])),
    )
    return SimpleNamespace(cuda=cuda)


def test_a_heartbeat_carries_the_cards_that_the_worker_computes_on(plays: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plays(driver(count=2))
    monkeypatch.setitem(sys.modules, "torch", torch_with((0, 5 << 20)))
    assert own_uuids() == [SECOND]
    written: list[Heartbeat] = []
    log: Any = SimpleNamespace(last_write=-1e9, write=written.append)
    beats = HeartbeatThread(log, lambda: Activity(3, "judge", 4, 8), silence_s=0.01)
    while not written:
        heartbeat.time.sleep(0.005)
    beats.close()
    assert [gpu.index for gpu in written[0].gpus] == [1]
    assert written[0].gpu_memory_mb == 5.0
    assert decode(encode(written[0])) == written[0]


def test_a_worker_on_the_cpu_tells_of_no_card(plays: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    plays(driver())
    monkeypatch.setitem(sys.modules, "torch", torch_with((0,)))
    assert own_uuids() == []
