"""What this person has said of replies that are no rollouts: those of the playground and of comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from core.errors import RlaifError
from core.ratings import Rating, fingerprint, load_ratings, ratings_file
from core.run_dir import RunDir


@dataclass(frozen=True)
class Rated:
    """One person's ratings of one screen, by id of the reply."""

    standing: Mapping[str, Rating] = field(default_factory=dict)

    def score(self, id_: str, text: str) -> float | None:
        """What was given to this very reply, 0 to 10."""
        rating = self.standing.get(id_)
        return rating.score if rating is not None and rating.text in ("", fingerprint(text)) else None

    def count(self, prefix: str = "") -> int:
        """How many are rated whose id begins so."""
        return sum(id_.startswith(prefix) for id_ in self.standing)


NONE_RATED = Rated()


class RatedReader:
    """Reads ``ratings.jsonl`` of one run; cheap while nothing changes."""

    def __init__(self, run: RunDir, by: str, prefix: str) -> None:
        self.run = run
        self._by, self._prefix = by, prefix
        self._stamp: tuple[int, int, int] | None = None
        self._known = NONE_RATED

    def read(self) -> Rated:
        """What stands, the same object while nothing has changed. After an error it is tried again at the next look."""
        try:
            info = ratings_file(self.run).stat()
            stamp = info.st_ino, info.st_size, info.st_mtime_ns
            if stamp != self._stamp:
                mine = load_ratings(self.run).newest(self._by)
                self._known = Rated({id_: rating for id_, rating in mine.items() if id_.startswith(self._prefix)})
                self._stamp = stamp
        except OSError:
            pass
        return self._known


def version_in(run: RunDir) -> str:
    """Version of the judge that scores this run now; empty if it cannot be read, for then it has scored nothing."""
    from core.config_file import load_config
    from core.judge.spec_file import version_of_spec

    from .judge_files import of_run
    from .judge_work import spec_of

    try:
        spec = spec_of(of_run(run))
        if spec.backend == "self":  # whose weights judge is part of the version
            spec = spec.model_copy(update={"model": load_config(run.config).model.id})
        return version_of_spec(spec)
    except (RlaifError, OSError):
        return ""
