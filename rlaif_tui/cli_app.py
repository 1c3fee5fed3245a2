"""The commands of ``rlaif-tui`` and what stands above them. Nothing here imports torch."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from core.run_dir import runs_root

from . import __version__
from .cli_common import ASCII, EXIT_CODES, RUNS_DIR, is_ascii, root_of, say, wants_app
from .on_demand import OnDemand


class Commands(OnDemand):
    """Everything that can be typed after ``rlaif-tui``, in the order of the help."""

    WHERE: ClassVar[dict[str, str]] = {
        "demo": "cli_start:demo",
        "init": "cli_start:init",
        "check": "cli_files:check",
        "train": "cli_start:train",
        "runs": "cli_look:runs",
        "status": "cli_look:status",
        "attach": "cli_start:attach",
        "logs": "cli_look:logs",
        "pause": "cli_control:pause",
        "resume": "cli_control:resume",
        "stop": "cli_control:stop",
        "checkpoint": "cli_control:checkpoint",
        "set": "cli_control:set_",
        "replace-judge": "cli_control:replace_judge",
        "compare": "cli_compare:compare",
        "report": "cli_report:report",
        "export": "cli_files:export",
        "data": "cli_files:data",
        "judge": "cli_judge:app",
    }


app = typer.Typer(
    name="rlaif-tui",
    cls=Commands,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)


def _version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"rlaif-tui {__version__}\n")
        raise typer.Exit(0)


@app.callback(invoke_without_command=True)
def home(
    context: typer.Context,
    runs_dir: Annotated[
        str,
        typer.Option(RUNS_DIR, metavar="DIR", help="Folder of all runs; else RLAIF_TUI_RUNS, else your data folder."),
    ] = "",
    ascii_only: Annotated[
        bool, typer.Option(ASCII, help="The app without braille and boxes, for terminals that lack them.")
    ] = False,
    _version_wanted: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Interactive RLAIF in the terminal: PPO on a causal language model, rewarded by a judge.

    Without a command it opens the list of runs. Runs live on without a terminal: leave and come back at will.

    \b
    First steps:
      rlaif-tui demo                            see it work, offline, in about a minute
      rlaif-tui init run.toml                   a commented configuration to edit
      rlaif-tui judge init judge.toml           a judge to edit, test and trust
      rlaif-tui check run.toml                  find out now what would fail later
      rlaif-tui train run.toml                  start it and watch
    """
    context.obj = runs_root(Path(runs_dir) if runs_dir else None)
    context.meta[ASCII] = ascii_only
    if context.invoked_subcommand is None:
        _open_app(context)


def _open_app(context: typer.Context) -> None:
    if not wants_app(plain=False, as_json=False):
        from .cli_look import runs

        runs(context)
        return
    from .opening import open_app

    if farewell := open_app(root_of(context), ascii_only=is_ascii(context)):
        say(farewell)
