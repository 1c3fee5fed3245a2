"""Making the directory of a new run, for the command line and for the app."""

from __future__ import annotations

import itertools
import re
import time
from pathlib import Path

from core.config import RunConfig
from core.config_file import from_dict
from core.errors import DataError
from core.presets import PRESETS
from core.run_dir import RunDir

from .launch import prepare_run


def make_run(config: RunConfig, root: Path, name: str) -> RunDir:
    """The directory of a new run, named after its model and the time where no name was given.

    Raises ``DataError`` for a data file that is not there, ``RunDirError`` and ``JudgeError``.
    """
    path = Path(config.data.path)
    if config.data.path != "demo" and "://" not in config.data.path and not path.exists():
        raise DataError(f"data.path = {config.data.path}: no such file; give its path, or look with 'rlaif-tui data'")
    name = name or _new_name(config, root)
    named = config.model_copy(update={"run": config.run.model_copy(update={"name": name})})
    return prepare_run(named, root, name)


def demo_config(seed: int) -> RunConfig:
    """The offline demo. Raises ``ConfigError`` if the seed is out of range."""
    return from_dict(PRESETS["demo"].values, [f"run.seed={seed}"], source=f"--seed {seed}")


def queue_comparison(run: RunDir) -> Path:
    """Base against trained once the run has ended, in a process that waits for it; returns the record of it.

    Raises ``RlaifError``.
    """
    from core.compare.job import Job, start

    models = ("base", str(run.path))
    return start(Job(models=models, runs_root=str(run.path.parent), run=str(run.path), wait=True, until_ended=True))


def _new_name(config: RunConfig, root: Path) -> str:
    model = re.sub(r"[^a-z0-9]+", "-", Path(config.model.id).name.lower()).strip("-")[:40] or "run"
    base = f"{model}-{time.strftime('%m%d-%H%M')}"
    names = itertools.chain([base], (f"{base}-{number}" for number in itertools.count(2)))
    return next(name for name in names if not (root / name).exists())
