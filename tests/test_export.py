"""What a run exports loads with a plain ``from_pretrained`` and says what the trained policy says."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any, cast

import pytest
import tiny
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from core import checkpoint
from core.build import Parts, build
from core.config import RunConfig
from core.config_file import config_hash, from_dict, to_toml
from core.errors import ModelError, RunDirError
from core.export import export_adapter, export_merged
from core.export.folder import write_folder
from core.identity import Identity, installed_versions
from core.policy import Policy
from core.publish.__main__ import main
from core.run_dir import RunDir, create

IDS = torch.tensor([[7, 2, 9, 20, 21, 22, 40, 41], [11, 50, 51, 52, 6, 95, 30, 31]])


@dataclasses.dataclass
class Trained:
    """A run of two steps with its checkpoints, and the logits of its policy after each."""

    run: RunDir
    config: RunConfig
    logits: dict[int, torch.Tensor]


def settings(model: Path, data: Path, **changes: Any) -> RunConfig:
    return from_dict(
        {
            "model": {"id": str(model), "device": "cpu", "lora_rank": 4, "lora_alpha": 16.0} | changes,
            "data": {"path": str(data), "validation_fraction": 0.0},
            "rollout": {"batch_size": 4, "max_new_tokens": 6},
            "ppo": {
                "mini_batch_size": 2, "critic": "shared", "critic_warmup_steps": 0, "learning_rate": 0.01,
                "warmup_fraction": 0.0, "target_kl": 0.0,
            },
            "run": {"steps": 2, "threads": 1},
        }
    )  # fmt: skip


def save(run: RunDir, config: RunConfig, parts: Parts) -> None:
    """A checkpoint as the worker writes it."""
    state = parts.trainer.state()
    identity = Identity(
        config=config.model_dump(mode="json"),
        data_fingerprint=parts.data_fingerprint,
        model_fingerprint=parts.model_fingerprint,
        versions=installed_versions(),
        device=parts.ready.device,
    )
    values = {"trainer": state.values, "worker": identity.values()}
    checkpoint.save(run, parts.trainer.completed, state.tensors, values, config_hash(config))


def logits_of(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return cast("torch.Tensor", model(input_ids=IDS).logits)


@torch.no_grad()
def policy_logits(policy: Policy) -> torch.Tensor:
    with policy.sampling():
        return cast("torch.Tensor", policy.head(policy.trunk(input_ids=IDS, use_cache=False)[0]))


def train(place: Path, model: Path, **changes: Any) -> Trained:
    data = place / "prompts.csv"
    data.write_text("prompt\n" + "\n".join(p.messages[0].content for p in tiny.prompts(8)) + "\n")
    config = settings(model, data, **changes)
    run = create(place / "runs", "r")
    run.config.write_text(to_toml(config))
    parts, logits = build(config), {}
    with contextlib.closing(parts.trainer):
        for step in (1, 2):
            list(parts.trainer.step())
            save(run, config, parts)
            logits[step] = policy_logits(parts.trainer.policy)
    return Trained(run, config, logits)


@pytest.fixture(scope="module", params=["mistral", "gpt2"])
def lora(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    place = tmp_path_factory.mktemp(f"lora-{request.param}")
    return train(place, tiny.save(request.param, place / "model"))


@pytest.fixture(scope="module")
def mistral(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    place = tmp_path_factory.mktemp("mistral")
    return train(place, tiny.save("mistral", place / "model"))


def test_an_adapter_loads_on_its_base_and_equals_the_policy(lora: Trained, tmp_path: Path) -> None:
    done = export_adapter(lora.run, tmp_path / "adapter")
    assert (done.step, done.base) == (2, lora.config.model.id)
    base = AutoModelForCausalLM.from_pretrained(lora.config.model.id)
    untrained = logits_of(base.eval())
    model = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert (logits_of(model) - lora.logits[2]).abs().max() <= 1e-5
    assert (untrained - lora.logits[2]).abs().max() > 1e-2  # training did something
    held = json.loads((tmp_path / "adapter" / "adapter_config.json").read_text())
    assert held["base_model_name_or_path"] == lora.config.model.id
    assert "adapter_model.safetensors" in {path.name for path in (tmp_path / "adapter").iterdir()}


def test_a_merged_model_loads_alone_and_equals_the_policy(lora: Trained, tmp_path: Path) -> None:
    done = export_merged(lora.run, tmp_path / "merged")
    assert done.note == ""
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged").eval()
    assert (logits_of(model) - lora.logits[2]).abs().max() <= 1e-5
    before = AutoModelForCausalLM.from_pretrained(lora.config.model.id).config.to_dict()
    after = model.config.to_dict()
    changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    assert changed <= {"_name_or_path", "transformers_version"}  # dropout among what stays
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    turns = [{"role": "user", "content": "w7 w8"}]
    assert tokenizer.apply_chat_template(turns, tokenize=False) == "<|user|>\nw7 w8</s>\n"
    assert model.generation_config.eos_token_id == tiny.EOS


@pytest.mark.parametrize("architecture", ["mistral", "gpt2"])
def test_every_weight_of_a_full_run_is_exported(architecture: str, tmp_path: Path) -> None:
    full = train(tmp_path, tiny.save(architecture, tmp_path / "model"), adapter="full")
    export_merged(full.run, tmp_path / "whole")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "whole").eval()
    assert (logits_of(model) - full.logits[2]).abs().max() <= 1e-5
    if architecture == "gpt2":
        assert model.lm_head.weight is model.transformer.wte.weight
    with pytest.raises(RunDirError, match="every weight, so it has no adapter; use --merged"):
        export_adapter(full.run, tmp_path / "adapter")
    assert not (tmp_path / "adapter").exists()


def test_an_earlier_step_can_be_asked_for(mistral: Trained, tmp_path: Path) -> None:
    assert export_merged(mistral.run, tmp_path / "first", step=1).step == 1
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "first").eval()
    assert (logits_of(model) - mistral.logits[1]).abs().max() <= 1e-5
    assert (logits_of(model) - mistral.logits[2]).abs().max() > 1e-3
    with pytest.raises(RunDirError, match="no checkpoint of step 7; there are: 1, 2"):
        export_adapter(mistral.run, tmp_path / "seventh", step=7)


def test_named_layers_alone_are_adapted(tmp_path: Path) -> None:
    some = train(tmp_path, tiny.save("mistral", tmp_path / "model"), lora_targets=["layers.1.self_attn.q_proj"])
    export_adapter(some.run, tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(some.config.model.id)
    model = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    assert (logits_of(model) - some.logits[2]).abs().max() <= 1e-5
    assert sum("lora_A" in name for name, _ in model.named_parameters()) == 1


def damaged(trained: Trained, place: Path) -> RunDir:
    """A copy of the run whose newest checkpoint lost a byte."""
    run = RunDir(Path(shutil.copytree(trained.run.path, place / "r")))
    tensors = run.checkpoint(2) / checkpoint.TENSORS
    tensors.write_bytes(tensors.read_bytes()[:-1])
    return run


def test_a_damaged_checkpoint_is_passed_over_and_left_to_the_worker(mistral: Trained, tmp_path: Path) -> None:
    run = damaged(mistral, tmp_path)
    before = sorted(path.relative_to(run.path) for path in run.path.rglob("*"))
    assert export_adapter(run, tmp_path / "adapter").step == 1
    with pytest.raises(RunDirError, match=r"damaged \(step 2: .* bytes instead of .*there are: 1, 2"):
        export_adapter(run, tmp_path / "second", step=2)
    assert sorted(path.relative_to(run.path) for path in run.path.rglob("*")) == before


def test_a_run_without_a_checkpoint_says_so(mistral: Trained, tmp_path: Path) -> None:
    run = create(tmp_path, "empty")
    run.config.write_text(to_toml(mistral.config))
    with pytest.raises(RunDirError, match="no checkpoint yet"):
        export_adapter(run, tmp_path / "adapter")


def test_another_base_is_not_merged_into(tmp_path: Path) -> None:
    place = tmp_path / "model"
    trained = train(tmp_path, tiny.save("mistral", place))
    tiny.save("mistral", place, seed=5)
    with pytest.raises(ModelError, match="is not the one this run was trained on"):
        export_merged(trained.run, tmp_path / "merged")
    assert not (tmp_path / "merged").exists()


def test_nothing_is_replaced_unasked_and_only_an_export_ever(mistral: Trained, tmp_path: Path) -> None:
    target = tmp_path / "adapter"
    target.mkdir()
    export_adapter(mistral.run, target)  # an empty folder gives way
    with pytest.raises(RunDirError, match="not empty; give another name, or --force"):
        export_adapter(mistral.run, target)
    (target / "adapter_model.safetensors").write_bytes(b"old")
    export_adapter(mistral.run, target, force=True)
    assert (target / "adapter_model.safetensors").stat().st_size > 1000
    home = tmp_path / "home"
    home.mkdir()
    (home / "thesis.txt").write_text("years")
    with pytest.raises(RunDirError, match="other things than an earlier export"):
        export_adapter(mistral.run, home, force=True)
    assert [path.name for path in home.iterdir()] == ["thesis.txt"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", "home"]
    with pytest.raises(RunDirError, match="is a file"):
        export_adapter(mistral.run, home / "thesis.txt", force=True)


def test_what_cannot_be_completed_leaves_the_old_one(tmp_path: Path) -> None:
    target = tmp_path / "model"
    write_folder(target, lambda place: (place / "config.json").write_text("old") and None, force=False)

    def half(place: Path) -> None:
        (place / "config.json").write_text("new")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunDirError, match=f"{target} cannot be written: .*No space left"):
        write_folder(target, half, force=True)
    assert (target / "config.json").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]


def test_the_command_writes_one_line_or_one_sentence(
    mistral: Trained, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a process of its own sets up for its libraries must not outlive this test.
    monkeypatch.setitem(sys.modules, "bitsandbytes", sys.modules.get("bitsandbytes"))
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    arguments = [str(mistral.run.path), "--adapter", str(tmp_path / "a")]
    assert main(arguments) == 0
    assert capfd.readouterr().out.startswith(f"wrote the adapter of step 2 to {tmp_path / 'a'}")
    assert main(arguments) == 1
    assert capfd.readouterr().err.splitlines()[-1].endswith("or --force to replace it")
    assert ModelCard.load(tmp_path / "a" / "README.md").data.library_name == "peft"
    assert main([*arguments, "--force", "--step", "1"]) == 0
    assert "step 1" in capfd.readouterr().out
