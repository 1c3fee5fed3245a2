"""Memory and disk of a run, in bytes.

LoRA: adapters of actor and critic on one frozen base. Full: every weight in float32 with a frozen copy as reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ..config import RunConfig

GB = 1e9
TRAINED_BYTES = 16
"""Of a trained float32 parameter: itself 4, its gradient 4, Adam's two moments 8."""
_CHUNK_ELEMENTS = 32 * 1024 * 1024
"""Logits alive at once, as ``core.logprobs`` cuts them."""
_CHUNK_COPIES = 3
_CONTEXT = {True: 2.0 * GB, False: 0.55 * GB}
"""By whether there is a GPU: its context, kernels and their workspaces; on a CPU the process with its libraries."""
_FRAGMENTS = 0.05
"""Share of all else that allocators lose between blocks."""
_HEAP_SHARE = 1.1
"""On a CPU the C library does not return all freed blocks. Measured on models of 1 to 26 M parameters: 1.1 times (GPT-2
1.6) the activations that a micro-batch has without checkpointing, whether or not it has that."""
_NF4_BYTES = 0.5 + (8 + 32 / 256) / 8 / 64
"""Per parameter: 4 bits, and per 64 of them an 8-bit scale, itself scaled by 32 bits per 256 (arXiv:2305.14314)."""
_ROW_BYTES, _PROMPT_TOKEN_BYTES, _RESPONSE_TOKEN_BYTES = 1200, 12, 32
"""Of a recorded rollout: its frame and verdict; per token its text and id; for a response its KL as well."""

Phase = Literal["always", "rollout", "update"]


@dataclass(frozen=True, kw_only=True)
class ModelShape:
    """What a forecast needs to know of a model."""

    parameters: int
    embedding_parameters: int
    """Input embeddings, and the output head where it is not the same matrix; never quantised."""
    adapted_width: int
    """Sum over the layers that get an adapter of (inputs + outputs): an adapter has rank times that many parameters."""
    layers: int
    hidden: int
    intermediate: int
    kv_heads: int
    head_dim: int
    vocab: int
    positions: int

    @property
    def head_parameters(self) -> int:
        """Parameters of an output head of its own, 0 where it is the input embedding."""
        return max(0, self.embedding_parameters - self.vocab * self.hidden)


@dataclass(frozen=True)
class MemoryItem:
    """One line of the memory table."""

    name: str
    bytes: float
    phase: Phase


@dataclass(frozen=True)
class Memory:
    """The memory table of a run."""

    items: tuple[MemoryItem, ...]

    def of(self, phase: Phase) -> float:
        """Bytes of the items of a phase."""
        return sum(item.bytes for item in self.items if item.phase == phase)

    @property
    def peak(self) -> float:
        """Expected peak in bytes: KV cache and activations are never alive together."""
        return self.of("always") + max(self.of("rollout"), self.of("update"))


def memory(shape: ModelShape, config: RunConfig, *, gpu: bool, prompt_tokens: int | None = None) -> Memory:
    """The memory table of a run on one device. ``prompt_tokens``: its longest prompt, where that is known."""
    kept = [
        MemoryItem("base", base_bytes(shape, config, gpu=gpu), "always"),
        MemoryItem("reference copy", 4.0 * shape.parameters if config.model.adapter == "full" else 0.0, "always"),
        MemoryItem("trained weights", float(TRAINED_BYTES * sum(trained_parameters(shape, config))), "always"),
        MemoryItem("KV cache", _kv_cache(shape, config, gpu, prompt_tokens), "rollout"),
        MemoryItem("activations", _activations(shape, config, gpu, prompt_tokens), "update"),
        MemoryItem("float32 norms", _norms(shape, config, gpu, prompt_tokens), "update"),
        MemoryItem("heap not returned", 0.0 if gpu else _heap(shape, config, prompt_tokens), "update"),
        MemoryItem("cached features", _features(shape, config, gpu), "update"),
        MemoryItem("logits", _logits(shape, config), "always"),
        MemoryItem("dequantised layer", _dequantised_layer(shape, config), "always"),
        MemoryItem("libraries and workspace", _CONTEXT[gpu], "always"),
    ]
    fragments = _FRAGMENTS * (Memory(tuple(kept)).peak - _CONTEXT[gpu])
    return Memory((*(item for item in kept if item.bytes), MemoryItem("fragments", fragments, "always")))


def base_bytes(shape: ModelShape, config: RunConfig, *, gpu: bool) -> float:
    """Of the frozen base's weights as they are stored; 0 in full mode, where they are trained weights."""
    model = config.model
    if model.adapter == "full":
        return 0.0
    plain = 2.0 if _is_bfloat16(config, gpu) else 4.0
    if model.quantization == "none":
        return plain * shape.parameters
    packed = _NF4_BYTES if model.quantization == "nf4" else 1.0
    return packed * (shape.parameters - shape.embedding_parameters) + plain * shape.embedding_parameters


def trained_parameters(shape: ModelShape, config: RunConfig) -> tuple[int, int]:
    """(actor, critic) parameters that training changes, all kept in float32."""
    adapter = config.model.lora_rank * shape.adapted_width
    full = config.model.adapter == "full"
    actor = shape.parameters if full else adapter
    head = shape.hidden + 1
    match config.ppo.critic:
        case "adapter":
            return actor, head + (shape.parameters - shape.head_parameters if full else adapter)
        case "shared":
            return actor, head
        case "features":
            inputs, width = _feature_width(shape), config.ppo.critic_width
            return actor, 2 * inputs + (inputs + 1) * width + (width + 1) * width + width + 1
        case "none":
            return actor, 0


def checkpoint_bytes(shape: ModelShape, config: RunConfig) -> int:
    """Of one checkpoint: trained weights and Adam's moments in float32."""
    return 12 * sum(trained_parameters(shape, config))


def disk_bytes(shape: ModelShape, config: RunConfig, *, prompt_tokens: float, response_tokens: float) -> float:
    """Of a whole run: the checkpoints kept, room to write the next one, and every rollout (mean tokens of each)."""
    kept = min(config.run.keep_checkpoints, 1 + -(-config.run.steps // config.run.checkpoint_every))
    row = _ROW_BYTES + _PROMPT_TOKEN_BYTES * prompt_tokens + _RESPONSE_TOKEN_BYTES * response_tokens
    rows = config.run.steps * config.rollout.batch_size
    # A checkpoint is only begun with twice its size free, and the oldest goes after the newest is there.
    return (kept + 2) * checkpoint_bytes(shape, config) + rows * row


def _is_bfloat16(config: RunConfig, gpu: bool) -> bool:
    """Whether the base's weights are, as ``core.model.base_dtype`` decides."""
    model = config.model
    return model.dtype == "bfloat16" or (model.dtype == "auto" and gpu and model.adapter == "lora")


def _compute_bytes(config: RunConfig, gpu: bool) -> int:
    return 2 if config.model.compute == "bfloat16" or _is_bfloat16(config, gpu) else 4


def _span(shape: ModelShape, config: RunConfig, prompt_tokens: int | None) -> int:
    """Longest prompt and response together."""
    prompt = min(config.data.max_prompt_tokens, prompt_tokens or config.data.max_prompt_tokens)
    return min(shape.positions, prompt + config.rollout.max_new_tokens)


def _kv_cache(shape: ModelShape, config: RunConfig, gpu: bool, prompt_tokens: int | None) -> float:
    rows = config.rollout.decode_batch or config.rollout.batch_size
    per_token = 2 * shape.layers * shape.kv_heads * shape.head_dim * _compute_bytes(config, gpu)
    return float(rows * _span(shape, config, prompt_tokens) * per_token)


def _micro_tokens(shape: ModelShape, config: RunConfig, prompt_tokens: int | None) -> int:
    rows = min(config.ppo.micro_batch_size or config.ppo.mini_batch_size, config.ppo.mini_batch_size)
    return rows * _span(shape, config, prompt_tokens)


def _activations(shape: ModelShape, config: RunConfig, gpu: bool, prompt_tokens: int | None) -> float:
    """What a backward pass needs: every layer's inner states, or with checkpointing its input and one layer's."""
    layer = 8 * shape.hidden + 2 * shape.kv_heads * shape.head_dim + 3 * shape.intermediate
    per_token = shape.layers * (shape.hidden if config.model.gradient_checkpointing else layer)
    per_token += layer if config.model.gradient_checkpointing else 0
    return float(_micro_tokens(shape, config, prompt_tokens) * per_token * _compute_bytes(config, gpu))


def _norms(shape: ModelShape, config: RunConfig, gpu: bool, prompt_tokens: int | None) -> float:
    """States that norms keep in float32 per layer: measured on Llama, two hidden sizes, four beside bfloat16."""
    layers = 1 if config.model.gradient_checkpointing else shape.layers
    width = (4 if _compute_bytes(config, gpu) == 2 else 2) * shape.hidden
    return 4.0 * layers * width * _micro_tokens(shape, config, prompt_tokens)


def _heap(shape: ModelShape, config: RunConfig, prompt_tokens: int | None) -> float:
    plain = config.model.model_copy(update={"gradient_checkpointing": False})
    whole = config.model_copy(update={"model": plain})
    live = _activations(shape, whole, False, prompt_tokens) + _norms(shape, whole, False, prompt_tokens)
    return _HEAP_SHARE * live


def _feature_width(shape: ModelShape) -> int:
    return 3 * shape.hidden + 2


def _features(shape: ModelShape, config: RunConfig, gpu: bool) -> float:
    if config.ppo.critic != "features":
        return 0.0
    tokens = config.rollout.batch_size * config.rollout.max_new_tokens
    return float(tokens * _feature_width(shape) * (2 if gpu else 4))


def _logits(shape: ModelShape, config: RunConfig) -> float:
    """The larger of the scored chunk with its copies and the sampler's distribution, once float32 and twice float64."""
    positions = config.ppo.mini_batch_size * config.rollout.max_new_tokens
    chunk = min(_CHUNK_ELEMENTS, positions * shape.vocab)
    rows = config.rollout.decode_batch or config.rollout.batch_size
    return float(max(4 * _CHUNK_COPIES * chunk, rows * shape.vocab * (4 + 8 + 8)))


def _dequantised_layer(shape: ModelShape, config: RunConfig) -> float:
    return 2.0 * shape.hidden * shape.intermediate if config.model.quantization != "none" else 0.0
