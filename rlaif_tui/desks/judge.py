"""Behind the judge's screen: texts, drafts, sample sets, and judges that are asked in a thread of their own."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs

from core.errors import JudgeError, RlaifError
from core.run_dir import RunDir

from ..background import in_background
from . import judge_labels, judge_sets
from .judge_job import Job
from .judge_state import Bench, Opened, Row, SampleSet, SetKind, Version, What, Work
from .judge_texts import JudgeTexts
from .purse import Purse

if TYPE_CHECKING:
    from core.judge.workbench.items import Item
    from core.judge.workbench.samples import ScoredSample

MAX_REPEATS = 9
_APP = "rlaif-tui"


class JudgeDesk:
    """One editor, one bench. Async methods do their work in the background; the others only look or note."""

    def __init__(
        self,
        *,
        state_dir: Path | None = None,
        data_dir: Path | None = None,
        purse: Purse | None = None,
        now: Callable[[], float] = time.time,
    ) -> None:
        state = Path(platformdirs.user_state_dir(_APP)) if state_dir is None else state_dir
        data = Path(platformdirs.user_data_dir(_APP)) if data_dir is None else data_dir
        self.labels = data / "labels.csv"
        self.texts = JudgeTexts(state, data, now)
        self._purse = purse or Purse()
        self._shown: frozenset[judge_labels.Key] = frozenset()
        """The exemplars of the text in the editor."""
        self._starting = False
        self._job: Job | None = None
        self._run: RunDir | None = None
        self._marks: dict[judge_labels.Key, float] = {}
        self._scores: dict[str, dict[str, ScoredSample]] = {}
        """By version of the judge, then by id of the response, of the set there is."""
        self._pair = ("", "")
        self._bench = Bench(cap_usd=self._purse.cap_usd, spent_usd=self._purse.spent_usd)
        self._changed = True

    async def open(self, run: RunDir | None, *, fresh: bool = True) -> Opened:
        """What the editor begins with; the run's responses can be tried from now on."""
        self._run = run
        return await self.texts.open(run, fresh=fresh)

    async def use(self, kind: SetKind, path: str = "", *, quiet: bool = False) -> str:
        """Try versions on these responses from now on; returns why not.

        Unless ``quiet`` that becomes the bench's problem as well.
        """
        try:
            chosen = await in_background(self._load, kind, path)
        except (RlaifError, OSError) as error:
            if not quiet:
                self._say(problem=str(error))
            return str(error)
        self.cancel()
        self._scores = {}
        self._job = None
        for sample in chosen.known:
            self._scores.setdefault(chosen.known_version, {})[sample.id] = sample
        self._bench = replace(self._bench, set=chosen, work=None, sums=(), report=(), light="", problem="", warnings=())
        await self._load_marks()
        return ""

    def _load(self, kind: SetKind, path: str) -> SampleSet:
        if kind == "data":
            return judge_sets.data_set(path)
        if kind == "run":
            if self._run is None:
                raise JudgeError("no run is in view: its responses cannot be tried")
            return judge_sets.run_set(self._run)
        return judge_sets.built_in_set()

    async def _load_marks(self) -> None:
        try:
            self._marks = await in_background(judge_labels.read_marks, self.labels)
            if self._run is not None and self._bench.set.kind == "run":
                self._marks |= await in_background(judge_labels.marks_in_run, self._run, self._bench.set.items)
        except (RlaifError, OSError) as error:
            self._say(problem=str(error))
        self._changed = True

    async def rate(self, item: Item, mark: float | None) -> None:
        """Keep a mark, or take it back. Raises ``RlaifError``, ``OSError``; then it is not kept."""
        key = judge_labels.key_of(item)
        await in_background(judge_labels.keep_mark, self.labels, key, mark)
        if self._run is not None and self._bench.set.kind == "run":
            await in_background(judge_labels.rate_in_run, self._run, item, mark)
        self._marks.pop(key, None)
        if mark is not None:
            self._marks[key] = mark
        self._changed = True

    async def agree(self, version: str) -> None:
        """Say anew how this version agrees with the marks."""
        from .judge_work import agreement

        samples = tuple(self._scores.get(version, {}).values())
        tried = judge_sets.without(self._bench.set, self._shown)
        words = await in_background(agreement, dict(self._marks), tried, samples)
        if words:
            self._say(sums=words)

    @property
    def busy(self) -> bool:
        return self._starting or (self._job is not None and self._job.outcome is None)

    async def start(self, what: What, new: Version, old: Version) -> None:
        """Begin to ask. Raises ``JudgeError`` if something is being asked already."""
        from .judge_work import Order, total_of, work_of

        if self.busy:
            raise JudgeError("the judge is being asked already; esc ends that")
        self._starting = True
        try:
            ledger = await in_background(self._purse.ledger)
            tried = judge_sets.without(self._bench.set, self._shown)
            order = Order(what, new, old, tried, dict(self._marks), ledger, self._bench.repeats)
            total = await in_background(total_of, order)
            if what in ("score", "diff"):
                for version in {new.version, old.version} if what == "diff" else {new.version}:
                    self._scores[version] = {}
            self._say(sums=(), report=(), light="", problem="", warnings=())
            self._job = Job(what, total, work_of(order))
        finally:
            self._starting = False

    def cancel(self) -> None:
        """Ask no more; what came until then stays."""
        if self._job is not None and self._job.outcome is None:
            self._job.cancel()

    def set_cap(self, cap_usd: float | None) -> None:
        """Raises ``ValueError``."""
        self._purse.set_cap(cap_usd)
        self._say(cap_usd=cap_usd)

    def set_repeats(self, repeats: int) -> None:
        self._say(repeats=max(1, min(MAX_REPEATS, repeats)))

    def look(self, new: str, old: str, shown: frozenset[judge_labels.Key] = frozenset()) -> Bench:
        """The bench with the scores of two versions; the same object while nothing is new.

        ``shown`` are the exemplars of the new one; from now on they are not scored.
        """
        job = self._job
        outcome = job.outcome if job else None  # before its news: what comes after is for the next look
        while job and job.news:
            version, sample = job.news.popleft()
            self._scores.setdefault(version, {})[sample.id] = sample
            self._changed = True
        if job and outcome is not None:
            self._finish(job)
        elif job:
            self._say(work=Work(what=job.what, done=job.done, total=job.total, seconds=job.seconds))
        self._count()
        if self._changed or self._pair != (new, old) or self._shown != shown:
            self._changed, self._pair, self._shown = False, (new, old), shown
            self._bench = replace(self._bench, rows=self._rows(new, old))
        return self._bench

    def _finish(self, job: Job) -> None:
        self._job, outcome = None, job.outcome
        if outcome is None:
            return
        sums = outcome.sums
        if job.cancelled and not sums:
            sums = (f"ended after {job.done} of {job.total}; what was judged until then is kept",)
        canaries = dict(self._bench.canaries or {})
        if outcome.canary:
            canaries[outcome.canary[0]] = outcome.canary[1]
        self._say(
            work=None, sums=sums, report=outcome.report, light=outcome.light, problem=outcome.problem,
            canaries=canaries, warnings=job.warnings,
        )  # fmt: skip

    def _count(self) -> None:
        if (spent := self._purse.spent_usd) != self._bench.spent_usd:
            self._say(spent_usd=spent)

    def _rows(self, new: str, old: str) -> tuple[Row, ...]:
        ours, theirs = self._scores.get(new, {}), self._scores.get(old, {})
        return tuple(
            Row(
                item=item,
                mine=self._marks.get(judge_labels.key_of(item)),
                old=theirs.get(item.id) if old != new else None,
                new=ours.get(item.id),
                held=judge_labels.is_held(item),
                exemplar=judge_labels.key_of(item) in self._shown,
            )
            for item in self._bench.set.items
        )

    def _say(self, **news: object) -> None:
        self._bench = replace(self._bench, **news)  # type: ignore[arg-type]

    def close(self) -> None:
        """End what is being asked."""
        self.cancel()
