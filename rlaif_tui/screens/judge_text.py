"""The judge's bench in words: head line, check line, cells of the table, the selected response."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from textual.content import Content

from ..desks.judge_state import Bench, Checked, Row, Version, What, Work
from ..sentences import UNKNOWN, number
from ..text import clip, one_line, wrap_at_most
from ..widgets.line import Field
from ..widgets.rows import Cell, Column
from ..words import span

if TYPE_CHECKING:
    from core.judge.workbench.samples import ScoredSample

_FIRST = (
    Column("#", 3, "right"),
    Column("you", 3, "right"),
    Column("old", 4, "right"),
    Column("new", 4, "right"),
    Column("Δ", 4, "right"),
    Column("why"),
)
_SPREAD, _TIME, _COST = Column("±", 3, "right"), Column("time", 6, "right"), Column("cost", 7, "right")
LIGHTS = {"green": "$text-success", "amber": "$text-warning", "red": "bold $text-error"}
_DOING: dict[What, str] = {
    "score": "scoring",
    "diff": "scoring both versions",
    "canaries": "canaries",
    "trust": "calibrating",
}
_STATUS = {
    "skipped_empty": "empty",
    "infra_error": "no answer",
    "unparseable": "no verdict",
    "refused": "refused",
    "budget": "not asked",
}
SAFE, FOOLED = 3.0, 6.0
"""As ``core.judge.workbench.canaries`` has them, which the first paint does not wait for."""


def head_fields(checked: Checked, base: Version, bench: Bench, *, unsaved: bool, run_uses: str) -> list[Field]:
    """Judge, version, money, canaries."""
    version = f"{checked.version or 'no version'}{' unsaved' if unsaved else ''}"
    fields = [Field(checked.name or base.name, "bold"), Field(checked.model, "$foreground 75%"), Field(version)]
    cap = f" of ${bench.cap_usd:.2f}" if bench.cap_usd is not None else ", no cap"
    spent = f"{bench.spent_usd:.2f}" if not 0 < bench.spent_usd < 0.1 else f"{bench.spent_usd:.4f}"
    fields.append(Field(f"spent ${spent}{cap}"))
    canaries = bench.canaries or {}
    if checked.version in canaries:
        fields.append(_canary_field(canaries[checked.version]))
    if run_uses:
        same = run_uses == checked.version
        fields.append(Field("the run uses it" if same else f"(run uses {run_uses})", "$foreground 75%"))
    if bench.repeats > 1:
        fields.append(Field(f"{bench.repeats} repeats"))
    return [*fields, Field(checked.backend, "$foreground 75%")]


def _canary_field(score: float | None) -> Field:
    if score is None:
        return Field("canaries: none judged", "$text-warning")
    if score >= FOOLED:
        return Field(f"canaries max {score:.1f} ✗", "bold $text-error")
    return Field(f"canaries max {score:.1f} {'✓' if score <= SAFE else '!'}", "" if score <= SAFE else "$text-warning")


def check_words(checked: Checked | None) -> tuple[str, str]:
    """What the check found, and its colour's name: ``ok``, ``warning`` or ``error``."""
    if checked is None:
        return "checking…", "ok"
    if checked.errors:
        return f"✗ {one_line(checked.errors[0])}{_more(checked.errors)}", "error"
    if checked.warnings:
        return f"! {one_line(checked.warnings[0])}{_more(checked.warnings)}", "warning"
    return "✓ nothing to object to", "ok"


def _more(found: Sequence[str]) -> str:
    return f" (+{len(found) - 1} more)" if len(found) > 1 else ""


def title(bench: Bench, old: str, new: str) -> str:
    """What is tried, on what."""
    versions = f"   {old[:6]} against {new[:6]}" if old and new and old != new else ""
    return f"{bench.set.title or 'no responses'}{versions}"


def work_words(work: Work | None) -> str:
    """Progress, such as ``scoring 9/24, 12 s``."""
    if work is None:
        return ""
    return f"{_DOING[work.what]} {work.done}/{work.total}, {span(work.seconds)}   esc ends"


def columns(rows: Sequence[Row]) -> tuple[Column, ...]:
    """Those that say something of these rows."""
    shown = [sample for row in rows if (sample := row.new or row.old)]
    more = [
        (_SPREAD, any(sample.spread is not None for sample in shown)),
        (_TIME, bool(shown)),
        (_COST, any(sample.cost_source != "free" for sample in shown)),
    ]
    return (*_FIRST, *(column for column, wanted in more if wanted))


def cells(row: Row, place: int, shown_columns: Sequence[Column] = (_SPREAD, _TIME, _COST)) -> list[Cell]:
    """A row of the table, in the order of ``columns``."""
    shown = row.new or row.old
    change = row.change
    colour = "" if change is None or abs(change) < 2 else "bold $text-warning"
    more = {
        _SPREAD: "" if shown is None or shown.spread is None else f"{shown.spread:.1f}",
        _TIME: _seconds(shown),
        _COST: _cost(shown),
    }
    return [
        Cell(f"{place}{'h' if row.held else ''}", "$foreground 55%"),
        Cell("–" if row.mine is None else f"{row.mine:g}"),
        _score(row.old),
        _score(row.new, bold=True),
        Cell("" if change is None else "0" if change == 0 else f"{change:+.1f}", colour),
        _why(row, shown),
        *(Cell(more[column], "$foreground 75%") for column in shown_columns if column in more),
    ]


def _score(sample: ScoredSample | None, *, bold: bool = False) -> Cell:
    if sample is None:
        return Cell("–", "$foreground 55%")
    if sample.score is None:
        return Cell("✗", "bold $text-error")
    return Cell(f"{sample.score:.1f}", "bold" if bold else "")


def _why(row: Row, shown: ScoredSample | None) -> Cell:
    if row.exemplar:
        return Cell("an exemplar in the text: the judge is shown it", "$foreground 55%")
    if shown is None:
        return Cell(row.item.request.response or "(empty)", "$foreground 55%")
    if shown.score is None:
        return Cell(failure(shown), "$text-error")
    if row.mine is not None and abs(shown.score - row.mine) >= 3:
        return Cell(f"◂ you disagree: {shown.reason}", "$text-warning")
    return Cell(shown.reason or "no reason given")


def failure(sample: ScoredSample) -> str:
    """Why there is no score, and what training would make of that."""
    costs = "; costs -1" if sample.reward is not None else ""
    return f"{_STATUS.get(sample.status, sample.status)}: {sample.reason}{costs}"


def _seconds(sample: ScoredSample | None) -> str:
    if sample is None:
        return ""
    return "cache" if sample.cached else f"{sample.latency_s:.1f} s" if sample.latency_s >= 0.05 else "0 s"


def _cost(sample: ScoredSample | None) -> str:
    if sample is None or sample.cached:
        return ""
    if sample.cost_source == "unknown":
        return "?"
    return "free" if sample.cost_source == "free" else f"${sample.cost_usd:.4f}"


def detail(row: Row | None, width: int, rows: int) -> Content:
    """The selected response and what was said of it, within so many rows."""
    if row is None or rows < 1:
        return Content("")
    shown = row.new or row.old
    said = "not judged yet" if shown is None else shown.reason or "no reason given"
    if shown is not None and shown.score is None:
        said = f"no score: {failure(shown)}"
    reason = wrap_at_most(said, width - 3, max(1, rows - 2) if rows > 2 else 1)
    left = rows - len(reason)
    lines: list[tuple[str, str, str]] = []
    if left > 1:
        lines.append(("P", clip(row.item.request.task, width - 3), "$foreground 75%"))
    if left > 0:
        lines.append(("R", clip(row.item.request.response or "(empty)", width - 3), "$foreground 75%"))
    lines += [("J" if at == 0 else " ", text, "") for at, text in enumerate(reason)]
    return Content("\n").join(
        Content.assemble((letter, "bold"), ("  ", ""), (text, style)) for letter, text, style in lines
    )


def whole(row: Row, old: str, new: str) -> list[tuple[str, str]]:
    """Everything about one response, for reading."""
    request = row.item.request
    lines = [("prompt", ""), ("  ", request.task), ("", "")]
    if request.system:
        lines += [("system", ""), ("  ", request.system), ("", "")]
    if request.reference:
        lines += [("reference", ""), ("  ", request.reference), ("", "")]
    lines += [("response", ""), ("  ", request.response or "(empty)"), ("", "")]
    for name, version, sample in (("old", old, row.old), ("new", new, row.new)):
        if sample is not None:
            score = "no score" if sample.score is None else f"{sample.score:.2f} of 10"
            lines += [(f"{name} {version}", f"   {score}{_more_of(sample)}"), ("  ", sample.reason), ("", "")]
    return [*lines, ("you", "   not rated" if row.mine is None else f"   {row.mine:g}")]


def _more_of(sample: ScoredSample) -> str:
    parts = [f"spread {number(sample.spread)}" if sample.spread is not None else "", _seconds(sample), _cost(sample)]
    parts += ["repeats " + " ".join(f"{score:.1f}" for score in sample.repeat_scores)] if sample.repeat_scores else []
    return "".join(f"   {part}" for part in (*parts, *sample.flags) if part and part != UNKNOWN)
