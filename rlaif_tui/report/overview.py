"""The first look: what came of it, in a few figures and sentences."""

from __future__ import annotations

import time
from collections.abc import Iterator

from core.compare.record import Comparison, trained
from core.compare.summary import summarise

from ..plain import verdict
from ..sentences import UNKNOWN, number
from ..words import cost, span
from .blocks import Block, Section, Tiles, Tone, Words
from .gather import Source

_LONGEST_NAME = 80


def overview(source: Source) -> Section:
    """State, held-out score, KL, cost, and everything that is missing from the rest."""
    return Section("overview", "Overview", tuple(_blocks(source)))


def when(moment: float) -> str:
    """Date and time of day, UTC; a dash where it is not known."""
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(moment)) if moment else UNKNOWN


def interval(ci95: tuple[float, float] | None, pattern: str = ".2f") -> str:
    """A 95 % confidence interval, as all of the report writes it; empty where there is none."""
    return f"95% CI {ci95[0]:{pattern}} to {ci95[1]:{pattern}}" if ci95 else ""


def name_of(comparison: Comparison) -> str:
    """The models of a comparison, in the order given."""
    named = [f"{model.label} {short(model.title)}" for model in comparison.models]
    return f"{named[1]} against {named[0]}" if len(named) == 2 else ", ".join(named)


def short(name: str) -> str:
    """A name for a place where a long one would push everything else away."""
    return name if len(name) <= _LONGEST_NAME else f"{name[: _LONGEST_NAME - 1]}…"


def sentence_of(text: str) -> str:
    """The text with a capital letter and a full stop."""
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")


def _blocks(source: Source) -> Iterator[Block]:
    state = source.state
    yield Tiles(tuple(_tiles(source)))
    yield Words(*_standing(source))
    said = list(verdict(state.validations))
    if said:
        yield Words(sentence_of(said[0]), _tone(source))
    else:
        yield Words("No held-out prompts were scored in this run, so it says nothing of before and after.", "warn")
    yield from (Words(problem, "warn") for problem in source.problems)


def _tone(source: Source) -> Tone:
    last = source.state.validations[-1]
    if last.ci95 is None:
        return "plain"
    return "good" if last.ci95[0] > 0 else "bad" if last.ci95[1] < 0 else "warn"


def _standing(source: Source) -> tuple[str, Tone]:
    state = source.state
    match state.word:
        case "completed":
            return f"Completed {state.step} steps in {span(state.seconds)}.", "plain"
        case "crashed":
            return f"Crashed after step {state.step}: {state.error or 'no reason was written'}.", "bad"
        case "stopped":
            return f"Stopped after step {state.step} of {state.total_steps}.", "warn"
        case "paused":
            return f"Paused after step {state.step}: {state.pause_reason or 'asked for'}.", "warn"
        case _:
            return f"Still at work: {state.step} of {state.total_steps} steps. A later report will say more.", "warn"


def _tiles(source: Source) -> Iterator[tuple[str, str, str]]:
    state = source.state
    if len(state.validations) > 1:
        first, last = state.validations[0], state.validations[-1]
        change = number(last.difference, "+.2f")
        yield (
            "held-out score",
            f"{number(first.mean)} → {number(last.mean)}",
            f"{change}, {interval(last.ci95, '+.2f')}, {last.n} prompts" if last.ci95 else f"{last.n} prompts",
        )
    else:
        yield "score", number(state.score_now), "of 10, training prompts"
    yield from _won(source)
    metrics = state.metrics
    limit = source.config.ppo.kl_target if source.config and source.config.ppo.kl_controller == "adaptive" else None
    yield "KL", f"{number(metrics.kl_seq if metrics else None)} nats", f"target {limit:g}" if limit else "to the start"
    yield "steps", f"{state.step} of {state.total_steps}" if state.total_steps else UNKNOWN, state.word
    yield "time", span(state.seconds), "of work"
    yield "judge's cost", cost(state), _capped(source)


def _won(source: Source) -> Iterator[tuple[str, str, str]]:
    """What the newest comparison says in one figure."""
    newest = next((each for each in source.comparisons if each.rows and len(each.models) > 1), None)
    if newest is None:
        return
    first, best = newest.models[0], newest.models[trained(newest)]
    found = summarise(newest, 0, trained(newest))
    if found.win_rate.value is not None and found.n:
        ends = found.win_rate.ci95
        told = f", 95% CI {100 * ends[0]:.0f} to {100 * ends[1]:.0f} %" if ends else ""
        yield (
            "win rate",
            f"{100 * found.win_rate.value:.0f} %",
            f"{short(best.title)} against {short(first.title)}{told}",
        )


def _capped(source: Source) -> str:
    cap = dict(source.state.settings).get("judge_cap_usd", source.config.judge.cap_usd if source.config else 0.0)
    return f"of at most ${cap:g}" if cap else "no cap was set"
