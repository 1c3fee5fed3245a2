"""Commands that begin a run: ``init`` writes its configuration, ``demo`` and ``train`` start and follow it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from msgspec.structs import replace

from core.config_file import commented_toml, load_config
from core.errors import ConfigError, RlaifError, RunDirError
from core.presets import PRESETS, preset
from core.run_dir import RunDir

from . import plain as plain_mode
from .cli_common import (
    FAILED,
    INTERRUPTED,
    OK,
    Json,
    Overrides,
    Plain,
    Run,
    complain,
    find_run,
    handle,
    is_ascii,
    root_of,
    run_object,
    say,
    say_json,
    wants_app,
)
from .feed import RunFeed
from .launch import logout_hint, start_worker
from .run_state import RunState
from .starting import demo_config, make_run, queue_comparison

_PRESETS = ", ".join(PRESETS)


def demo(
    context: typer.Context,
    seed: Annotated[int, typer.Option(help="Seed of everything random in training.")] = 0,
    out: Annotated[Path | None, typer.Option(metavar="DIR", help="Directory of this run, which it makes.")] = None,
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Train the bundled model offline and see it get better.

    About a minute on two CPU cores, no network, no GPU; it ends on a blind comparison of base and trained model on
    held-out prompts, which is kept with the run.

    \b
    Examples:
      rlaif-tui demo
      rlaif-tui demo --plain --seed 3
      rlaif-tui demo --json --out ./demo-run > result.json
    """
    config = demo_config(seed)
    root, name = (root_of(context), "") if out is None else _place(out)
    run = make_run(config, root, name)
    raise typer.Exit(_start_and_follow(context, run, plain, as_json, compared=True))


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")] = Path("run.toml"),
    preset_name: Annotated[str, typer.Option("--preset", metavar="NAME", help=f"Starting point: {_PRESETS}.")] = "demo",
    force: Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")] = False,
) -> None:
    """Write a commented run.toml to edit.

    Every key is there, with its meaning, unit, default and what it allows.

    \b
    Examples:
      rlaif-tui init
      rlaif-tui init my-run.toml --preset zephyr-7b-qlora
    """
    config = preset(preset_name)
    title = (
        f"A run of rlaif-tui, preset {preset_name}: {PRESETS[preset_name].summary}.\n"
        f"Look it over with 'rlaif-tui check {file.name}', start it with 'rlaif-tui train {file.name}'."
    )
    try:
        with file.open("w" if force else "x", encoding="utf-8") as stream:
            stream.write(commented_toml(config, title))
    except FileExistsError:
        raise ConfigError(f"{file} exists already; give another name, or --force to replace it") from None
    except OSError as error:
        raise ConfigError(f"{file} cannot be written: {error.strerror}") from error
    say(f"wrote {file} (preset {preset_name}); next: rlaif-tui check {file}, then rlaif-tui train {file}")


def train(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="Configuration of the run.")],
    overrides: Overrides = None,
    name: Annotated[str, typer.Option(metavar="NAME", help="Name of the run, [a-z0-9-].")] = "",
    detach: Annotated[bool, typer.Option("--detach", help="Start the run and return at once.")] = False,
    plain: Plain = False,
    as_json: Json = False,
) -> None:
    """Start a run in the background and follow it.

    Ctrl-C, q in the app or closing the terminal leaves it running; nothing but 'stop' ends it.

    \b
    Examples:
      rlaif-tui train run.toml
      rlaif-tui train run.toml --set ppo.kl_coef=0.05 --set run.steps=200 --name gentle
      rlaif-tui train run.toml --detach
      rlaif-tui train run.toml --json > result.json
    """
    config = load_config(file, overrides or [])
    run = make_run(config, root_of(context), name or config.run.name)
    if detach:
        if _start(run):
            raise typer.Exit(FAILED)
        if as_json:
            say_json({"run": run.name, "path": str(run.path)})
        else:
            say(f"{run.name} started; {_come_back(handle(context, run))}")
        raise typer.Exit(OK)
    raise typer.Exit(_start_and_follow(context, run, plain, as_json))


def attach(context: typer.Context, run: Run, plain: Plain = False) -> None:
    """Follow a run, live or ended, from any terminal.

    Ctrl-C, or q in the app, leaves it as it is.

    \b
    Examples:
      rlaif-tui attach gentle
      rlaif-tui attach gentle --plain
    """
    raise typer.Exit(_follow(context, find_run(context, run), plain, as_json=False))


def _place(out: Path) -> tuple[Path, str]:
    """Parent and name of a run directory; an empty folder of that name gives way to it."""
    place = out.expanduser().absolute()
    try:
        if place.is_dir() and not any(place.iterdir()):
            place.rmdir()
    except OSError as error:
        raise RunDirError(f"{place} cannot be used: {error.strerror}") from error
    return place.parent, place.name


def _start(run: RunDir) -> str:
    """Start the worker; returns why it is not there, empty if it is."""
    try:
        start_worker(run)
    except RunDirError as error:
        complain(f"rlaif-tui: {error}")
        return str(error)
    if hint := logout_hint():
        complain(hint)
    return ""


def _start_and_follow(
    context: typer.Context, run: RunDir, plain: bool, as_json: bool, *, compared: bool = False
) -> int:
    """``compared``: it ends on base against trained, which waits for the end in a process of its own: whoever leaves
    finds it later.
    """
    complain(f"run {run.name} in {run.path}")
    if not (error := _start(run)):
        return _follow(context, run, plain, as_json, _queued_comparison(run) if compared else None)
    if as_json:
        state = RunFeed(run).poll()
        say_json(run_object(run, replace(state, word="crashed", error=state.error or error)))
    return FAILED


def _follow(context: typer.Context, run: RunDir, plain: bool, as_json: bool, comparison: Path | None = None) -> int:
    name = handle(context, run)
    try:
        if wants_app(plain, as_json):
            state = _in_app(run, name, ascii_only=is_ascii(context))
        else:
            state = plain_mode.follow(run, name, sys.stderr if as_json else sys.stdout)
    except KeyboardInterrupt:
        complain(f"{run.name} goes on; {_come_back(name)}")
        return INTERRUPTED
    found, code = _comparison(comparison, state, as_json) if comparison else ({}, OK)
    if as_json:
        say_json(run_object(run, state) | found)
    return FAILED if state.word == "crashed" else code


def _queued_comparison(run: RunDir) -> Path | None:
    try:
        return queue_comparison(run)
    except RlaifError as error:
        complain(f"rlaif-tui: no comparison at the end: {error}")
        return None


def _comparison(record: Path, state: RunState, as_json: bool) -> tuple[dict[str, Any], int]:
    """What base against trained comes to, printed unless JSON is wanted; and the exit code."""
    from core.compare.job import cancel

    from .cli_compare import follow, show_result

    if state.word != "completed":
        if state.word in plain_mode.ENDED:
            cancel(record)  # nobody asked for a comparison of half a training
        return {}, OK
    comparison, cut = follow(record, sys.stderr)
    if not as_json:
        say()
        return {}, show_result(comparison, as_json, cut)
    from core.compare.summary import to_json

    return {"comparison": to_json(comparison) if comparison else None}, INTERRUPTED if cut else OK


def _in_app(run: RunDir, name: str, *, ascii_only: bool) -> RunState:
    from .opening import open_app

    farewell = open_app(run.path.parent, run, ascii_only=ascii_only)
    state = RunFeed(run).poll()
    if state.word in plain_mode.ENDED:
        for line in plain_mode.closing(run, name, state):
            say(line)
    elif farewell:
        say(farewell)
    return state


def _come_back(name: str) -> str:
    return f"rlaif-tui attach {name} shows it, rlaif-tui stop {name} ends it"
