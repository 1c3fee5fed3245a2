"""The pane of the computer under a run: from a look at it to the words, without a GPU and without a worker."""

from __future__ import annotations

import contextlib
import os
import socket
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
from msgspec.structs import replace
from train_host import TrainHost, look
from tui_logs import T0, life, make_run, ready, started

from core.events import Heartbeat
from core.gpu import GpuFigures
from core.run_dir import RunLock
from rlaif_tui.machine import NOTHING, Machine, MachineWatch
from rlaif_tui.machine_words import gpu_line, in_short, told
from rlaif_tui.run_state import RunState
from rlaif_tui.screens.train import TrainScreen
from rlaif_tui.state import apply_all

H200 = GpuFigures(
    index=0, name="NVIDIA H200", load_percent=84.0, memory_used_mb=61.2 * 1024, memory_total_mb=139.8 * 1024,
    power_w=412.0, temperature_c=61.0,
)  # fmt: skip


def state_of(host: str = "box", device: str = "NVIDIA H200", pid: int | None = 4711, **beat: Any) -> RunState:
    events = [replace(started(), host=host), replace(ready(), device=device)]
    beats = [replace(Heartbeat(step=1, phase="judge", **beat), time=T0)] if beat else []
    return replace(apply_all(RunState(), [*events, *beats]), pid=pid)


class Cards:
    """Plays the driver: notes what it was asked and gives these cards."""

    def __init__(self, *cards: GpuFigures) -> None:
        self.cards, self.asked = cards, []  # type: tuple[GpuFigures, ...], list[tuple[int, list[int]]]

    def read(self, pid: int, *, uuids: Any = (), indexes: Any = ()) -> tuple[GpuFigures, ...]:
        self.asked.append((pid, list(indexes)))
        return self.cards


class Worker:
    """Plays psutil's view of a process that computes 1.5 s of each second."""

    def __init__(self, words: tuple[str, ...] = ("python", "-P", "-m", "core.worker", "runs/calm")) -> None:
        self.words, self.used = words, 0.0

    def cmdline(self) -> list[str]:
        return list(self.words)

    def oneshot(self) -> Any:
        return contextlib.nullcontext()

    def cpu_times(self) -> Any:
        self.used += 3.0
        return SimpleNamespace(user=self.used, system=0.0)

    def memory_info(self) -> Any:
        return SimpleNamespace(rss=812 << 20)


@pytest.fixture
def worker(monkeypatch: pytest.MonkeyPatch) -> Worker:
    found = Worker()
    monkeypatch.setattr(psutil, "Process", lambda pid: found)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=12 << 30, total=16 << 30))
    return found


def watch(cards: Cards, moments: list[float]) -> MachineWatch:
    return MachineWatch(clock=lambda: moments[0], host=lambda: "box", reader=cards)  # type: ignore[arg-type]


async def test_a_run_on_a_gpu_here_is_looked_at_every_two_seconds(worker: Worker) -> None:
    moments, cards = [0.0], Cards(H200)
    looks, state = watch(cards, moments), state_of(gpus=(replace(H200, index=3),))
    first = await looks.look(state)
    assert (first.gpus, first.cpu_percent, first.rss_mb, first.loads) == ((H200,), None, 812.0, (84.0,))
    assert cards.asked == [(4711, [3])], "the worker told which card is its own"
    moments[0] = 1.9
    assert await looks.look(state) is first
    moments[0] = 2.0
    second = await looks.look(state)
    assert second.cpu_percent == pytest.approx(150.0)  # 3 s of CPU time in 2 s
    assert second.loads == (84.0, 84.0)
    assert await looks.look(replace(state, pid=None)) is NOTHING
    again = await looks.look(state)
    assert (again.cpu_percent, again.loads) == (None, (84.0,)), "another worker, another history"


async def test_of_a_run_elsewhere_or_on_the_cpu_no_card_is_read(worker: Worker) -> None:
    cards = Cards(H200)
    assert await watch(cards, [0.0]).look(state_of(host="far")) is NOTHING
    here = await watch(cards, [0.0]).look(state_of(device="CPU, 2 threads"))
    assert (here.gpus, here.rss_mb) == ((), 812.0)
    assert cards.asked == []


async def test_another_process_with_the_workers_number_tells_nothing(worker: Worker) -> None:
    worker.words = ("vim", "notes")
    found = await watch(Cards(), [0.0]).look(state_of())
    assert (found.cpu_percent, found.rss_mb) == (None, None)


def test_a_gpu_is_told_in_four_lines_and_what_is_not_known_is_a_dash() -> None:
    state = state_of(gpu_memory_mb=31 * 1024.0)
    pane = told(state, Machine(gpus=(H200,), loads=(0.0, 50.0, 84.0, 100.0)), T0, is_here=True)
    assert pane.title == "GPU0 H200"
    assert pane.lines == ("use ▁▅▇█ 84 %", "mem 61/140 GiB", "run 31.0 GiB", "412 W  61 °C")
    pane = told(state_of(), Machine(gpus=(GpuFigures(index=1),)), T0, is_here=True)
    assert pane.title == "GPU1"
    assert pane.lines == ("use —", "mem —/— GiB", "run —", "— W  —")
    two = told(state, Machine(gpus=(H200, replace(H200, index=1, load_percent=99.0, power_w=None))), T0, is_here=True)
    assert two.title == "2 GPUs H200"
    assert two.lines == ("use 99 %", "mem 122/280 GiB", "run 31.0 GiB", "— W  61 °C")
    plain = told(state, Machine(gpus=(H200,), loads=(0.0, 100.0)), T0, is_here=True, ascii_only=True)
    assert all(line.isascii() for line in plain.lines), plain.lines
    assert gpu_line((H200,)) == "GPU0 H200 61/140 GiB"
    assert gpu_line(()) == ""


def test_a_worker_on_the_cpu_is_told_by_its_own_time_and_memory() -> None:
    state = state_of(device="CPU, 2 threads", rss_mb=700.0)
    seen = Machine(cpu_percent=194.0, rss_mb=812.0, free_mb=12 * 1024.0, total_mb=16 * 1024.0, loads=(97.0, 194.0))
    pane = told(state, seen, T0, is_here=True)
    assert pane.title == "machine"
    assert pane.lines == ("cpu ▅█ 194 %", "rss 812 MiB", "free 12/16 GiB")
    assert in_short(state, seen) == ("CPU 194 %", "RSS 812 MiB")
    assert in_short(state, NOTHING) == ("", "RSS 700 MiB")
    assert in_short(state_of(), NOTHING) == ("", "")
    assert in_short(state, Machine(gpus=(H200,))) == ("GPU 84 %", "61/140 GiB")


def test_of_a_run_elsewhere_its_signs_of_life_are_told_with_their_age() -> None:
    state = state_of(gpus=(H200,), gpu_memory_mb=31 * 1024.0)
    pane = told(state, NOTHING, T0 + 42, is_here=False)
    assert pane.lines == ("use 84 %", "mem 61/140 GiB", "run 31.0 GiB", "412 W  61 °C", "42 s old")
    assert told(state, NOTHING, T0 + 5, is_here=False).lines[-1] == "412 W  61 °C"
    assert told(replace(state, pid=None), NOTHING, T0, is_here=True).lines == ("no worker",)


@pytest.mark.parametrize(("size", "where"), [((120, 36), "pane"), ((80, 24), "line")])
async def test_train_shows_the_machine_in_a_pane_or_in_the_status_line(
    root: Path, worker: Worker, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int], where: str
) -> None:
    here = replace(started(), host=socket.gethostname(), pid=os.getpid())
    run = make_run(root, "calm", [here, replace(ready(), device="NVIDIA H200"), *life(4)[2:]])
    lock = RunLock(run)
    lock.acquire()
    app = TrainHost(run)
    app.view = TrainScreen(run.name, now=lambda: T0 + 60, watch=MachineWatch(reader=Cards(H200)))  # type: ignore[arg-type]
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        text = await look(pilot)
        lines = text.splitlines()
        if where == "pane":
            assert "─ GPU0 H200 ─" in text
            assert "mem 61/140 GiB" in text
            assert "412 W  61 °C" in text
            assert "GPU" not in lines[1]
        else:
            assert "GPU0" not in text
            assert "GPU 84 %" in lines[1]
    lock.release()


def test_what_a_look_reads_is_there_on_this_machine() -> None:
    """No fake: psutil's names, and that this process is not taken for a worker."""
    state = replace(state_of(host=socket.gethostname(), device="CPU"), pid=os.getpid())
    looks = MachineWatch()
    looks._forget(os.getpid())
    found = looks._read(state, ())
    assert found.total_mb is not None
    assert found.total_mb > 0
    assert found.rss_mb is None
