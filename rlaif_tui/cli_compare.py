"""``rlaif-tui compare``: two or more models on the same prompts. The work is done by a process of ``core.compare``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from core.errors import DataError, RunDirError

from .cli_common import FAILED, INTERRUPTED, NO_RUN, OK, USAGE, Json, complain, find_run, refuse, root_of, say, say_json
from .plain import clock
from .text import clip, one_line

if TYPE_CHECKING:
    from core.compare.job import Job
    from core.compare.record import Comparison, Progress

POLL_S = 0.1
PATIENCE_S = 15.0
"""How long a cancelled comparison may take to close its record."""
ROWS_OF_A_FILE = 200
"""Prompts of a file that are compared unless more are asked for."""

Models = Annotated[
    list[str] | None,
    typer.Argument(metavar="A B [C ...]", help="RUN, RUN@STEP, base, an adapter's folder, a model's id or folder."),
]


def compare(
    context: typer.Context,
    models: Models = None,
    data: Annotated[
        str, typer.Option("--data", metavar="FILE", help="Prompts to ask; else what the run held out.")
    ] = "",
    judge: Annotated[
        str, typer.Option("--judge", metavar="JUDGE.toml", help="A judge file or built-in judge; else the run's own.")
    ] = "",
    n: Annotated[
        int | None,
        typer.Option("--n", min=0, help=f"Prompts; 0: all. Else all held-out ones, or {ROWS_OF_A_FILE} of a file."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the draw and of sampling.")] = 0,
    temperature: Annotated[float | None, typer.Option(min=0.01, max=10.0, help="Else that of the run.")] = None,
    max_new_tokens: Annotated[int | None, typer.Option(min=1, help="Longest reply; else that of the run.")] = None,
    no_pairs: Annotated[bool, typer.Option("--no-pairs", help="Scores only: ask about no pairs.")] = False,
    cap_usd: Annotated[
        float | None, typer.Option(min=0.0, help="Ask nothing that could pass this many dollars; else the run's cap.")
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Begin when the runs are paused or have ended.")] = False,
    now: Annotated[bool, typer.Option("--now", help="Begin at once, beside a run that is training.")] = False,
    show: Annotated[str, typer.Option(metavar="ID", help="Show an earlier comparison of a run, or newest.")] = "",
    list_: Annotated[bool, typer.Option("--list", help="List the earlier comparisons of a run.")] = False,
    as_json: Json = False,
) -> None:
    """Compare models on held-out prompts: scores, blind pairs in both orders, verdict.

    Every model answers the same prompts with the same random numbers. Figures are those of B against A. The result is
    kept with the run; Ctrl-C ends it and keeps what was done.

    \b
    Examples:
      rlaif-tui compare base gentle
      rlaif-tui compare gentle@100 gentle --data test.csv --judge judge.toml --n 100
      rlaif-tui compare base gentle ./dpo-adapter Qwen/Qwen2.5-0.5B-Instruct --data test.csv --json
      rlaif-tui compare gentle --list
      rlaif-tui compare gentle --show newest
    """
    named = models or []
    if list_ or show:
        raise typer.Exit(_earlier(context, named, show, as_json))
    if len(named) < 2:
        refuse("give at least two models, such as: rlaif-tui compare base RUN", USAGE)
    from core.compare.job import Job

    count = n if n is not None else ROWS_OF_A_FILE if data else 0
    job = Job(
        models=tuple(named), runs_root=str(root_of(context).absolute()), data=_place(data), n=count, seed=seed,
        temperature=temperature, max_new_tokens=max_new_tokens, judge=_place(judge) if _is_file(judge) else judge,
        pairs=not no_pairs, cap_usd=cap_usd, wait=wait,
    )  # fmt: skip
    raise typer.Exit(run_job(_settled(job, wait, now), as_json=as_json))


def run_job(job: Job, *, as_json: bool, out: Callable[[str], object] = say) -> int:
    """Make a comparison, follow it and print it; returns the exit code."""
    from core.compare.job import start

    comparison, cut = follow(start(job), sys.stderr)
    if cut:
        complain(f"cancelled; what was done is kept in {comparison.path if comparison else 'no record'}")
    return show_result(comparison, as_json, cut, out)


def show_result(comparison: Comparison | None, as_json: bool, cut: bool, out: Callable[[str], object] = say) -> int:
    """Print a comparison as far as it went; returns the exit code."""
    from .compare_text import all_pairs, lines

    if comparison is None:
        complain("rlaif-tui: the comparison left no record; see the .log file beside it")
        return FAILED
    finished = comparison.finished
    error = finished.error if finished else "its process was killed"
    if as_json:
        from core.compare.summary import to_json

        say_json(to_json(comparison) | {"error": error})
    elif comparison.rows and (comparison.duels or any(r.score is not None for r in comparison.rows[0].replies)):
        for line in lines(comparison, all_pairs(comparison)):
            out(line)
    if cut:
        return INTERRUPTED
    if error:
        complain(f"rlaif-tui: {error}")
    return FAILED if error else OK


def follow(record: Path, stream: TextIO) -> tuple[Comparison | None, bool]:
    """Tell on ``stream`` how a comparison goes until its process has ended; Ctrl-C ends it.

    Returns the record, and whether it was cancelled here.
    """
    from core.compare.job import cancel, is_at_work
    from core.compare.record import read

    teller, tail, cut = _Teller(stream), _Tail(record), False
    try:
        while is_at_work(record):
            for progress in tail.news():
                teller.tell(progress)
            time.sleep(POLL_S)
        for progress in tail.news():
            teller.tell(progress)
    except KeyboardInterrupt:
        cut = True
        cancel(record)
        deadline = time.monotonic() + PATIENCE_S
        while is_at_work(record) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    teller.end()
    return read(record), cut


class _Tail:
    """What a record says of its progress, each line once."""

    def __init__(self, record: Path) -> None:
        self._record, self._offset = record, 0

    def news(self) -> Iterator[Progress]:
        from core.compare.record import Progress, decode

        with self._record.open("rb") as file:
            file.seek(self._offset)
            block = file.read()
        end = block.rfind(b"\n") + 1
        self._offset += end
        for raw in block[:end].split(b"\n")[:-1]:
            if isinstance(line := decode(raw), Progress):
                yield line


class _Teller:
    """Progress as one line that is rewritten at a terminal, and as a line for each piece of work elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._rewrites = stream, stream.isatty() and os.environ.get("TERM", "dumb") != "dumb"
        self._since = time.time() - 1.0
        self._last: Progress | None = None
        self._open = False

    def tell(self, progress: Progress) -> None:
        if progress.time < self._since:  # of a time when nobody was looking
            return
        new = self._last is None or progress.what != self._last.what
        self._last = progress
        count = f" {progress.done:,} of {progress.total:,}" if progress.total else ""
        if self._rewrites:
            self._stream.write(f"\r\x1b[K{clip(f'{progress.what}{count}', 78)}")
            self._open = True
        elif new:
            total = f", {progress.total:,}" if progress.total else ""
            self._stream.write(f"{clock(progress.time)} {one_line(progress.what)}{total}\n")
        self._stream.flush()

    def end(self) -> None:
        if self._open:
            self._stream.write("\r\x1b[K")
            self._stream.flush()


def _settled(job: Job, wait: bool, now: bool) -> Job:
    """The job, queued or not: a person at a terminal is asked where a run that takes part is training."""
    from msgspec.structs import replace

    from core.compare.job import home_of, runs_of, targets_of, training

    if wait and now:
        refuse("--wait and --now exclude each other", USAGE)
    targets = targets_of(job, waiting=wait)
    busy = () if wait else training(runs_of(targets, home_of(job, targets)))
    if not busy or now:
        return job
    name = busy[0].name
    if sys.stdin.isatty() and sys.stderr.isatty():
        question = f"{name} is training on this machine. Wait until it is paused or has ended?"
        return replace(job, wait=typer.confirm(question, default=True, err=True))
    complain(f"{name} is training: this comparison shares the machine with it; --wait would queue it")
    return job


def _earlier(context: typer.Context, named: list[str], show: str, as_json: bool) -> int:
    from core.compare.record import SUFFIX, comparisons, folder_of, read

    from .export_files import NEWEST

    if show and Path(show).is_file():
        return show_result(read(Path(show)), as_json, cut=False)
    if len(named) != 1:
        refuse("name one run whose comparisons to look at, such as: rlaif-tui compare RUN --list", USAGE)
    run = find_run(context, named[0])
    if show:
        newest = comparisons(run)[:1] if show == NEWEST else []
        known = read(newest[0] if newest else folder_of(run) / f"{Path(show).name}{SUFFIX}")
        if known is None:
            raise RunDirError(f"run '{run.name}' has no comparison '{show}'; --list shows those there are")
        return show_result(known, as_json, cut=False)
    found = [known for path in comparisons(run) if (known := read(path)) is not None]
    if as_json:
        say_json({"comparisons": [_listed(known) for known in found]})
        return OK
    if not found:
        complain(f"{run.name} has no comparisons yet")
        return NO_RUN
    for known in found:
        say(_line_of(known))
    return OK


def _listed(known: Comparison) -> dict[str, Any]:
    return {
        "id": known.id,
        "record": str(known.path),
        "time": known.header.time,
        "models": [model.named for model in known.models],
        "rows": known.header.rows,
        "verdict": _verdict(known),
    }


def _line_of(known: Comparison) -> str:
    models = " / ".join(one_line(model.title) for model in known.models)
    return f"{known.id}  {models}  {_verdict(known)}"


def _verdict(known: Comparison) -> str:
    from core.compare.job import is_at_work
    from core.compare.summary import summarise

    if known.finished is None:
        return "at work" if is_at_work(known) else "its process was killed"
    if not known.duels and not any(reply.score is not None for row in known.rows for reply in row.replies):
        return one_line(known.finished.error) or "nothing was judged"
    return summarise(known).verdict


def _place(path: str) -> str:
    """A path that means the same wherever it is read; names of data sets and of the demo stay as they are."""
    if not path or path == "demo" or "://" in path:
        return path
    place = Path(path).expanduser()
    if not place.exists():
        raise DataError(f"{path}: no such file")
    return str(place.absolute())


def _is_file(judge: str) -> bool:
    return bool(judge) and (judge.endswith(".toml") or "/" in judge)
