"""Commands that try a judge before it is paid for: ``score``, ``compare``, ``calibrate``, ``canaries``."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from .bench_text import calibration_lines, canary_lines, comparison_lines, score_lines
from .cli_common import FAILED, INTERRUPTED, USAGE, Json, complain, refuse, say, say_json
from .text import one_line

if TYPE_CHECKING:
    from core.judge.spec import JudgeSpec
    from core.judge.workbench.canaries import Task
    from core.judge.workbench.items import Items
    from core.judge.workbench.samples import ScoredSample, ScoreReport
    from core.types import Judge

R = TypeVar("R")

JudgeFile = Annotated[str, typer.Argument(metavar="JUDGE.toml", help="A judge file, or the name of a built-in judge.")]
Data = Annotated[str, typer.Option("--data", metavar="FILE", help="Prompts with responses, or with chosen/rejected.")]
Seed = Annotated[int, typer.Option(help="Which rows are drawn, and the resampling.")]
Cap = Annotated[float | None, typer.Option("--cap-usd", min=0.0, help="Ask nothing that could pass this many dollars.")]
NoCache = Annotated[bool, typer.Option("--no-cache", help="Neither read nor write the cache of replies.")]
Column = Annotated[str, typer.Option(metavar="NAME", help="Column of that role; else it is guessed.")]
Few = Annotated[int, typer.Option("--n", min=0, help="How many responses are drawn from the file; 0: all.")]
Steps = Annotated[int, typer.Option(min=1, help="Steps of the run that the forecast is for.")]
Rollouts = Annotated[int, typer.Option(min=1, help="Responses per step of that run.")]


def score(
    judge: JudgeFile,
    data: Data,
    n: Few = 20,
    repeats: Annotated[
        int | None, typer.Option(min=1, max=32, help="Judgements per response; else as the judge file says.")
    ] = None,
    seed: Seed = 0,
    cap_usd: Cap = None,
    no_cache: NoCache = False,
    steps: Steps = 100,
    rollouts: Rollouts = 64,
    prompt_column: Column = "",
    response_column: Column = "",
    chosen_column: Column = "",
    rejected_column: Column = "",
    reference_column: Column = "",
    system_column: Column = "",
    as_json: Json = False,
) -> None:
    """Let a judge score some responses: scores, spread, reasons, latency, cost, forecast.

    \b
    Examples:
      rlaif-tui judge score judge.toml --data pairs.csv --n 20 --repeats 3
      rlaif-tui judge score general --data responses.jsonl --json | jq .mean
    """
    from core.judge.workbench.forecast import Load, forecast, measured
    from core.judge.workbench.samples import report_of
    from core.judge.workbench.scoring import score_set

    items = _items(data, response_column, prompt=prompt_column, chosen=chosen_column, rejected=rejected_column,
                   reference=reference_column, system=system_column)  # fmt: skip
    drawn = items.sample(n, seed)
    bench = _open(judge, repeats=repeats, cap_usd=cap_usd, no_cache=no_cache, seed=seed)
    show = _Progress(len(drawn))
    report, cut = _finish(
        [bench.judge],
        lambda: score_set(bench.judge, drawn, repeats=bench.repeats, on_result=show, **bench.pace),
        lambda: report_of(bench.judge, show.samples, n=len(drawn)),
    )
    load = Load(rollouts=rollouts, steps=steps, repeats=bench.spec.repeats, concurrency=bench.concurrency)
    per = measured(report)
    ahead = forecast(per, load) if per else None
    if as_json:
        say_json(report.to_json() | {"forecast": ahead.to_json() if ahead else None, "notes": list(items.notes)})
    else:
        _head(bench, f"{len(drawn)} responses of {data}", items.notes)
        _say_all(score_lines(report, ahead, f"{steps:,} steps of {rollouts:,}"))
    _end(report, cut)


def compare(
    old: Annotated[str, typer.Argument(metavar="OLD.toml", help="The judge so far: a file or a built-in name.")],
    new: Annotated[str, typer.Argument(metavar="NEW.toml", help="The judge that would take its place.")],
    data: Data,
    n: Few = 20,
    seed: Seed = 0,
    cap_usd: Cap = None,
    no_cache: NoCache = False,
    prompt_column: Column = "",
    response_column: Column = "",
    chosen_column: Column = "",
    rejected_column: Column = "",
    reference_column: Column = "",
    system_column: Column = "",
    as_json: Json = False,
) -> None:
    """Let two judges score the same responses: differences, rank agreement, cost. The cap holds for each of them.

    \b
    Examples:
      rlaif-tui judge compare judge.toml stricter.toml --data pairs.csv
      rlaif-tui judge compare rubric general --data pairs.csv --n 50 --json | jq .difference
    """
    from core.judge.workbench.comparing import comparison_of
    from core.judge.workbench.samples import report_of
    from core.judge.workbench.scoring import score_set

    items = _items(data, response_column, prompt=prompt_column, chosen=chosen_column, rejected=rejected_column,
                   reference=reference_column, system=system_column)  # fmt: skip
    drawn = items.sample(n, seed)
    sides = [_open(name, cap_usd=cap_usd, no_cache=no_cache, seed=seed) for name in (old, new)]
    shows = [_Progress(len(drawn), name) for name in ("old", "new")]

    async def both() -> list[ScoreReport]:
        return [await score_set(b.judge, drawn, on_result=s, **b.pace) for b, s in zip(sides, shows, strict=True)]

    reports, cut = _finish(
        [side.judge for side in sides],
        both,
        lambda: [report_of(b.judge, s.samples, n=len(drawn)) for b, s in zip(sides, shows, strict=True)],
    )
    report = comparison_of(*reports, seed=seed)
    if as_json:
        say_json(report.to_json())
    else:
        say(f"{one_line(old)} → {one_line(new)}, {len(drawn)} responses of {one_line(data)}")
        _say_all(comparison_lines(report))
    for side in reports:
        _end(side, cut)


def calibrate(
    judge: JudgeFile,
    data: Annotated[str, typer.Option("--data", metavar="FILE", help="Prompts with chosen and rejected answers.")] = "",
    labels: Annotated[
        str, typer.Option(metavar="LABELS.csv", help="Your marks: label with prompt and response, or with id.")
    ] = "",
    n: Annotated[int, typer.Option("--n", min=0, help="How many pairs are drawn from the file; 0: all.")] = 100,
    repeats: Annotated[int, typer.Option(min=1, max=32, help="Judgements per response, to measure the noise.")] = 3,
    seed: Seed = 0,
    cap_usd: Cap = None,
    no_cache: NoCache = False,
    prompt_column: Column = "",
    response_column: Column = "",
    chosen_column: Column = "",
    rejected_column: Column = "",
    reference_column: Column = "",
    system_column: Column = "",
    as_json: Json = False,
) -> None:
    """Say how far a judge agrees with people, how steady it is and how easily fooled: green, amber or red.

    \b
    Examples:
      rlaif-tui judge calibrate judge.toml --data pairs.csv
      rlaif-tui judge calibrate judge.toml --data pairs.csv --labels mine.csv --json | jq .light
    """
    from core.judge.workbench.calibration import Evidence, calibrate, calibration_so_far
    from core.judge.workbench.canaries import TASKS, canary_items
    from core.judge.workbench.kept import keep_calibration
    from core.judge.workbench.labels import load_labels

    if not data and not labels:
        refuse("calibrate needs --data FILE with chosen and rejected answers, --labels LABELS.csv, or both", USAGE)
    items = None
    if data:
        items = _items(data, response_column, prompt=prompt_column, chosen=chosen_column, rejected=rejected_column,
                       reference=reference_column, system=system_column)  # fmt: skip
    marks = load_labels(labels, items.all if items else ()) if labels else ()
    evidence = Evidence(items.sample_pairs(n, seed) if items else (), marks)
    if not evidence.items:
        refuse(f"{data} has responses but no chosen and rejected answers; give --labels with your marks of them", USAGE)
    bench = _open(judge, repeats=repeats, cap_usd=cap_usd, no_cache=no_cache, seed=seed)
    show = _Progress(len(evidence.items) + len(canary_items(TASKS, seed)))
    use = bench.spec.repeats
    report, cut = _finish(
        [bench.judge],
        lambda: calibrate(bench.judge, evidence, repeats=bench.repeats, repeats_in_use=use, seed=seed,
                          on_result=show, **bench.pace),
        lambda: calibration_so_far(bench.judge, show.samples, evidence, repeats_in_use=use, seed=seed),
    )  # fmt: skip
    if not cut:
        keep_calibration(report, " and ".join(filter(None, (data, labels))))
    if as_json:
        say_json(report.to_json())
    else:
        _head(bench, " and ".join(filter(None, (data, labels))), items.notes if items else ())
        _say_all(calibration_lines(report))
    _end(report.scoring, cut)


def canaries(
    judge: JudgeFile,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="Prompts to build canaries for; else built-in ones.")
    ] = "",
    n: Annotated[int, typer.Option("--n", min=1, max=1000, help="How many prompts are drawn from the file.")] = 3,
    seed: Seed = 0,
    cap_usd: Cap = None,
    no_cache: NoCache = False,
    prompt_column: Column = "",
    as_json: Json = False,
) -> None:
    """Try to fool a judge: what do empty, flattering, commanding and padded non-answers get?

    \b
    Examples:
      rlaif-tui judge canaries judge.toml
      rlaif-tui judge canaries judge.toml --data prompts.csv --n 5 --json | jq .max_score
    """
    from core.judge.workbench.canaries import TASKS, canaries_so_far, canary_items, run_canaries

    tasks = _tasks(data, prompt_column, n, seed) if data else TASKS
    bench = _open(judge, cap_usd=cap_usd, no_cache=no_cache, seed=seed)
    show = _Progress(len(canary_items(tasks, seed)))
    report, cut = _finish(
        [bench.judge],
        lambda: run_canaries(bench.judge, tasks, seed=seed, on_result=show, **bench.pace),
        lambda: canaries_so_far(bench.judge, show.samples, show.total),
    )
    if as_json:
        say_json(report.to_json())
    else:
        _head(bench, f"{len(report.canaries)} canaries, {len(tasks)} tasks")
        _say_all(canary_lines(report))
    _end(report.scoring, cut)


@dataclass
class _Bench:
    """An open judge and how it wants to be asked."""

    spec: JudgeSpec
    judge: Judge
    repeats: int
    """How often the workbench asks; 1 for a judge that repeats by itself."""

    @property
    def concurrency(self) -> int:
        return self.spec.limits.concurrency

    @property
    def pace(self) -> dict[str, Any]:
        batched = self.spec.backend in ("local", "self")
        return {"concurrency": self.concurrency, "batch": self.spec.batch_size if batched else 1}


def _open(name: str, *, repeats: int | None = None, cap_usd: float | None, no_cache: bool, seed: int) -> _Bench:
    from core.judge.open import API_BACKENDS, open_judge, open_spec

    spec = open_spec(name)
    judge = open_judge(spec, repeats=repeats, cap_usd=cap_usd, cache="off" if no_cache else "rw", seed=seed)
    return _Bench(spec, judge, 1 if spec.backend in API_BACKENDS else repeats or spec.repeats)


def _items(path: str, response_column: str, **columns: str) -> Items:
    from core.judge.workbench.items import load_items
    from core.prompt_columns import Columns

    return load_items(path, columns=Columns(**columns), response_column=response_column)


def _tasks(path: str, prompt_column: str, count: int, seed: int) -> tuple[Task, ...]:
    from core.judge.workbench.canaries import Task
    from core.prompts import Columns, load_prompts

    prompts = load_prompts(path, columns=Columns(prompt=prompt_column)).prompts
    texts = {prompt.text: prompt.chosen or "" for prompt in prompts}
    drawn = random.Random(seed).sample(sorted(texts), min(count, len(texts)))
    return tuple(Task(text, texts[text]) for text in drawn)


@dataclass
class _Progress:
    """Keeps every sample and, for a person at a terminal, one line on standard error."""

    total: int
    name: str = ""
    samples: list[ScoredSample] = field(default_factory=list)

    def __call__(self, sample: ScoredSample) -> None:
        self.samples.append(sample)
        if sys.stderr.isatty():
            done = len(self.samples)
            text = f"\r{self.name + ' ' if self.name else ''}judged {done:,} of {self.total:,}"
            sys.stderr.write("\r\x1b[K" if done >= self.total else text)
            sys.stderr.flush()


def _finish(judges: Sequence[Judge], work: Callable[[], Awaitable[R]], so_far: Callable[[], R]) -> tuple[R, bool]:
    """What ``work`` returns, or with Ctrl-C ``so_far``; and whether it was interrupted. Closes the judges."""

    async def closing() -> R:
        try:
            return await work()
        finally:
            for judge in judges:
                await judge.close()
                for warning in getattr(judge, "warnings", ()):
                    complain(f"! {warning}")

    try:
        return asyncio.run(closing()), False
    except KeyboardInterrupt:
        complain("\ninterrupted; this is what was judged until then")
        return so_far(), True


def _head(bench: _Bench, what: str, notes: Sequence[str] = ()) -> None:
    say(f"{one_line(bench.judge.name)} (version {bench.judge.version}), {one_line(what)}")
    if bench.spec.backend == "rubric":
        say("a fixed set of text rules, not a real judge")
    for note in notes:
        say(f"  {one_line(note)}")
    say()


def _say_all(lines: Iterable[str]) -> None:
    for text in lines:
        say(text)


def _end(report: ScoreReport, cut: bool) -> None:
    """The exit code: 130 after Ctrl-C, 1 if the judge gave no score at all or stopped early."""
    if cut:
        raise typer.Exit(INTERRUPTED)
    if report.stopped:
        refuse(f"stopped after {len(report.samples)} of {report.n}: {report.stopped}", FAILED)
    if not report.scores and report.samples:
        refuse(f"the judge gave no score: {report.failures.most_common(1)[0][0]}", FAILED)
