"""Forecasts before a run: memory, disk and seconds per step, from a model's shape and a configuration. No torch here.

Every formula is a count of what is kept, so a forecast can be checked line by line against a measured peak.
"""

from __future__ import annotations

from .memory import (
    GB,
    Memory,
    MemoryItem,
    ModelShape,
    base_bytes,
    checkpoint_bytes,
    disk_bytes,
    memory,
    trained_parameters,
)
from .seconds import Rates, StepTime, planned_rates, step_time

__all__ = [
    "GB",
    "Memory",
    "MemoryItem",
    "ModelShape",
    "Rates",
    "StepTime",
    "base_bytes",
    "checkpoint_bytes",
    "disk_bytes",
    "memory",
    "planned_rates",
    "step_time",
    "trained_parameters",
]
