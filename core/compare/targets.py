"""From what a person typed to what is compared: a run's checkpoint, its base, an adapter, a model. No torch here."""

from __future__ import annotations

import json
import os
import re
import string
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..config import ModelConfig, RunConfig
from ..config_file import load_config
from ..demo import MODEL_DIR
from ..errors import ModelError, RunDirError
from ..run_dir import RunDir, list_runs, open_run
from .record import ModelKind

BASE = "base"
MAX_MODELS = 10
LAYER_KINDS = frozenset(
    {"LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "VERA", "HRA", "FOURIERFT", "RANDLORA", "LN_TUNING"}
)
"""Adapters that live inside the layers of their base; others put something before the prompt."""
_STEP = re.compile(r"^step_(\d{6,})$")
_HUB_ID = re.compile(r"^[\w.-]+/[\w.-]+$")
_LABELS = string.ascii_uppercase


@dataclass(frozen=True, kw_only=True)
class Target:
    """One of the models to compare."""

    named: str
    title: str
    kind: ModelKind
    source: str
    """Folder or hub id of the weights, or of the base below an adapter."""
    config: ModelConfig
    """How the base is loaded."""
    run: RunDir | None = None
    """The run that the base or the checkpoint belongs to."""
    step: int | None = None
    """Of the checkpoint."""
    pinned: bool = False
    """Whether the person named the step; else the newest checkpoint is taken when it is read."""
    adapter: Path | None = None
    """Folder of an adapter that no checkpoint holds."""


def label_of(place: int) -> str:
    """``A`` for the first model, ``B`` for the second."""
    return _LABELS[place]


def resolve(
    names: Sequence[str], runs_root: Path, run: RunDir | None = None, *, waiting: bool = False
) -> tuple[Target, ...]:
    """What the names mean; ``base`` is that of ``run``, or of the first run among the names.

    While ``waiting`` for a run it need not have a checkpoint yet, nor the one that is named. Raises ``RlaifError`` with
    one sentence for the first name that means nothing.
    """
    if not 2 <= len(names) <= MAX_MODELS:
        raise ModelError(f"a comparison needs 2 to {MAX_MODELS} models, not {len(names)}")
    found = {name: _resolve(name, runs_root, waiting) for name in dict.fromkeys(names) if name != BASE}
    home = run or next((target.run for target in found.values() if target.run), None)
    if BASE in names:
        found[BASE] = _base(home)
    targets = [found[name] for name in names]
    return tuple(_as_in_run(target, targets) for target in targets)


def _resolve(name: str, root: Path, waiting: bool) -> Target:
    if not name.strip():
        raise ModelError("an empty name is no model; give a run, 'base', a folder or a model's id")
    folder = Path(name).expanduser()
    if (folder / "config.toml").is_file() and "/" in name:
        return _checkpoint(name, open_run(str(folder), root), None, waiting)
    if (folder / "adapter_config.json").is_file():
        return _adapter(name, folder.absolute())
    if (folder / "config.json").is_file():
        return _model(name, str(folder.resolve()))
    if name == "demo":
        return _model(name, str(MODEL_DIR), ModelConfig(id="demo"))
    run, at, step = name.rpartition("@")
    if at and run and (root / run / "config.toml").is_file() | (Path(run).expanduser() / "config.toml").is_file():
        return _checkpoint(name, open_run(run, root), _number(name, step), waiting)
    if (root / name / "config.toml").is_file() or (folder / "config.toml").is_file():
        return _checkpoint(name, open_run(name, root), None, waiting)
    if folder.is_dir():
        raise ModelError(f"{name} is a folder without a run, a model or an adapter in it (no config.json)")
    return _hub(name, root)


def _number(name: str, step: str) -> int:
    if not re.fullmatch(r"\d{1,9}", step, re.ASCII):
        raise RunDirError(f"'{name}': what follows '@' is the step of a checkpoint, a whole number")
    return int(step)


def _hub(name: str, root: Path) -> Target:
    if name.startswith(("/", "./", "../", "~")):
        raise ModelError(f"{name}: no such folder; correct the path")
    plain, at, revision = name.partition("@")
    if _HUB_ID.match(plain) and (not at or revision):
        return _model(name, plain, ModelConfig(id=plain, revision=revision or "main"))
    if not at and _is_cached(plain):
        return _model(name, plain, ModelConfig(id=plain))
    runs = [run.name for run in list_runs(root)[:8]]
    there_are = f"there are: {', '.join(runs)}" if runs else "there are no runs yet"
    raise RunDirError(
        f"'{name}' is no run in {root} ({there_are}), no folder and no model's id; an id is written ORGANISATION/NAME"
    )


def _is_cached(name: str) -> bool:
    """Whether a model of this plain name, such as ``gpt2``, lies in the hub's cache."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        return isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        return False


def _model(name: str, source: str, config: ModelConfig | None = None) -> Target:
    title = f"model {Path(source).name if Path(source).is_dir() else source}"
    return Target(named=name, title=title, kind="model", source=source, config=config or ModelConfig(id=source))


def _adapter(name: str, folder: Path) -> Target:
    """A folder as peft writes it, whoever trained it; its base is where its own file says."""
    settings = _read(folder / "adapter_config.json")
    kind, base = settings.get("peft_type"), settings.get("base_model_name_or_path")
    if kind not in LAYER_KINDS:
        raise ModelError(
            f"adapter {name} is of the kind {kind}, which cannot be sampled from here; merge it and give the model"
        )
    if not (folder / "adapter_model.safetensors").is_file():
        raise ModelError(f"adapter {name} has no adapter_model.safetensors; save it with safe_serialization=True")
    if not isinstance(base, str) or not base:
        raise ModelError(f"adapter {name} does not say what it was trained on (base_model_name_or_path)")
    source = _base_folder(base, folder)
    if not Path(source).is_dir() and source.startswith(("/", "./", "../", "~")):
        raise ModelError(f"adapter {name} was trained on {base}, which is not there; put it back")
    revision = settings.get("revision")
    config = ModelConfig(id=source, revision=revision if isinstance(revision, str) and revision else "main")
    title = f"adapter {folder.name}"
    return Target(named=name, title=title, kind="adapter", source=source, config=config, adapter=folder)


def _base_folder(base: str, adapter: Path) -> str:
    """The base as a full path where it is a folder, seen from here or from beside the adapter."""
    for place in (Path(base).expanduser(), adapter / base, adapter.parent / base):
        if (place / "config.json").is_file():
            return str(place.resolve())
    return base


def _read(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    if not isinstance(settings, dict):
        raise ModelError(f"{path} holds no adapter's settings")
    return settings


def _checkpoint(name: str, run: RunDir, step: int | None, waiting: bool) -> Target:
    run = RunDir(Path(os.path.abspath(run.path)))
    steps = steps_of(run)
    if not steps and not waiting:
        raise RunDirError(f"run '{run.name}' has no checkpoint yet; 'rlaif-tui checkpoint {run.name}' makes one")
    if step is not None and step not in steps and not waiting:
        there_are = ", ".join(map(str, steps))
        raise RunDirError(f"run '{run.name}' has no checkpoint of step {step}; there are: {there_are}")
    config = load_config(run.config)
    chosen = step if step is not None else steps[-1] if steps else None
    return Target(
        named=name,
        title=run.name if chosen is None else f"{run.name} step {chosen}",
        kind="checkpoint",
        source=source_of(config),
        config=config.model,
        run=run,
        step=chosen,
        pinned=step is not None,
    )


def _base(run: RunDir | None) -> Target:
    if run is None:
        raise RunDirError("'base' is what a run began from, and no run is named; name one, or give the model itself")
    config = load_config(run.config)
    run = RunDir(Path(os.path.abspath(run.path)))
    title = f"base {Path(source_of(config)).name if config.model.id != 'demo' else 'demo'}"
    return Target(named=BASE, title=title, kind="base", source=source_of(config), config=config.model, run=run)


def source_of(config: RunConfig) -> str:
    """Folder or hub id of the model that a run trains."""
    if config.model.id == "demo":
        return str(MODEL_DIR)
    folder = Path(config.model.id).expanduser()
    return str(folder.resolve()) if folder.is_dir() else config.model.id


def steps_of(run: RunDir) -> list[int]:
    """Steps of the checkpoints there are, the oldest first."""
    try:
        names = [path.name for path in run.checkpoints.iterdir()]
    except OSError:
        return []
    return sorted(int(match[1]) for name in names if (match := _STEP.match(name)))


def _as_in_run(target: Target, targets: Sequence[Target]) -> Target:
    """A model or an adapter on the base of a run is loaded as that run loads it: once for all, and as precisely."""
    if target.run is not None:
        return target
    like = next((t.config for t in targets if t.run and _same_base(t, target)), None)
    return target if like is None else replace(target, config=like)


def _same_base(one: Target, other: Target) -> bool:
    return one.source == other.source and one.config.revision == other.config.revision
