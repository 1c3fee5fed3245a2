"""The page of charts on whether the score still means what a person means by it. Pure."""

from __future__ import annotations

from functools import partial

from core.agreement import ENOUGH, Agreement

from ..run_facts import RunFacts
from ..run_state import RunState
from ..widgets.plot import Spot
from .chart_kind import Chart, field
from .series import Points


def person_page(agreement: Agreement) -> tuple[Chart, ...]:
    """Four charts; only where something was rated."""
    return (
        Chart("judge and you", partial(_points, agreement), form="ρ {}", tone="score",
              spots=partial(_interval, agreement), note=_note),
        Chart("length and score", field("length_score_corr"), form="r {}", tone="kl"),
        Chart("said twice", field("repeated"), behind=field("alike"), behind_form="shared {}"),
        Chart("approx KL", field("approx_kl"), ".4f", "{} nats/token"),
    )  # fmt: skip


def _points(agreement: Agreement, state: RunState) -> Points:  # noqa: ARG001
    return tuple((window.step, window.rho.value) for window in agreement.windows)


def _interval(agreement: Agreement, state: RunState, ascii_only: bool) -> tuple[Spot, ...]:  # noqa: ARG001
    low, high = (".", "'") if ascii_only else ("┴", "┬")
    known = [(window.step, window.rho.ci95) for window in agreement.windows if window.rho.ci95 is not None]
    return tuple(spot for step, (a, b) in known for spot in ((step, a, low), (step, b, high)))


def _note(state: RunState, facts: RunFacts) -> str:  # noqa: ARG001
    newest = facts.agreement.newest
    if newest is None:
        return ""
    if newest.rho.value is None:
        return newest.rho.why
    interval = f"95% {newest.rho.ci95[0]:.2f} to {newest.rho.ci95[1]:.2f}, " if newest.rho.ci95 else ""
    return f"{interval}n {newest.n}" + (", too few" if newest.n < ENOUGH else "")
