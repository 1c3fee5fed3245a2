"""Records of comparisons, as the process that compares would leave them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from tui_logs import T0

from core.compare.record import (
    ComparedModel,
    DuelDone,
    Finished,
    Header,
    Line,
    Progress,
    Reply,
    RowDone,
    Settings,
    encode,
    folder_of,
)
from core.judge.workbench.pairwise import Winner
from core.run_dir import RunDir
from core.types import JudgeFailure, Verdict

PROMPTS = (
    "Why is the sky blue?",
    "Give two uses of a paper clip.",
    "Translate good night into French.",
    "What is a third of 96?",
)
BASE_REPLIES = (
    "The sky is blue because of the air.",
    "Hold paper. Pick a lock.",
    "Bonne nuit.",
    "It is 32.",
)
TRAINED_REPLIES = (
    "The sky looks blue because the air bends blue light more than red light.",
    "Hold sheets of paper together. Pick a lock, or press a tiny reset button.",
    "Bonjour, my friend.",
    "It is 32.",
)
Orders = tuple[Winner | None, Winner | None]
WIN: Orders = ("B", "A")
LOSS: Orders = ("A", "B")
TIE: Orders = ("tie", "tie")
FLIP: Orders = ("A", "A")
FAILED: Orders = (None, "A")
USUAL: tuple[Orders, ...] = (WIN, WIN, LOSS, TIE)
SCORES: tuple[tuple[float, float], ...] = ((5.0, 8.0), (4.0, 7.5), (8.0, 3.0), (6.0, 6.0))


def model(label: str, title: str = "", step: int | None = None, named: str = "") -> ComparedModel:
    kind: Any = "base" if step is None else "checkpoint"
    name = named or ("base" if step is None else f"calm@{step}")
    return ComparedModel(
        label=label, named=name, title=title or ("base" if step is None else f"calm step {step}"), kind=kind,
        source="models/demo", step=step, fingerprint=f"f{label.lower()}0",
    )  # fmt: skip


TWO = (model("A"), model("B", step=40))
THREE = (*TWO, model("C", step=80))


def header(models: Sequence[ComparedModel] = TWO, rows: int = 12, **known: Any) -> Header:
    figures: dict[str, Any] = {
        "id": "c1", "time": T0, "models": tuple(models), "data": "held-out prompts of calm", "data_fingerprint": "d0",
        "settings": Settings(seed=7, temperature=1.0, max_new_tokens=64), "rows": rows, "judge": "rubric",
        "judge_version": "v1", "pair_judge": "the higher score wins", "pair_version": "v1",
    }  # fmt: skip
    return Header(**{**figures, **known})


def reply(text: str, score: float | None, why: str = "", **known: Any) -> Reply:
    """A judged reply; without a score the judge failed."""
    if score is None:
        failure = JudgeFailure(
            status="unparseable", treatment="mask", message="it said nothing", backend="rubric", judge_version="v1"
        )
        return Reply(text=text, tokens=len(text.split()), finish="stop", failure=failure, **known)
    verdict = Verdict(
        score=score, reward=score / 5 - 1, reason=why or f"worth {score:g}", backend="rubric", judge_version="v1",
        cost_usd=0.001, cost_source="table",
    )  # fmt: skip
    return Reply(text=text, tokens=len(text.split()), finish=known.pop("finish", "stop"), verdict=verdict, **known)


def row(number: int, *replies: Reply, prompt: str = "", **known: Any) -> RowDone:
    asked = prompt or PROMPTS[number % 4]
    return RowDone(
        row=number, prompt_id=f"p{number}", prompt=asked, prompt_tokens=len(asked.split()), replies=tuple(replies),
        **{"source": ("facts", "tricks")[number % 2], **known},
    )  # fmt: skip


def duel(number: int, orders: Orders, left: int = 0, right: int = 1) -> DuelDone:
    failure = "it said nothing" if None in orders else ""
    return DuelDone(
        row=number, left=left, right=right, first=orders[0], second=orders[1], failure=failure, cost_usd=0.002
    )


def usual_rows(count: int = 12, models: int = 2) -> list[RowDone]:
    """Of four prompts in turn the base is worse, worse, better, and the same; a third model is as the second."""
    rows = []
    for number in range(count):
        at = number % 4
        base = reply(BASE_REPLIES[at], SCORES[at][0], "too short")
        trained = reply(TRAINED_REPLIES[at], SCORES[at][1], "clear and right")
        rows.append(row(number, base, *[trained] * (models - 1)))
    return rows


def usual_duels(count: int = 12, models: int = 2) -> list[DuelDone]:
    """As the rows; the fifth pair is inconsistent, the sixth failed, and models but the first tie with each other."""
    special = {4: FLIP, 5: FAILED}
    duels = []
    for number in range(count):
        orders = special.get(number, USUAL[number % 4])
        duels += [duel(number, orders, 0, right) for right in range(1, models)]
        duels += [duel(number, TIE, left, right) for left in range(1, models) for right in range(left + 1, models)]
    return duels


def put(path: Path, *lines: Line) -> Path:
    """Append to a record."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        file.write(b"".join(encode(line) + b"\n" for line in lines))
    return path


def compared(
    run: RunDir,
    lines: Iterable[Line] | None = None,
    *,
    name: str = "c1",
    models: Sequence[ComparedModel] = TWO,
    rows: int = 12,
    cost_usd: float = 0.18,
) -> Path:
    """A finished comparison of the run: 12 prompts unless given otherwise; ``lines`` in place of its rows and end."""
    path = folder_of(run) / f"{name}.jsonl"
    if lines is None:
        done = [*usual_rows(rows, len(models)), *usual_duels(rows, len(models))]
        lines = [*done, Finished(time=T0 + 90, cost_usd=cost_usd)]
    return put(path, header(models, rows, id=name), *lines)


def growing(run: RunDir, done: int = 5) -> Path:
    """A comparison that is at 5 of 12 prompts; whoever holds its lock is at work."""
    progress = Progress(time=T0 + 40, what="B answers", done=done, total=12)
    return compared(run, [*usual_rows(done), *usual_duels(done), progress])
