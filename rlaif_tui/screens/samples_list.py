"""The list of responses and the line above it, as text. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from core.ratings import Rating

from ..desks.checks import NO_CHECKS, Checks
from ..desks.samples_rows import Row
from ..desks.samples_store import Listing, News, Order, Query
from ..sentences import number
from ..widgets.line import Field
from ..widgets.rows import Cell, Column

if TYPE_CHECKING:
    from core.judge.workbench.resampling import Figure

DIM = "$foreground 75%"
GREY = "$foreground 50%"
_ORDER_WORDS: dict[Order, tuple[str, str]] = {
    "step": ("newest first", "oldest first"),
    "score": ("worst score first", "best score first"),
    "reward": ("lowest reward first", "highest reward first"),
    "length": ("longest first", "shortest first"),
    "kl": ("highest KL first", "lowest KL first"),
}


def columns(order: Order) -> tuple[Column, ...]:
    """Reward stands in the place of KL where the list is sorted by it."""
    return (
        Column("step", 5, "right"),
        Column("score", 5, "right"),
        Column("you", 3, "right"),
        Column("prompt"),
        Column("tok", 4, "right"),
        Column("reward" if order == "reward" else "KL", 6, "right"),
        Column("end", 4),
    )


def cells(row: Row, mine: Rating | None, order: Order, *, pinned: bool = False) -> tuple[Cell, ...]:
    """One row of the list."""
    step = Cell(f"v{row.step}" if row.held_out else str(row.step), DIM)
    if row.problem:
        return step, Cell(""), Cell(""), Cell(row.problem, GREY), Cell(""), Cell(""), Cell("")
    figure = number(row.reward, "+.2f") if order == "reward" else number(row.kl)
    return (
        step,
        Cell(number(row.score, ".1f"), "" if row.score is not None else GREY),
        Cell(number(mine.score if mine else None, "g"), "bold" if mine else GREY),
        _prompt(row, pinned=pinned),
        Cell(str(row.tokens), DIM),
        Cell(figure, DIM),
        Cell("cut" if row.cut else "stop", "$text-warning" if row.cut else DIM),
    )


def _prompt(row: Row, *, pinned: bool) -> Cell:
    mark = "* " if pinned else ""
    if row.failed:
        return Cell(f"{mark}! no verdict: {row.failed}", "$text-warning")
    if row.flags:
        return Cell(f"{mark}! {', '.join(row.flags)}: {row.prompt}", "$text-warning")
    return Cell(mark + row.prompt, "bold" if pinned else "" if row.judged else DIM)


def order_words(query: Query) -> str:
    if query.prompt_id:
        return "oldest first"
    return _ORDER_WORDS[query.order][query.turned]


def status_fields(news: News, listing: Listing, agreement: Figure | None, checks: Checks = NO_CHECKS) -> list[Field]:
    """What is shown, of how much, in which order, and how well the judge agrees with the person."""
    query = listing.query
    fields = [Field("1 reply" if news.total == 1 else f"{news.total:,} replies", "bold")]
    if query.narrowed:
        what = [query.filter.written, "flagged" if query.flagged else ""]
        shown = "same prompt" if query.prompt_id else " and ".join(part for part in what if part)
        fields.append(Field(f"{shown} ({len(listing.rows):,})", "$text-warning"))
    if news.problem:
        fields.append(Field(f"! {news.problem}", "$text-warning"))
    if checks.asked is not None:
        fields.append(Field(f"{checks.asked.left} fresh to rate: r (d: not now)", "$primary"))
    fields.append(Field(order_words(query), DIM))
    if news.left:
        fields.append(Field(f"reading, {news.files:,} of {news.files + news.left:,} steps", DIM))
    fields.append(Field(f"you rated {news.rated}", DIM if news.rated else GREY))
    if agreement is not None and agreement.value is not None:
        interval = f" [{agreement.ci95[0]:.2f}, {agreement.ci95[1]:.2f}]" if agreement.ci95 else ""
        fields.append(Field(f"agreement ρ {agreement.value:.2f}{interval}", DIM))
    newest = checks.agreement.newest
    if newest is not None and newest.rho.value is not None and checks.agreement.rated > newest.n:
        fields.append(Field(f"last {newest.n} ρ {newest.rho.value:.2f}", DIM))
    if checks.agreement.alarm:
        fields.append(Field(f"! {checks.agreement.alarm}", "$text-warning"))
    if news.damaged_ratings:
        fields.append(Field(f"! {news.damaged_ratings} damaged ratings passed over", "$text-warning"))
    return fields


def empty_text(news: News, listing: Listing, waiting: str, *, attached: bool) -> str:
    """Why the list is empty, and what to press."""
    if not attached:
        return "No run is open. 1 shows the runs."
    if news.problem:
        return news.problem
    if listing.query.narrowed and news.total:
        more = ", still reading" if news.left else ""
        return f"0 of {news.total:,} match{more}; esc clears"
    if news.left:
        return f"reading, {news.files:,} of {news.files + news.left:,} steps"
    return f"No replies yet; {waiting}" if waiting else "No replies yet; they appear with the first step."
