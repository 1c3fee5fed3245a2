"""What people have said of a run's replies: how well the judge agrees, and whether a few fresh ratings are wanted."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace

from core.agreement import NOTHING_RATED, Agreement, AgreementReader
from core.errors import RlaifError
from core.ratings import person
from core.run_dir import RunDir
from core.spot_checks import Asked, SpotChecks, not_now

from ..background import in_background
from ..feed import RunFeed
from ..run_state import RunState
from ..settings import SPOT_CHECK_EVERY


@dataclass(frozen=True)
class Checks:
    """As of the newest look."""

    agreement: Agreement = NOTHING_RATED
    asked: Asked | None = None


NO_CHECKS = Checks()


def is_asked(state: RunState) -> bool:
    """Whether ratings still change anything: nobody is asked about a run that has ended."""
    return state.word in ("running", "paused")


class ChecksDesk:
    """One run at a time, the one looked at last."""

    def __init__(self, every: int = SPOT_CHECK_EVERY) -> None:
        self.every = every
        """Steps between two rounds of ratings that are asked for; 0: none are."""
        self._run: RunDir | None = None
        self._looking = threading.Lock()
        self._known = NO_CHECKS
        self._following = threading.Lock()
        self._feed: RunFeed | None = None

    async def look(self, run: RunDir, step: int, judge_since: int) -> Checks:
        """What holds after so many steps. While another look goes on, what that one knew before."""
        return await in_background(self._look, run, step, judge_since)

    def _look(self, run: RunDir, step: int, judge_since: int) -> Checks:
        if not self._looking.acquire(blocking=False):
            return self._known if run == self._run else NO_CHECKS
        try:
            if run != self._run:
                self._run, self._known = run, NO_CHECKS
                self._reader, self._asking = AgreementReader(run), SpotChecks(run, person())
            found = Checks(self._reader.read(judge_since), self._asking.look(step, self.every))
            if found != self._known:
                self._known = found
            return self._known
        finally:
            self._looking.release()

    async def follow(self, run: RunDir) -> Checks:
        """The same, for who does not follow the run otherwise."""
        return await in_background(self._follow, run)

    def _follow(self, run: RunDir) -> Checks:
        if not self._following.acquire(blocking=False):
            return self._known if run == self._run else NO_CHECKS
        try:
            if self._feed is None or self._feed.run != run:
                self._feed = RunFeed(run)
            state = self._feed.poll()
            found = self._look(run, state.step, state.judge_since or 0)
            return found if is_asked(state) else replace(found, asked=None)
        except (OSError, RlaifError):
            return NO_CHECKS
        finally:
            self._following.release()

    async def not_now(self, run: RunDir, asked: Asked) -> None:
        """Do not ask again until the next mark. Raises ``RunDirError``."""
        await in_background(not_now, run, asked.step, person())
