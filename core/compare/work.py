"""One comparison from its job to the last line of its record. What can go wrong ends in that line as a sentence."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config import RunConfig
from ..config_file import load_config
from ..errors import RlaifError
from ..files import AppendLog
from ..process import quieten
from ..run_dir import RunDir
from .asking import Answers, fitting, settings_of
from .bench import Bench, open_bench
from .job import Activity, Job, first_header, home_of, model_of, runs_of, targets_of
from .judging import fight, score_rows
from .record import DuelDone, Finished, Header, Line, Progress, RowDone, Settings, encode
from .rows import Chosen, choose
from .targets import Target, label_of

if TYPE_CHECKING:
    from .materials import Material

LOOK_EVERY_S = 0.5
TELL_EVERY_S = 0.25
"""Seconds between two lines about the same piece of work."""


class Ended(KeyboardInterrupt):
    """A signal asked the process to end."""


class Work:
    """Does one job. ``record`` is appended to; whoever started it may have written a header already."""

    def __init__(self, job: Job, record: Path) -> None:
        self._job = job
        self._log = AppendLog(record)
        self._told = ("", 0.0)
        self._bench: Bench | None = None
        self._home: RunDir | None = None
        self._targets: tuple[Target, ...] = ()

    def do(self) -> int:
        """Compare; returns the exit code of the process. Ends with ``Finished`` whatever happens."""
        error, code = "", 1
        try:
            error = self._compare()
            code = 1 if error else 0
        except Ended:
            error, code = "cancelled", 143
        except RlaifError as known:
            error = " ".join(str(known).split())
        except MemoryError:
            error = "memory ran out; compare fewer prompts with --n, or smaller models"
        except OSError as failed:
            error = f"{failed.filename or 'a file'}: {failed.strerror or failed}"
        except Exception as unexpected:  # noqa: BLE001  the one place that answers for everything
            traceback.print_exc()
            error = f"unexpected {type(unexpected).__name__}: {unexpected}"
        cost = self._bench.ledger.spent_micros / 1e6 if self._bench else 0.0
        with contextlib.suppress(OSError):  # a full disk has nobody to tell it to
            self._write(Finished(time=time.time(), cost_usd=cost, error=error))
            self._log.sync()
        self._log.close()
        return code

    def _compare(self) -> str:
        """Returns why the judge stopped early, empty if it did not."""
        job = self._job
        self._resolve(waiting=job.wait)
        self._write(first_header(job, self._targets, pid=os.getpid()))
        if job.wait:
            self._wait()
            self._resolve()  # the newest checkpoint is another one by now
        config = load_config(self._home.config) if self._home else RunConfig()
        _quieten(job, config, self._targets)
        bench = self._bench = open_bench(job, self._home)  # what is wrong with the judge is told before anything loads
        with tempfile.TemporaryDirectory(prefix="rlaif-compare-") as place:
            rows = self._generate(config, bench, Path(place))
        asyncio.run(self._judge(bench, rows))
        return f"the judge stopped: {bench.stopped}" if bench.stopped else ""

    def _resolve(self, *, waiting: bool = False) -> None:
        self._targets = targets_of(self._job, waiting=waiting)
        self._home = home_of(self._job, self._targets)

    def _wait(self) -> None:
        runs = [Activity(run) for run in runs_of(self._targets, self._home)]
        while busy := [run for run in runs if run.is_training(paused_counts=self._job.until_ended)]:
            self._tell(f"waiting for {busy[0].run.name}")
            time.sleep(LOOK_EVERY_S)

    # generation

    def _generate(self, config: RunConfig, bench: Bench, place: Path) -> list[RowDone]:
        self._tell("loading")
        import torch

        from .generate import answer
        from .materials import gather

        if config.run.threads:
            torch.set_num_threads(config.run.threads)
        chosen = choose(self._job, self._home, runs_of(self._targets, self._home))
        materials = gather(self._targets, place)
        settings = settings_of(self._job, config, materials)
        prompts, lengths = fitting(chosen, materials, settings)
        self._write(self._header(bench, chosen, materials, settings, len(prompts), len(chosen.prompts)))
        answers = Answers(chosen, prompts, lengths, len(materials), whole=self._write, counted=self._answered)
        answer(
            materials, prompts, settings, answers.heard,
            loading=lambda model: self._tell(f"loading {label_of(model)}", force=True),
        )  # fmt: skip
        return answers.rows()

    def _header(
        self, bench: Bench, chosen: Chosen, materials: Sequence[Material], settings: Settings, rows: int, asked: int
    ) -> Header:
        too_long = f", without {asked - rows:,} that are too long for a model" if asked > rows else ""
        return Header(
            id=self._job.id,
            time=time.time(),
            models=tuple(model_of(i, each.target, each.fingerprint) for i, each in enumerate(materials)),
            settings=settings,
            data=f"{chosen.described}{too_long}",
            data_fingerprint=chosen.fingerprint,
            rows=rows,
            judge=bench.name,
            judge_version=bench.version,
            pair_judge=bench.pair_name,
            pair_version=bench.pair_version,
            pid=os.getpid(),
        )

    # judging

    async def _judge(self, bench: Bench, rows: list[RowDone]) -> None:
        count, pairs = len(rows), len(rows) * len(self._targets) * (len(self._targets) - 1) // 2
        try:
            if bench.scorer is not None:
                rows = await score_rows(bench, rows, self._counting("judging replies", count))
            if bench.pairs is not None:
                await fight(bench, rows, self._counting("judging pairs", pairs))
        finally:
            await bench.close()

    def _counting(self, what: str, total: int) -> Callable[[RowDone | DuelDone], None]:
        done = 0

        def tell(line: RowDone | DuelDone) -> None:
            nonlocal done
            done += 1
            self._write(line)
            self._tell(what, done, total)

        return tell

    # the record

    def _write(self, line: Line) -> None:
        self._log.append(encode(line))

    def _tell(self, what: str, done: int = 0, total: int = 0, *, force: bool = False) -> None:
        """Say what is going on, not more often than a person can read."""
        known, at = self._told
        now = time.monotonic()
        if not force and known == what and done != total and now - at < TELL_EVERY_S:
            return
        if known == what and total == 0 and not force:
            return
        self._told = (what, now)
        self._write(Progress(time=time.time(), what=what, done=done, total=total))

    def _answered(self, model: int, done: int, total: int) -> None:
        self._tell(f"{label_of(model)} answers", done, total)


def _quieten(job: Job, config: RunConfig, targets: Sequence[Target]) -> None:
    """What libraries read when they are imported, once for all models: any of them may need the hub, or 4 bits."""
    configs = [target.config for target in targets]
    remote = next((c.id for c in configs if c.id != "demo" and not Path(c.id).is_dir()), configs[0].id)
    stored = next((c.quantization for c in configs if c.quantization != "none"), "none")
    model = configs[0].model_copy(update={"id": remote, "quantization": stored})
    data = config.data.model_copy(update={"path": job.data or config.data.path})
    quieten(config.model_copy(update={"model": model, "data": data}))
