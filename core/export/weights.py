"""The actor's tensors of a checkpoint as an adapter on disk, or inside their base."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from .. import checkpoint
from ..config import ModelConfig
from ..errors import ModelError
from ..model import base_dtype, fingerprint, first_line, load_base, source_of

_ACTOR = "weights.actor."


def write_adapter(snapshot: checkpoint.Snapshot, config: ModelConfig, place: Path) -> None:
    """``adapter_config.json`` and ``adapter_model.safetensors``, as peft saves them. The base is not loaded."""
    from peft import LoraConfig
    from safetensors.torch import save_file

    tensors = {name.replace(".actor.", "."): tensor for name, tensor in actor_tensors(snapshot).items()}
    named = sorted({name.partition(".lora_")[0].rpartition(".")[2] for name in tensors})
    settings = LoraConfig(
        r=config.lora_rank,
        lora_alpha=config.lora_alpha,
        lora_dropout=0.0,
        target_modules=named if config.lora_targets == ["all-linear"] else list(config.lora_targets),
        fan_in_fan_out=_own_config(config).model_type == "gpt2",
        task_type="CAUSAL_LM",
        base_model_name_or_path=source_of(config),
        revision=config.revision,
        inference_mode=True,
    )
    settings.save_pretrained(place)
    save_file(tensors, place / "adapter_model.safetensors", metadata={"format": "pt"})


def require_same_base(snapshot: checkpoint.Snapshot, config: ModelConfig) -> None:
    """Raise ``ModelError`` unless the base is, byte for byte, the one that was trained."""
    if fingerprint(source_of(config), config.revision) != snapshot.values["worker"]["model_fingerprint"]:
        raise ModelError(
            f"the model '{config.id}' is not the one this run was trained on; put that one back, or use --adapter"
        )


def merged_model(snapshot: checkpoint.Snapshot, config: ModelConfig) -> Any:
    """The trained model on the CPU, in bfloat16 where the base was stored in 16 bits or fewer, else in float32."""
    on_cpu = snapshot.values["worker"]["device"].startswith("CPU")
    stored = base_dtype(config, torch.device("cpu" if on_cpu else "cuda"))
    small = config.quantization != "none" or stored == torch.bfloat16
    plain = config.model_copy(update={"quantization": "none", "dtype": "bfloat16" if small else "float32"})
    model: Any = load_base(plain, torch.device("cpu"))
    if config.adapter == "lora":
        from peft import PeftModel

        with tempfile.TemporaryDirectory() as place:
            write_adapter(snapshot, config, Path(place))
            model = PeftModel.from_pretrained(model, place).merge_and_unload(safe_merge=True)
    else:
        put_tensors(actor_tensors(snapshot), model)
    # For training dropout was turned off in the configuration too; what is written has the base's own.
    model.config, dtype = _own_config(config), model.dtype
    model.config.dtype = dtype
    return model


def actor_tensors(snapshot: checkpoint.Snapshot) -> dict[str, Tensor]:
    """What was trained of the policy, by its name in the model."""
    return {name.removeprefix(_ACTOR): t for name, t in snapshot.tensors.items() if name.startswith(_ACTOR)}


def _own_config(config: ModelConfig) -> Any:
    from transformers import AutoConfig

    try:
        return AutoConfig.from_pretrained(source_of(config), revision=config.revision, trust_remote_code=False)
    except Exception as error:  # the hub client raises many types
        raise ModelError(f"cannot read the configuration of '{config.id}': {first_line(error)}") from error


@torch.no_grad()
def put_tensors(tensors: dict[str, Tensor], model: Any) -> None:
    """Copy every weight of a model in. Raises ``ModelError`` unless the names are exactly the model's."""
    own = dict(model.named_parameters())
    if own.keys() != tensors.keys():
        different = min(own.keys() ^ tensors.keys())
        raise ModelError(f"the checkpoint holds other tensors than the model, for one {different}")
    for name, parameter in own.items():
        parameter.copy_(tensors[name])
