"""CPU seconds of a PPO step, ours against TRL 1.12.0's PPOTrainer, by phase and in turns.

    python benchmarks/ppo_step.py --make-venv .venv-trl        make TRL's environment, then measure
    python benchmarks/ppo_step.py --trl-python .venv-trl/bin/python [--rounds 8]
    python benchmarks/ppo_step.py                              our side alone

Both train the same 3.95 M-parameter random Mistral: 16 prompts of 32 tokens, responses of exactly 64, 4 epochs of
mini-batches of 4 (16 optimiser steps, checked on both sides), fp32 weights, no gradient checkpointing, no clipping of
gradients, one thread.
TRL runs as fast as it can here: fp32, its whole batch on the device. Each side is a process of its own; each round asks
every side for one step; the first round is thrown away. CPU seconds are those of the whole process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import venv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent
PEER = ("torch==2.13.0", "trl==1.12.0", "transformers==5.23.0", "accelerate", "peft", "datasets")
PHASES = ("generate", "score", "update", "total")
VOCABULARY = 2048
PROMPTS = 64
TASK: dict[str, Any] = {
    "batch": 16,
    "prompt": 32,
    "response": 64,
    "epochs": 4,
    "mini_batch": 4,
    "rank": 16,
    "learning_rate": 1e-5,
    "kl_coef": 0.05,
    "seed": 0,
}


@dataclass(frozen=True)
class Row:
    """One way of ours and which of TRL's it stands against."""

    name: str
    adapter: str
    critic: str
    compute: str
    goal: float
    """How many times cheaper than TRL a prototype was."""


ROWS = (
    Row("separate value model, fp32", "full", "adapter", "float32", 1.1),
    Row("separate value model, bf16", "full", "adapter", "bfloat16", 1.5),
    Row("head on the shared trunk, bf16", "full", "shared", "bfloat16", 2.9),
    Row("LoRA, features critic, fp32", "lora", "features", "float32", 1.9),
)


@dataclass
class Side:
    """A process that makes steps on demand."""

    name: str
    process: subprocess.Popen[str]
    versions: dict[str, str] = field(default_factory=dict)
    steps: list[dict[str, Any]] = field(default_factory=list)

    def answer(self) -> dict[str, Any]:
        """The process's next line. Exits with the process's own words if it has died."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            fail(f"'{self.name}' ended with status {self.process.wait()}; its words are above")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def step(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        self.steps.append(self.answer())

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(timeout=60)

    def smallest(self, phase: str) -> float:
        return min(float(step["cpu"][phase]) for step in self.steps[1:])

    def median(self, phase: str) -> float:
        return statistics.median(float(step["cpu"][phase]) for step in self.steps[1:])

    @property
    def peak_rss_mb(self) -> float:
        return float(self.steps[-1]["peak_rss_mb"])


def fail(message: str) -> NoReturn:
    sys.exit(f"ppo_step.py: {message}")


def start(name: str, python: str, script: str, task: dict[str, Any], log: int) -> Side:
    """Start a side and wait until it is ready."""
    environment = os.environ | {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_OFFLINE": "1",
        "PYTHONPATH": str(HERE.parent) if script == "own_side.py" else "",
    }
    command = [python, str(HERE / script), json.dumps(task)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
    )
    side = Side(name, process)
    side.versions = side.answer()["versions"]
    return side


def make_inputs(folder: Path) -> dict[str, Any]:
    """The model, its tokenizer and the prompts, on disk for both sides. The stop and pad ids lie outside the model's
    vocabulary, so that no response can end early and nothing need be banned."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import MistralConfig, MistralForCausalLM, PreTrainedTokenizerFast

    words = {f"w{i}": i for i in range(VOCABULARY)} | {"<stop>": VOCABULARY, "<pad>": VOCABULARY + 1}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token="<pad>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    model = folder / "model"
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<stop>", pad_token="<pad>").save_pretrained(model)
    torch.manual_seed(TASK["seed"])
    config = MistralConfig(
        vocab_size=VOCABULARY,
        hidden_size=256,
        intermediate_size=688,
        num_hidden_layers=4,
        num_attention_heads=8,
        num_key_value_heads=4,
        max_position_embeddings=512,
        sliding_window=None,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    network = MistralForCausalLM(config)
    network.save_pretrained(model)
    draw = random.Random(TASK["seed"])
    prompts = [[draw.randrange(VOCABULARY) for _ in range(TASK["prompt"])] for _ in range(PROMPTS)]
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    parameters = sum(p.numel() for p in network.parameters())
    print(f"model: Mistral, {parameters:,} parameters, vocabulary {VOCABULARY}")
    return TASK | {"model": str(model), "prompts": str(folder / "prompts.json"), "scratch": str(folder / "scratch")}


def make_venv(folder: Path) -> str:
    """TRL in an environment of its own; our dependencies do not go with it. Returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        print(f"installing {', '.join(PEER)} into {folder} ...", flush=True)
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PEER], check=True)
    return str(python)


def load_average() -> str:
    return " ".join(f"{x:.2f}" for x in os.getloadavg())


def measure(rounds: int, trl_python: str | None, rows: list[Row], log: int) -> tuple[dict[str, Side], dict[str, Side]]:
    """Sides by name: TRL's by adapter, ours by row. Every side makes one step a round, one after the other."""
    with tempfile.TemporaryDirectory() as folder:
        task = make_inputs(Path(folder))
        adapters = dict.fromkeys(row.adapter for row in rows) if trl_python else {}
        peers = {
            adapter: start(f"TRL {adapter}", str(trl_python), "trl_side.py", task | {"adapter": adapter}, log)
            for adapter in adapters
        }
        own = {}
        for row in rows:
            ours = task | {"adapter": row.adapter, "critic": row.critic, "compute": row.compute}
            own[row.name] = start(row.name, sys.executable, "own_side.py", ours, log)
        sides = [*peers.values(), *own.values()]
        for number in range(rounds):
            for side in sides:
                side.step()
            print(f"round {number}: " + ", ".join(f"{s.name} {s.steps[-1]['cpu']['total']:.2f}" for s in sides))
        for side in sides:
            side.close()
    return peers, own


def report(peers: dict[str, Side], own: dict[str, Side], rows: list[Row]) -> None:
    print("\nCPU seconds a step, smallest / median; times = TRL's smallest over ours\n")
    print("| side | " + " | ".join(PHASES) + " | peak RSS MB |\n|---|" + "---|" * (len(PHASES) + 1))
    for side in (*peers.values(), *own.values()):
        cells = [f"{side.smallest(p):.2f} / {side.median(p):.2f}" for p in PHASES]
        print(f"| {side.name} | " + " | ".join(cells) + f" | {side.peak_rss_mb:.0f} |")
    if not peers:
        return
    print("\n| ours against TRL | " + " | ".join(PHASES) + " | by medians | aim |\n|---|" + "---|" * (len(PHASES) + 2))
    for row in rows:
        ours, theirs = own[row.name], peers[row.adapter]
        cells = [f"{theirs.smallest(p) / ours.smallest(p):.2f}" for p in PHASES]
        medians = theirs.median("total") / ours.median("total")
        print(f"| {row.name} | " + " | ".join(cells) + f" | {medians:.2f} | {row.goal:.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--trl-python", help="Python of an environment with TRL 1.12.0")
    parser.add_argument("--make-venv", type=Path, metavar="DIR", help="make that environment in DIR if it is not there")
    parser.add_argument("--rounds", type=int, default=6, help="steps per side, the first thrown away (at least 4)")
    parser.add_argument("--rows", type=int, nargs="+", choices=range(1, len(ROWS) + 1), help="only these rows, from 1")
    parser.add_argument("--log", default=os.devnull, help="file for what the libraries print")
    options = parser.parse_args()
    if options.rounds < 4:
        fail("--rounds must be at least 4")
    rows = [ROWS[i - 1] for i in options.rows] if options.rows else list(ROWS)
    trl_python = make_venv(options.make_venv) if options.make_venv else options.trl_python
    if trl_python is None:
        print("no --trl-python: our side alone, no ratio")
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, load {load_average()}")
    with open(options.log, "w", encoding="utf-8") as log:
        peers, own = measure(options.rounds, trl_python, rows, log.fileno())
    for side in (*peers.values(), *own.values()):
        print(f"{side.name}: " + ", ".join(f"{name} {version}" for name, version in side.versions.items()))
    print(f"load at the end {load_average()}")
    report(peers, own, rows)


if __name__ == "__main__":
    main()
