"""The ten checks: all pass on a sound configuration, exactly one turns red on each broken one, no weight moves."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import tiny
import tomli_w
import torch
from safetensors.torch import load_file, save_file

from core.config_file import load_config
from core.policy import Policy
from core.preflight import NEEDS, CheckResult, inputs, resources, run_checks, training
from core.preflight.__main__ import main
from core.preflight.dry import StillOptimizer
from core.preflight.result import CheckFailedError
from core.preflight.state import State, make_state
from core.types import Rollout


@dataclass
class Setup:
    """A run that is about to start: a tiny model, 24 prompts, a folder for runs."""

    folder: Path
    model: Path
    table: dict[str, Any]
    runs: Path = field(init=False)

    def __post_init__(self) -> None:
        self.runs = self.folder / "runs"

    @property
    def toml(self) -> Path:
        path = self.folder / "run.toml"
        path.write_text(tomli_w.dumps(self.table))
        return path

    def results(self, *overrides: str) -> dict[str, CheckResult]:
        return {result.name: result for result in run_checks(self.toml, overrides, self.runs)}

    def tensors(self) -> dict[str, torch.Tensor]:
        return load_file(self.model / "model.safetensors")

    def edit_json(self, name: str, **changes: Any) -> None:
        path = self.model / name
        kept = {k: v for k, v in (json.loads(path.read_text()) | changes).items() if v is not None}
        path.write_text(json.dumps(kept))


@pytest.fixture
def setup(tmp_path: Path, models: dict[str, Path]) -> Setup:
    model = tmp_path / "model"
    shutil.copytree(models["mistral"], model)
    lines = [p.messages[0].content for p in tiny.prompts(24, longest=8)]
    (tmp_path / "prompts.csv").write_text("prompt\n" + "\n".join(lines) + "\n")
    table = {
        "model": {"id": "model", "device": "cpu", "lora_rank": 4},
        "data": {"path": "prompts.csv"},
        "rollout": {"batch_size": 6, "max_new_tokens": 8},
        "ppo": {"mini_batch_size": 4, "critic_width": 16, "critic_warmup_steps": 0},
        "run": {"steps": 20, "threads": 1},
    }
    return Setup(tmp_path, model, table)


@pytest.mark.parametrize("critic", ["adapter", "shared", "features", "none"])
def test_a_sound_configuration_passes_all_ten(setup: Setup, critic: str) -> None:
    results = setup.results(f"ppo.critic={critic}")
    assert list(results) == list(NEEDS)
    assert len(results) == 10
    assert {name: r.evidence for name, r in results.items() if r.ok is not True} == {}
    assert results["reference"].figures["kl"] == 0.0
    assert results["reference"].figures["largest_value"] == 0.0
    assert results["batch"].figures["first_ratio_error"] < 1e-5
    assert results["batch"].figures["gradient_norm"] > 0
    assert ("value_loss" in results["batch"].figures) == (critic != "none")
    assert "6 responses" in results["batch"].evidence
    assert "4 of them" in results["batch"].evidence


def test_every_weight_of_a_full_run_passes_too(setup: Setup) -> None:
    results = setup.results("model.adapter=full")
    assert {name: r.evidence for name, r in results.items() if r.ok is not True} == {}


def test_checks_move_no_weight_and_leave_no_gradient(setup: Setup) -> None:
    """Bit for bit, trained and frozen, in memory and on disk."""
    files = {path.name: path.read_bytes() for path in setup.model.iterdir()}
    state = until_reference(setup)
    training.check_reference(state)
    assert state.policy is not None
    parameters = dict(state.policy.model.named_parameters()) | state.policy.critic_parameters()
    before = {name: parameter.detach().clone() for name, parameter in parameters.items()}
    assert any("lora_" in name for name in before)
    assert any("embed" in name for name in before)
    for check in (training.check_generation, training.check_judge, training.check_batch, resources.check_resources):
        check(state)
    for name, parameter in parameters.items():
        assert torch.equal(parameter, before[name]), name
        assert parameter.grad is None, name
    assert state.policy.weights_sha256() == state.weights_before
    assert {path.name: path.read_bytes() for path in setup.model.iterdir()} == files
    assert not setup.runs.exists()


def damage_weights(setup: Setup) -> None:
    """A download that was cut off."""
    path = setup.model / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1000])


def forget_eos(setup: Setup) -> None:
    setup.edit_json("tokenizer_config.json", eos_token=None, pad_token=None)
    (setup.model / "generation_config.json").unlink()
    template = setup.model / "chat_template.jinja"
    template.write_text(template.read_text().replace("+ eos_token", ""))


def poison(setup: Setup) -> None:
    """The embedding of one rare token is no number."""
    tensors = setup.tensors()
    tensors["model.embed_tokens.weight"][3] = float("nan")
    save_file(tensors, setup.model / "model.safetensors", {"format": "pt"})


def stretch(setup: Setup) -> None:
    """Inner states of 1e25 that the next layer scales back: outputs are sane, the gradient's square is not finite."""
    tensors = setup.tensors()
    tensors["model.layers.1.mlp.up_proj.weight"] *= 1e25
    tensors["model.layers.1.mlp.down_proj.weight"] *= 1e-25
    save_file(tensors, setup.model / "model.safetensors", {"format": "pt"})


def inflate(setup: Setup) -> None:
    """A model of 3e12 parameters, by its own word."""
    setup.edit_json("config.json", hidden_size=1 << 18, intermediate_size=1 << 20, head_dim=8)


def block_runs(setup: Setup) -> None:
    setup.runs = setup.folder / "prompts.csv" / "runs"


def lose_model(setup: Setup) -> None:
    shutil.rmtree(setup.model)


def double_bos(setup: Setup) -> None:
    template = setup.model / "chat_template.jinja"
    template.write_text("{{ bos_token }}{{ bos_token }}" + template.read_text())


def empty_cells(setup: Setup) -> None:
    (setup.folder / "prompts.csv").write_text("id,prompt\n" + "1,\n2,\n3,\n4,w7 w8\n5,w9\n")


def nothing(setup: Setup) -> None:
    """The configuration alone is wrong."""


Break = Callable[[Setup], None]
BROKEN: list[tuple[str, Break, list[str], str]] = [
    ("config", nothing, ["ppo.lerning_rate=1e-5"], "rlaif-tui init"),
    ("data", nothing, ["data.path=nowhere.csv"], "[data]"),
    ("tokenizer", forget_eos, [], "eos_token"),
    ("prompt_lengths", nothing, ["data.max_prompt_tokens=2"], "data.max_prompt_tokens"),
    ("model", damage_weights, [], "download it again"),
    ("reference", poison, [], "NaN"),
    ("generation", nothing, ["rollout.top_k=50", "rollout.top_p=0.9"], "rollout.top_p = 1.0"),
    ("judge", nothing, ["judge.failure_rate=1.0"], "judge.failure_rate"),
    ("batch", stretch, [], "float32"),
    ("resources", inflate, [], "quantization"),
]
MORE: list[tuple[str, Break, list[str], str]] = [
    ("config", nothing, ["rollout.temperature=-1"], "rlaif-tui init"),
    ("data", empty_cells, [], "data.prompt_column"),
    ("tokenizer", double_bos, [], "bos_token"),
    ("prompt_lengths", nothing, ["rollout.max_new_tokens=64"], "rollout.max_new_tokens"),
    ("model", lose_model, [], "model.id"),
    ("reference", nothing, ['model.lora_targets=["nowhere_proj"]'], "model.lora_targets"),
    ("judge", nothing, ["judge.weights={nonsense=1.0}"], "[judge]"),
    ("resources", block_runs, [], "--runs-dir"),
    ("resources", nothing, ["model.device=cuda"], "model.device"),
]


def test_ten_broken_configurations_are_ten_checks() -> None:
    assert [name for name, *_ in BROKEN] == list(NEEDS)


@pytest.mark.parametrize(("red", "damage", "overrides", "hint"), [*BROKEN, *MORE])
def test_each_broken_configuration_turns_exactly_one_check_red(
    setup: Setup, red: str, damage: Break, overrides: list[str], hint: str
) -> None:
    damage(setup)
    before = {path: hashlib.sha256(path.read_bytes()).digest() for path in setup.folder.rglob("*") if path.is_file()}
    results = setup.results(*overrides)
    assert list(results) == list(NEEDS)
    assert [name for name, result in results.items() if result.ok is False] == [red], results
    assert hint in results[red].hint
    assert results[red].evidence
    for name, result in results.items():
        if result.ok is None:
            assert result.evidence == f"not run: needs {red}", name
    for path, digest in before.items():
        if path.name != "run.toml":
            assert hashlib.sha256(path.read_bytes()).digest() == digest


def test_what_does_not_build_on_the_broken_check_still_runs(setup: Setup) -> None:
    damage_weights(setup)
    results = setup.results()
    assert {name for name, r in results.items() if r.ok is None} == {"reference", "generation", "batch"}
    assert "time not known" in results["resources"].evidence
    assert "generated" not in results["judge"].evidence


def test_the_misspelt_key_and_its_neighbour_are_named(setup: Setup) -> None:
    evidence = setup.results("ppo.lerning_rate=1e-5")["config"].evidence
    assert "ppo.lerning_rate" in evidence
    assert "ppo.learning_rate" in evidence


def test_a_blank_generated_response_is_no_fault_of_the_judge(setup: Setup) -> None:
    state = make_state(load_config(setup.toml), setup.runs)
    (prompt,) = tiny.prompts(1)
    state.rollout = Rollout(
        id="0-0", step=0, row=0, prompt=prompt, prompt_tokens=(7,), response_tokens=(tiny.EOS,), response=" ",
        finish="stop",
    )  # fmt: skip
    assert "the generated one is blank" in training.check_judge(state).evidence


def until_reference(setup: Setup) -> State:
    state = make_state(load_config(setup.toml), setup.runs)
    for check in (inputs.check_data, inputs.check_tokenizer, inputs.check_prompt_lengths, inputs.check_model):
        check(state)
    return state


def test_a_reference_that_is_not_the_base_is_seen(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The head moves while the policy is made: actor and reference still agree with each other."""
    made = training.policy_on

    def moved(*parts: Any) -> Policy:
        policy = made(*parts)
        with torch.no_grad():
            policy.head.weight.mul_(1.1)  # type: ignore[operator]
        return policy

    monkeypatch.setattr(training, "policy_on", moved)
    with pytest.raises(CheckFailedError, match=r"KL to the reference 0 nats; .* bare base differ by 0\.[0-9]+;"):
        training.check_reference(until_reference(setup))


def test_an_optimiser_that_steps_is_seen(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    def step(self: StillOptimizer, norm: float) -> None:
        for parameter in self.parameters.values():
            parameter.data += 1e-6

    state = until_reference(setup)
    training.check_reference(state)
    monkeypatch.setattr(StillOptimizer, "step", step)
    with pytest.raises(CheckFailedError, match="weights changed"):
        training.check_batch(state)


def test_an_update_that_would_be_dropped_is_named(setup: Setup) -> None:
    stretch(setup)
    assert "updates would be dropped: the gradient norm was" in setup.results()["batch"].evidence


def test_one_json_object_and_the_exit_code(
    setup: Setup, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a process of its own sets up for its libraries must not outlive this test.
    monkeypatch.setitem(sys.modules, "bitsandbytes", sys.modules.get("bitsandbytes"))
    monkeypatch.setenv("TRANSFORMERS_VERBOSITY", "error")
    assert main([str(setup.toml), "--json", "--runs-dir", str(setup.runs)]) == 0
    report = json.loads(capfd.readouterr().out)
    assert [set(item) >= {"name", "ok", "seconds", "evidence", "hint"} for item in report["checks"]] == [True] * 10
    assert main([str(setup.toml), "--set", "judge.failure_rate=1.0", "--runs-dir", str(setup.runs)]) == 1
    lines = capfd.readouterr().out.splitlines()
    assert [line[:4] for line in lines if not line.startswith("     ")] == ["ok  "] * 7 + ["FAIL"] + ["ok  "] * 2
