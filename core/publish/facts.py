"""What a model card says of a run, read from its directory. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..compare import record
from ..compare.record import Comparison
from ..config import ModelConfig, RunConfig
from ..errors import RlaifError
from ..events import RolledBack, RunStarted, ValidationCompleted
from ..history import read_history
from ..journal import read_events
from ..run_dir import RunDir
from ..run_judges import judge_in

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]{0,95}(?:/[A-Za-z0-9][\w.-]{0,95})?")
_LICENSE = re.compile(r"[a-z0-9][a-z0-9.+-]{0,59}")
_DATASET = re.compile(r"hf://datasets/([\w.-]+/[\w.-]+)(?:[@/].*)?")
_DEMO_LICENSE = "apache-2.0"
"""Of the bundled model, which is part of this program."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """Everything that a card tells of the run, as it was at the step whose weights are exported."""

    run: str
    step: int
    config: RunConfig
    base: str
    """For a person: hub id, name of a folder, or the bundled model."""
    base_id: str
    """The base's id on the hub; empty if it is not from there."""
    license: str
    """As the base's own card has it; empty if that is not known here."""
    data: str
    dataset_id: str
    """The data set's id on the hub; empty if it is not from there."""
    data_fingerprint: str
    judge: str
    judge_version: str
    versions: dict[str, str]
    before: ValidationCompleted | None
    after: ValidationCompleted | None
    """The newest validation up to ``step``; None if that is the first one."""
    comparison: Comparison | None
    """The newest finished one."""


def facts_of(run: RunDir, step: int, config: RunConfig, identity: dict[str, Any]) -> CardFacts:
    """``identity``: what the checkpoint was made from. What cannot be read of the rest is left empty."""
    validations = _validations(run, step)
    judge, version = _judge(run, step, config)
    dataset = _DATASET.fullmatch(config.data.path)
    return CardFacts(
        run=run.name,
        step=step,
        config=config,
        base=_base_name(config.model),
        base_id=_base_id(config.model),
        license=_license(config.model),
        data="the bundled demo prompts" if config.data.path == "demo" else Path(config.data.path).name,
        dataset_id=dataset[1] if dataset else "",
        data_fingerprint=str(identity.get("data_fingerprint", "")),
        judge=judge,
        judge_version=version,
        versions={str(name): str(value) for name, value in dict(identity.get("versions") or {}).items()},
        before=validations[0] if validations else None,
        after=validations[-1] if len(validations) > 1 else None,
        comparison=_comparison(run),
    )


def _base_id(model: ModelConfig) -> str:
    local = model.id == "demo" or Path(model.id).expanduser().exists()
    return "" if local or not _HUB_ID.fullmatch(model.id) else model.id


def _base_name(model: ModelConfig) -> str:
    if model.id == "demo":
        return "the demo model of rlaif-tui"
    return _base_id(model) or Path(model.id).name


def _license(model: ModelConfig) -> str:
    """From the base's card, in its folder or in the hub's cache on this machine; nothing is fetched."""
    if model.id == "demo":
        return _DEMO_LICENSE
    from huggingface_hub import ModelCard, try_to_load_from_cache

    if _base_id(model):
        card: Any = try_to_load_from_cache(model.id, "README.md", revision=model.revision)
    else:
        card = Path(model.id).expanduser() / "README.md"
    if not isinstance(card, str | Path) or not Path(card).is_file():
        return ""
    try:
        found = ModelCard.load(card, ignore_metadata_errors=True).data.to_dict().get("license")
    except Exception:  # noqa: BLE001  a stranger's file, parsed by a library that raises many types
        return ""
    return found if isinstance(found, str) and _LICENSE.fullmatch(found) else ""


def _judge(run: RunDir, step: int, config: RunConfig) -> tuple[str, str]:
    """Name and version of the judge that scored the step."""
    from ..judge.spec_file import version_of_spec

    try:
        replaced = read_history(run).timeline.judge_before(step + 1)
        spec = judge_in(run, config, replaced)
        return f"{spec.name} ({spec.model or spec.backend})", replaced or version_of_spec(spec)
    except (RlaifError, OSError):
        return config.judge.file or config.judge.backend, ""


def _validations(run: RunDir, step: int) -> list[ValidationCompleted]:
    """Those of the course that led to ``step``."""
    found: list[ValidationCompleted] = []
    for event in read_events(run.events):
        match event:
            case ValidationCompleted():
                found = [each for each in found if each.step < event.step] + [event]
            case RunStarted(resumed_from=kept) if kept is not None:
                found = [each for each in found if each.step <= kept]
            case RolledBack(to_step=kept):
                found = [each for each in found if each.step <= kept]
            case _:
                continue
    return [each for each in found if each.step <= step]


def _comparison(run: RunDir) -> Comparison | None:
    for path in record.comparisons(run):
        try:
            found = record.read(path)
        except OSError:
            continue
        if found is not None and found.finished is not None and found.rows and len(found.models) > 1:
            return found
    return None
