"""A comparison in a person's words: the answer, how sure it is, what it took. Pure; a view makes the texts safe."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from core.compare.rated import prefix_of
from core.compare.record import Comparison
from core.compare.votes import Tally
from core.judge.workbench.resampling import Figure

from ..desks.compare_models import Forecast
from ..desks.compare_rows import Query
from ..desks.compare_state import Figures, Look
from ..sentences import UNKNOWN, number
from ..text import clip, one_line
from ..widgets.line import Field
from ..words import span
from .compare_list import DIM, ONLY_WORDS, ORDER_WORDS, WARNING

if TYPE_CHECKING:
    from core.compare.summary import PairSummary

_TITLE_CELLS = 26


def name_of(comparison: Comparison, place: int, cells_: int = _TITLE_CELLS) -> str:
    """``B calm step 400``, safe and on one line."""
    model = comparison.models[place]
    return f"{model.label} {clip(model.title, cells_)}"


def interval(figure: Figure, pattern: str = ".0f", scale: float = 100.0) -> str:
    """`` [54, 68]``, or nothing where there is none."""
    if figure.ci95 is None:
        return ""
    low, high = (format(_plain(end * scale, pattern), pattern) for end in figure.ci95)
    return f" [{low}, {high}]"


def percent(figure: Figure) -> str:
    """``61 % [54, 68]``; a dash where it is not known."""
    return UNKNOWN if figure.value is None else f"{100 * figure.value:.0f} %{interval(figure)}"


def is_open(figure: Figure) -> bool:
    """Whether a rate may as well be one half."""
    return figure.value is None or figure.ci95 is None or figure.ci95[0] <= 0.5 <= figure.ci95[1]


def status_fields(look: Look, figures: Figures | None, query: Query) -> list[Field]:
    """Line 2: who against whom, and the answer with its intervals; what matters most stands first."""
    comparison = look.comparison
    if comparison is None:
        return []
    fields = [Field(f"{name_of(comparison, look.left)}  {name_of(comparison, look.right)}", "bold")]
    if look.working and comparison.header.rows:
        fields.append(Field(f"{len(comparison.rows):,} of {comparison.header.rows:,} prompts so far", DIM))
    narrowed = " and ".join(part for part in (ONLY_WORDS[query.only], query.words) if part)
    if narrowed:
        fields.append(Field(narrowed, WARNING))
    if query.order != "prompt":
        fields.append(Field(ORDER_WORDS[query.order], DIM))
    summary = figures.summary if figures else None
    if summary is not None:
        fields += _answer(comparison, summary)
    done = len(comparison.rows)
    if not look.working:
        fields.append(Field("1 prompt" if done == 1 else f"{done:,} prompts", DIM))
    return fields


def _answer(comparison: Comparison, summary: PairSummary) -> list[Field]:
    label = comparison.models[summary.right].label
    fields = []
    if summary.n:
        fields.append(Field(f"{label} wins {percent(summary.win_rate)}", "bold"))
    if summary.standing == "unclear":
        fields.append(Field("too few to tell", WARNING))
    if summary.difference.value is not None:
        means = f"{number(summary.mean_left.value, '.1f')}→{number(summary.mean_right.value, '.1f')}"
        fields.append(Field(f"score {means}{interval(summary.difference, '+.1f', 1.0)}"))
    if summary.n:
        ties, losses = 100 * summary.ties / summary.n, 100 * summary.losses / summary.n
        fields.append(Field(f"ties {ties:.0f} %  losses {losses:.0f} %"))
    return fields


def verdict_text(look: Look, figures: Figures | None, now: float, read_at: float) -> str:
    """How it stands with the work, and the verdict in a sentence; safe, each on a line of its own.

    ``read_at``: when what is shown could be read last.
    """
    comparison = look.comparison
    if comparison is None:
        return ""
    stale = f"! {look.problem}; what is shown is {span(max(0.0, now - read_at))} old" if look.problem else ""
    parts = [stale, _state(look, comparison, now)]
    if figures is not None:
        parts.append(("so far: " if look.working else "") + figures.summary.verdict)
    elif comparison.rows:
        parts.append("reading the figures")
    return "\n".join(one_line(part) for part in parts if part)


def _state(look: Look, comparison: Comparison, now: float) -> str:
    if look.working:
        now_at = comparison.progress
        words = now_at.what if now_at else "at work"
        words += f" {now_at.done}/{now_at.total}" if now_at and now_at.total else ""
        return f"{words}, {span(max(0.0, now - comparison.header.time))}"
    if look.died:
        total = f" of {comparison.header.rows}" if comparison.header.rows else ""
        doing = f" ({comparison.progress.what})" if comparison.progress else ""
        return f"! ended at {len(comparison.rows)}{total} prompts without a last word{doing}; R compares anew"
    if comparison.finished is not None and comparison.finished.error:
        return f"! ended early: {comparison.finished.error}; what was done until then counts"
    return ""


def about_fields(look: Look, figures: Figures | None) -> list[Field]:
    """How far the figures can be trusted, and what they took."""
    comparison = look.comparison
    if comparison is None or figures is None:
        return []
    summary = figures.summary
    bias = _bias(summary)
    fields = [bias] if bias.style == WARNING else []
    if summary.errors:
        fields.append(Field(f"! {summary.errors} without a verdict", WARNING))
    if summary.n:
        flips = f"{100 * summary.inconsistent / summary.n:.0f} %"
        fields.append(Field(f"the two orders disagree on {flips}", DIM))
    if summary.length_left is not None and summary.length_right is not None:
        fields.append(Field(f"length {summary.length_left:.0f}→{summary.length_right:.0f} tokens", DIM))
    if summary.length_controlled.value is not None:
        fields.append(Field(f"length-controlled {percent(summary.length_controlled)}", DIM))
    fields.append(Field(f"judge {cost_text(comparison)}", DIM))
    if comparison.damaged:
        fields.append(Field(f"! {comparison.damaged} damaged lines passed over", WARNING))
    return fields if bias in fields else [*fields, bias]


def _bias(summary: PairSummary) -> Field:
    first = summary.first_position
    if first.value is None:
        return Field("")
    if is_open(first):
        return Field(f"shown first wins {100 * first.value:.0f} %", DIM)
    return Field(f"! position bias: shown first wins {percent(first)}", WARNING)


def cost_text(comparison: Comparison) -> str:
    """Dollars for the judge so far; a dash where the price is not known."""
    results = [reply.result for row in comparison.rows for reply in row.replies]
    if any(result is not None and result.cost_source == "unknown" for result in results):
        return UNKNOWN
    if comparison.finished is not None:
        return money(comparison.finished.cost_usd)
    said_ = math.fsum(result.cost_usd for result in results if result is not None)
    return money(said_ + math.fsum(duel.cost_usd for duel in comparison.duels))


def money(usd: float) -> str:
    """Dollars with as many places as say something."""
    return f"${usd:.2f}" if usd == 0 or usd >= 0.1 else f"${float(f'{usd:.2g}'):.6f}".rstrip("0")


def vote_fields(tally: Tally | None, left: str, right: str) -> list[Field]:
    """The person's blind votes beside the judge; nothing before the first."""
    if tally is None or not tally.n:
        return []
    fields = [Field(f"you, blind: {_counts(tally.mine, left, right)}", "bold")]
    if tally.both:
        fields.append(Field(f"you agree on {percent(tally.agreement)}", "bold"))
        fields.append(Field(f"judge on the same: {_counts(tally.judge, left, right)}"))
    if tally.kappa.value is not None:
        fields.append(Field(f"kappa {tally.kappa.value:.2f}{interval(tally.kappa, '.2f', 1.0)}", DIM))
    return fields


def rated_fields(look: Look) -> list[Field]:
    """How many single replies of this comparison the person has rated; nothing before the first."""
    count = look.rated.count(prefix_of(look.comparison)) if look.comparison else 0
    return [Field(f"you rated {count} {'reply' if count == 1 else 'replies'}", DIM)] if count else []


def _counts(counts: Mapping[str, int], left: str, right: str) -> str:
    return f"{right} {counts.get('win', 0)}, {left} {counts.get('loss', 0)}, ties {counts.get('tie', 0)}"


def empty_text(look: Look, usual: Sequence[str], expected: str, *, attached: bool) -> str:
    """Why there is no list, and what to press."""
    if not attached:
        return "No run is open. 1 shows the runs."
    if look.comparison is not None:
        return "No prompt is done yet."
    if look.problem:
        return look.problem
    if look.count:
        return "loading"
    if not usual:
        return "Nothing compared. This run has no checkpoint yet: s in 5 Train saves one; c chooses other models."
    return f"Nothing compared. R compares {usual[0]} and {usual[1]} on {expected}. c chooses other models."


def forecast_text(forecast: Forecast) -> str:
    """What a comparison will take, as far as it is known."""
    parts = []
    if forecast.seconds is not None:
        parts.append(f"~{_about(forecast.seconds)}")
    if forecast.cost_usd is not None:
        parts.append(f"~{money(forecast.cost_usd)}" if forecast.cost_usd else "no judge costs")
    return ", ".join(parts)


def _about(seconds: float) -> str:
    """An estimate has no seconds beside its minutes."""
    return f"{round(seconds / 60)} min" if 60 <= seconds < 3600 else span(round(seconds))


def _plain(value: float, pattern: str) -> float:
    """Without the sign of a zero that comes of rounding."""
    return 0.0 if float(format(value, pattern)) == 0 else value
