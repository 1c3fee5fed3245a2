"""Replacing the judge of a run between two steps, with an overlap that both judges have scored."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

from .config import RunConfig
from .errors import JudgeError
from .events import JudgeReplaced, PhaseStarted
from .judge.pool import Pool
from .judge.spec import JudgeSpec
from .outage import LOOK_EVERY_S
from .recorder import Recorder
from .rollout_log import read_rollouts
from .run_dir import RunDir
from .run_judges import judge_in, keep_version
from .stats import Line, fitted_line, spearman
from .types import JudgedRollout, JudgeResult, Verdict, request_for

if TYPE_CHECKING:
    from .trainer import Trainer

OVERLAP = 64
"""Recent rollouts that are scored by both judges."""


class JudgeSwap:
    """Opens the judge that was asked for, lets it score the overlap, and hands it to the trainer."""

    def __init__(
        self,
        run: RunDir,
        config: RunConfig,
        trainer: Trainer,
        make_judge: Callable[[JudgeSpec], Pool],
        recorder: Recorder,
    ) -> None:
        self._run, self._config, self._trainer = run, config, trainer
        self._make_judge, self._recorder = make_judge, recorder

    def replace(self, version: str, asked_to_stop: Callable[[], bool]) -> JudgeReplaced:
        """Put the judge in ``judge/<version>.toml`` in the place of the present one.

        Raises ``JudgeError`` with the old judge still in force if the new one cannot be used, gives too few verdicts,
        or the worker is asked to stop meanwhile.
        """
        spec = judge_in(self._run, self._config, version)
        pool = self._make_judge(spec)
        try:
            event = self._replace(spec, pool, asked_to_stop)
        except BaseException:
            pool.close()
            raise
        return event

    def _replace(self, spec: JudgeSpec, pool: Pool, asked_to_stop: Callable[[], bool]) -> JudgeReplaced:
        trainer = self._trainer
        recent, held_out = list(islice(self._recent(), OVERLAP)), self._held_out()
        self._recorder.write(PhaseStarted(step=trainer.completed, phase="judge", total=len(recent) + len(held_out)))
        results = self._scored(pool, [*recent, *held_out], asked_to_stop)
        both = [
            (item.result.score, result.score)
            for item, result in zip(recent, results, strict=False)
            if isinstance(item.result, Verdict) and isinstance(result, Verdict)
        ]
        baseline = {
            item.rollout.prompt.id: result.score
            for item, result in zip(held_out, results[len(recent) :], strict=True)
            if isinstance(result, Verdict)
        }
        before = trainer.judge.judge.version
        keep_version(self._run, pool.judge.version, spec)
        trainer.replace_judge(pool, baseline)
        trainer.cost_usd += (cost := sum(result.cost_usd for result in results))
        line = fitted_line(both) or Line(None, None)
        return JudgeReplaced(
            step=trainer.completed + 1,
            from_version=before,
            to_version=pool.judge.version,
            name=spec.name,
            n=len(both),
            failed=sum(not isinstance(result, Verdict) for result in results),
            old_mean=statistics.fmean(old for old, _ in both) if both else None,
            new_mean=statistics.fmean(new for _, new in both) if both else None,
            spearman=spearman(both),
            slope=line.slope,
            intercept=line.intercept,
            cost_usd=cost,
        )

    def _scored(
        self, pool: Pool, items: Sequence[JudgedRollout], asked_to_stop: Callable[[], bool]
    ) -> list[JudgeResult]:
        from concurrent.futures import wait

        futures = [pool.submit(request_for(item.rollout)) for item in items]
        pool.flush()
        while waiting := [future for future in futures if not future.done()]:
            wait(waiting, timeout=LOOK_EVERY_S)
            link = pool.link()
            if asked_to_stop():
                raise JudgeError("the worker is stopping")
            if link is not None and link.open:
                raise JudgeError(f"the new judge does not answer: {link.reason}; the old one stays")
        results = [future.result() for future in futures]
        failed = [result for result in results if not isinstance(result, Verdict)]
        if len(failed) > self._config.judge.max_failed_fraction * len(results):
            raise JudgeError(
                f"the new judge gave no verdict on {len(failed)} of {len(results)} responses "
                f"({failed[0].message}); the old one stays"
            )
        return results

    def _recent(self) -> Iterator[JudgedRollout]:
        """Judged rollouts, those of the newest step first."""
        for step in range(self._trainer.completed, 0, -1):
            recorded = read_rollouts(self._run.rollouts(step))
            yield from (row for row in recorded.rows() if isinstance(row, JudgedRollout))

    def _held_out(self) -> list[JudgedRollout]:
        """The responses of the first validation, against which later ones are compared."""
        validations = self._trainer.validations
        if not validations:
            return []
        recorded = read_rollouts(self._run.validation(validations[0].step))
        return [row for row in recorded.rows() if isinstance(row, JudgedRollout)]
