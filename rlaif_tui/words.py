"""A state in a person's words: glyphs, phases, times, health. Every text that comes from a run is made safe here."""

from __future__ import annotations

import time
from dataclasses import dataclass

from core.commands import Command, Set, name_of

from .run_state import Marker, Message, RunState, Severity, Word
from .sentences import UNKNOWN, number
from .text import one_line

_GLYPHS: dict[Word, tuple[str, str]] = {
    "starting": ("◌", "o"),
    "running": ("●", "*"),
    "paused": ("‖", "="),
    "stopped": ("■", "#"),
    "crashed": ("✗", "x"),
    "completed": ("✓", "+"),
}
_ASKING = {
    "pause": "pausing",
    "resume": "resuming",
    "stop": "stopping",
    "checkpoint": "saving a checkpoint",
    "replace_judge": "replacing the judge",
    "generate": "answering a prompt",
    "cancel_generate": "ending an answer",
}
_PHASES = {
    "load": "loading the model…",
    "validate": "validating",
    "score": "reference",
    "checkpoint": "saving",
    "idle": "waiting",
}
_MEANINGS = {
    "C": "checkpoint",
    "P": "paused",
    "R": "resumed",
    "β": "KL price set",
    "η": "rate set",
    "$": "cap set",
    "J": "judge replaced",
    "!": "rollback or skipped update",
}
WARNING_STEPS = 10
"""A warning stays in the health line until the run is this many steps past it."""
TREND_STEPS = 20


def glyph(state: RunState, *, ascii_only: bool = False) -> str:
    """One sign for the state; the word always stands beside it."""
    return "?" if state.lost else _GLYPHS[state.word][ascii_only]


def word(state: RunState) -> str:
    """The state word as shown: also ``lost``, and at which step a run broke off."""
    if state.lost:
        return "lost"
    return f"crashed @{state.step}" if state.word == "crashed" else state.word


def asking(state: RunState, me: str = "") -> str:
    """What was asked for and not yet answered, such as ``pausing… asked by ana@pts/3``; empty if nothing is.

    ``me``: who reads this, called ``you``.
    """
    if not state.pending:
        return ""
    command, more = state.pending[0], len(state.pending) - 1
    who = "you" if me and command.by == me else one_line(command.by)
    return f"{_gerund(command)}… asked by {who}" + (f" (+{more})" if more else "")


def _gerund(command: Command) -> str:
    if isinstance(command, Set):
        return f"setting {command.name} to {command.value:g}"
    return _ASKING[name_of(command)]


def phase(state: RunState) -> str:
    """What the worker does now, such as ``judge 20/32``."""
    name = _PHASES.get(state.phase, state.phase)
    return f"{name} {state.phase_done}/{state.phase_total}" if state.phase_total else name


def span(seconds: float | None) -> str:
    """A length of time in at most two units; a dash where it is not known."""
    if seconds is None:
        return UNKNOWN
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 10:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod((whole + 30) // 60, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min"


def clock(moment: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M", time.localtime(moment))


def day(moment: float, now: float) -> str:
    """Time of day if today, weekday within a week, else the date; empty if not known."""
    if not moment:
        return ""
    then, today = time.localtime(moment), time.localtime(now)
    if then[:3] == today[:3]:
        return time.strftime("%H:%M", then)
    return time.strftime("%a" if 0 <= now - moment < 6 * 86400 else "%d %b", then)


def eta(state: RunState) -> str:
    """Time left and when that will be; a dash where it is not known."""
    left = state.eta_seconds
    if left is None or state.lost or state.word not in ("running", "paused"):
        return f"ETA {UNKNOWN}"
    if state.word == "paused":
        return f"{state.total_steps - state.step} steps left, ~{span(left)}"
    return f"ETA {span(left)} ({clock(state.step_time + left)})"


def progress(state: RunState) -> str:
    return f"{state.step}/{state.total_steps}" if state.total_steps else UNKNOWN


def percent(state: RunState) -> str:
    return f"{100 * state.step // state.total_steps}%" if state.total_steps else UNKNOWN


def cost(state: RunState) -> str:
    return f"${state.cost_usd:.2f}"


def scores(state: RunState) -> str:
    """Score before -> now."""
    return f"{number(state.score_before)} → {number(state.score_now)}"


@dataclass(frozen=True)
class Health:
    """The one sentence a look at a run should give, and how bad it is."""

    severity: Severity
    text: str


def health(state: RunState) -> Health:
    """The worst thing to know about a run, else that it is healthy."""
    if state.lost:
        return Health("error", f"no sign for {span(state.silent_s)}, last: {phase(state)}; it may come back by itself")
    if state.word == "crashed":
        return Health("error", f"{one_line(state.error) or 'no reason was written'}; {restart(state)}")
    if state.word == "paused":
        reason = one_line(state.pause_reason) or "asked for"
        return Health("warning" if state.pause_automatic else "info", f"paused: {reason}; space goes on")
    if state.word == "stopped":
        return Health("info", f"stopped at step {state.step}; {restart(state)}")
    warning = _warning(state)
    if warning is not None:
        return Health(warning.severity, f"{one_line(warning.text)} (step {warning.step})")
    if state.word == "completed":
        return Health("info", finished(state))
    if state.damaged:
        return Health("warning", f"{state.damaged} damaged lines of the event log were passed over")
    return Health("info", _well(state))


def recent_warnings(state: RunState) -> tuple[Message, ...]:
    """Warnings that still count, oldest first: the advisor's until it takes them back, of a completed run errors."""
    if state.word == "completed":
        return tuple(message for message in state.warnings if message.severity == "error" and not message.advice)
    newest = {message.advice: message for message in state.messages if message.advice}
    return tuple(
        message
        for message in state.warnings
        if (newest.get(message.advice) is message if message.advice else state.step - message.step < WARNING_STEPS)
    )


def _warning(state: RunState) -> Message | None:
    recent = recent_warnings(state)
    worst = [message for message in recent if message.severity == "error"] or recent
    return worst[-1] if worst else None


def _well(state: RunState) -> str:
    metrics = state.metrics
    if metrics is None:
        return "no figures yet: they appear after the first step"
    return (
        f"healthy: KL {number(metrics.kl_seq)} nats at price {metrics.kl_coef:g}, "
        f"entropy {number(metrics.entropy)}, clip fraction {number(metrics.clip_fraction)}"
    )


def restart(state: RunState) -> str:
    """Where ``r`` would go on."""
    at = state.last_checkpoint_step
    return "r starts it again (no checkpoint yet)" if at is None else f"r resumes it from checkpoint {at}"


def finished(state: RunState) -> str:
    """How a completed run ended, with the held-out scores where they were measured."""
    text = f"completed {state.step} steps"
    if state.seconds is not None:
        text += f" in {span(state.seconds)}"
    if len(state.validations) > 1:
        last = state.validations[-1]
        text += f"; held-out score {scores(state)}"
        if last.difference is not None and last.ci95 is not None:
            text += f" ({last.difference:+.2f}, 95 % CI {last.ci95[0]:+.2f} to {last.ci95[1]:+.2f}, n {last.n})"
    return text


def farewell(state: RunState, name: str) -> str:
    """The line that is printed when the app closes on a run."""
    name = one_line(name)
    match state.word:
        case "completed":
            return f"{name} {finished(state)}"
        case "stopped" | "crashed":
            return f"{name} {state.word} at step {state.step}; rlaif-tui resume {name}"
        case _:
            return f"{name} goes on; rlaif-tui attach {name}"


def trend(points: tuple[tuple[int, float | None], ...], pattern: str) -> str:
    """Change of the mean of the last ten values against the ten before, as text; empty if there are too few."""
    values = [value for _, value in points[-TREND_STEPS:] if value is not None]
    if len(values) < TREND_STEPS:
        return ""
    half = TREND_STEPS // 2
    change = sum(values[half:]) / half - sum(values[:half]) / half
    return f"{'▲' if change > 0 else '▼' if change < 0 else '='} {format(change, '+' + pattern)} in {half} steps"


def log_line(message: Message) -> tuple[str, str]:
    """When, how bad, and what: a head and a text."""
    sign = {"info": " ", "warning": "!", "error": "✗"}[message.severity]
    return f"{time.strftime('%H:%M:%S', time.localtime(message.time))} {sign} ", one_line(message.text)


def meaning(letter: str) -> str:
    """What a letter under a chart stands for."""
    return _MEANINGS[letter]


def marker_help(markers: tuple[Marker, ...]) -> str:
    """What the letters under a chart mean, those that occur."""
    letters = dict.fromkeys(marker.letter for marker in markers)
    return ", ".join(f"{letter} {meaning(letter)}" for letter in letters)
