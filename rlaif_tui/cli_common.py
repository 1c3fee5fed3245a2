"""What the commands share: where runs lie, how they print, which code they end with."""

from __future__ import annotations

import difflib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn, cast

import typer

import core
from core.errors import ConfigError, DataError, JudgeError, RlaifError, RunDirError
from core.run_dir import RunDir, open_run

from .export_files import OutputError
from .plain import ENDED
from .run_state import RunState, summary, validation_summary
from .text import safe

RUNS_DIR = "--runs-dir"
ASCII = "--ascii"

OK = 0
FAILED = 1
USAGE = 2
NO_RUN = 3
DEFECT = 70
INTERRUPTED = 130

EXIT_CODES = """\b
Exit codes:
  0    done
  1    the run crashed, a check failed, or training cannot go on
  2    wrong usage, configuration, data, judge or output file
  3    no such run, or it is not in a state for what was asked
  70   a defect of rlaif-tui; a report was written
  130  you left with Ctrl-C, and the run goes on"""

Run = Annotated[str, typer.Argument(metavar="RUN", help="Name of a run, or the path of its directory.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output; all else on standard error.")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Another value for a key; may be repeated.")
]
Plain = Annotated[bool, typer.Option("--plain", help="Lines of text instead of the full-screen app.")]


def root_of(context: typer.Context) -> Path:
    """The folder of runs that this invocation works on."""
    return cast("Path", context.find_root().obj)


def is_ascii(context: typer.Context) -> bool:
    """Whether the app was asked to do without braille and boxes."""
    return context.find_root().meta.get(ASCII) is True


def find_run(context: typer.Context, reference: str) -> RunDir:
    """The run with this name or path. Raises ``RunDirError``."""
    return RunDir(Path(os.path.abspath(open_run(reference, root_of(context)).path)))


def handle(context: typer.Context, run: RunDir) -> str:
    """What to type to mean this run: its name, or its path where it lies elsewhere."""
    path = str(run.path)
    return run.name if run.path.parent == root_of(context).absolute() else shlex.quote(path)


def run_object(run: RunDir, state: RunState) -> dict[str, Any]:
    """What ``--json`` says of a run; once a worker has ended every key of a result is there, null if never known."""
    ended: dict[str, Any] = {}
    if state.word in ENDED:
        ended = {
            "outcome": state.word,
            "steps": state.step,
            "seconds": None,
            "weights_sha256": "",
            "cost_usd": state.cost_usd,
            "validation": validation_summary(state.validations),
        }
    known = summary(state, run)
    return known | {key: known.get(key, ended[key]) for key in ended} | {"path": str(run.path), "error": state.error}


def code_of(error: RlaifError) -> int:
    """The exit code that stands for this error."""
    match error:
        case ConfigError() | DataError() | OutputError() | JudgeError():
            return USAGE
        case RunDirError():
            return NO_RUN
        case _:
            return FAILED


def say(text: str = "") -> None:
    """A line for the person who asked, on standard output, with control characters made visible."""
    sys.stdout.write(safe(text) + "\n")
    sys.stdout.flush()


def complain(text: str) -> None:
    """A line on standard error, with control characters made visible."""
    sys.stderr.write(safe(text) + "\n")
    sys.stderr.flush()


def say_json(value: Any) -> None:
    """One JSON object on standard output, pure ASCII."""
    sys.stdout.write(json.dumps(value, allow_nan=False, indent=2) + "\n")
    sys.stdout.flush()


def refuse(sentence: str, code: int) -> NoReturn:
    """End with one sentence on standard error."""
    complain(f"rlaif-tui: {sentence}")
    raise typer.Exit(code)


def nearest(word: str, known: Sequence[str]) -> str:
    """`` did you mean ...?`` or nothing."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def wants_app(plain: bool, as_json: bool) -> bool:
    """Whether to open the full-screen app: only for a person at a terminal that can show it."""
    # The app draws on standard error; with that in a file the terminal would stay blank.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    at_terminal = all(stream.isatty() for stream in streams) and os.environ.get("TERM", "dumb") != "dumb"
    return at_terminal and not plain and not as_json


def in_core(
    module: str,
    arguments: Sequence[str],
    each_line: Callable[[str], object],
    started: Callable[[subprocess.Popen[str]], object] = lambda _: None,
) -> tuple[int, str]:
    """Run a module of ``core`` that needs torch, in a process of its own; ``each_line`` gets its output as it comes.

    ``started`` gets the process itself, so that it can be ended.

    Returns its exit code and the last line of its standard error. ``-P`` and the path keep a stranger's ``core`` folder
    in the current directory from being run instead.
    """
    ours = str(Path(core.__file__).resolve().parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([ours, *others]), "PYTHONIOENCODING": "utf-8"}
    line = [sys.executable, "-P", "-m", module, *arguments]
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            line, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
            encoding="utf-8", errors="replace",
        )  # fmt: skip
        with process:
            started(process)
            for text in process.stdout or ():
                each_line(text.rstrip("\n"))
        errors.seek(0)
        said = errors.read().decode("utf-8", "replace").split("\n")
    return process.returncode, next((text.strip() for text in reversed(said) if text.strip()), "")
