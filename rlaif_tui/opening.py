"""Opening the app as the person has it: with their settings, as it was left, on the run that matters."""

from __future__ import annotations

from pathlib import Path

import typer

from core.errors import RunDirError
from core.run_dir import RunDir, is_alive, list_runs

from .cli_common import DEFECT, complain


def open_app(root: Path, attach: RunDir | None = None, *, ascii_only: bool = False) -> str:
    """Show the app until it is left; returns the line to print then, which says how to come back.

    Raises ``typer.Exit`` once it has said why the app ended of itself.
    """
    from .app import RlaifApp
    from .memory import MemoryFile, memory_file
    from .settings import load, settings_file

    settings = load(settings_file(), ascii_only=ascii_only)
    app = RlaifApp(root, attach or only_live(root), settings=settings, memory=MemoryFile(memory_file()))
    last_words = app.run(mouse=settings.mouse) or ""
    if app.return_code:
        complain(last_words or "rlaif-tui: the app broke while it opened; rlaif-tui --plain and status still work")
        raise typer.Exit(DEFECT)
    return last_words


def only_live(root: Path) -> RunDir | None:
    """The run that has a worker, if exactly one has."""
    try:
        live = [run for run in list_runs(root) if _is_alive(run)]
    except RunDirError:  # the list of runs will say so
        return None
    return live[0] if len(live) == 1 else None


def _is_alive(run: RunDir) -> bool:
    try:
        return is_alive(run)
    except (RunDirError, OSError):
        return False
