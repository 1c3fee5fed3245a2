"""A state as the status line of the Train screen. Pure."""

from __future__ import annotations

import statistics

from .. import words
from ..run_facts import UNKNOWN_FACTS, RunFacts, cap
from ..run_state import RunState
from ..sentences import number
from ..text import clip
from ..widgets.line import Field

WIDE_SPREAD = 0.25
"""From this share of the median on, the middle half of the step times is told as a range."""
COST_STEPS = 20


def status_fields(
    state: RunState,
    bar_width: int,
    facts: RunFacts = UNKNOWN_FACTS,
    *,
    me: str = "",
    now: float | None = None,
    ascii_only: bool = False,
    machine: tuple[str, str] = ("", ""),
) -> list[Field]:
    """The status line: state, progress, phase, pace, time left, cost; what matters least comes last.

    ``bar_width`` 0: there is little room, so no bar, no range of the time left, and the pace late. ``me`` is who reads
    it; ``now`` tells how long ago something was asked for; ``machine`` is what there is no pane for.
    """
    sign = words.glyph(state, ascii_only=ascii_only)
    fields = [f"{sign} {_asking(state, me, now) or words.word(state)}"]
    if state.total_steps:
        drawn = f" {bar(state, bar_width, ascii_only)}" if bar_width else ""
        fields.append(f"{words.progress(state)}{drawn} {words.percent(state)}")
    if state.word in ("starting", "running"):
        fields.append(words.phase(state))
    each = state.step_seconds
    pace = f"{words.span(each)}/step" if each is not None and state.finished is None else ""
    if state.finished is None:
        fields += [pace if bar_width else "", time_left(state, facts, in_short=not bar_width)]
    load, memory = machine if state.finished is None else ("", "")
    fields += [cost(state, facts), load, "" if bar_width else pace, memory]
    if state.finished is None:
        fields.append(f"{number(state.tokens_per_s, ',.0f')} tok/s" if state.tokens_per_s is not None else "")
    return [Field(text, "" if index else "bold") for index, text in enumerate(fields)]


def _asking(state: RunState, me: str, now: float | None) -> str:
    asked = words.asking(state, me)
    since = int(now - state.pending[0].time) if asked and now is not None else 0
    return f"{asked}, {since // 60}:{since % 60:02d}" if since > 0 else asked


def time_left(state: RunState, facts: RunFacts = UNKNOWN_FACTS, *, in_short: bool = False) -> str:
    """Time left and when that will be; a range where steps take very different times; the cap if it comes first."""
    left = state.eta_seconds
    if left is None or not left or state.lost or state.word != "running":
        return words.eta(state)
    money = cap_seconds(state, facts)
    if money is not None and money < left:
        return f"cap in ~{words.span(money)}"
    low, _, high = statistics.quantiles(state.durations, n=4)
    median = statistics.median(state.durations)
    if in_short or high - low <= WIDE_SPREAD * median:
        return words.eta(state)
    steps = state.total_steps - state.step
    return f"ETA {words.span(steps * low)} to {words.span(steps * high)} (~{words.clock(state.step_time + left)})"


def cap_seconds(state: RunState, facts: RunFacts) -> float | None:
    """Seconds until the judge will have cost the cap, at the pace of the last steps; None where it will not."""
    most, each = cap(state, facts), state.step_seconds
    recent = tuple(state.steps)[-COST_STEPS:]
    if most is None or each is None or len(recent) < 2:
        return None
    per_step = (recent[-1].cost_total_usd - recent[0].cost_total_usd) / (len(recent) - 1)
    return max(0.0, most - state.cost_usd) / per_step * each if per_step > 0 else None


def cost(state: RunState, facts: RunFacts) -> str:
    """Dollars so far against the cap, if there is one."""
    most = cap(state, facts)
    return words.cost(state) + (f" of ${most:g}" if most is not None else "")


def bar(state: RunState, width: int, ascii_only: bool) -> str:
    """Steps done as a bar; an unfinished run never looks full."""
    full = width * min(state.step, state.total_steps) // state.total_steps
    done, left = ("#", ".") if ascii_only else ("━", "┄")
    return done * full + left * (width - full)


def crash_lines(state: RunState, facts: RunFacts, width: int) -> list[tuple[str, str]]:
    """What is known of the end of a run that broke off, as heads and texts; lines of the log are cut to one row."""
    at = state.last_checkpoint_step
    error = [line for line in state.error.splitlines() if line.strip()] or ["no reason was written"]
    kept, goes_on = "no checkpoint yet", "starts it again from the beginning"
    if at is not None:
        lost = state.step - at
        kept = f"checkpoint {at} is complete" + (
            f"; {lost} step{'s' * (lost > 1)} after it are done again" if lost else ""
        )
        goes_on = f"resumes it from checkpoint {at}"
    log = [("log" if index == 0 else "", clip(line, width)) for index, line in enumerate(facts.last_words)]
    return [
        ("what", error[-1]),
        ("where", f"after step {state.step} of {state.total_steps}, in phase {state.phase}"),
        ("kept", kept),
        ("r", goes_on),
        ("l", "shows the whole log"),
        *([("", ""), *log] if log else []),
    ]
