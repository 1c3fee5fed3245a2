"""Entry of ``python -P -m core.publish RUN_DIR [--step N] (--adapter DIR | --merged DIR) [--force]``."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path

from ..checkpoint import Snapshot
from ..config import RunConfig
from ..config_file import load_config
from ..errors import ConfigError, RlaifError
from ..export import export_adapter, export_merged
from ..process import quieten
from ..run_dir import open_run
from .card import Kind, card
from .facts import facts_of


def main(arguments: Sequence[str] | None = None) -> int:
    """Export what the arguments name; returns the exit code. An error is the last line of standard error."""
    parser = argparse.ArgumentParser(prog="core.publish", description="Write a run's trained weights.")
    parser.add_argument("run", type=Path, metavar="RUN_DIR")
    parser.add_argument("--step", type=int, metavar="N", help="checkpoint of this step; else the newest")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--adapter", type=Path, metavar="DIR", help="the LoRA adapter, as peft saves it")
    what.add_argument("--merged", type=Path, metavar="DIR", help="the whole model with the adapter in it")
    parser.add_argument("--force", action="store_true", help="replace an earlier export")
    options = parser.parse_args(arguments)
    kind: Kind = "adapter" if options.adapter else "merged"
    export = export_adapter if options.adapter else export_merged
    try:
        run = open_run(str(options.run.absolute()), options.run.absolute().parent)

        def readme(snapshot: Snapshot, config: RunConfig) -> str:
            return card(facts_of(run, snapshot.step, config, snapshot.values["worker"]), kind)

        with contextlib.suppress(ConfigError):  # only a hint to libraries; the checkpoint has the one that counts
            quieten(load_config(run.config))
        done = export(run, options.adapter or options.merged, step=options.step, force=options.force, readme=readme)
    except RlaifError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 1
    name = "adapter" if options.adapter else "model"
    sys.stdout.write(f"wrote the {name} of step {done.step} to {done.folder} (trained from {done.base})\n")
    if done.note:
        sys.stdout.write(f"note: {done.note}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
