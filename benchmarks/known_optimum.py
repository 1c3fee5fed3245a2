"""A task whose optimum is known: how much of the way to it does the trainer go?

An untrained GPT-2 writes exactly n tokens; the reward is R = 2 * share of the target ids - 1 and the objective
J = R - beta * KL. The policy that maximises J is p* = p0 w / (p0 w + 1 - p0) on the target ids, w = exp(2 / (n beta)),
p0 being the start's probability of a target id; it gives J* = n beta ln(p0 w + 1 - p0) - 1. No policy gets more.

    python benchmarks/known_optimum.py [--seeds 0 1 2] [--beta 0.05] [--steps 300] [--set gae_lambda=1.0 ...]
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import torch
import transformers
from accelerate import Accelerator
from tokenizers import Tokenizer as Core
from tokenizers import models, pre_tokenizers

from core.config import ModelConfig, RunConfig
from core.events import StepCompleted, StepMetrics
from core.judge.pool import JudgePool
from core.model import Tokenizer
from core.policy import make_policy
from core.trainer import Trainer
from core.types import JudgeRequest, JudgeResult, Message, Prompt, Verdict, score_to_reward

VOCABULARY = 64
TARGETS = range(8, 16)
TOKENS = 10
BATCH = 16
LAST = 10
"""Steps at the end that the result is the mean of."""


class ShareJudge:
    """Score 10 times the share of words that are targets, so that the reward is twice the share less one."""

    name = "share"
    version = "1"
    _words = frozenset(f"t{i}" for i in TARGETS)

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        return [self._one(request) for request in requests]

    def _one(self, request: JudgeRequest) -> Verdict:
        words = request.response.split()
        score = 10 * sum(word in self._words for word in words) / len(words)
        return Verdict(score=score, reward=score_to_reward(score), reason="", backend=self.name, judge_version="1")

    async def close(self) -> None:
        """Nothing to close."""


def tokenizer() -> Tokenizer:
    """One word per id, id 0 for padding, no end-of-sequence token: responses end at the cap."""
    core = Core(models.WordLevel({f"t{i}": i for i in range(VOCABULARY)}, unk_token="t0"))
    core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=core)
    return Tokenizer(fast, pad_id=0, eos_ids=(), has_template=False)


def prompts(count: int, seed: int) -> list[Prompt]:
    """Random ids of lengths 8 to 32: long and mixed against short responses, which is where a wrong mask shows."""
    rng = random.Random(f"prompts/{seed}")
    texts = [" ".join(f"t{rng.randrange(1, VOCABULARY)}" for _ in range(rng.randint(8, 32))) for _ in range(count)]
    return [Prompt(id=str(i), messages=(Message(role="user", content=text),)) for i, text in enumerate(texts)]


def settings(seed: int, beta: float, steps: int, changes: dict[str, Any]) -> RunConfig:
    """Batch 16, mini-batch 4, 4 epochs, AdamW 1e-3 falling to 0, everything clipped as PPO has it."""
    ppo: dict[str, Any] = {
        "epochs": 4, "mini_batch_size": 4, "learning_rate": 1e-3, "critic_learning_rate": 1e-3, "adam_beta2": 0.999,
        "schedule": "linear", "warmup_fraction": 0.0, "max_grad_norm": 1.0, "value_clip": 0.2, "value_coef": 0.1,
        "kl_coef": beta, "gamma": 1.0, "gae_lambda": 0.95, "critic": "shared", "critic_warmup_steps": 0,
        "missing_eos_penalty": 0.0, "target_kl": 0.0, "kl_pause": 0.0,
    }  # fmt: skip
    return RunConfig.model_validate(
        {
            "model": {"adapter": "full", "device": "cpu"},
            "rollout": {
                "batch_size": changes.pop("batch_size", BATCH),
                "max_new_tokens": changes.pop("max_new_tokens", TOKENS),
                "cap_min": changes.pop("cap_min", 0),
                "group_size": changes.pop("group_size", 1),
            },
            "ppo": ppo | changes,
            "run": {"steps": steps, "seed": seed, "threads": 1},
        }
    )


def trainer(config: RunConfig) -> Trainer:
    """The product's trainer on an untrained model."""
    seed = config.run.seed
    shape = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=64, n_layer=2, n_head=2, n_positions=64, bos_token_id=None, eos_token_id=None,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0,
    )  # fmt: skip
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model: torch.nn.Module = transformers.GPT2LMHeadModel(shape)
    policy = make_policy(
        model, tokenizer(), ModelConfig(adapter="full", device="cpu"), critic=config.ppo.critic,
        max_new_tokens=config.rollout.max_new_tokens, seed=seed,
    )  # fmt: skip
    train = prompts(config.run.steps * config.rollout.batch_size, seed)
    return Trainer(policy, JudgePool(ShareJudge(), 16), train, (), config, Accelerator(cpu=True))


@dataclass(frozen=True)
class Result:
    """Means of the last steps."""

    reward: float
    kl: float
    objective: float
    seconds: float
    """CPU seconds, the judge's thread included."""


def best(beta: float, p0: float = len(TARGETS) / VOCABULARY) -> float:
    """J*, the largest objective any policy can have."""
    price = TOKENS * beta
    return price * math.log(p0 * math.exp(2 / price) + 1 - p0) - 1


def share_of_way(objective: float, beta: float) -> float:
    """How far from the start, whose J is that of the uniform policy, to J*."""
    start = 2 * len(TARGETS) / VOCABULARY - 1
    return (objective - start) / (best(beta) - start)


def run(seed: int, beta: float = 0.05, steps: int = 300, **changes: Any) -> Result:
    """Train and report. ``changes`` are keys of the ppo section, or of the rollout section's sizes."""
    trained = trainer(settings(seed, beta, steps, dict(changes)))
    started, found = time.process_time(), []
    while trained.completed < steps:
        found += [event.metrics for event in trained.step() if isinstance(event, StepCompleted)]
    trained.close()
    reward = statistics.fmean(value(m, "reward_mean") for m in found[-LAST:])
    kl = statistics.fmean(value(m, "kl_seq") for m in found[-LAST:])
    return Result(reward, kl, reward - beta * kl, time.process_time() - started)


def value(metrics: StepMetrics, name: str) -> float:
    """A figure that every step of this task must have."""
    figure = getattr(metrics, name)
    assert figure is not None
    return float(figure)


def main() -> None:
    """Print one line per seed and their mean."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--beta", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    pairs = (item.split("=", 1) for item in options.set)
    changes = {k: v if not v.replace(".", "").replace("e-", "").isdigit() else float(v) for k, v in pairs}
    whole = {"epochs", "mini_batch_size", "batch_size", "group_size", "cap_min", "max_new_tokens"}
    changes = {k: int(v) if k in whole else v for k, v in changes.items()}
    print(f"beta {options.beta:g}, {options.steps} steps, {changes or 'as written'}; J* {best(options.beta):+.3f}")
    results = []
    for seed in options.seeds:
        r = run(seed, options.beta, options.steps, **changes)
        results.append(r.objective)
        way = share_of_way(r.objective, options.beta)
        figures = f"R {r.reward:+.3f}  KL {r.kl:6.2f}  J {r.objective:+.3f}  {way:6.1%} of the way"
        print(f"seed {seed}: {figures}  {r.seconds:.0f} cpu-s", flush=True)
    mean = statistics.fmean(results)
    print(f"mean  : J {mean:+.3f}  {share_of_way(mean, options.beta):.1%} of the way")


if __name__ == "__main__":
    main()
