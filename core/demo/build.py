"""Make the bundled model: ``python -m core.demo.build``. A tokenizer and a small Mistral, trained from scratch.

One thread, one seed: the same versions on the same kind of processor give the same weights. Shapes: B rows of a batch,
T tokens of the longest row. The loss counts the answer and its end only, not the question.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import platform
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import safetensors
import tokenizers
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

from . import MODEL_DIR, PROMPTS_CSV
from .corpus import samples, write_prompts

VOCABULARY = 1280
SPECIAL = ("<unk>", "<s>", "</s>", "<pad>", "<|system|>", "<|user|>", "<|assistant|>")
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + eos_token + '\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
SYSTEM_LINES = ("You are a helpful assistant.", "Answer in one or two sentences.", "Be kind and clear.")
SYSTEM_SHARE = 0.08
TOKENIZER_SAMPLES = 20_000
BATCH = 32
CHUNK = 64
PEAK_RATE = 3e-3
WARM_UP = 100
REPORT_EVERY = 100

Row = tuple[list[int], list[int]]
"""Token ids of the rendered question, token ids of the answer with its end."""


def build_tokenizer(seed: int) -> Any:
    """Byte-level BPE on the corpus, as a ``PreTrainedTokenizerFast`` with the chat template; pad is not eos."""
    bpe = Tokenizer(models.BPE(unk_token="<unk>"))
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    text = (t for s in itertools.islice(samples(seed), TOKENIZER_SAMPLES) for t in (s.prompt, s.answer))
    bpe.train_from_iterator(text, trainer)
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        unk_token="<unk>",
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        additional_special_tokens=list(SPECIAL[4:]),
        chat_template=CHAT_TEMPLATE,
        padding_side="left",
        model_max_length=2048,
    )


def build_model(tokenizer: Any) -> Any:
    """A randomly initialised Mistral of about 1.2 million parameters, its embeddings tied."""
    config = transformers.MistralConfig(
        vocab_size=len(tokenizer),
        hidden_size=160,
        intermediate_size=448,
        num_hidden_layers=3,
        num_attention_heads=5,
        num_key_value_heads=5,
        head_dim=32,
        max_position_embeddings=2048,
        sliding_window=None,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return transformers.MistralForCausalLM(config)


def rows(tokenizer: Any, seed: int) -> Iterator[Row]:
    """Endless training rows: the rendered chat, now and then with a system line, and the answer."""
    draw = random.Random(seed)
    for sample in samples(seed):
        chat = [{"role": "user", "content": sample.prompt}]
        if draw.random() < SYSTEM_SHARE:
            chat.insert(0, {"role": "system", "content": draw.choice(SYSTEM_LINES)})
        text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
        answer = tokenizer.encode(sample.answer, add_special_tokens=False)
        yield tokenizer.encode(text, add_special_tokens=False), [*answer, tokenizer.eos_token_id]


def batches(stream: Iterator[Row], seed: int) -> Iterator[list[Row]]:
    """Batches of rows of like length: a chunk is sorted by length, cut, and its batches shuffled."""
    draw = random.Random(seed)
    while True:
        chunk = sorted(itertools.islice(stream, BATCH * CHUNK), key=lambda row: len(row[0]) + len(row[1]))
        cut = [chunk[i : i + BATCH] for i in range(0, len(chunk), BATCH)]
        draw.shuffle(cut)
        yield from cut


def batch_loss(model: Any, batch: list[Row], pad: int) -> tuple[torch.Tensor, int]:
    """Mean cross-entropy over answer tokens, in nats, and their number."""
    width = max(len(question) + len(answer) for question, answer in batch)
    ids_BT = torch.full((len(batch), width), pad)
    target_BT = torch.full((len(batch), width), -100)
    for i, (question, answer) in enumerate(batch):
        end = len(question) + len(answer)
        ids_BT[i, :end] = torch.tensor([*question, *answer])
        target_BT[i, len(question) : end] = torch.tensor(answer)
    # Rows are padded on the right: under causal attention no answer token sees the padding, so no mask is needed.
    logits_BTV = model(input_ids=ids_BT, use_cache=False).logits
    loss = torch.nn.functional.cross_entropy(logits_BTV[:, :-1].flatten(0, 1), target_BT[:, 1:].flatten())
    return loss, sum(len(answer) for _, answer in batch)


def train(model: Any, tokenizer: Any, seed: int, steps: int) -> dict[str, Any]:
    """AdamW with warm-up and cosine decay. Returns the record: losses, tokens, seconds."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: min(1.0, (step + 1) / WARM_UP) * 0.5 * (1.02 + 0.98 * math.cos(math.pi * step / steps))
    )
    started, tokens, recent, curve = time.process_time(), 0, 0.0, []
    model.train()
    for step, batch in enumerate(itertools.islice(batches(rows(tokenizer, seed), seed), steps), start=1):
        loss, count = batch_loss(model, batch, tokenizer.pad_token_id)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
        tokens += count
        recent += loss.item() / REPORT_EVERY
        if step % REPORT_EVERY == 0:
            curve.append([step, round(recent, 4)])
            sys.stderr.write(f"step {step}/{steps}  loss {recent:.4f}  cpu {time.process_time() - started:.0f} s\n")
            recent = 0.0
    seconds = round(time.process_time() - started, 1)
    return {
        "answer_tokens": tokens,
        "cpu_seconds": seconds,
        "final_loss": curve[-1][1] if curve else None,
        "loss": curve,
    }


def show(model: Any, tokenizer: Any, seed: int, questions: list[str]) -> list[tuple[str, str]]:
    """One answer per question, sampled at temperature 1 with nothing cut off, at most 64 tokens."""
    torch.manual_seed(seed)
    model.eval()
    chats = [[{"role": "user", "content": question}] for question in questions]
    texts = [tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True) for chat in chats]
    ids = tokenizer(texts, return_tensors="pt", padding=True, return_token_type_ids=False)
    out = model.generate(**ids, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=64)
    answers = tokenizer.batch_decode(out[:, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    return list(zip(questions, answers, strict=True))


def build(out: Path, seed: int, steps: int) -> dict[str, Any]:
    """Train, save model and tokenizer to ``out`` with ``training.json`` beside them, and return that record."""
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    tokenizer = build_tokenizer(seed)
    model = build_model(tokenizer)
    record = {
        "seed": seed,
        "steps": steps,
        "batch": BATCH,
        "parameters": sum(p.numel() for p in model.parameters()),
        "vocabulary": len(tokenizer),
        **train(model, tokenizer, seed + 1, steps),
    }
    model.generation_config.update(
        eos_token_id=tokenizer.eos_token_id, pad_token_id=tokenizer.pad_token_id, do_sample=True
    )
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)
    weights = out / "model.safetensors"
    weights.chmod(0o644)
    record["weights_bytes"] = weights.stat().st_size
    record["weights_sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
    record["versions"] = {
        "python": platform.python_version(),
        **{m.__name__: m.__version__ for m in (torch, transformers, tokenizers, safetensors)},
    }
    (out / "training.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    for question, answer in show(model, tokenizer, seed, [s.prompt for s in itertools.islice(samples(seed + 2), 12)]):
        sys.stdout.write(f"{question}\n    {answer}\n")
    return record


def main() -> None:
    """Write the prompts and train the model."""
    parser = argparse.ArgumentParser(description="Write the demo's prompts and train its model from scratch.")
    parser.add_argument("--out", type=Path, default=MODEL_DIR, help="folder for the model (default: the bundled one)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=3000, help="optimiser steps of 32 rows")
    given = parser.parse_args()
    sys.stderr.write(f"{write_prompts(PROMPTS_CSV)} prompts\n")
    build(given.out, given.seed, given.steps)


if __name__ == "__main__":
    main()
