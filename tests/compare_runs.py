"""What there is to compare in tests: a trained run of a tiny model, a plain peft adapter, a model of another kind."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from core import checkpoint
from core.build import build
from core.compare import work
from core.compare.job import Job
from core.compare.record import Comparison, read
from core.config_file import config_hash, from_dict, to_toml
from core.identity import Identity, installed_versions
from core.run_dir import RunDir, create

PROMPTS = 40


def data(place: Path, *, source: bool = True) -> Path:
    """Prompts of random words; every third from a book."""
    path = place / "prompts.csv"
    rows = [
        f"{prompt.messages[0].content},{'web' if i % 3 else 'book'}" for i, prompt in enumerate(tiny.prompts(PROMPTS))
    ]
    path.write_text("\n".join(["prompt,source" if source else "prompt,note", *rows]) + "\n")
    return path


def trained(place: Path, model: Path, name: str = "r", steps: int = 2, **changes: Any) -> RunDir:
    """A run with a checkpoint of every step, made in this process as the worker makes them."""
    config = from_dict(
        {
            "model": {"id": str(model), "device": "cpu", "lora_rank": 4, "lora_alpha": 16.0} | changes,
            "data": {"path": str(data(place)), "validation_prompts": 12, "validation_fraction": 0.3},
            "rollout": {"batch_size": 8, "max_new_tokens": 8},
            "ppo": {"mini_batch_size": 4, "critic": "none", "critic_warmup_steps": 0, "learning_rate": 0.05,
                    "warmup_fraction": 0.0, "target_kl": 0.0, "kl_pause": 0.0},
            "run": {"steps": steps, "threads": 1},
        }
    )  # fmt: skip
    run = create(place / "runs", name)
    run.config.write_text(to_toml(config))
    parts = build(config)
    identity = Identity(
        config=config.model_dump(mode="json"), data_fingerprint=parts.data_fingerprint,
        model_fingerprint=parts.model_fingerprint, versions=installed_versions(), device=parts.ready.device,
    )  # fmt: skip
    with contextlib.closing(parts.trainer):
        for _ in range(steps):
            list(parts.trainer.step())
            state = parts.trainer.state()
            values = {"trainer": state.values, "worker": identity.values()}
            checkpoint.save(run, parts.trainer.completed, state.tensors, values, config_hash(config))
    return run


def adapter(base: Path, folder: Path, seed: int = 3, **settings: Any) -> Path:
    """An adapter as anybody trains it with plain peft, far from this product."""
    torch.manual_seed(seed)
    chosen = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", "task_type": "CAUSAL_LM"} | settings
    adapted = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(**chosen))
    with torch.no_grad():
        for name, tensor in adapted.named_parameters():
            if "lora_B" in name:
                tensor.normal_(0.0, 0.3)
    adapted.save_pretrained(folder)
    return folder


def made(place: Path, monkeypatch: pytest.MonkeyPatch, *models: str, **more: Any) -> Comparison:
    """The comparison of these models, made in this process; its record lies in ``place``."""
    monkeypatch.setattr(work, "_quieten", lambda *_: None)  # it changes this process for good
    job = Job(models=models, id=f"c{sum(1 for _ in place.iterdir())}", **({"runs_root": str(place / "runs")} | more))
    record = place / f"{job.id}.jsonl"
    work.Work(job, record).do()
    found = read(record)
    assert found is not None
    return found
