"""``ratings.jsonl``: what people say of a run's responses, 0 to 10, kept in the run directory.

Lines as ``core.mark_log`` writes them, so ratings count with no worker alive. Of several ratings by one person for one
response the last one holds, and a last one without a score takes the others back.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from . import mark_log
from .mark_log import person as person
from .run_dir import RunDir
from .types import SCORE_HIGH, SCORE_LOW

if TYPE_CHECKING:
    from .judge.workbench.resampling import Figure


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """What one person said of one response."""

    rollout_id: str
    """As ``rating_id`` gives it."""
    score: float | None
    """0 to 10; None takes back what this person said before."""
    by: str
    note: str = ""
    text: str = ""
    """``fingerprint`` of the response that was rated: after a rollback its id may belong to another one."""
    judge: float | None = None
    """What the run's judge gave it, 0 to 10, where no file of rollouts has it, as of a reply of the playground."""
    judge_version: str = ""
    """Of the judge that gave it, for the same replies."""
    step: int | None = None
    """Of the run's policy that wrote it, for the same replies; None if another model did."""
    prompt_id: str = ""
    time: float = msgspec.field(default_factory=time.time)


@dataclass(frozen=True)
class Origin:
    """Where a rated reply comes from that is in no file of rollouts, and what the run's judge gave it."""

    judge: float | None
    """None as long as it has not scored the reply: the rating counts once it is given again with the score."""
    step: int | None
    """Of the run's policy that wrote it, 0 for the base; None if another model did."""
    prompt_id: str
    judge_version: str = ""


@dataclass(frozen=True)
class Ratings:
    """The folded content of the file."""

    standing: Mapping[tuple[str, str], Rating] = field(default_factory=dict)
    """By id of the response and by person, in the order in which they were given; those taken back are left out."""
    damaged: int = 0
    """Lines that could not be read; what they said is as if never written."""

    def newest(self, by: str | None = None) -> dict[str, Rating]:
        """One rating per response: the newest that stands, of this person where one is named."""
        return {id_: rating for (id_, who), rating in self.standing.items() if by in (None, who)}


def ratings_file(run: RunDir) -> Path:
    return run.path / "ratings.jsonl"


def rating_id(rollout_id: str, *, held_out: bool = False) -> str:
    """Id of a response within the ratings. A validation numbers its rollouts as the step of the same number does."""
    return f"validation:{rollout_id}" if held_out else rollout_id


def fingerprint(response: str) -> str:
    """12 hex digits of the response's sha256."""
    return hashlib.sha256(response.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def rate(
    run: RunDir,
    rollout_id: str,
    score: float | None,
    by: str | None = None,
    note: str = "",
    *,
    text: str = "",
    origin: Origin | None = None,
) -> Rating:
    """Append one rating, durable when this returns; None takes back. Raises ``RunDirError``, then nothing was written.

    ``ValueError`` for a score outside 0..10. ``text``: the ``fingerprint`` of the response. ``origin``: of a reply that
    is no rollout, such as one of the playground or of a comparison; its id is then of the caller's making, ``play:7``.
    """
    if score is not None and not SCORE_LOW <= score <= SCORE_HIGH:  # NaN fails this too
        raise ValueError(f"a rating of {score} is outside {SCORE_LOW:g}..{SCORE_HIGH:g}")
    whence = {} if origin is None else vars(origin)
    rating = Rating(
        rollout_id=rollout_id, score=score, by=person() if by is None else by, note=note, text=text, **whence
    )
    mark_log.append(ratings_file(run), rating, "rating")
    return rating


def load_ratings(run: RunDir) -> Ratings:
    """Everything that stands, and how many lines could not be read; nothing for a missing file. Raises ``OSError``."""
    standing: dict[tuple[str, str], Rating] = {}
    damaged = 0
    for rating in mark_log.read(ratings_file(run), Rating):
        if rating is None or not _on_the_scale(rating):
            damaged += 1
            continue
        key = rating.rollout_id, rating.by
        standing.pop(key, None)  # the newest goes to the end
        if rating.score is not None:
            standing[key] = rating
    return Ratings(standing, damaged)


def read_ratings(run: RunDir, by: str | None = None) -> dict[str, Rating]:
    """The newest rating that stands of each response, by ``rating_id``; of one person where one is named."""
    return load_ratings(run).newest(by)


def agreement(rated: Iterable[tuple[float, float, str]]) -> Figure:
    """Spearman's rank correlation of (rating, judge's score, prompt id) with its 95 % interval over prompts."""
    from .judge.workbench.statistics import spearman

    rows = list(rated)
    return spearman([row[1] for row in rows], [row[0] for row in rows], [row[2] for row in rows])


def _on_the_scale(rating: Rating) -> bool:
    return rating.score is None or SCORE_LOW <= rating.score <= SCORE_HIGH
