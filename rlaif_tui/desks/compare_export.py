"""The prompts of a comparison as files: a table, JSON lines, or Markdown to read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from core import markdown
from core.compare.record import Comparison, Reply

from ..export_tables import Column, Kind, OutputError, put_in_place, write_table
from .compare_rows import Item, reason

_MARKDOWN = (".md", ".markdown")
_OF_A_MODEL: tuple[tuple[str, Kind], ...] = (
    ("model", "text"),
    ("response", "text"),
    ("tokens", "whole"),
    ("finish", "text"),
    ("score", "number"),
    ("reason", "text"),
    ("failure", "text"),
)


def export(comparison: Comparison, left: int, right: int, items: Sequence[Item], verdict: str, path: Path) -> int:
    """Write these prompts to a new file: Markdown, CSV or Parquet as its name ends, any other one JSON lines.

    Returns how many. Raises ``OutputError``.
    """
    if path.expanduser().exists():
        raise OutputError(f"{path} exists already; give another name")
    if path.suffix.lower() in _MARKDOWN:
        text = "\n\n".join(_markdown(comparison, left, right, items, verdict)) + "\n"
        put_in_place(path, lambda temporary: _write(temporary, text), force=False)
        return len(items)
    rows = (_row(comparison, left, right, item) for item in items)
    return write_table(path, _columns(comparison, left, right), rows, force=False, otherwise="jsonl")


def _write(path: Path, text: str) -> None:
    path.write_bytes(text.encode("utf-8", "replace"))


def _columns(comparison: Comparison, left: int, right: int) -> tuple[Column, ...]:
    first = (
        Column("row", "whole"),
        *(Column(name) for name in ("prompt_id", "source", "system", "prompt", "reference")),
    )
    labels = (comparison.models[place].label.lower() for place in (left, right))
    models = (Column(f"{name}_{label}", kind) for label in labels for name, kind in _OF_A_MODEL)
    last = (Column("difference", "number"), Column("judge"), Column("inconsistent", "yes"))
    return (*first, *models, *last, *(Column(name) for name in ("first_order", "second_order", "you")))


def _row(comparison: Comparison, left: int, right: int, item: Item) -> dict[str, Any]:
    row = item.row
    fields: dict[str, Any] = {
        "row": row.row,
        "prompt_id": row.prompt_id,
        "source": row.source,
        "system": row.system,
        "prompt": row.prompt,
        "reference": row.reference,
    }
    for place, reply in ((left, item.left), (right, item.right)):
        model = comparison.models[place]
        said = {"model": model.title, **_said(reply)}
        fields |= {f"{name}_{model.label.lower()}": value for name, value in said.items()}
    return fields | {
        "difference": item.difference,
        "judge": item.outcome,
        "inconsistent": item.inconsistent,
        "first_order": item.duel.first if item.duel else None,
        "second_order": item.duel.second if item.duel else None,
        "you": item.mine,
    }


def _said(reply: Reply) -> dict[str, Any]:
    return {
        "response": reply.text,
        "tokens": reply.tokens,
        "finish": reply.finish,
        "score": reply.score,
        "reason": reason(reply) if reply.verdict else None,
        "failure": f"{reply.failure.status}: {reply.failure.message}" if reply.failure else None,
    }


def _markdown(comparison: Comparison, left: int, right: int, items: Sequence[Item], verdict: str) -> Iterator[str]:
    models = [comparison.models[left], comparison.models[right]]
    header = comparison.header
    yield "# " + markdown.words(" against ".join(f"{model.label} {model.title}" for model in models))
    if verdict:
        yield markdown.words(verdict)
    sampling = f"temperature {header.settings.temperature:g}, seed {header.settings.seed}"
    yield f"{markdown.words(header.data)}, judge {markdown.words(header.judge)}, {sampling}."
    for item in items:
        yield f"## {markdown.words(f'Prompt {item.row.row + 1}')}"
        yield markdown.fence(item.row.prompt)
        for model, reply in zip(models, (item.left, item.right), strict=True):
            score = "no score" if reply.score is None else f"{reply.score:g} of 10"
            why = markdown.words(reason(reply))
            yield f"**{markdown.words(f'{model.label} {model.title}')}**, {score}{f': {why}' if why else ''}"
            yield markdown.fence(reply.text)
