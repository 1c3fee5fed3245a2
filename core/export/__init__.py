"""Trained weights out of a run, for any program that loads them with a plain ``from_pretrained``.

An adapter is written as peft saves it and a merged model as transformers does, each with its tokenizer. Everything is
read from one verified checkpoint, also while the run goes on. ``core.publish`` adds a model card.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ..checkpoint import Snapshot
from ..config import RunConfig
from ..errors import RunDirError
from ..run_dir import RunDir
from .folder import write_folder
from .source import read_run

__all__ = ["Exported", "Readme", "export_adapter", "export_merged"]

Readme = Callable[[Snapshot, RunConfig], str]
"""Writes the text of the ``README.md`` that is put beside the weights."""


@dataclass(frozen=True)
class Exported:
    """What was written."""

    folder: Path
    step: int
    base: str
    """Model id or folder that training began from."""
    note: str = ""
    """What the person should know of it; empty if nothing."""


def export_adapter(
    run: RunDir, folder: Path, *, step: int | None = None, force: bool = False, readme: Readme | None = None
) -> Exported:
    """Write the actor's LoRA adapter of the newest checkpoint, or of ``step``, into ``folder``.

    Raises ``RunDirError`` for a run without such a checkpoint, one that trained every weight, or a folder that holds
    something (with ``force`` an earlier export gives way); ``ModelError`` if the base's configuration is gone.
    """
    snapshot, config = read_run(run, step)
    if config.model.adapter != "lora":
        raise RunDirError(f"run '{run.name}' trained every weight, so it has no adapter; use --merged DIR")
    from ..model import load_tokenizer, source_of  # torch comes with these
    from .weights import write_adapter

    tokenizer = load_tokenizer(config.model)

    def fill(place: Path) -> None:
        write_adapter(snapshot, config.model, place)
        tokenizer.hf.save_pretrained(place)
        _describe(place, readme, snapshot, config)

    write_folder(folder, fill, force)
    return Exported(folder, snapshot.step, source_of(config.model))


def export_merged(
    run: RunDir, folder: Path, *, step: int | None = None, force: bool = False, readme: Readme | None = None
) -> Exported:
    """Write the whole trained model of the newest checkpoint, or of ``step``, into ``folder``.

    A quantised base is loaded unquantised for this, on the CPU. Raises like ``export_adapter``, and ``ModelError`` if
    the base is gone or is not the one that was trained.
    """
    snapshot, config = read_run(run, step)
    from ..model import load_tokenizer, source_of  # torch comes with these
    from .weights import merged_model, require_same_base

    require_same_base(snapshot, config.model)
    tokenizer, model = load_tokenizer(config.model), merged_model(snapshot, config.model)

    def fill(place: Path) -> None:
        model.save_pretrained(place)
        tokenizer.hf.save_pretrained(place)
        _describe(place, readme, snapshot, config)

    write_folder(folder, fill, force)
    kind = config.model.quantization
    note = (
        "" if kind == "none" else f"trained on a base in {kind}, merged into the plain one, so logits differ a little"
    )
    return Exported(folder, snapshot.step, source_of(config.model), note)


def _describe(place: Path, readme: Readme | None, snapshot: Snapshot, config: RunConfig) -> None:
    if readme is not None:
        (place / "README.md").write_text(readme(snapshot, config), encoding="utf-8")
