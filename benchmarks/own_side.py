"""Our side of ``ppo_step.py``: makes one PPO step when told to, as ``trl_side.py`` does with TRL.

Started with the task as JSON in its one argument. Prints ``ready``; then, for each line ``step`` on standard input,
makes a step and prints its CPU seconds by phase. Phases end where the trainer says the next one begins; waiting for
verdicts and making advantages count as score.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import accelerate
import peft
import torch
import transformers

from core.build import build_policy
from core.config import RunConfig
from core.events import PhaseStarted, StepCompleted
from core.judge.pool import JudgePool
from core.model import load_tokenizer
from core.trainer import Trainer
from core.types import JudgeRequest, JudgeResult, Message, Prompt, Verdict, score_to_reward


class EvenShare:
    """A judge for next to no work: 10 x the share of even ids, where a token's text is ``w`` and its id."""

    name = "even-share"
    version = "1"

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        return [self._verdict(r.response) for r in requests]

    def _verdict(self, response: str) -> Verdict:
        ids = [int(word[1:]) for word in response.split()]
        score = 10 * sum(i % 2 == 0 for i in ids) / len(ids)
        return Verdict(
            score=score, reward=score_to_reward(score), reason="", backend=self.name, judge_version=self.version
        )

    async def close(self) -> None:
        return


def config_of(task: dict[str, Any]) -> RunConfig:
    """The task in our words; everything not named keeps its default."""
    return RunConfig.model_validate(
        {
            "model": {
                "id": task["model"],
                "dtype": "float32",
                "adapter": task["adapter"],
                "lora_rank": task["rank"],
                "lora_alpha": 2 * task["rank"],
                "compute": task["compute"],
                "device": "cpu",
            },
            "rollout": {"batch_size": task["batch"], "max_new_tokens": task["response"]},
            "ppo": {
                "epochs": task["epochs"],
                "mini_batch_size": task["mini_batch"],
                "learning_rate": task["learning_rate"],
                "critic_learning_rate": task["learning_rate"],
                "kl_coef": task["kl_coef"],
                "critic": task["critic"],
                "critic_warmup_steps": 0,
                "warmup_fraction": 0.0,
                "missing_eos_penalty": 0.0,
                "target_kl": 0.0,
                "max_grad_norm": 0.0,  # TRL's PPOTrainer does not clip
            },
            "run": {"steps": 10_000, "seed": task["seed"], "threads": 1},
        }
    )


def make_trainer(task: dict[str, Any]) -> Trainer:
    config = config_of(task)
    tokenizer = load_tokenizer(config.model)
    rows = json.loads(Path(task["prompts"]).read_text(encoding="utf-8"))
    prompts = [
        Prompt(id=str(i), messages=(Message(role="user", content=" ".join(f"w{token}" for token in row)),))
        for i, row in enumerate(rows)
    ]
    return Trainer(
        build_policy(config, tokenizer),
        JudgePool(EvenShare(), config.judge.concurrency),
        prompts,
        [],
        config,
        accelerate.Accelerator(cpu=True, mixed_precision="no"),
    )


def measure(trainer: Trainer, task: dict[str, Any]) -> dict[str, Any]:
    """One step with its CPU seconds. Exits with a sentence if it was not the work that was meant."""
    cpu = {"generate": 0.0, "score": 0.0, "update": 0.0}
    phase, wall, began = "generate", time.perf_counter(), time.process_time()
    since, tokens, updates = began, 0, 0
    for output in trainer.step():
        if isinstance(output, PhaseStarted):
            now = time.process_time()
            cpu[phase] += now - since
            since, phase = now, "score" if output.phase == "judge" else output.phase
        elif isinstance(output, StepCompleted):
            tokens, updates = output.metrics.tokens, output.metrics.updates
    ended = time.process_time()
    cpu[phase] += ended - since
    wanted = task["epochs"] * task["batch"] // task["mini_batch"]
    if (tokens, updates) != (task["batch"] * task["response"], wanted):
        sys.exit(f"own_side.py: {tokens} tokens and {updates} optimiser steps were made; {wanted} steps were meant")
    return {
        "cpu": {"total": ended - began, **cpu},
        "wall": time.perf_counter() - wall,
        "optimiser_steps": updates,
        "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    # Libraries may print to standard output; the driver reads only what we say on the real one.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    torch.set_num_threads(1)
    task = json.loads(sys.argv[1])
    trainer = make_trainer(task)
    modules = {"torch": torch, "transformers": transformers, "peft": peft, "accelerate": accelerate}
    versions = {name: module.__version__ for name, module in modules.items()}
    print(json.dumps({"ready": True, "versions": versions}), file=answers, flush=True)
    while sys.stdin.readline().strip() == "step":
        print(json.dumps(measure(trainer, task)), file=answers, flush=True)
    trainer.close()


if __name__ == "__main__":
    main()
