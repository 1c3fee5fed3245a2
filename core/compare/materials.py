"""What is needed to sample from each model, got together before the first one is loaded: nothing fails halfway.

A checkpoint's trained weights are copied out at once, because a live worker deletes old checkpoints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from transformers import AutoConfig

from ..checkpoint import Snapshot
from ..config import ModelConfig
from ..errors import ModelError
from ..export.source import read_run
from ..export.weights import actor_tensors, require_same_base, write_adapter
from ..model import Tokenizer, fingerprint, first_line, load_tokenizer
from .targets import Target

HARMLESS_STARTS = frozenset({"gaussian", "orthogonal", "eva"})
"""Ways to begin a LoRA that leave its base as it is; others (pissa, olora, ...) change the base when it is loaded."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """One model, ready to be sampled from once its base is loaded."""

    target: Target
    tokenizer: Tokenizer
    positions: int
    """Longest sequence the base reads."""
    fingerprint: str
    """Of what is put on the base, or of the base itself."""
    adapter: Path | None = None
    weights: Path | None = None
    """Every weight of the model, of a run that trained all of them."""
    alone: bool = False
    """Loading the adapter changes the base for good, so nothing else may be put on that copy."""

    @property
    def base(self) -> tuple[str, ...]:
        """Equal for models that share one loaded base."""
        config = self.target.config
        shared = (self.target.source, config.revision, config.dtype, config.quantization, config.attention)
        full = ("full",) if config.adapter == "full" else ()
        return (*shared, config.compute, *full, *((self.target.named,) if self.alone else ()))


def gather(targets: Sequence[Target], place: Path) -> tuple[Material, ...]:
    """The materials of the models, in their order; ``place`` keeps what is copied out of checkpoints.

    Raises ``RlaifError`` with one sentence for a checkpoint that is damaged, a base that is another one than the run
    was trained on, or a tokenizer that is not there.
    """
    return tuple(_material(target, place / f"{number}") for number, target in enumerate(targets))


def _material(target: Target, place: Path) -> Material:
    place.mkdir()
    if target.kind == "checkpoint":
        return _of_checkpoint(target, place)
    if target.run is not None and target.run.checkpoints.is_dir() and any(target.run.checkpoints.glob("step_*")):
        require_same_base(read_run(target.run, None)[0], target.config)
    if target.adapter is None:
        return _with_texts(target, fingerprint(target.source, target.config.revision))
    return replace(
        _with_texts(target, fingerprint(str(target.adapter), "")),
        adapter=target.adapter,
        tokenizer=_own_tokenizer(target),
        alone=_changes_base(target.adapter),
    )


def _of_checkpoint(target: Target, place: Path) -> Material:
    assert target.run is not None
    snapshot, config = read_run(target.run, target.step if target.pinned else None)
    require_same_base(snapshot, config.model)
    # What was trained with is what counts; config.toml may have been edited since.
    target = replace(target, config=config.model, step=snapshot.step, title=f"{target.run.name} step {snapshot.step}")
    if config.model.adapter == "lora":
        write_adapter(snapshot, config.model, place)
        return replace(_with_texts(target, fingerprint(str(place), "")), adapter=place)
    _save(snapshot, place / "model.safetensors")
    return replace(_with_texts(target, fingerprint(str(place), "")), weights=place / "model.safetensors")


def _save(snapshot: Snapshot, path: Path) -> None:
    from safetensors.torch import save_file

    save_file({name: tensor.contiguous() for name, tensor in actor_tensors(snapshot).items()}, path)


def _with_texts(target: Target, mark: str) -> Material:
    tokenizer = load_tokenizer(target.config)
    return Material(target=target, tokenizer=tokenizer, positions=_positions(target.config), fingerprint=mark)


def _positions(config: ModelConfig) -> int:
    from ..model import source_of

    try:
        settings: Any = AutoConfig.from_pretrained(
            source_of(config), revision=config.revision, trust_remote_code=False
        ).get_text_config()
    except Exception as error:  # the hub client raises many types
        raise ModelError(f"cannot read the configuration of '{config.id}': {first_line(error)}") from error
    return int(getattr(settings, "max_position_embeddings", 0) or getattr(settings, "n_positions", 0) or 1 << 30)


def _own_tokenizer(target: Target) -> Tokenizer:
    """The adapter's tokenizer where it brings one: it may have been trained with another chat template."""
    assert target.adapter is not None
    base = load_tokenizer(target.config)
    if not (target.adapter / "tokenizer_config.json").is_file():
        return base
    own = load_tokenizer(ModelConfig(id=str(target.adapter)))
    if len(own.hf) != len(base.hf):
        raise ModelError(
            f"adapter {target.named} has a tokenizer of {len(own.hf):,} tokens and its base one of {len(base.hf):,}; "
            "merge it and give the model"
        )
    # The base's generation_config.json may name more ends of a response than a tokenizer does.
    return replace(own, eos_ids=tuple(dict.fromkeys((*own.eos_ids, *base.eos_ids))))


def _changes_base(adapter: Path) -> bool:
    import json

    start = json.loads((adapter / "adapter_config.json").read_bytes()).get("init_lora_weights")
    return isinstance(start, str) and start not in HARMLESS_STARTS
