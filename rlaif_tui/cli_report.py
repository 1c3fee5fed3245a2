"""The command that makes a run into one file for a colleague."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .cli_common import USAGE, Run, find_run, refuse, say


def report(
    context: typer.Context,
    run: Run,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE", help="Where to write it; else RUN-report.html in this folder."),
    ] = None,
    format_: Annotated[
        str, typer.Option("--format", metavar="html|markdown", help="Else as the file's name ends: .html or .md.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier report.")] = False,
) -> None:
    """Write a run as one file for a colleague: figures, curves, examples, judge, costs, how to reproduce.

    The HTML is a single file without scripts, and asks for nothing outside itself. A run may still be at work, or be
    broken: the report says what is missing.

    \b
    Examples:
      rlaif-tui report gentle -o gentle.html
      rlaif-tui report gentle -o gentle.md
      rlaif-tui report gentle --format markdown -o notes.txt --force
    """
    from .report import Kind, write_report

    kinds: dict[str, Kind] = {"html": "html", "markdown": "markdown", "md": "markdown"}
    if format_ and format_ not in kinds:
        refuse(f"--format {format_}: give html or markdown", USAGE)
    kind = kinds.get(format_)
    found = find_run(context, run)
    path = output or Path(f"{found.name}-report.{'md' if kind == 'markdown' else 'html'}")
    written = write_report(found, path, kind=kind, force=force)
    say(f"wrote the report to {written}")
