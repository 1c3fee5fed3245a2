"""A look at the computer as a few short lines. Pure; what is not known is a dash."""

from __future__ import annotations

from dataclasses import dataclass

from core.gpu import GpuFigures

from .machine import Machine
from .run_state import RunState
from .sentences import UNKNOWN, number
from .text import one_line
from .widgets.spark import bars

OLD_S = 15.0
"""Figures of a worker elsewhere that are older than this are said to be so old."""


@dataclass(frozen=True)
class Told:
    """A pane: its title and lines, the most important first."""

    title: str
    lines: tuple[str, ...]


def told(state: RunState, machine: Machine, now: float, *, is_here: bool, ascii_only: bool = False) -> Told:
    """Load, memory, power and heat; of the GPUs, or of the worker's process where it computes on the CPU.

    ``is_here``: the run is on this computer; of one elsewhere only the worker's signs of life are known.
    """
    if state.pid is None:
        return Told("machine", ("no worker",))
    trail = bars(machine.loads, 100.0, ascii_only=ascii_only)
    if gpus := machine.gpus or (() if is_here or state.beat is None else state.beat.gpus):
        lines = _gpu_lines(gpus, trail, state, ascii_only)
        title = _title(gpus)
    else:
        title = "machine" if is_here else f"on {one_line(state.started.host if state.started else UNKNOWN)}"
        lines = _cpu_lines(machine, trail, state, is_here=is_here)
    age = now - state.beat.time if state.beat is not None else None
    if not is_here and age is not None and age > OLD_S:
        lines = (*lines, f"{int(age)} s old")
    return Told(title, lines)


def in_short(state: RunState, machine: Machine) -> tuple[str, str]:
    """Load and memory as two fields of a status line; empty where they are not known."""
    if gpus := machine.gpus:
        return f"GPU {_percent(_load(gpus))}", _memory(gpus)
    if state.gpu_memory_mb is not None:
        return "", f"GPU {size(state.gpu_memory_mb)}"
    rss = machine.rss_mb if machine.rss_mb is not None else state.rss_mb
    load = f"CPU {_percent(machine.cpu_percent)}" if machine.cpu_percent is not None else ""
    return load, f"RSS {size(rss)}" if rss is not None else ""


def size(mebibytes: float | None) -> str:
    """Memory in a unit that keeps it short."""
    if mebibytes is None:
        return UNKNOWN
    return f"{mebibytes / 1024:.1f} GiB" if mebibytes >= 1024 else f"{mebibytes:.0f} MiB"


def gpu_line(gpus: tuple[GpuFigures, ...]) -> str:
    """GPUs as a field, such as ``GPU0 H200 61/140 GiB``; empty without any."""
    return f"{_title(gpus)} {_memory(gpus)}" if gpus else ""


def _title(gpus: tuple[GpuFigures, ...]) -> str:
    name = _short(gpus[0].name)
    return f"GPU{gpus[0].index} {name}".rstrip() if len(gpus) == 1 else f"{len(gpus)} GPUs {name}".rstrip()


def _gpu_lines(gpus: tuple[GpuFigures, ...], trail: str, state: RunState, ascii_only: bool) -> tuple[str, ...]:
    heats = [gpu.temperature_c for gpu in gpus if gpu.temperature_c is not None]
    heat = f"{max(heats):.0f} {'C' if ascii_only else '°C'}" if heats else UNKNOWN
    return (
        f"use {trail} {_percent(_load(gpus))}".replace("  ", " "),
        f"mem {_memory(gpus)}",
        f"run {size(state.gpu_memory_mb)}",
        f"{number(_sum(gpus, 'power_w'), '.0f')} W  {heat}",
    )


def _cpu_lines(machine: Machine, trail: str, state: RunState, *, is_here: bool) -> tuple[str, ...]:
    rss = machine.rss_mb if machine.rss_mb is not None else state.rss_mb
    run = [f"rss {size(rss)}"]
    if state.gpu_memory_mb is not None:
        run.append(f"gpu {size(state.gpu_memory_mb)}")
    if not is_here:
        return tuple(run)
    free = f"{_gibibytes(machine.free_mb)}/{_gibibytes(machine.total_mb)}"
    return (f"cpu {trail} {_percent(machine.cpu_percent)}".replace("  ", " "), *run, f"free {free} GiB")


def _memory(gpus: tuple[GpuFigures, ...]) -> str:
    """Used of all, with a decimal where it counts: ``0.4/8.0 GiB``, ``61/140 GiB``."""
    used, total = _sum(gpus, "memory_used_mb"), _sum(gpus, "memory_total_mb")
    return f"{_gibibytes(used)}/{_gibibytes(total)} GiB"


def _load(gpus: tuple[GpuFigures, ...]) -> float | None:
    """Of the busiest: a mean would hide that one of them does all the work."""
    return max((gpu.load_percent for gpu in gpus if gpu.load_percent is not None), default=None)


def _sum(gpus: tuple[GpuFigures, ...], name: str) -> float | None:
    """Over all of them; not known if it is not known of one."""
    values = [getattr(gpu, name) for gpu in gpus]
    return None if None in values else sum(values)


def _short(name: str) -> str:
    """``NVIDIA H200 SXM`` -> ``H200``: the maker is no news, nor is the form of the card."""
    words = [word for word in one_line(name).split() if word.upper() not in ("NVIDIA", "GEFORCE", "TESLA", "QUADRO")]
    return " ".join(words[:2]) if words and len(words[0]) < 4 else (words[0] if words else "")


def _percent(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.0f} %"


def _gibibytes(mebibytes: float | None) -> str:
    if mebibytes is None:
        return UNKNOWN
    return f"{mebibytes / 1024:.{int(mebibytes < 10 * 1024)}f}"
