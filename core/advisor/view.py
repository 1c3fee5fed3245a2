"""A run as it stood at one step, with the sums that rules ask for."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from ..figures import StepMetrics
from .course import Course
from .finding import Limits, Thresholds

if TYPE_CHECKING:
    from ..agreement import Agreement

_T_18 = 2.100922
"""Student's t, 97.5 %, 18 degrees of freedom: a line through 20 points."""
_SLOPE_POINTS = 20


class View:
    """What a rule is given. Steps of PPO only: while the critic warms up, the policy stands still."""

    def __init__(self, course: Course, limits: Limits, agreement: Agreement | None) -> None:
        self.course, self.limits, self.agreement = course, limits, agreement

    @property
    def by(self) -> Thresholds:
        return self.limits.thresholds

    @cached_property
    def steps(self) -> list[StepMetrics]:
        """The newest steps, oldest first."""
        return [done.metrics for done in self.course.steps if not done.warmup]

    @cached_property
    def judged_alike(self) -> list[StepMetrics]:
        """Of those, the ones that the judge in force has scored."""
        since = self.course.judge_since
        return [done.metrics for done in self.course.steps if not done.warmup and done.step >= since]

    @cached_property
    def recent(self) -> list[StepMetrics]:
        """The steps that are called "now"."""
        return self.steps[-self.by.recent :]

    @cached_property
    def start(self) -> list[StepMetrics]:
        """The run's first steps."""
        return [done.metrics for done in self.course.opening[: self.by.recent]]

    @property
    def settled(self) -> bool:
        """Whether the run is long enough to be compared with its start."""
        return self.course.ppo_steps >= self.by.enough

    def now(self, name: str) -> float | None:
        """Mean of a figure over the recent steps."""
        return mean(self.recent, name)

    def then(self, name: str) -> float | None:
        """The same at the start of the run."""
        return mean(self.start, name)

    def is_recent(self, step: int) -> bool:
        return self.course.step - self.by.recent < step <= self.course.step

    def set_command(self, name: str, value: float) -> str:
        return f"rlaif-tui set {self.course.name or 'RUN'} {name}={value:g}"


def mean(steps: Sequence[StepMetrics], name: str) -> float | None:
    """Mean of the values that are known; None for none."""
    known = values(steps, name)
    return math.fsum(known) / len(known) if known else None


def values(steps: Sequence[StepMetrics], name: str) -> list[float]:
    return [value for metrics in steps if (value := getattr(metrics, name)) is not None]


def slope(series: Sequence[float]) -> tuple[float, float, float] | None:
    """Least squares slope per step of the last 20 values with its 95 % interval; None for fewer."""
    if len(series) < _SLOPE_POINTS:
        return None
    y = series[-_SLOPE_POINTS:]
    x = range(_SLOPE_POINTS)
    line = statistics.linear_regression(x, y)
    rest = math.fsum((b - line.intercept - line.slope * a) ** 2 for a, b in zip(x, y, strict=True))
    centre = (_SLOPE_POINTS - 1) / 2
    error = math.sqrt(rest / (_SLOPE_POINTS - 2) / math.fsum((a - centre) ** 2 for a in x))
    return line.slope, line.slope - _T_18 * error, line.slope + _T_18 * error
