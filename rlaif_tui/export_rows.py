"""What a run measured and wrote as rows: its steps, its responses, its comparisons. Read file by file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from core.compare.record import Comparison, RowDone
from core.events import StepCompleted, StepMetrics
from core.rollout_log import Recorded, read_rollouts
from core.run_dir import RunDir
from core.types import JudgeFailure, JudgeResult, Rollout, Verdict

from .export_tables import Column, Kind, Row

_STEP_FILE = re.compile(r"^step_(\d+)\.jsonl$")
_KINDS: dict[str, Kind] = {"int": "whole", "float": "number", "bool": "yes"}

ROLLOUT_COLUMNS = (
    Column("id"),
    Column("step", "whole"),
    Column("row", "whole"),
    Column("prompt_id"),
    Column("messages", "messages"),
    Column("reference"),
    Column("response"),
    Column("finish"),
    Column("prompt_tokens", "whole"),
    Column("response_tokens", "whole"),
    Column("score", "number"),
    Column("reward", "number"),
    Column("reason"),
    Column("criteria", "json"),
    Column("failure"),
    Column("judge"),
    Column("judge_version"),
    Column("final_reward", "number"),
    Column("kl", "number"),
    Column("used", "yes"),
)
COMPARISON_COLUMNS = (
    Column("row", "whole"),
    Column("prompt_id"),
    Column("source"),
    Column("prompt"),
    Column("prompt_tokens", "whole"),
    Column("reference"),
    Column("model"),
    Column("title"),
    Column("response"),
    Column("response_tokens", "whole"),
    Column("finish"),
    Column("score", "number"),
    Column("reason"),
    Column("failure"),
    Column("against_first"),
    Column("inconsistent", "yes"),
)


def metric_columns(steps: Sequence[StepCompleted]) -> list[Column]:
    """Every figure of a step, and the seconds of each phase that any of them has."""
    phases = sorted({name for event in steps for name in event.metrics.phase_seconds})
    figures = [
        Column(field.name, _kind(field.type))
        for field in msgspec.structs.fields(StepMetrics)
        if field.name != "phase_seconds"
    ]
    first = [
        Column("step", "whole"),
        Column("time", "number"),
        Column("warmup", "yes"),
        Column("cost_total_usd", "number"),
    ]
    return [*first, *figures, *(Column(f"seconds_{name}", "number") for name in phases)]


def metric_rows(steps: Iterable[StepCompleted], columns: Iterable[Column]) -> Iterator[Row]:
    """One row a step."""
    empty = {column.name: None for column in columns}
    for event in steps:
        figures = msgspec.structs.asdict(event.metrics)
        seconds = {f"seconds_{name}": value for name, value in figures.pop("phase_seconds").items()}
        first = {"step": event.step, "time": event.time, "warmup": event.warmup, "cost_total_usd": event.cost_total_usd}
        yield empty | first | figures | seconds


def step_files(run: RunDir) -> list[Path]:
    """The files of rollouts of a run's steps, in order."""
    found = [(int(match[1]), path) for path in run.rollouts(0).parent.glob("step_*.jsonl")
             if (match := _STEP_FILE.match(path.name))]  # fmt: skip
    return [path for _, path in sorted(found)]


def rollout_rows(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    """One row a response; one file is read at a time. Raises ``OSError``."""
    for path in files:
        yield from recorded_rows(read_rollouts(path))


def recorded_rows(recorded: Recorded) -> Iterator[dict[str, Any]]:
    """The rows of one file."""
    for rollout in sorted(recorded.rollouts.values(), key=lambda one: one.row):
        measures = recorded.measures.get(rollout.id)
        yield {
            **_said(rollout),
            **_judged(recorded.results.get(rollout.id)),
            "final_reward": measures.reward if measures else None,
            "kl": measures.kl if measures else None,
            "used": measures.used if measures else None,
        }


def comparison_rows(comparison: Comparison) -> Iterator[Row]:
    """One row a prompt and model; ``against_first`` is the duel with the first model, for this one."""
    duels = {(duel.row, duel.right): duel for duel in comparison.duels if duel.left == 0}
    for row in comparison.rows:
        for number, (model, reply) in enumerate(zip(comparison.models, row.replies, strict=False)):
            duel = duels.get((row.row, number))
            yield {
                **_asked(row),
                "model": model.label,
                "title": model.title,
                "response": reply.text,
                "response_tokens": reply.tokens,
                "finish": reply.finish,
                **{
                    name: value
                    for name, value in _judged(reply.result).items()
                    if name in ("score", "reason", "failure")
                },
                "against_first": duel.outcome if duel else None,
                "inconsistent": duel.inconsistent if duel else None,
            }


def _asked(row: RowDone) -> dict[str, Any]:
    return {
        "row": row.row,
        "prompt_id": row.prompt_id,
        "source": row.source,
        "prompt": row.prompt,
        "prompt_tokens": row.prompt_tokens,
        "reference": row.reference,
    }


def _kind(type_: Any) -> Kind:
    """Of a field's type, such as ``float | None``."""
    names = [getattr(each, "__name__", "") for each in getattr(type_, "__args__", (type_,))]
    return next((_KINDS[name] for name in names if name in _KINDS), "text")


def _said(rollout: Rollout) -> dict[str, Any]:
    return {
        "id": rollout.id,
        "step": rollout.step,
        "row": rollout.row,
        "prompt_id": rollout.prompt.id,
        "messages": msgspec.to_builtins(rollout.prompt.messages),
        "reference": rollout.prompt.reference,
        "response": rollout.response,
        "finish": rollout.finish,
        "prompt_tokens": len(rollout.prompt_tokens),
        "response_tokens": len(rollout.response_tokens),
    }


def _judged(result: JudgeResult | None) -> dict[str, Any]:
    verdict = result if isinstance(result, Verdict) else None
    failure = result if isinstance(result, JudgeFailure) else None
    return {
        "score": verdict.score if verdict else None,
        "reward": verdict.reward if verdict else None,
        "reason": verdict.reason if verdict else None,
        "criteria": verdict.criteria if verdict else {},
        "failure": f"{failure.status}: {failure.message}" if failure else None,
        "judge": result.backend if result else None,
        "judge_version": result.judge_version if result else None,
    }
