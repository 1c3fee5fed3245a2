"""Responses to try a judge on: built-in ones, the newest of a run, or those of a data file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import DataError
from core.run_dir import RunDir

from ..text import one_line
from .judge_labels import key_of
from .judge_state import SampleSet

if TYPE_CHECKING:
    from core.judge.workbench.items import Item
    from core.judge.workbench.samples import ScoredSample

SIZE = 24
_PAIRS = 100


def built_in_set() -> SampleSet:
    """Good answers to a few tasks, and answers that try to fool the judge."""
    from core.judge.workbench.canaries import canary_items

    return SampleSet(kind="built-in", title="built-in answers and canaries", items=canary_items())


def data_set(path: str) -> SampleSet:
    """At most 24 responses of a file, the same every time. Raises ``DataError``."""
    from core.judge.workbench.items import load_items

    items = load_items(path)
    drawn = items.sample(SIZE)
    whole = len(items.responses) or 2 * len(items.pairs)
    return SampleSet(
        kind="data",
        title=f"{len(drawn)} of {whole:,} responses of {one_line(Path(path).name)}",
        items=drawn,
        pairs=items.sample_pairs(_PAIRS),
        notes=items.notes,
    )


def without(chosen: SampleSet, shown: frozenset[tuple[str, str]]) -> SampleSet:
    """The set without what a judge is shown as exemplars, which it would score from memory."""
    if not shown:
        return chosen
    pairs = tuple(p for p in chosen.pairs if not {key_of(p.chosen), key_of(p.rejected)} & shown)
    return replace(chosen, items=tuple(item for item in chosen.items if key_of(item) not in shown), pairs=pairs)


def run_set(run: RunDir) -> SampleSet:
    """The newest responses of a run, each with the score it was paid for. Raises ``DataError``, ``OSError``."""
    from core.judge.workbench.items import Item
    from core.judge.workbench.scoring import sample_of
    from core.rollout_log import read_rollouts
    from core.types import request_for

    items: list[Item] = []
    known: list[tuple[str, ScoredSample]] = []
    steps: list[int] = []
    for path in sorted(run.rollouts(0).parent.glob("step_*.jsonl"), reverse=True):
        recorded = read_rollouts(path)
        for rollout in sorted(recorded.rollouts.values(), key=lambda one: one.row)[: SIZE - len(items)]:
            request = request_for(rollout)
            items.append(Item(id=rollout.id, prompt=request.task, request=request))
            steps.append(rollout.step)
            if (result := recorded.results.get(rollout.id)) is not None:
                known.append((result.judge_version, sample_of(items[-1], [result])))
        if len(items) >= SIZE:
            break
    if not items:
        raise DataError(f"{one_line(run.name)} has recorded no response yet")
    span = f"step {max(steps)}" if min(steps) == max(steps) else f"steps {min(steps)} to {max(steps)}"
    version = known[0][0] if known else ""
    return SampleSet(
        kind="run",
        title=f"{len(items)} responses of {one_line(run.name)}, {span}",
        items=tuple(items),
        known=tuple(sample for by, sample in known if by == version),
        known_version=version,
    )
