"""Runs as events, healthy but for what is asked: for everything that reads figures and not files."""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from core.advisor import Course, advance
from core.events import Event, RunStarted, StepCompleted, StepMetrics, ValidationCompleted

RECORDED = Path(__file__).with_name("recorded_demo.csv")
"""Figures of the embedded demo, seed 0: a run in which the model got much better and nothing was wrong."""

Change = Callable[[int], dict[str, Any]]
"""From the number of a step to the figures in which it is not healthy."""


def figures(**known: Any) -> StepMetrics:
    """Figures of a step; everything that is not given is unknown or zero."""
    values: dict[str, Any] = {f.name: None for f in msgspec.structs.fields(StepMetrics) if f.required}
    values.update(
        learning_rate=1e-5, kl_coef=0.05, rows=32, failed=0, updates=8, skipped=0, early_stopped=False,
        tokens=1200, cost_usd=0.0, seconds=2.0,
    )  # fmt: skip
    return StepMetrics(**{**values, **known})


def healthy(number: int) -> dict[str, Any]:
    """A step of a run that goes well: noisy, as all are, its score rising from 4 towards 7.5."""
    noise = random.Random(number)
    score = 7.5 - 3.5 * 0.96**number + noise.gauss(0, 0.25)
    return {
        "score_mean": score, "score_std": 1.8 + noise.random(), "reward_mean": score / 5 - 1,
        "kl_seq": 0.08 * number + noise.gauss(0, 0.05), "kl_seq_error": 0.2, "kl_penalty_mean": 0.004 * number,
        "policy_loss": noise.gauss(-0.01, 0.004), "value_loss": 0.3 + 0.1 * noise.random(),
        "entropy": 2.0 - 0.004 * number + noise.gauss(0, 0.05), "approx_kl": 0.004 + 0.004 * noise.random(),
        "clip_fraction": 0.08 + 0.1 * noise.random(), "explained_variance": 0.4 + noise.gauss(0, 0.15),
        "response_length": 120.0 + noise.gauss(0, 8), "response_length_p50": 115.0 + noise.gauss(0, 8),
        "length_score_corr": noise.gauss(0.1, 0.2), "repeated": 0.02 + 0.02 * noise.random(),
        "alike": 0.06 + 0.03 * noise.random(), "truncated_rate": 0.05 + 0.1 * noise.random(),
        "grad_norm_actor": 0.4 + 0.3 * noise.random(), "grad_norm_critic": 0.8 + noise.random(),
        "cost_usd": 0.01, "judge_requests": 32, "judge_cached": 0, "failed": int(noise.random() < 0.1),
    }  # fmt: skip


def started(name: str = "gentle", steps: int = 200, resumed_from: int | None = None) -> RunStarted:
    return RunStarted(
        name=name, total_steps=steps, pid=1, host="box", model="m", judge="j", data="d", resumed_from=resumed_from
    )


def step(number: int, **more: Any) -> StepCompleted:
    return StepCompleted(
        step=number, metrics=figures(**{**healthy(number), **more}), cost_total_usd=more.pop("total", 0.01 * number)
    )


def run(steps: int = 60, change: Change | None = None, since: int = 1) -> list[Event]:
    """The events of a run whose steps from ``since`` on are changed; it validates each twenty steps."""
    events: list[Event] = [started(), ValidationCompleted(step=0, n=64, mean=4.0)]
    for number in range(1, steps + 1):
        more = change(number) if change is not None and number >= since else {}
        total = more.pop("total", 0.01 * number)
        events.append(StepCompleted(step=number, metrics=figures(**{**healthy(number), **more}), cost_total_usd=total))
        if number % 20 == 0:
            rise = 3.0 * (1 - 0.96**number)
            events.append(
                ValidationCompleted(step=number, n=64, mean=4.0 + rise, difference=rise, ci95=(rise - 0.4, rise + 0.4))
            )
    return events


def course_of(events: list[Event]) -> Course:
    course = Course()
    for event in events:
        course = advance(course, event)
    return course


def recorded_demo() -> list[Event]:
    """The recorded run."""
    events: list[Event] = [started("demo", 40), ValidationCompleted(step=0, n=64, mean=4.27)]
    with RECORDED.open(encoding="ascii", newline="") as file:
        for number, row in enumerate(csv.DictReader(file), start=1):
            known: dict[str, Any] = {name: float(value) for name, value in row.items()}
            metrics = figures(**{**known, "rows": int(known["rows"])}, judge_requests=int(known["rows"]))
            events.append(StepCompleted(step=number, metrics=metrics, cost_total_usd=0.0))
    events.append(ValidationCompleted(step=40, n=64, mean=8.9, difference=4.63, ci95=(3.75, 5.47)))
    return events
