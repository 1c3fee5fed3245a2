"""The list of prompts of a comparison, as text. Pure."""

from __future__ import annotations

from ..desks.compare_rows import Item, Only, Order
from ..sentences import UNKNOWN, number
from ..widgets.rows import Cell, Column

DIM = "$foreground 75%"
GREY = "$foreground 50%"
WARNING = "$text-warning"
ORDER_WORDS: dict[Order, str] = {
    "prompt": "in the order of the data",
    "gain": "greatest gain first",
    "regression": "greatest loss first",
}
ONLY_WORDS: dict[Only, str] = {
    "": "",
    "loss": "only losses",
    "win": "only wins",
    "tie": "only ties",
    "inconsistent": "only inconsistent",
}
COLUMNS = (
    Column("A", 4, "right"),
    Column("B", 4, "right"),
    Column("diff", 5, "right"),
    Column("judge", 5),
    Column("you", 4),
    Column("prompt"),
)


def columns(left: str, right: str) -> tuple[Column, ...]:
    """The list's columns for the models with these labels."""
    return Column(left, 4, "right"), Column(right, 4, "right"), *COLUMNS[2:]


def cells(item: Item, left: str, right: str) -> tuple[Cell, ...]:
    """One row of the list."""
    difference = item.difference
    return (
        Cell(number(item.left.score, ".1f"), DIM),
        Cell(number(item.right.score, ".1f"), DIM),
        Cell("0.0" if difference is not None and abs(difference) < 0.05 else number(difference, "+.1f")),
        Cell(said(item, left, right), WARNING if item.inconsistent or item.failed else ""),
        Cell({"win": right, "loss": left, "tie": "tie", None: "–"}[item.mine], "bold" if item.mine else GREY),
        Cell(item.row.prompt),
    )


def said(item: Item, left: str, right: str) -> str:
    """Whom the judge prefers, in a word."""
    if item.inconsistent:
        return "flips"
    return "fails" if item.failed else {"win": right, "loss": left, "tie": "tie", None: UNKNOWN}[item.outcome]
