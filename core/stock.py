"""Taking stock of a run before anything is loaded: its configuration, its log, its newest checkpoint. No torch here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

from . import checkpoint
from .config import RunConfig
from .config_file import config_hash, load_config
from .errors import RunDirError
from .events import CheckpointRejected
from .history import History, read_history
from .identity import config_changes
from .journal import EventLog
from .run_dir import RunDir


@dataclass(frozen=True)
class Stock:
    """What a launch starts from."""

    run: RunDir
    config: RunConfig
    config_hash: str
    history: History
    found: checkpoint.Found | None
    """The checkpoint to go on from; None for a fresh start."""
    rejected: tuple[CheckpointRejected, ...]
    """Damaged checkpoints that were set aside."""
    seconds: float
    cost_usd: float
    """Work and money spent up to the checkpoint."""
    commands_size: int
    """Bytes of the command file that were there before this launch."""


def take_stock(run: RunDir, *, resume: bool) -> Stock:
    """Decide where to begin. Only under the run's lock.

    Raises ``RlaifError`` if the configuration cannot be used or changed, if the run is complete, was started before and
    ``resume`` is False, or has lost all its checkpoints.
    """
    config, history = load_config(run.config), read_history(run)
    if history.finished is not None and history.finished.outcome == "completed":
        raise RunDirError(f"run '{run.name}' is complete after {history.finished.step} steps; start a new one")
    if history.started and not resume:
        raise RunDirError(f"run '{run.name}' was started before; 'rlaif-tui resume {run.name}' goes on with it")
    checkpoint.clean(run)
    rejected: list[CheckpointRejected] = []
    found = checkpoint.find_latest(run, rejected.append)
    spent = {"seconds": 0.0, "cost_usd": 0.0}
    if found is not None:
        spent = checkpoint.read_values(found)["worker"]
        _require_same_config(run, config, found, spent)
    elif history.furthest > 0:
        _tell_all_lost(run, history, rejected)
    return Stock(
        run=run,
        config=config,
        config_hash=config_hash(config),
        history=history,
        found=found,
        rejected=tuple(rejected),
        seconds=spent["seconds"],
        cost_usd=spent["cost_usd"],
        commands_size=run.commands.stat().st_size if run.commands.exists() else 0,
    )


def _require_same_config(run: RunDir, config: RunConfig, found: checkpoint.Found, values: dict[str, Any]) -> None:
    if found.config_hash != config_hash(config):
        changes = config_changes(values["config"], config)
        raise RunDirError(f"config.toml of run '{run.name}' changed since step {found.step}: {changes}; put it back")


def _tell_all_lost(run: RunDir, history: History, rejected: list[CheckpointRejected]) -> None:
    with contextlib.closing(EventLog(run, history.last_seq)) as events:
        for event in rejected:
            events.write(event)
    raise RunDirError(
        f"run '{run.name}' got to step {history.furthest} but has no valid checkpoint left; "
        "start a new run from its config.toml"
    )
