"""Comparisons made by hand for the tests of their figures: what was won, tied and lost is known."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from core.compare.record import ComparedModel, Comparison, DuelDone, Header, Reply, RowDone, Settings
from core.types import Verdict, score_to_reward

Outcome = Literal["win", "tie", "loss"]
ORDERS = {"win": ("B", "A"), "loss": ("A", "B"), "tie": ("tie", "tie")}


def reply(text: str, score: float | None = None, tokens: int = 3) -> Reply:
    verdict = None
    if score is not None:
        verdict = Verdict(
            score=score, reward=score_to_reward(score), reason="because", backend="hand", judge_version="v"
        )
    return Reply(text=text, tokens=tokens, finish="stop", verdict=verdict)


def header(models: int, rows: int, *, pairs: bool = True) -> Header:
    named = tuple(
        ComparedModel(label="ABCDE"[i], named=f"model-{i}", title=f"model {i}", kind="model", source="somewhere")
        for i in range(models)
    )
    return Header(
        id="by-hand", time=0.0, models=named, settings=Settings(seed=0, temperature=1.0, max_new_tokens=8), data="some",
        data_fingerprint="", rows=rows, judge="hand", judge_version="v", pair_judge="in both orders" if pairs else "",
    )  # fmt: skip


def comparison(
    outcomes: Sequence[Outcome | tuple[str, str]],
    *,
    texts: Sequence[tuple[str, str]] | None = None,
    scores: Sequence[tuple[float, float]] | None = None,
    lengths: Sequence[int] | None = None,
    sources: Sequence[str] | None = None,
) -> Comparison:
    """Two models. An outcome is that of B, or what was said in both orders."""
    count = len(outcomes)
    rows, duels = [], []
    for row, outcome in enumerate(outcomes):
        a, b = texts[row] if texts else (f"one {row}", f"two {row}")
        low, high = scores[row] if scores else (None, None)
        rows.append(
            RowDone(
                row=row, prompt_id=f"p{row}", prompt=f"question {row}", prompt_tokens=lengths[row] if lengths else 5,
                source=sources[row] if sources else "", replies=(reply(a, low), reply(b, high)),
            )
        )  # fmt: skip
        first, second = ORDERS[outcome] if isinstance(outcome, str) else outcome
        duels.append(DuelDone(row=row, left=0, right=1, first=first, second=second))  # type: ignore[arg-type]
    return Comparison(Path("by-hand.jsonl"), header(2, count), tuple(rows), tuple(duels))


def tournament(results: dict[tuple[int, int], tuple[int, int, int]]) -> Comparison:
    """Several models: wins, ties and losses of the right model of each pair, in that order over the prompts."""
    models = 1 + max(right for _, right in results)
    count = max(sum(result) for result in results.values())
    rows = tuple(
        RowDone(row=row, prompt_id=f"p{row}", prompt="q", prompt_tokens=5,
                replies=tuple(reply(f"{model} {row}") for model in range(models)))
        for row in range(count)
    )  # fmt: skip
    duels = []
    for (left, right), (wins, ties, losses) in results.items():
        outcomes = itertools.chain(["win"] * wins, ["tie"] * ties, ["loss"] * losses)
        for row, outcome in enumerate(outcomes):
            first, second = ORDERS[outcome]
            duels.append(DuelDone(row=row, left=left, right=right, first=first, second=second))  # type: ignore[arg-type]
    return Comparison(Path("by-hand.jsonl"), header(models, count), rows, tuple(duels))
