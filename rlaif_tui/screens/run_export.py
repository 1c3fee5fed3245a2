"""What is taken out of a run as a file: asked for on the list of runs and on Train, written beside the keys."""

from __future__ import annotations

import time
from pathlib import Path

from core.errors import RlaifError
from core.run_dir import RunDir

from ..background import in_background
from ..text import one_line
from .dialogs import AskChoice, AskText, Choice
from .view import View

REPORT, METRICS, RESPONSES = "report", "metrics", "responses"
ENDINGS = {REPORT: "html", METRICS: "csv", RESPONSES: "jsonl"}
CHOICES = (
    Choice("h", REPORT, "report: all of it on one HTML page, .md for Markdown"),
    Choice("m", METRICS, "metrics: what the charts draw, a CSV row for each step"),
    Choice("r", RESPONSES, "responses: prompts, texts, scores, reasons as JSON lines"),
)


async def export(screen: View, run: RunDir, now: float) -> None:
    """Ask what and where, write it in the background, and say where it lies or why it is not there."""
    name = one_line(run.name)
    wanted = await screen.app.push_screen_wait(AskChoice(f"export {name}", "What?", CHOICES))
    if wanted is None:
        return
    start = str(default_path(run, wanted, now))
    path = await screen.app.push_screen_wait(AskText(f"export the {wanted} of {name}", "To a new file:", start))
    if path is None:
        return
    screen.notify(f"writing the {wanted} of {name}…", markup=False, timeout=2)
    try:
        told = await in_background(write, run, wanted, Path(path).expanduser())
    except (RlaifError, OSError) as error:
        screen.notify(one_line(_reason(error)), title=f"no {wanted} written", severity="error", markup=False)
    else:
        screen.notify(one_line(told), title=f"{wanted} written", timeout=10, markup=False)


def default_path(run: RunDir, what: str, now: float) -> Path:
    """A new name in the run's own folder of exports."""
    moment = time.strftime("%Y%m%d-%H%M%S", time.localtime(now))
    return run.exports / f"{what}-{moment}.{ENDINGS[what]}"


def write(run: RunDir, what: str, path: Path) -> str:
    """Write it; returns what was written and where. Blocking. Raises ``RlaifError`` or ``OSError``."""
    from ..export_files import OutputError, export_metrics, export_rollouts

    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file in it")
    if path.exists():
        raise OutputError(f"{path} exists already; give another name")
    if path.parent == run.exports:  # a run of an older version may lack it
        path.parent.mkdir(mode=0o700, exist_ok=True)
    if what == REPORT:
        from ..report import write_report

        return f"{write_report(run, path)}; open it in a browser"
    count = export_metrics(run, path, False) if what == METRICS else export_rollouts(run, path, False)
    return f"{count:,} {'steps' if what == METRICS else 'responses'} in {path}"


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"{error.filename or 'the file'}: {error.strerror or error}"
    return str(error)
