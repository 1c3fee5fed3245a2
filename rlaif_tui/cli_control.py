"""Commands that ask a run for something. Asking is not doing: the worker answers at its next step boundary."""

from __future__ import annotations

import math
import time
from typing import Annotated

import typer

from core.commands import SETTINGS, CheckpointNow, Command, Pause, Resume, Set, Setting, Stop
from core.config_file import from_dict
from core.errors import ConfigError, RunDirError
from core.events import CommandApplied, CommandRejected
from core.journal import EventReader, send
from core.run_dir import RunDir

from .cli_common import FAILED, NO_RUN, Run, find_run, handle, nearest, refuse, say
from .feed import RunFeed
from .launch import start_worker
from .plain import ENDED

ANSWER_WITHIN_S = 5.0
_POLL_S = 0.1

Wait = Annotated[float, typer.Option("--wait", metavar="SECONDS", min=0.0, help="How long to wait for the answer.")]


def pause(context: typer.Context, run: Run, wait: Wait = ANSWER_WITHIN_S) -> None:
    """Let a run wait after the step under way.

    'resume' lets it go on.
    """
    _ask(_live(context, run), Pause(), "pause", wait)


def stop(context: typer.Context, run: Run, wait: Wait = ANSWER_WITHIN_S) -> None:
    """Save a checkpoint and end the run's worker.

    The step under way is finished first; 'resume' goes on from there.
    """
    _ask(_live(context, run), Stop(), "stop", wait)


def checkpoint(context: typer.Context, run: Run, wait: Wait = ANSWER_WITHIN_S) -> None:
    """Save a checkpoint after the step under way."""
    _ask(_live(context, run), CheckpointNow(), "save a checkpoint", wait)


def resume(context: typer.Context, run: Run, wait: Wait = ANSWER_WITHIN_S) -> None:
    """Let a paused, stopped or crashed run go on.

    A stopped or crashed one gets a new worker, which begins at the last checkpoint.
    """
    found = find_run(context, run)
    state = RunFeed(found).poll()
    if state.word == "completed":
        say(f"{found.name} has completed all {state.total_steps} steps; there is nothing to resume")
    elif state.word in ENDED:
        _start_again(found)
        step = state.last_checkpoint_step
        where = f"from the checkpoint of step {step}" if step is not None else "from its start: it had no checkpoint"
        say(f"{found.name} goes on {where}; rlaif-tui attach {handle(context, found)} shows it")
    elif state.word == "paused":
        _ask(found, Resume(), "go on", wait)
    else:
        say(f"{found.name} is {state.word}, not paused; there is nothing to resume")


def _start_again(run: RunDir) -> None:
    try:
        start_worker(run, resume=True)
    except RunDirError as error:
        refuse(str(error), FAILED)


def set_(
    context: typer.Context,
    run: Run,
    setting: Annotated[str, typer.Argument(metavar="NAME=VALUE", help=f"One of {', '.join(SETTINGS)}.")],
    wait: Wait = ANSWER_WITHIN_S,
) -> None:
    """Change a setting of a live run from the next step on.

    \b
    Examples:
      rlaif-tui set gentle kl_coef=0.1
      rlaif-tui set gentle learning_rate=5e-6
      rlaif-tui set gentle judge_cap_usd=20
    """
    name, value = _setting(setting)
    _ask(_live(context, run), Set(name=name, value=value), f"set {name} to {value:g}", wait)


def replace_judge(
    context: typer.Context,
    run: Run,
    judge: Annotated[str, typer.Argument(metavar="JUDGE.toml", help="Judge file, or name of a built-in judge.")],
    wait: Wait = 60.0,
) -> None:
    """Let another judge score a live run from the next step on.

    The new judge first scores up to 64 recent responses and the held-out ones, so that the jump between the two can be
    read. The judges' files stay in the run's folder.

    \b
    Examples:
      rlaif-tui replace-judge gentle stricter.toml
    """
    from core.judge.open import open_spec
    from core.run_judges import offer_judge

    found = _live(context, run)
    spec = open_spec(judge)
    command = offer_judge(found, spec, f"judge '{judge}'")
    _ask(found, command, f"replace its judge with {spec.name} ({command.version})", wait)


def _setting(text: str) -> tuple[Setting, float]:
    name, equals, value = (part.strip() for part in text.partition("="))
    name = name.removeprefix("ppo.").replace("judge.cap_usd", "judge_cap_usd")
    if not equals:
        raise ConfigError(f"'{text}': write NAME=VALUE, such as kl_coef=0.1")
    if name not in SETTINGS:
        hint = nearest(name, SETTINGS) or f"; there are: {', '.join(SETTINGS)}"
        raise ConfigError(f"{name} cannot be changed while a run goes on{hint}")
    try:
        number = float(value)
    except ValueError:
        raise ConfigError(f"{name} = {value} is not allowed; it must be a number, such as {name}=0.1") from None
    if not math.isfinite(number):
        raise ConfigError(f"{name} = {value} is not allowed; it must be a finite number")
    section, key = ("judge", "cap_usd") if name == "judge_cap_usd" else ("ppo", name)
    from_dict({section: {key: number}}, source=f"set {text}")
    return name, number


def _live(context: typer.Context, reference: str) -> RunDir:
    """The run, if a worker is there to answer; else ends with one sentence."""
    run = find_run(context, reference)
    state = RunFeed(run).poll()
    if state.word in ENDED:
        again = "" if state.word == "completed" else f"; rlaif-tui resume {handle(context, run)} starts it again"
        refuse(f"{run.name} is {state.word}, so no worker is there to answer{again}", NO_RUN)
    return run


def _ask(run: RunDir, command: Command, what: str, wait: float) -> None:
    answers = EventReader.at_end(run.events)
    send(run, command)
    deadline = time.monotonic() + wait
    while True:
        for event in answers.read():
            if isinstance(event, CommandApplied | CommandRejected) and event.command_id == command.id:
                return _report(run, event)
        if time.monotonic() >= deadline:
            break
        time.sleep(_POLL_S)
    state = RunFeed(run).poll()
    if state.word in ENDED and command.id not in state.answered:
        refuse(f"{run.name} is {state.word}; the worker ended before it answered", NO_RUN)
    say(f"asked {run.name} to {what}; it takes effect at the next step boundary")
    return None


def _report(run: RunDir, event: CommandApplied | CommandRejected) -> None:
    if isinstance(event, CommandRejected):
        refuse(f"{run.name} refused: {event.reason}", FAILED)
    detail = f" ({event.detail})" if event.detail else ""
    say(f"{run.name}: {event.name}, effective with step {event.step}{detail}")
