"""The run.toml: round trips, sentences for what is wrong, presets that hold the documented numbers."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import RunConfig
from core.config_file import commented_toml, config_hash, from_dict, load_config, to_toml
from core.config_schema import keys, nearest
from core.errors import ConfigError
from core.presets import PRESETS, preset


def problems(data: dict[str, Any], *overrides: str) -> str:
    with pytest.raises(ConfigError) as caught:
        from_dict(data, overrides, source="run.toml")
    return str(caught.value)


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(str.strip)


@st.composite
def configs(draw: st.DrawFn) -> RunConfig:
    batch = draw(st.integers(1, 500))
    cap = draw(st.integers(1, 5000))
    values = {
        "model": {
            "id": draw(TEXT.filter(bool)),
            "lora_alpha": draw(st.floats(1e-6, 4096)),
            "lora_targets": draw(st.lists(TEXT, min_size=1, max_size=3)),
            "gradient_checkpointing": draw(st.booleans()),
        },
        "data": {"path": draw(TEXT.filter(bool)), "system_prompt": draw(TEXT)},
        "rollout": {"batch_size": batch, "max_new_tokens": cap, "cap_min": draw(st.integers(0, cap))},
        "judge": {"weights": draw(st.dictionaries(TEXT, st.floats(allow_nan=False, allow_infinity=False), max_size=3))},
        "ppo": {
            "mini_batch_size": draw(st.integers(1, batch)),
            "learning_rate": draw(st.floats(0, 1)),
            "kl_coef": draw(st.floats(0, 100)),
            "critic": draw(st.sampled_from(["adapter", "shared", "features"])),
        },
        "run": {
            "seed": draw(st.integers(0, 2**31 - 1)),
            "name": draw(st.from_regex(r"[a-z0-9][a-z0-9-]{0,9}", fullmatch=True)),
        },
    }
    return from_dict(values)


@settings(max_examples=60, deadline=None)
@given(configs())
def test_written_and_read_again_is_the_same(config: RunConfig) -> None:
    assert from_dict(tomllib.loads(to_toml(config))) == config
    assert from_dict(tomllib.loads(commented_toml(config, "a\ntitle"))) == config
    assert config_hash(from_dict(tomllib.loads(to_toml(config)))) == config_hash(config)


def test_load_of_a_written_file_is_the_same(tmp_path: Path) -> None:
    for name in PRESETS:
        path = tmp_path / f"{name}.toml"
        path.write_text(to_toml(preset(name)), encoding="utf-8")
        assert load_config(path) == preset(name)


@pytest.mark.parametrize(
    ("override", "sentence"),
    [
        ("ppo.kl_coeff=0.1", "ppo.kl_coeff is not a key; did you mean ppo.kl_coef?"),
        ("kl_coef=0.1", "kl_coef is not a section; did you mean ppo.kl_coef?"),
        ("rollout.kl_coef=0.1", "rollout.kl_coef is not a key; did you mean ppo.kl_coef?"),
        ("run.batch_size=4", "run.batch_size is not a key; did you mean rollout.batch_size?"),
        ("model.quantisation=nf4", "model.quantisation is not a key; did you mean model.quantization?"),
        ("ppo.lr=1", "ppo.lr is not a key; did you mean ppo.learning_rate?"),
        ("ppo.beta=1", "ppo.beta is not a key; did you mean ppo.kl_coef?"),
        (
            "ppo.clip=1",
            "ppo.clip is not a key; did you mean ppo.clip_low or ppo.clip_high or ppo.dual_clip or ppo.value_clip?",
        ),
        ("ppo.seed=1", "ppo.seed is not a key; did you mean data.seed or run.seed?"),
        ("poo.gamma_=1", "poo is not a section; did you mean [ppo]?"),
        ("ppo.clip_low=1.5", "ppo.clip_low = 1.5 is not allowed; it must be: number, at least 0 and below 1"),
        ("ppo.epochs=0", "ppo.epochs = 0 is not allowed; it must be: whole number, 1 to 100"),
        ("run.steps=2.5", "run.steps = 2.5 is not allowed; it must be: whole number, 1 to 10000000"),
        ("run.steps=true", "run.steps = true is not allowed; it must be: whole number, 1 to 10000000"),
        ("ppo.kl_coef=nan", "ppo.kl_coef = NaN is not allowed; it must be: number, 0 to 100"),
        ("model.quantization=fp4", 'model.quantization = "fp4" is not allowed; it must be: one of none, nf4, int8'),
        ("run.name=A_b", 'run.name = "A_b" is not allowed; it must be: text matching ^[a-z0-9-]{0,64}$'),
        ("ppo=3", "ppo = 3 is not a section; write [ppo] and its keys below"),
        ("judge.weights.polite=x", 'judge.weights.polite = "x" is not allowed; it must be: number'),
        ("rollout.cap_min=300", "rollout: cap_min = 300 is above max_new_tokens = 256"),
        ("ppo.mini_batch_size=65", "ppo.mini_batch_size = 65 is above rollout.batch_size = 64"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(override: str, sentence: str) -> None:
    assert problems({}, override) == f"run.toml: {sentence}"


def test_all_problems_come_at_once() -> None:
    text = problems({"ppo": {"kl_coeff": 1, "clip_low": 3}, "run": {"steps": 0}})
    assert text.startswith("run.toml has 3 problems:\n")
    assert all(name in text for name in ("ppo.kl_coeff", "ppo.clip_low", "run.steps"))


@pytest.mark.parametrize("name", ["api_key", "apikey", "hf_token", "password", "openai-secret", "key"])
def test_a_secret_is_refused_and_never_repeated(name: str) -> None:
    text = problems({"judge": {name: "sk-canary-000000000000"}})
    assert "environment variables" in text
    assert "canary" not in text
    assert "canary" not in problems({"judge": {"backend": "sk-canary-000000000000"}})


def test_overrides_are_toml_values_or_bare_words() -> None:
    config = from_dict(
        {"ppo": {"kl_coef": 0.2}},
        ["ppo.kl_coef=0.05", "model.id=org/name", "run.name=2024", 'data.path="a b.csv"', "run.steps=7"],
    )
    assert (config.ppo.kl_coef, config.model.id, config.run.name) == (0.05, "org/name", "2024")
    assert (config.data.path, config.run.steps) == ("a b.csv", 7)
    assert from_dict({}, ['model.lora_targets=["q_proj", "v_proj"]']).model.lora_targets == ["q_proj", "v_proj"]
    assert from_dict({}, ["judge.weights.polite=2.5"]).judge.weights == {"polite": 2.5}
    # An override is one value: a second line must not smuggle in a key.
    assert "not allowed" in problems({}, "ppo.kl_coef=0.1\nextra=1")
    assert "KEY=VALUE" in problems({}, "ppo.kl_coef")


def test_overrides_leave_the_given_mapping_alone() -> None:
    data: dict[str, Any] = {"judge": {"weights": {"polite": 1.0}}}
    from_dict(data, ["judge.weights.polite=2.0"])
    assert data == {"judge": {"weights": {"polite": 1.0}}}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"[ppo]\nkl_coef 0.1\n", ["line 2", "not valid TOML"]),
        (b"[ppo]\n\n[ppo]\n", ["line 3", "not valid TOML"]),
        (b"# \xff\n", ["line 1", "UTF-8"]),
        (b"x = " + b"[" * 50_000, ["not valid TOML"]),
        (b"#" * 1_000_001, ["1,000,000 bytes"]),
    ],
    ids=["no equals sign", "a section twice", "not UTF-8", "too deep", "too long"],
)
def test_a_broken_file_is_one_sentence(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    assert all(word in str(caught.value) for word in [str(path), *words])


def test_a_missing_file_and_a_folder_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)


def test_windows_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "run.toml"
    path.write_bytes(b"\xef\xbb\xbf[run]\r\nsteps = 7\r\n")
    assert load_config(path).run.steps == 7


def test_data_beside_the_file_is_found_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run.toml").write_text('[data]\npath = "prompts.csv"\n', encoding="utf-8")
    (tmp_path / "prompts.csv").write_text("prompt\nhello\n", encoding="utf-8")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    assert load_config(tmp_path / "run.toml").data.path == str(tmp_path / "prompts.csv")
    assert load_config(tmp_path / "run.toml", ["data.path=absent.csv"]).data.path == "absent.csv"
    assert load_config(tmp_path / "run.toml", ["data.path=hf://datasets/a/b"]).data.path == "hf://datasets/a/b"


def test_the_hash_follows_what_can_change_a_result() -> None:
    base = config_hash(from_dict({}))
    assert config_hash(from_dict({}, ["run.name=other", "run.keep_checkpoints=9"])) == base
    for override in ("run.seed=1", "run.threads=2", "ppo.kl_coef=0.06", "data.path=x.csv", "run.steps=101"):
        assert config_hash(from_dict({}, [override])) != base


def test_every_key_is_commented_with_meaning_default_and_range() -> None:
    text = commented_toml(RunConfig(), "title")
    lines = text.splitlines()
    for key in keys().values():
        assert key.meaning, f"{key.path} has no description"
        at = next(i for i, line in enumerate(lines) if line.startswith(f"{key.name} = "))
        assert lines[at - 1].startswith("#   ")
        assert "default " in lines[at - 1]
    assert "#   tokens; default 512; whole number, 1 to 1000000" in lines


def test_every_key_of_every_preset_differs_from_or_states_a_real_key() -> None:
    known = keys()
    for item in PRESETS.values():
        for section, values in item.values.items():
            assert all(f"{section}.{name}" in known for name in values)
    with pytest.raises(ConfigError, match="did you mean 'seed'"):
        preset("seeds")


def test_the_seed_preset_has_the_notebooks_numbers() -> None:
    c = preset("seed")
    assert (c.rollout.batch_size, c.ppo.mini_batch_size, c.ppo.epochs) == (4, 2, 4)
    assert (c.ppo.learning_rate, c.ppo.critic_learning_rate) == (1e-5, 1e-5)
    assert (c.ppo.adam_beta1, c.ppo.adam_beta2, c.ppo.adam_eps, c.ppo.weight_decay) == (0.9, 0.999, 1e-8, 0.01)
    assert (c.ppo.schedule, c.ppo.warmup_fraction, c.ppo.max_grad_norm) == ("constant", 0.0, 0.0)
    assert (c.ppo.clip_low, c.ppo.clip_high, c.ppo.dual_clip) == (0.2, 0.2, 0.0)
    assert (c.ppo.value_clip, c.ppo.value_coef, c.ppo.kl_coef, c.ppo.kl_controller) == (0.0, 0.1, 0.2, "fixed")
    assert (c.ppo.gamma, c.ppo.gae_lambda) == (1.0, 0.95)
    assert (c.rollout.cap_min, c.rollout.max_new_tokens, c.rollout.min_new_tokens) == (20, 100, 0)
    assert (c.rollout.temperature, c.rollout.top_p, c.rollout.top_k) == (1.0, 1.0, 0)
    assert (c.ppo.missing_eos_penalty, c.ppo.reward_normalization, c.ppo.reward_clip) == (0.0, "none", 0.0)
    assert (c.ppo.ratio_threshold, c.ppo.target_kl, c.ppo.critic_warmup_steps) == (10.0, 0.0, 0)
    assert c.ppo.critic == "shared"


def test_the_defaults_are_the_recommended_numbers() -> None:
    c = RunConfig()
    assert (c.rollout.batch_size, c.ppo.mini_batch_size, c.ppo.micro_batch_size, c.ppo.epochs) == (64, 16, 0, 2)
    assert (c.ppo.learning_rate, c.ppo.critic_learning_rate) == (1e-5, 5e-5)
    assert (c.ppo.adam_beta1, c.ppo.adam_beta2, c.ppo.adam_eps, c.ppo.weight_decay) == (0.9, 0.95, 1e-8, 0.0)
    assert (c.ppo.schedule, c.ppo.warmup_fraction, c.ppo.max_grad_norm) == ("constant", 0.03, 1.0)
    assert (c.ppo.clip_low, c.ppo.clip_high, c.ppo.dual_clip, c.ppo.value_clip) == (0.2, 0.2, 3.0, 0.2)
    assert (c.ppo.value_coef, c.ppo.kl_coef, c.ppo.gamma, c.ppo.gae_lambda) == (0.1, 0.05, 1.0, 0.95)
    assert (c.rollout.max_new_tokens, c.rollout.min_new_tokens, c.data.max_prompt_tokens) == (256, 0, 512)
    assert (c.ppo.missing_eos_penalty, c.ppo.ratio_threshold, c.ppo.target_kl) == (1.0, 10.0, 0.1)
    assert c.ppo.critic_warmup_steps == 5


def test_zephyr_fits_a_24_gb_card() -> None:
    c = preset("zephyr-7b-qlora")
    assert (c.model.id, c.model.quantization) == ("HuggingFaceH4/zephyr-7b-beta", "nf4")
    assert (c.model.adapter, c.model.gradient_checkpointing, c.rollout.batch_size) == ("lora", True, 16)
    full = preset("small-full")
    assert (full.model.adapter, full.model.quantization) == ("full", "none")


def test_nothing_near_is_not_guessed() -> None:
    assert nearest("ppo.zzzzzz") == []
    assert nearest("xyzzy") == []
