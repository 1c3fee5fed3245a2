"""The work behind the compare screen: a run's comparisons found, followed and summed up, votes kept; in threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.compare.rated import PREFIX, rate_reply, rated_id
from core.compare.record import Comparison, RowDone, comparisons
from core.compare.votes import Choice, Votes, load_votes, person, tally, vote, votes_file
from core.errors import RlaifError
from core.run_dir import RunDir

from ..background import in_background
from ..run_state import RunState
from .compare_models import Candidate, candidates
from .compare_record import RecordReader, Stamp, stamp_of
from .compare_rows import Item, items_of
from .compare_state import Figures, Look, Wish
from .rated import NONE_RATED, RatedReader, version_in
from .runs import RunsDesk

if TYPE_CHECKING:
    from core.compare.job import Job
    from core.compare.summary import PairSummary, Ranking

_T = TypeVar("_T")
FIGURES_EVERY_S = 3.0
"""Intervals of a comparison that grows are drawn anew this often at most: each is thousands of resamples."""


class CompareDesk:
    """One run at a time; ``attach`` chooses it."""

    def __init__(
        self,
        runs: RunsDesk,
        *,
        begin: Callable[[Job], Path] | None = None,
    ) -> None:
        self.runs = runs
        self.now = runs.now
        self.me = person()
        self._begin = begin
        self._taking_turns = threading.Lock()
        self.attach(None)

    def attach(self, run: RunDir | None) -> None:
        """Forget the run before and look at this one."""
        self.run = run
        self._look = Look()
        self._reader: RecordReader | None = None
        self._votes_stamp: Stamp | None = None
        self._ratings = RatedReader(run, self.me, PREFIX) if run else None
        self._figures: Figures | None = None
        self._drawn_at = 0.0

    async def look(self, wish: Wish) -> Look:
        """What is there now, the same object as before if nothing changed. Never raises; faults are in ``problem``."""
        run = self.run
        return await self._alone(lambda: self._see(run, wish)) if run else Look()

    def _see(self, run: RunDir, wish: Wish) -> Look:
        if run is not self.run:
            return Look()
        known = self._look
        paths = comparisons(run)
        path = next((path for path in paths if path.name == wish.record), paths[0] if paths else None)
        if path is None:
            if known.count:
                self._look = Look(version=known.version + 1)
            return self._look
        try:
            here = replace(known, count=len(paths), newest=path == paths[0])
            self._look = self._followed(path, here, wish)
        except OSError as error:
            problem = f"{path} cannot be read: {error.strerror or error}"
            if known.problem != problem:  # what is shown stays; that it is not up to date is new
                self._look = replace(known, version=known.version + 1, problem=problem)
        return self._look

    def _followed(self, path: Path, known: Look, wish: Wish) -> Look:
        from core.compare.job import is_at_work

        if self._reader is None or self._reader.path != path:
            self._reader, self._votes_stamp = RecordReader(path), None
            known = Look(version=known.version, count=known.count, newest=known.newest)
        working = is_at_work(path)  # before the record: a process that ends writes its last line and then lets go
        found = self._reader.read()
        votes, problem = self._votes(path, known.votes)
        if found is None:
            problem = problem if working else f"{path} holds no comparison"
        left, right = _pair(found, wish) if found else (0, 1)
        new = replace(known, comparison=found, working=working, left=left, right=right, votes=votes, problem=problem)
        new = replace(new, rated=self._ratings.read() if self._ratings else NONE_RATED)
        if new == self._look:
            return self._look
        items = items_of(found, left, right, votes, self.me) if found else ()
        return replace(new, version=known.version + 1, items=items)

    def _votes(self, record: Path, known: Votes) -> tuple[Votes, str]:
        """What was voted, read again where it changed, and why it cannot be read."""
        try:
            stamp = stamp_of(votes_file(record))
            if stamp != self._votes_stamp:
                known, self._votes_stamp = load_votes(record), stamp
        except OSError as error:
            return known, f"{votes_file(record)} cannot be read: {error.strerror or error}"
        return known, ""

    async def figures(self, look: Look) -> Figures | None:
        """The numbers of this look; those of a little earlier while it grows fast; None without a row."""
        if look.comparison is None or not look.comparison.rows:
            return None
        known = self._figures
        early = look.working and time.monotonic() - self._drawn_at < FIGURES_EVERY_S
        if known is not None and (known.is_of(look) or (early and known.is_near(look))):
            return known
        self._drawn_at = time.monotonic()
        self._figures = figures = await in_background(_figures, look, self.me)
        return figures

    async def all_pairs(self, comparison: Comparison) -> tuple[tuple[PairSummary, ...], Ranking | None]:
        """Every pair of models, and of more than two their ranking."""
        return await in_background(_all_pairs, comparison)

    async def state(self) -> RunState | None:
        """The run's own state; None where it cannot be read."""
        entry = await self.runs.read(self.run) if self.run else None
        return entry if isinstance(entry, RunState) else None

    async def candidates(self) -> tuple[Candidate, ...]:
        """What can be compared by a name that is known here."""
        return await in_background(candidates, self.runs.root, self.run) if self.run else ()

    async def check(self, names: tuple[str, ...]) -> str:
        """Why these models cannot be compared; empty if they can."""
        from core.compare.targets import resolve

        try:
            await in_background(resolve, names, self.runs.root, self.run)
        except (RlaifError, OSError) as error:
            return str(error)
        return ""

    async def others(self) -> tuple[Comparison, ...]:
        """Every comparison of the run that can be read, the newest first."""
        return await in_background(_others, self.run) if self.run else ()

    async def vote(self, look: Look, item: Item, choice: Choice | None) -> None:
        """Keep what the person prefers; None takes it back. Raises ``RlaifError``, then nothing was kept."""
        assert look.comparison is not None
        await in_background(vote, look.comparison, item.row, look.left, look.right, choice, self.me)

    async def rate(self, look: Look, row: RowDone, model: int, score: float | None) -> None:
        """Keep what the person gives one reply; None takes it back. Raises ``RlaifError``, then nothing was kept."""
        run, comparison = self.run, look.comparison
        if run is None or comparison is None:
            raise RlaifError("there is no run to rate in")
        await in_background(_rate, run, comparison, row, model, score)

    async def has_rated(self, look: Look, row: RowDone, model: int) -> bool:
        """Whether this person's score of this very reply stands."""
        ratings, comparison = self._ratings, look.comparison
        if ratings is None or comparison is None:
            return False
        rated = await self._alone(ratings.read)
        return rated.score(rated_id(comparison, row, model), row.replies[model].text) is not None

    async def start(self, job: Job) -> Path:
        """Begin a comparison in a process of its own; returns its record. Raises ``RlaifError``."""
        from core.compare import job as jobs

        return await in_background(self._begin or jobs.start, job)

    async def cancel(self, comparison: Comparison) -> None:
        """Ask its process to end. Raises ``RlaifError`` or ``OSError``."""
        from core.compare import job as jobs

        await in_background(jobs.cancel, comparison)

    def export_path(self, comparison: Comparison) -> Path:
        """A name in the run's own folder that nothing has yet."""
        if self.run is None:
            raise RlaifError("there is no run to export from")
        when = time.strftime("%Y%m%d-%H%M%S", time.localtime(self.now()))
        return self.run.exports / f"compare-{comparison.id}-{when}.csv"

    async def _alone(self, work: Callable[[], _T]) -> _T:
        # Threads whose result nobody awaits any more still run, and the reader is for one at a time.
        def in_turn() -> _T:
            with self._taking_turns:
                return work()

        return await in_background(in_turn)


def _pair(comparison: Comparison, wish: Wish) -> tuple[int, int]:
    """The pair that is wanted if there is one such."""
    return (wish.left, wish.right) if 0 <= wish.left < wish.right < len(comparison.models) else (0, 1)


def _rate(run: RunDir, comparison: Comparison, row: RowDone, model: int, score: float | None) -> None:
    rate_reply(run, comparison, row, model, score, version_in(run))


def _figures(look: Look, me: str) -> Figures:
    from core.compare.summary import summarise

    assert look.comparison is not None
    summary = summarise(look.comparison, look.left, look.right)
    return Figures(look, summary, tally(look.comparison, look.votes, look.left, look.right, me))


def _all_pairs(comparison: Comparison) -> tuple[tuple[PairSummary, ...], Ranking | None]:
    from core.compare.summary import ranking, summarise

    models = range(len(comparison.models))
    pairs = tuple(summarise(comparison, left, right) for left in models for right in models if left < right)
    return pairs, ranking(comparison) if len(models) > 2 else None


def _others(run: RunDir) -> tuple[Comparison, ...]:
    found = []
    for path in comparisons(run):
        try:
            one = RecordReader(path).read()
        except OSError:  # it is in the list of the folder, and when it is chosen it says why it cannot be read
            continue
        if one is not None:
            found.append(one)
    return tuple(found)
