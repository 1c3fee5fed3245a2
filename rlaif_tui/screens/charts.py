"""The pages of charts of the Train screen: which figures stand where, and a state as their plots. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .. import words
from ..run_facts import UNKNOWN_FACTS, RunFacts, cap, setting
from ..run_state import RunState
from ..sentences import UNKNOWN, number
from ..widgets.braille import Point
from ..widgets.plot import Plot, Spot
from .chart_kind import Chart as Chart
from .chart_kind import field as field
from .person_page import person_page
from .series import Points, smooth, value_at

SMOOTHINGS = (0.0, 0.5, 0.8, 0.9, 0.95, 0.98)
"""Weights of the past in the moving average, from none on."""


@dataclass(frozen=True)
class Look:
    """How the charts are looked at."""

    page: int = 0
    log: bool = False
    smoothing: int = 0
    """Index into ``SMOOTHINGS``."""
    cursor: int | None = None
    """A step that is read."""
    ascii_only: bool = False


def _after_price(state: RunState) -> Points:
    # A reward of 1 is 5 points of the judge's scale: score / 5 - 1.
    return tuple(
        (done.step, None if (m := done.metrics).score_mean is None or m.kl_penalty_mean is None
         else m.score_mean - 5 * m.kl_penalty_mean)
        for done in state.steps
    )  # fmt: skip


def _measured(state: RunState, ascii_only: bool) -> tuple[Spot, ...]:
    """Scores that are not of the step's own responses and judge: held-out ones and the referee's."""
    held, referee = ("V", "r") if ascii_only else ("◆", "○")
    spots = [(e.step, e.referee_mean, referee) for e in state.referee if e.referee_mean is not None]
    spots += [(e.step, e.mean, held) for e in state.validations if e.mean is not None]
    return tuple(spots)


def _score_note(state: RunState, facts: RunFacts) -> str:  # noqa: ARG001
    return f"not comparable before {state.judge_since}" if state.judge_since else ""


def _kl_limit(state: RunState, facts: RunFacts) -> tuple[float | None, bool]:  # noqa: ARG001
    return (facts.kl_target, True) if facts.kl_target else (facts.kl_pause, False)


def _kl_note(state: RunState, facts: RunFacts) -> str:
    price = setting(state, facts, "kl_coef")
    told = f"price {price:g}" if price is not None else ""
    if facts.kl_target:
        return f"target {facts.kl_target:g}" + (f", {told}" if told else "")
    return told + (f", pauses at {facts.kl_pause:g}" if told and facts.kl_pause else "")


def _cut_note(state: RunState, facts: RunFacts) -> str:
    cut = state.metrics.truncated_rate if state.metrics else None
    if cut is None:
        return ""
    return f"{100 * cut:.0f}% cut" + (f" at {facts.length_limit}" if facts.length_limit else "")


def _cost_limit(state: RunState, facts: RunFacts) -> tuple[float | None, bool]:
    most = cap(state, facts)
    return most, most is not None and state.cost_usd > most / 3


def _cost_note(state: RunState, facts: RunFacts) -> str:
    most = cap(state, facts)
    return "no cap" if most is None and facts.configured else "" if most is None else f"cap ${most:g}"


def _gap(state: RunState) -> Points:
    return tuple(
        (e.step, None if e.judge_mean is None or e.referee_mean is None else e.judge_mean - e.referee_mean)
        for e in state.referee
    )


def _gap_note(state: RunState, facts: RunFacts) -> str:  # noqa: ARG001
    last = state.referee.last
    return f"drift {last.drift:.1f}, on {last.n} responses" if last else "no referee"


def _canaries(state: RunState, most: bool) -> Points:
    points: list[Point] = []
    for event in state.canaries:
        known = [each.score for each in event.scores if each.score is not None]
        points.append((event.step, (max(known) if most else sum(known) / len(known)) if known else None))
    return tuple(points)


def _canary_note(state: RunState, facts: RunFacts) -> str:  # noqa: ARG001
    last = state.canaries.last
    return f"{last.fooled} of {last.seen} fooled it" if last else "no known bad answers are put in"


def _cost_points(state: RunState) -> Points:
    return tuple((done.step, done.cost_total_usd) for done in state.steps)


PAGES: tuple[tuple[Chart, ...], ...] = (
    (
        Chart("judge score", field("score_mean"), form="{} of 10", tone="score", behind=_after_price,
              behind_form="after KL price {}", spots=_measured, note=_score_note),
        Chart("KL", field("kl_seq"), form="{} nats/response", tone="kl", limit=_kl_limit, note=_kl_note),
        Chart("policy loss", field("policy_loss"), ".4f"),
        Chart("value loss", field("value_loss"), ".4f"),
    ),
    (
        Chart("entropy", field("entropy"), form="{} nats"),
        Chart("response length", field("response_length"), ".0f", "{} tokens", tone="score",
              behind=field("response_length_p95"), behind_form="p95 {}", note=_cut_note),
        Chart("clip fraction", field("clip_fraction"), ".3f"),
        Chart("explained variance", field("explained_variance")),
    ),
    (
        Chart("judge latency p50", field("judge_latency_p50"), form="{} s", tone="score",
              behind=field("judge_latency_p95"), behind_form="p95 {} s"),
        Chart("judge cost", _cost_points, form="${}", tone="kl", limit=_cost_limit, note=_cost_note),
        Chart("tokens/s", field("tokens_per_s"), ",.0f"),
        Chart("failed judgements", field("failed"), ".0f", tone="kl", behind=field("judge_cached"),
              behind_form="from cache {}"),
    ),
)  # fmt: skip
WATCH_PAGE: tuple[Chart, ...] = (
    Chart("judge above referee", _gap, "+.2f", "{} of 10", tone="kl", note=_gap_note),
    Chart("known bad answers", lambda state: _canaries(state, False), form="{} of 10", tone="score",
          behind=lambda state: _canaries(state, True), behind_form="best {}", note=_canary_note),
    Chart("score spread", field("score_std")),
    Chart("gradient norm", field("grad_norm_actor"), behind=field("grad_norm_critic"), behind_form="critic {}"),
)  # fmt: skip
CHARTS_PER_PAGE = 4


def pages(state: RunState | None, facts: RunFacts = UNKNOWN_FACTS) -> tuple[tuple[Chart, ...], ...]:
    """The pages there are: one more where a referee or known bad answers watch the judge, one where a person does."""
    watched = (WATCH_PAGE,) if state and (state.referee.last or state.canaries.last) else ()
    rated = (person_page(facts.agreement),) if facts.agreement.windows else ()
    return (*PAGES, *watched, *rated)


def plots(state: RunState, facts: RunFacts, look: Look) -> list[Plot]:
    """The four charts of the page that is looked at."""
    marks = tuple((mark.step, plain_letter(mark.letter, look.ascii_only)) for mark in state.markers)
    shown = pages(state, facts)
    return [_plot(chart, state, facts, look, marks) for chart in shown[look.page % len(shown)]]


def _plot(chart: Chart, state: RunState, facts: RunFacts, look: Look, marks: tuple[tuple[int, str], ...]) -> Plot:
    raw = chart.points(state)
    second = chart.behind(state) if chart.behind else ()
    weight = SMOOTHINGS[look.smoothing]
    behind = smooth(second, weight) if weight and second else second
    limit, counts = chart.limit(state, facts) if chart.limit else (None, False)
    return Plot(
        title=f"{chart.title} {_told(value_at(raw, look.cursor), chart.pattern, chart.form)}",
        notes=_notes(chart, state, facts, look, raw, second),
        points=smooth(raw, weight) if weight else raw,
        x_max=max(1, state.total_steps, state.step),
        marks=marks,
        behind=raw if weight and not second else behind,
        spots=chart.spots(state, look.ascii_only) if chart.spots else (),
        limit=limit,
        limit_counts=counts,
        log=look.log,
        cursor=look.cursor,
        tone=chart.tone,
    )


def _notes(chart: Chart, state: RunState, facts: RunFacts, look: Look, raw: Points, second: Points) -> tuple[str, ...]:
    """What stands beside the title, the most important first."""
    notes = [] if look.cursor is None else [f"at {look.cursor}"]
    if look.smoothing:
        notes.append(f"EMA {SMOOTHINGS[look.smoothing]:g}")
    if look.log:
        hidden = sum(value is not None and value <= 0 for _, value in raw)
        notes.append(f"log, {hidden} not above 0" if hidden else "log")
    if chart.note:
        notes.append(chart.note(state, facts))
    if any(value is not None for _, value in second):
        notes.append(_told(value_at(second, look.cursor), chart.pattern, chart.behind_form))
    if look.cursor is None:
        notes.append(words.trend(raw, chart.pattern.replace("+", "")))
    return tuple(note for note in notes if note)


def _told(value: float | None, pattern: str, form: str) -> str:
    """The value with its unit; a dash alone where it is not known."""
    if value is None:
        return form.partition("{}")[0].replace("$", "") + UNKNOWN
    return form.format(number(value, pattern))


def reading(state: RunState, step: int) -> str:
    """What happened at a step, in words; as the run wrote it."""
    happened = [mark.text or words.meaning(mark.letter) for mark in state.markers if mark.step == step]
    held = [f"held-out score {number(v.mean)}" for v in state.validations if v.step == step]
    return f"step {step} of {state.total_steps}: {'; '.join((*happened, *held)) or 'nothing was changed'}"


def plain_letter(letter: str, ascii_only: bool) -> str:
    """A letter under a chart in the characters that may be used."""
    return {"β": "B", "η": "L"}.get(letter, letter) if ascii_only else letter
