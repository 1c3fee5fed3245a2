"""A state as the figures of the Train screen: the status line and the four charts. Pure."""

from __future__ import annotations

from .. import words
from ..run_state import RunState
from ..sentences import UNKNOWN, number
from ..widgets.chart import Plot
from ..widgets.line import Field

# Chart id, title, field of StepMetrics, format of a value, unit behind it.
CHARTS: tuple[tuple[str, str, str, str, str], ...] = (
    ("score", "judge score", "score_mean", ".2f", "of 10"),
    ("kl", "KL", "kl_seq", ".2f", "nats/response"),
    ("policy-loss", "policy loss", "policy_loss", ".4f", ""),
    ("value-loss", "value loss", "value_loss", ".4f", ""),
)


def status_fields(state: RunState, bar_width: int, *, ascii_only: bool = False) -> list[Field]:
    """The status line: state, progress, phase, pace, time left, cost; what matters least comes last."""
    sign = words.glyph(state, ascii_only=ascii_only)
    fields = [Field(f"{sign} {words.asking(state) or words.word(state)}", "bold")]
    if state.total_steps:
        fields.append(Field(f"{words.progress(state)} {bar(state, bar_width, ascii_only)} {words.percent(state)}"))
    if state.word in ("starting", "running"):
        fields.append(Field(words.phase(state)))
    if state.finished is None:
        each = state.step_seconds
        fields.append(Field(f"{words.span(each)}/step" if each is not None else ""))
        fields.append(Field(words.eta(state)))
    fields.append(Field(words.cost(state)))
    if state.finished is None and state.tokens_per_s is not None:
        fields.append(Field(f"{number(state.tokens_per_s, ',.0f')} tok/s"))
    return fields


def bar(state: RunState, width: int, ascii_only: bool) -> str:
    """Steps done as a bar; an unfinished run never looks full."""
    full = width * min(state.step, state.total_steps) // state.total_steps
    done, left = ("#", ".") if ascii_only else ("━", "┄")
    return done * full + left * (width - full)


def plots(state: RunState, *, ascii_only: bool = False) -> list[Plot]:
    """The four charts in the order of ``CHARTS``."""
    marks = tuple((mark.step, _plain(mark.letter, ascii_only)) for mark in state.markers)
    made = []
    for _, title, name, pattern, unit in CHARTS:
        points = state.series(name)
        value = number(points[-1][1], pattern) if points else UNKNOWN
        known = unit if value != UNKNOWN else ""
        made.append(
            Plot(
                title=f"{title} {value} {known}".rstrip(),
                trend=words.trend(points, pattern),
                points=points,
                x_max=max(1, state.total_steps, state.step),
                marks=marks,
            )
        )
    return made


def _plain(letter: str, ascii_only: bool) -> str:
    return {"β": "B", "η": "L"}.get(letter, letter) if ascii_only else letter
