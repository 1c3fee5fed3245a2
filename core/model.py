"""Loading a causal language model and its tokenizer, safely: safetensors only, no code from the model's folder.

What differs between architectures is settled here once: which token pads, which tokens end a response, how a chat
becomes ids, where the trunk and the output head are, and how many positions there are.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from .config import ModelConfig
from .demo import MODEL_DIR
from .errors import ModelError
from .logprobs import eos_ids_of
from .types import Message, Prompt


@dataclass(frozen=True)
class Tokenizer:
    """A Hugging Face tokenizer with the ids that training needs settled."""

    hf: Any
    pad_id: int
    """Fills up batches; never told from real tokens by its value, masks come from lengths."""
    eos_ids: tuple[int, ...]
    has_template: bool

    def encode(self, prompt: Prompt) -> tuple[int, ...]:
        """Prompt ids after the chat template, ready for the response's first token; at most one BOS."""
        if not self.has_template:
            return tuple(self.hf(_plain(prompt.messages), add_special_tokens=True)["input_ids"])
        turns = [{"role": m.role, "content": m.content} for m in prompt.messages]
        try:
            text = self._render(turns)
        except Exception:  # noqa: BLE001  Jinja templates raise what they like: some refuse a system turn
            text = self._render(_without_system(turns))
        return tuple(self.hf(text, add_special_tokens=False)["input_ids"])

    def _render(self, turns: list[dict[str, str]]) -> str:
        return cast("str", self.hf.apply_chat_template(turns, tokenize=False, add_generation_prompt=True))

    def decode(self, ids: tuple[int, ...]) -> str:
        """Text of a response without its special tokens."""
        return cast("str", self.hf.decode(list(ids), skip_special_tokens=True))


def _plain(messages: tuple[Message, ...]) -> str:
    return "\n\n".join(m.content for m in messages)


def _without_system(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    system = "\n\n".join(t["content"] for t in turns if t["role"] == "system")
    rest = [dict(t) for t in turns if t["role"] != "system"]
    if system and rest:
        rest[0]["content"] = f"{system}\n\n{rest[0]['content']}"
    return rest


def source_of(config: ModelConfig) -> str:
    """Folder or hub id that the configuration names."""
    return str(MODEL_DIR) if config.id == "demo" else config.id


def load_tokenizer(config: ModelConfig) -> Tokenizer:
    """The model's own tokenizer. Raises ``ModelError`` if there is none or it has no end-of-sequence token."""
    from transformers import AutoTokenizer, GenerationConfig

    source = source_of(config)
    if source.startswith(("/", "./", "../", "~")) and not Path(source).is_dir():
        raise ModelError(f"model.id = '{config.id}' is a path, and there is no such folder; correct it")
    options: dict[str, Any] = {"trust_remote_code": False, "revision": config.revision}
    try:
        hf = AutoTokenizer.from_pretrained(source, **options)
    except Exception as error:  # the hub client and tokenizers raise many types
        raise ModelError(f"cannot load the tokenizer of '{config.id}': {first_line(error)}") from error
    try:
        generation_eos = GenerationConfig.from_pretrained(source, revision=config.revision).eos_token_id
    except Exception:  # noqa: BLE001  the file is optional
        generation_eos = None
    eos_ids = eos_ids_of(hf.eos_token_id, generation_eos)
    if not eos_ids:
        raise ModelError(f"the tokenizer of '{config.id}' has no end-of-sequence token; responses could never end")
    return Tokenizer(hf, _pad_id(hf, eos_ids), eos_ids, has_template=bool(hf.chat_template))


def _pad_id(hf: Any, eos_ids: tuple[int, ...]) -> int:
    for candidate in (hf.pad_token_id, hf.unk_token_id, hf.bos_token_id):
        if candidate is not None and candidate not in eos_ids:
            return int(candidate)
    return int(eos_ids[0])


def load_base(config: ModelConfig, device: torch.device) -> nn.Module:
    """The causal LM of the configuration on ``device``, dropout off, KV cache on demand.

    Raises ``ModelError`` in one sentence if it is missing, too new, quantised without the package, or too large.
    """
    from transformers import AutoModelForCausalLM

    options: dict[str, Any] = {
        "trust_remote_code": False,
        "use_safetensors": True,
        "revision": config.revision,
        "dtype": base_dtype(config, device),
    }
    if config.attention != "auto":
        options["attn_implementation"] = config.attention
    if config.quantization != "none":
        options["quantization_config"] = _quantization(config)
        options["device_map"] = {"": device.index or 0} if device.type == "cuda" else {"": "cpu"}
    try:
        model = AutoModelForCausalLM.from_pretrained(source_of(config), **options)
        if config.quantization == "none":
            model = model.to(device)
    except torch.OutOfMemoryError as error:
        raise ModelError(f"'{config.id}' does not fit into the memory of {device}; try quantization = 'nf4'") from error
    except Exception as error:
        raise ModelError(f"cannot load '{config.id}': {first_line(error)}") from error
    _no_dropout(model)
    _no_inference_packing(model)
    check_head(model)
    return cast("nn.Module", model)


def base_dtype(config: ModelConfig, device: torch.device) -> torch.dtype:
    """Type of the loaded weights; small updates need float32 wherever the weights themselves train."""
    if config.dtype == "auto":
        return torch.bfloat16 if device.type == "cuda" and config.adapter == "lora" else torch.float32
    return torch.bfloat16 if config.dtype == "bfloat16" else torch.float32


def _quantization(config: ModelConfig) -> Any:
    try:
        import bitsandbytes  # noqa: F401
    except Exception as error:
        raise ModelError(
            f"quantization = '{config.quantization}' needs bitsandbytes, which does not start here: {first_line(error)}"
        ) from error
    from transformers import BitsAndBytesConfig

    if config.quantization == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )


def _no_dropout(model: nn.Module) -> None:
    # Attention reads its probability from the configuration or a module attribute, not from a Dropout module.
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]
    settings = cast("Any", model).config
    for name in list(vars(settings)):
        if "drop" in name and isinstance(getattr(settings, name), float):
            setattr(settings, name, 0.0)


def _no_inference_packing(model: nn.Module) -> None:
    # On CPUs with AVX512-BF16 a 4-bit layer repacks its weights at its first use in eval mode, for good, and what it
    # computes from then on has no gradient.
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # type: ignore[assignment]


def trunk_of(model: nn.Module) -> nn.Module:
    """The decoder without its output head: ids in, final-norm hidden states out."""
    return cast("nn.Module", getattr(model, cast("Any", model).base_model_prefix))


def head_of(model: nn.Module) -> nn.Module:
    """The output head, hidden states in, logits out."""
    return cast("nn.Module", cast("Any", model).get_output_embeddings())


def layers_of(trunk: nn.Module) -> nn.ModuleList:
    """The decoder's list of blocks."""
    depth = cast("Any", trunk).config.num_hidden_layers
    for module in trunk.children():
        if isinstance(module, nn.ModuleList) and len(module) == depth:
            return module
    raise ModelError(f"{type(trunk).__name__} keeps its layers in an unknown place; use another ppo.critic")


def hidden_size(model: nn.Module) -> int:
    return int(cast("Any", model).config.get_text_config().hidden_size)


def max_positions(model: nn.Module) -> int:
    """Longest sequence the model has positions for."""
    settings = cast("Any", model).config.get_text_config()
    return int(getattr(settings, "max_position_embeddings", 0) or getattr(settings, "n_positions", 0) or 1 << 30)


@torch.no_grad()
def check_head(model: nn.Module) -> None:
    """Raise ``ModelError`` unless head(trunk(ids)) equals the model's own logits.

    Some architectures scale or cap their logits after the head; log-probs computed without that would be wrong.
    """
    device = next(model.parameters()).device
    ids = torch.arange(3, device=device).unsqueeze(0)
    hidden = trunk_of(model)(input_ids=ids, use_cache=False)[0]
    ours = head_of(model)(hidden).float()
    theirs = cast("Any", model(input_ids=ids, use_cache=False)).logits.float()
    if not theirs.isfinite().all():
        raise ModelError(f"{type(model).__name__} computes numbers that are not finite; its weights are damaged")
    if not torch.allclose(ours, theirs, atol=1e-2, rtol=1e-2):
        raise ModelError(
            f"{type(model).__name__} changes its logits after the output head (cap or scale), which is not supported"
        )


def fingerprint(source: str, revision: str) -> str:
    """sha256 (16 hex) over a local model's weight and configuration files; of a hub model its id and revision."""
    folder = Path(source)
    digest = hashlib.sha256()
    if not folder.is_dir():
        digest.update(f"{source}@{revision}".encode())
        return digest.hexdigest()[:16]
    for file in sorted(p for p in folder.iterdir() if p.suffix in {".safetensors", ".json", ".model"}):
        digest.update(file.name.encode())
        with file.open("rb") as stream:
            while block := stream.read(1 << 22):
                digest.update(block)
    return digest.hexdigest()[:16]


def first_line(error: BaseException) -> str:
    """The first line of an error of somebody else's, short enough for a sentence."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 240 else f"{text[:237]}..."
