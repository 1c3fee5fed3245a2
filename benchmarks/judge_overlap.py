"""How much of the judge's time a PPO step hides behind its own work: verdicts arrive while it generates and scores.

    python benchmarks/judge_overlap.py [--latency 1.5] [--concurrency 8] [--steps 3]

A Mistral of 27 M parameters with random weights on one CPU thread, 32 responses of 8 to 96 tokens, and a judge that
sleeps. Both sides in turns: ours, and the same step with the verdicts asked for only when all work is done, as a loop
without overlap would. Prints the seconds that each stood still for verdicts.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import tempfile
import time
from concurrent.futures import Future
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from accelerate import Accelerator
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

from core.build import build_policy
from core.config import RunConfig
from core.events import StepCompleted
from core.judge.pool import JudgePool
from core.model import load_tokenizer
from core.trainer import Trainer
from core.types import JudgeRequest, JudgeResult, Message, Prompt, Verdict

VOCABULARY = 4096


class SleepyJudge:
    """Gives every response a 5 after ``latency`` seconds."""

    name = "sleepy"
    version = "1"

    def __init__(self, latency: float) -> None:
        self.latency = latency

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        await asyncio.sleep(self.latency)
        return [
            Verdict(score=len(r.response) % 11, reward=0.0, reason="", backend="sleepy", judge_version="1")
            for r in requests
        ]

    async def close(self) -> None:
        return


class AfterwardsPool(JudgePool):
    """Asks nothing before ``flush``, which the collector calls once all responses are there."""

    def __init__(self, judge: SleepyJudge, concurrency: int) -> None:
        super().__init__(judge, concurrency)
        self._held: list[tuple[JudgeRequest, Future[JudgeResult]]] = []

    def submit(self, request: JudgeRequest, done: Any = None) -> Future[JudgeResult]:  # noqa: ARG002
        future: Future[JudgeResult] = Future()
        self._held.append((request, future))
        return future

    def let_go(self) -> None:
        held, self._held = self._held, []
        for request, future in held:
            inner = JudgePool.submit(self, request)
            inner.add_done_callback(lambda f, out=future: out.set_result(f.result()))


def save_model(folder: Path) -> Path:
    words = {f"w{i}": i for i in range(VOCABULARY)} | {"<stop>": VOCABULARY, "<pad>": VOCABULARY + 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<stop>", pad_token="<pad>").save_pretrained(folder)
    torch.manual_seed(0)
    shape = MistralConfig(
        vocab_size=VOCABULARY + 2, hidden_size=512, intermediate_size=1376, num_hidden_layers=8, num_attention_heads=8,
        num_key_value_heads=4, max_position_embeddings=512, sliding_window=None, bos_token_id=None, eos_token_id=None,
        pad_token_id=None,
    )  # fmt: skip
    network = MistralForCausalLM(shape)
    network.save_pretrained(folder)
    print(f"model: {sum(p.numel() for p in network.parameters()) / 1e6:.1f} M parameters")
    return folder


def trainer(folder: Path, pool: JudgePool) -> Trainer:
    config = RunConfig.model_validate(
        {
            "model": {"id": str(folder), "device": "cpu", "lora_rank": 8},
            "rollout": {"batch_size": 32, "max_new_tokens": 96, "cap_min": 8},
            "ppo": {"epochs": 1, "mini_batch_size": 16, "critic": "features", "missing_eos_penalty": 0.0},
            "run": {"steps": 100, "threads": 1},
        }
    )
    draw = random.Random(0)
    texts = [" ".join(f"w{draw.randrange(VOCABULARY)}" for _ in range(32)) for _ in range(64)]
    prompts = [Prompt(id=str(i), messages=(Message(role="user", content=text),)) for i, text in enumerate(texts)]
    policy = build_policy(config, load_tokenizer(config.model))
    return Trainer(policy, pool, prompts, (), config, Accelerator(cpu=True))


def step(made: Trainer, pool: JudgePool) -> dict[str, float]:
    """One step; the seconds of its phases and those it stood still."""
    began = time.monotonic()
    for output in made.step():
        if isinstance(pool, AfterwardsPool) and made.phase == "judge":
            pool.let_go()
        if isinstance(output, StepCompleted):
            metrics = output.metrics
    seconds = metrics.phase_seconds
    work = seconds.get("generate", 0.0) + seconds.get("score", 0.0)
    return {"work": work, "waited": metrics.judge_wait_s or 0.0, "step": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--latency", type=float, default=1.5, help="seconds of a judgement")
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--steps", type=int, default=3, help="steps of each side, the first of which is discarded")
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as name:
        folder = save_model(Path(name))
        judge = SleepyJudge(given.latency)
        pools = {"ours": JudgePool(judge, given.concurrency), "afterwards": AfterwardsPool(judge, given.concurrency)}
        sides = {side: trainer(folder, pool) for side, pool in pools.items()}
        found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
        for _ in range(given.steps):
            for side, made in sides.items():
                found[side].append(step(made, pools[side]))
        for made in sides.values():
            made.close()
    print(f"judge: {given.latency:g} s a response, {given.concurrency} at once; load {os.getloadavg()[0]:.1f}")
    for side, steps in found.items():
        for key in ("work", "waited", "step"):
            print(f"  {side:<10} {key:<7} " + "  ".join(f"{s[key]:6.2f} s" for s in steps[1:]))
    alone = sum(s["waited"] for s in found["afterwards"][1:])
    still = sum(s["waited"] for s in found["ours"][1:])
    print(f"hidden: {1 - still / alone:.1%} of the wait; a step is {_ratio(found):.2f} times as quick")


def _ratio(found: dict[str, list[dict[str, float]]]) -> float:
    return sum(s["step"] for s in found["afterwards"][1:]) / sum(s["step"] for s in found["ours"][1:])


if __name__ == "__main__":
    main()
