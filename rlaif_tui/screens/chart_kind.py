"""What a chart of the Train screen is, before any run is drawn into it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..run_facts import RunFacts
from ..run_state import RunState
from ..widgets.plot import Spot
from .series import Points


@dataclass(frozen=True)
class Chart:
    """One chart: its title, where its figures come from, and what is said beside them."""

    title: str
    points: Callable[[RunState], Points]
    pattern: str = ".2f"
    form: str = "{}"
    """The value with its unit."""
    tone: str = "plain"
    behind: Callable[[RunState], Points] | None = None
    behind_form: str = "{}"
    """The value of the line behind with its name."""
    spots: Callable[[RunState, bool], tuple[Spot, ...]] | None = None
    limit: Callable[[RunState, RunFacts], tuple[float | None, bool]] | None = None
    """A dashed line, and whether the axis must reach it."""
    note: Callable[[RunState, RunFacts], str] | None = None


def field(name: str) -> Callable[[RunState], Points]:
    """One field of ``StepMetrics`` over the run."""
    return lambda state: state.series(name)
