"""What a model will need and what this machine has, before a weight is loaded."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any, cast

import psutil
import torch
from torch import nn

from ..config import ModelConfig
from ..errors import ModelError
from ..estimate import ModelShape
from ..model import first_line, max_positions, source_of

_CGROUPS = (
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def shape_of(config: ModelConfig) -> ModelShape:
    """Shape of the configured model, counted on a skeleton without weights. Raises ``ModelError``."""
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        settings = AutoConfig.from_pretrained(source_of(config), revision=config.revision, trust_remote_code=False)
        with torch.device("meta"):
            skeleton = AutoModelForCausalLM.from_config(settings, trust_remote_code=False)
    except Exception as error:  # the hub client and configuration classes raise many types
        raise ModelError(f"cannot read the model '{config.id}': {first_line(error)}") from error
    return _counted(skeleton, config)


def _counted(model: Any, config: ModelConfig) -> ModelShape:
    text = model.config.get_text_config()
    heads, hidden = text.num_attention_heads, text.hidden_size
    ends = {
        id(p): p for part in (model.get_input_embeddings(), model.get_output_embeddings()) for p in part.parameters()
    }
    return ModelShape(
        parameters=sum(p.numel() for p in model.parameters()),
        embedding_parameters=sum(p.numel() for p in ends.values()),
        adapted_width=sum(sum(weight.shape) for weight in _adapted(model, config.lora_targets)),
        layers=text.num_hidden_layers,
        hidden=hidden,
        intermediate=getattr(text, "intermediate_size", None) or getattr(text, "n_inner", None) or 4 * hidden,
        kv_heads=getattr(text, "num_key_value_heads", None) or heads,
        head_dim=getattr(text, "head_dim", None) or hidden // heads,
        vocab=text.vocab_size,
        positions=max_positions(model),
    )


def _adapted(model: nn.Module, targets: list[str]) -> list[torch.Tensor]:
    """Weights of the layers that get an adapter, by peft's rules for names."""
    from transformers.pytorch_utils import Conv1D

    head = cast("Any", model).get_output_embeddings()
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear | Conv1D)]
    if targets == ["all-linear"]:
        return [module.weight for _, module in layers if module is not head]
    return [m.weight for name, m in layers if any(name == t or name.endswith(f".{t}") for t in targets)]


def free_memory(device: torch.device) -> float:
    """Bytes that can still be allocated on the device; a container's limit counts."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    free = float(psutil.virtual_memory().available)
    for limit, usage in _CGROUPS:
        try:
            left = int(Path(limit).read_text(encoding="ascii")) - int(Path(usage).read_text(encoding="ascii"))
        except (OSError, ValueError):  # no such controller, or no limit: "max"
            continue
        free = min(free, float(left))
    return free


def peak_memory(device: torch.device) -> float:
    """Bytes that this process has used at most so far."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_reserved(device))
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0


def free_disk(folder: Path) -> tuple[Path, float]:
    """The nearest folder that exists on the way to ``folder``, and the bytes free there. Raises ``OSError``."""
    place = folder.absolute()
    while not place.exists():
        place = place.parent
    if not place.is_dir():
        raise NotADirectoryError(f"{place} is not a folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise PermissionError(f"{place} cannot be written to")
    return place, float(shutil.disk_usage(place).free)
