"""The course of the run as charts: score, KL, losses, entropy, length, and where something was changed."""

from __future__ import annotations

from collections.abc import Iterator

from core.events import StepMetrics

from ..run_state import RunState
from ..words import meaning
from .blocks import Charts, Section, Words
from .chart import Chart, Measured, Series, draw
from .gather import Source
from .scale import Points

_PLAIN: tuple[tuple[str, str, str, str], ...] = (
    ("policy_loss", "policy loss", "", ".4f"),
    ("value_loss", "value loss", "", ".4f"),
    ("entropy", "entropy", "nats/token", ".2f"),
    ("response_length", "response length", "tokens", ".1f"),
    ("kl_coef", "KL price", "", ".3g"),
    ("clip_fraction", "clip fraction", "", ".3f"),
    ("explained_variance", "variance explained by the critic", "", ".2f"),
    ("cost_usd", "judge's cost a step", "$", ".4f"),
)
"""Field of ``StepMetrics``, name, unit and format of the charts that are one line."""
_ALWAYS = ("policy_loss", "value_loss", "entropy", "response_length")


def curves(source: Source) -> Section:
    """All charts of the run."""
    state = source.state
    if not len(state.steps) and not state.validations:
        return Section("curves", "Curves", (Words("No step was completed, so there are no curves.", "warn"),))
    letters = dict.fromkeys(marker.letter for marker in state.markers if marker.letter != "C")
    charts = Charts(tuple(_charts(source)), tuple((letter, meaning(letter)) for letter in letters))
    note = "Dashed lines stand where something was changed or went wrong. A gap is a step without a value."
    return Section("curves", "Curves", (Words(note, "quiet"), charts))


def _charts(source: Source) -> Iterator[Chart]:
    state = source.state
    marks = [(marker.step, marker.letter) for marker in state.markers if marker.letter != "C"]
    yield _score(source, marks)
    config = source.config
    limits = [("target", config.ppo.kl_target)] if config and config.ppo.kl_controller == "adaptive" else []
    limits += [("pause", config.ppo.kl_pause)] if config and config.ppo.kl_pause else []
    yield draw("KL to the start", "nats/response", [Series("KL", state.series("kl_seq"))], limits=limits, marks=marks)
    for field, name, unit, pattern in _PLAIN:
        points = state.series(field)
        if field in _ALWAYS or _moves(points):
            more = [Series("95th percentile", state.series("response_length_p95"), "second")]
            lines = [Series("mean" if field == "response_length" else name, points)]
            lines += more if field == "response_length" and _moves(more[0].points) else []
            yield draw(name, unit, lines, pattern=pattern, marks=marks)


def _moves(points: Points) -> bool:
    """Whether there is more to see than one value."""
    return len({value for _, value in points if value is not None}) > 1


def _score(source: Source, marks: list[tuple[int, str]]) -> Chart:
    state = source.state
    breaks = frozenset(event.step for event in source.story.replaced)
    series = [Series("training score", state.series("score_mean"), "main", breaks)]
    referee = tuple((scored.step, scored.referee_mean) for scored in state.referee)
    series += [Series("referee", referee, "second")] if referee else []
    return draw(
        "judge score", "of 10", series, measured=_validations(state),
        measured_name="held-out, 95% CI of its change", marks=marks,
    )  # fmt: skip


def _validations(state: RunState) -> list[Measured]:
    """Held-out means; the bar is the interval of the paired change since the first one, set at the first one."""
    found = []
    for done in state.validations:
        if done.mean is None:
            continue
        start = done.mean - done.difference if done.difference is not None else None
        ci95 = (start + done.ci95[0], start + done.ci95[1]) if start is not None and done.ci95 else None
        found.append(Measured(done.step, done.mean, ci95))
    return found


assert {field for field, *_ in _PLAIN} <= set(StepMetrics.__struct_fields__)
