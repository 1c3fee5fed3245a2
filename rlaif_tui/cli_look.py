"""Commands that look at runs and change nothing: ``runs``, ``status``, ``logs``."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any

import typer

from core.advisor import Finding
from core.agreement import AgreementReader
from core.errors import RlaifError
from core.run_dir import RunDir, list_runs

from .cli_common import NO_RUN, Json, Run, find_run, refuse, root_of, run_object, say, say_json
from .concerns import advice_lines, advice_object, findings
from .desks.train import read_facts
from .feed import RunFeed, log_tail
from .plain import ENDED, verdict
from .run_state import RunState
from .text import clip, one_line, pad, safe
from .words import eta, phase, progress, scores, span, word

_FOLLOW_S = 0.5
_READ_BYTES = 1 << 16
_LONGEST = 400


def runs(context: typer.Context, as_json: Json = False) -> None:
    """List all runs, newest first.

    \b
    Examples:
      rlaif-tui runs
      rlaif-tui runs --json
    """
    root = root_of(context)
    found = [(run, _state_of(run)) for run in list_runs(root)]
    if as_json:
        readable = [_object(run, state) for run, state in found if isinstance(state, RunState)]
        unreadable = [{"run": run.name, "error": state} for run, state in found if isinstance(state, str)]
        say_json({"runs": readable, "unreadable": unreadable})
        return
    if not found:
        say(f"no runs in {root} yet; 'rlaif-tui demo' makes one")
        return
    width = min(40, max(4, *(len(run.name) for run, _ in found)))
    say(f"{'RUN':<{width}}  {'STATE':<10}  {'STEP':>11}  SCORE")
    for run, state in found:
        figures = state if isinstance(state, str) else f"{progress(state):>11}  {scores(state)}"
        say(f"{pad(run.name, width)}  {pad(_word(state), 10)}  {one_line(figures)}")


def status(context: typer.Context, run: Run, as_json: Json = False) -> None:
    """Say where a run stands, and how it ended.

    \b
    Examples:
      rlaif-tui status gentle
      rlaif-tui status gentle --json | jq .state
    """
    found = find_run(context, run)
    state = RunFeed(found).poll()
    advice = _advice(found, state)
    if as_json:
        say_json(_object(found, state) | {"advice": [advice_object(finding) for finding in advice]})
        return
    for line in _story(found, state):
        say(line)
    for finding in advice:
        for line in advice_lines(finding):
            say(line)


def logs(
    context: typer.Context,
    run: Run,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines are written, until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many of the last lines.")] = 40,
) -> None:
    """Show what the worker and its libraries printed.

    \b
    Examples:
      rlaif-tui logs gentle -n 100
      rlaif-tui logs gentle -f
    """
    found = find_run(context, run)
    if not found.log.exists() and not follow:
        refuse(f"{found.name} has no worker.log: no worker was started yet", NO_RUN)
    position = found.log.stat().st_size if found.log.exists() else 0
    for line in log_tail(found.log, lines) if lines else []:
        say(line)
    if follow:
        _follow_log(found, position)


def _follow_log(run: RunDir, position: int) -> None:
    while True:
        try:
            with run.log.open("rb") as file:
                file.seek(position)
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            data = b""
        end = data.rfind(b"\n") + 1 or (len(data) if len(data) == _READ_BYTES else 0)
        position += end
        sys.stdout.write(safe(data[:end].decode("utf-8", "replace")))
        sys.stdout.flush()
        if not end:
            time.sleep(_FOLLOW_S)


def _state_of(run: RunDir) -> RunState | str:
    """The run's state, or one sentence where it cannot be read; one bad run must not hide the others."""
    try:
        return RunFeed(run).poll()
    except (OSError, RlaifError) as error:
        return f"cannot be read: {error}"


def _advice(run: RunDir, state: RunState) -> tuple[Finding, ...]:
    """What the advisor finds as of the newest step."""
    agreement = AgreementReader(run, points=1).read(state.judge_since or 0)
    found = findings(state, replace(read_facts(run), agreement=agreement))
    # Keys and commands act on a worker, and there is none any more.
    return tuple(replace(f, key="", command="") for f in found) if state.word in ENDED else found


def _word(state: RunState | str) -> str:
    return "unreadable" if isinstance(state, str) else word(state)


def _object(run: RunDir, state: RunState) -> dict[str, Any]:
    return run_object(run, state) | {"lost": state.lost}


def _story(run: RunDir, state: RunState) -> Iterator[str]:
    now = "" if state.word in ENDED else f", {phase(state)}; {eta(state)}"
    yield f"{run.name}: {word(state)}, step {progress(state)}{now}"
    yield from _notes(state)
    yield f"score {scores(state)} (0-10, before → now); cost ${state.cost_usd:.2f}"
    yield from verdict(state.validations)
    saved = state.last_checkpoint_step
    yield f"last checkpoint: {'none yet' if saved is None else f'step {saved}'}"
    if state.pid is not None:
        host = f" on {state.started.host}" if state.started else ""
        yield f"worker: process {state.pid}{host}"
    yield f"directory: {run.path}"


def _notes(state: RunState) -> Iterator[str]:
    if state.lost:
        yield f"no sign of life for {span(state.silent_s)}, though a worker holds the run"
    if state.word == "crashed":
        yield f"crashed: {clip(state.error, _LONGEST) or 'no reason was written'}"
    if state.word == "paused":
        yield f"paused: {clip(state.pause_reason, _LONGEST) or 'asked for'}"
    if state.damaged:
        yield f"{state.damaged} damaged lines of the event log were passed over"
    told = [note for note in state.warnings if not note.advice]  # what the advisor finds now is told below
    yield from (f"{note.severity}, step {note.step}: {clip(note.text, _LONGEST)}" for note in told[-3:])
