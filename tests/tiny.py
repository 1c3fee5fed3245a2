"""Tiny random models and a tokenizer to go with them, made here and saved to disk the ordinary way."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers
from torch import nn

from core.batch import TokenBatch, make_batch
from core.config import ModelConfig
from core.model import load_base, load_tokenizer
from core.policy import CriticKind, Policy, make_policy
from core.types import Message, Prompt

ARCHITECTURES = ("gpt2", "llama", "mistral", "qwen2")
SPECIAL = ("<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>")
VOCABULARY = 96
EOS = SPECIAL.index("</s>")
POSITIONS = 64
CHAT_TEMPLATE = (
    "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
)
SEQUENCES = [
    ((7, EOS, 9), (20, 21, 22, 23, EOS)),
    ((11,) * 9, (EOS,)),
    ((40, 41), tuple(range(50, 58))),
    ((5, 6, 7, 8, 9), (30, 31)),
]
"""Prompt and response ids of four rows: mixed lengths, EOS inside a prompt as chat templates have it, one response of
only EOS, two cut at their caps."""


def words(ids: list[int]) -> str:
    """Text that the tokenizer turns into exactly these ids; none of them may be special."""
    return " ".join(f"w{i}" for i in ids)


def tokenizer(*, template: bool = True, **special: Any) -> transformers.PreTrainedTokenizerFast:
    """One id per word ``w6`` .. ``w95`` with Zephyr's special tokens and template; pad is eos, as Zephyr has it."""
    vocabulary = {name: i for i, name in enumerate(SPECIAL)} | {f"w{i}": i for i in range(len(SPECIAL), VOCABULARY)}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    names = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>", "pad_token": "</s>"} | special
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=core, **names)
    if template:
        fast.chat_template = CHAT_TEMPLATE
    return fast


def model(architecture: str, seed: int = 0, **changes: Any) -> nn.Module:
    """Two layers of width 32 with random weights large enough that every token's probability is its own."""
    size: dict[str, Any] = {
        "vocab_size": VOCABULARY, "initializer_range": 0.15,
        "bos_token_id": 1, "eos_token_id": EOS, "pad_token_id": EOS,
    }  # fmt: skip
    rotary = {
        "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2, "max_position_embeddings": POSITIONS,
    }  # fmt: skip
    learned = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS}
    kinds: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        "gpt2": (transformers.GPT2Config, transformers.GPT2LMHeadModel, learned),
        "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM, rotary),
        "mistral": (transformers.MistralConfig, transformers.MistralForCausalLM, rotary),
        "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM, rotary | {"tie_word_embeddings": True}),
    }
    config, kind, shape = kinds[architecture]
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        built: nn.Module = kind(config(**(size | shape | changes)))
    return built


def save(architecture: str, folder: Path, **changes: Any) -> Path:
    """Model and tokenizer in ``folder`` as ``save_pretrained`` writes them."""
    built: Any = model(architecture, **changes)
    built.save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


def policy(folder: Path, *, critic: CriticKind = "adapter", stirred: bool = True, **model_options: Any) -> Policy:
    """A policy on a saved model. ``stirred``: every trained tensor moved at random, so that actor, critic and reference
    differ and no value is zero.
    """
    limits = {
        k: model_options.pop(k) for k in ("temperature", "min_new_tokens", "max_new_tokens") if k in model_options
    }
    config = ModelConfig(id=str(folder), device="cpu", lora_rank=4, lora_alpha=8.0, **model_options)
    base, text = load_base(config, torch.device("cpu")), load_tokenizer(config)
    built = make_policy(base, text, config, critic=critic, critic_width=16, **limits)
    if stirred:
        stir(built)
    return built


@torch.no_grad()
def stir(policy: Policy, by: float = 0.05, seed: int = 1) -> None:
    """Move every trained tensor a little, at random."""
    generator = torch.Generator().manual_seed(seed)
    for tensor in policy.trained_tensors().values():
        tensor.add_(by * torch.randn(tensor.shape, generator=generator))


def batch(
    policy: Policy, rows: list[tuple[tuple[int, ...], tuple[int, ...]]] | None = None, **options: Any
) -> TokenBatch:
    """The rows (``SEQUENCES`` unless given) as tensors."""
    chosen = SEQUENCES if rows is None else rows
    prompts, responses = [p for p, _ in chosen], [r for _, r in chosen]
    return make_batch(prompts, responses, **({"pad_id": policy.tokenizer.pad_id, "device": policy.device} | options))


def prompts(n: int, seed: int = 0, longest: int = 8) -> list[Prompt]:
    """Prompts of random words, of mixed length."""
    rng = random.Random(seed)
    texts = [words([rng.randrange(len(SPECIAL), VOCABULARY) for _ in range(rng.randint(1, longest))]) for _ in range(n)]
    return [Prompt(id=f"p{i}", messages=(Message(role="user", content=text),)) for i, text in enumerate(texts)]
