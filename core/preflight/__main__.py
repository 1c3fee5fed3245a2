"""Entry of ``python -P -m core.preflight``. Exit code 1 if any check failed."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ..config_file import load_config
from ..errors import ConfigError
from ..process import quieten
from . import run_checks
from .result import CheckResult

_MARKS = {True: "ok  ", False: "FAIL", None: "--  "}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks and print them, as lines or as one JSON object; returns the exit code."""
    parser = argparse.ArgumentParser(prog="core.preflight", description="Check a run's configuration.")
    parser.add_argument("file", type=Path, metavar="RUN.toml")
    parser.add_argument("--json", action="store_true", help="one JSON object on standard output")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="another value for a key")
    parser.add_argument("--runs-dir", type=Path, metavar="DIR", help="folder where run directories are made")
    options = parser.parse_args(arguments)
    with contextlib.suppress(ConfigError):  # told by the first check
        quieten(load_config(options.file, options.set))
    results: list[CheckResult] = []
    with _library_noise_on_stderr() as out:
        for result in run_checks(options.file, options.set, options.runs_dir):
            results.append(result)
            if not options.json:
                _print_line(out, result)
        if options.json:
            json.dump({"checks": [result.to_json() for result in results]}, out, indent=2)
            out.write("\n")
    return 1 if any(result.ok is False for result in results) else 0


def _print_line(out: TextIO, result: CheckResult) -> None:
    evidence = " ".join(result.evidence.split())
    out.write(f"{_MARKS[result.ok]} {result.name:<14} {result.seconds:6.2f} s  {evidence}\n")
    if result.hint:
        out.write(f"     {result.hint}\n")
    out.flush()


@contextlib.contextmanager
def _library_noise_on_stderr() -> Iterator[TextIO]:
    """Standard output for the report alone: what libraries print goes to standard error for the time being."""
    sys.stdout.flush()
    ours = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(os.dup(ours), "w", encoding="utf-8", errors="backslashreplace") as out:
            yield out
    finally:
        sys.stdout.flush()
        os.dup2(ours, 1)
        os.close(ours)


if __name__ == "__main__":
    sys.exit(main())
