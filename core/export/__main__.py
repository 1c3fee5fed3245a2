"""Entry of ``python -P -m core.export RUN_DIR [--step N] (--adapter DIR | --merged DIR) [--force]``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..config_file import load_config
from ..errors import ConfigError, RlaifError
from ..process import quieten
from ..run_dir import open_run
from . import export_adapter, export_merged


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the arguments name; returns the exit code. An error is the last line of standard error."""
    parser = argparse.ArgumentParser(prog="core.export", description="Write a run's trained weights.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--step", type=int, metavar="N", help="checkpoint of this step; else the newest")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--adapter", type=Path, metavar="DIR", help="the LoRA adapter, as peft saves it")
    what.add_argument("--merged", type=Path, metavar="DIR", help="the whole model with the adapter in it")
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    options = parser.parse_args(arguments)
    export = export_adapter if options.adapter else export_merged
    try:
        run = open_run(str(options.run.absolute()), options.run.absolute().parent)
        with contextlib.suppress(ConfigError):  # only a hint to libraries; the checkpoint has the one that counts
            quieten(load_config(run.config))
        done = export(run, options.adapter or options.merged, step=options.step, force=options.force)
    except RlaifError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    kind = "adapter" if options.adapter else "model"
    sys.stdout.write(f"wrote the {kind} of step {done.step} to {done.folder} (trained from {done.base})\n")
    if done.note:
        sys.stdout.write(f"note: {done.note}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
