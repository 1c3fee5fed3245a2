"""Replies of a comparison rated by hand, 0 to 10: kept with the ratings of the run that has the comparison."""

from __future__ import annotations

from ..ratings import Origin, fingerprint, rate
from ..run_dir import RunDir
from .record import Comparison, RowDone

PREFIX = "compare:"


def rated_id(comparison: Comparison, row: RowDone, model: int) -> str:
    """Id of a reply within the ratings. ``model``: position in ``Header.models``."""
    return f"{prefix_of(comparison)}{row.row}/{model}"


def prefix_of(comparison: Comparison) -> str:
    """What the ids of all replies of this comparison begin with."""
    return f"{PREFIX}{comparison.id}/"


def rate_reply(
    run: RunDir, comparison: Comparison, row: RowDone, model: int, score: float | None, judge_version: str
) -> None:
    """Keep what this person gives a reply; None takes it back. Raises ``RunDirError``, then nothing was written.

    ``judge_version``: of the judge that scores the run now.
    """
    text = fingerprint(row.replies[model].text)
    origin = origin_of(run, comparison, row, model, judge_version)
    rate(run, rated_id(comparison, row, model), score, text=text, origin=origin)


def origin_of(run: RunDir, comparison: Comparison, row: RowDone, model: int, judge_version: str) -> Origin:
    """What the rating brings to the agreement over the run.

    That is of the run's policy and the run's judge: the reply of another model has no step, and what another judge
    gave is left out.
    """
    header, verdict = comparison.header, row.replies[model].verdict
    ours = verdict is not None and header.judge_version == judge_version
    score = verdict.score if verdict is not None and ours else None
    return Origin(
        judge=score, step=_step(run, comparison, model), prompt_id=row.prompt_id,
        judge_version=header.judge_version if ours else "",
    )  # fmt: skip


def _step(run: RunDir, comparison: Comparison, model: int) -> int | None:
    """Steps the run's policy had behind it when it answered; the base of the run is the policy before the first one."""
    compared = comparison.models[model]
    if compared.kind == "base":
        return 0
    own = compared.kind == "checkpoint" and compared.title == f"{run.name} step {compared.step}"
    return compared.step if own else None
