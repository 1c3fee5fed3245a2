"""One piece of asking in a thread with an event loop of its own: results are fetched as they come, it can be ended."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import RlaifError

from .judge_state import What

if TYPE_CHECKING:
    from core.judge.workbench.samples import ScoredSample


@dataclass(frozen=True)
class Outcome:
    """What a piece of work came to."""

    sums: tuple[str, ...] = ()
    report: tuple[str, ...] = ()
    light: str = ""
    canary: tuple[str, float | None] | None = None
    """Version of a judge and the highest canary."""
    problem: str = ""


class Job:
    """Runs ``work`` at once. Fields are written by its thread only; ``news`` may be emptied by anybody."""

    def __init__(self, what: What, total: int, work: Callable[[Job], Coroutine[Any, Any, Outcome]]) -> None:
        self.what = what
        self.total = total
        self.done = 0
        self.news: deque[tuple[str, ScoredSample]] = deque()
        """(version of the judge, sample)"""
        self.outcome: Outcome | None = None
        self.cancelled = False
        self.warnings: tuple[str, ...] = ()
        """What a judge says went wrong beside its judging."""
        self._started = time.monotonic()
        self._work = work
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[Outcome] | None = None
        self._thread = threading.Thread(target=self._run, name="judge-bench", daemon=True)
        self._thread.start()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def heard(self, version: str) -> Callable[[ScoredSample], None]:
        """Takes the samples of this version of the judge."""

        def take(sample: ScoredSample) -> None:
            self.done += 1
            self.news.append((version, sample))

        return take

    def warn(self, warnings: Iterable[str]) -> None:
        """Note these; each is told once."""
        self.warnings = tuple(dict.fromkeys((*self.warnings, *warnings)))

    def cancel(self) -> None:
        """Ask for the end; what was judged until then stays. May be called at any time."""
        self.cancelled = True
        loop, task = self._loop, self._task
        if loop is not None and task is not None:
            with contextlib.suppress(RuntimeError):  # it has just ended
                loop.call_soon_threadsafe(task.cancel)

    def join(self, patience_s: float) -> None:
        self._thread.join(patience_s)

    def _run(self) -> None:
        try:
            outcome = asyncio.run(self._main())
        except asyncio.CancelledError:
            outcome = Outcome()
        except RlaifError as error:
            outcome = Outcome(problem=str(error))
        except Exception as error:  # noqa: BLE001  it is said where the result would stand
            outcome = Outcome(problem=f"{type(error).__name__}: {error}")
        self.outcome = outcome

    async def _main(self) -> Outcome:
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.ensure_future(self._work(self))
        if self.cancelled:
            self._task.cancel()
        return await self._task
