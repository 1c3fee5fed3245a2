"""The run configuration: one frozen object per section, validated once, with no secrets in it.

Every field carries its meaning, unit and range; ``core.config_file`` turns those into the comments of a run.toml
and into the sentence a person reads when a value is wrong. Symbols in brackets are those of the papers.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, str_strip_whitespace=True)


def _field(default: Any, description: str, unit: str = "", **limits: Any) -> Any:
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **limits)


class ModelConfig(_Section):
    """The causal language model and what of it is trained. Code from a model folder is never executed."""

    id: str = _field("demo", "Hugging Face id, local folder, or 'demo' for the bundled model", min_length=1)
    revision: str = _field(
        "main", "branch, tag or commit of a hub model; pin a commit for a repeatable run", min_length=1
    )
    dtype: Literal["auto", "float32", "bfloat16"] = _field(
        "auto", "type of the frozen base's weights; auto is bfloat16 on a GPU and float32 on a CPU or in full mode"
    )
    quantization: Literal["none", "nf4", "int8"] = _field(
        "none", "store the frozen base in 4 bits (nf4) or 8 bits (int8); needs adapter = 'lora'"
    )
    adapter: Literal["lora", "full"] = _field("lora", "train LoRA adapters, or every weight (small models only)")
    lora_rank: int = _field(16, "rank of each LoRA matrix [r]", ge=1, le=1024)
    lora_alpha: float = _field(32.0, "LoRA scale numerator; the update is scaled by alpha / rank", gt=0, le=4096)
    lora_targets: list[str] = _field(
        ["all-linear"],
        "names of the layers that get an adapter; ['all-linear'] is all but the output head",
        min_length=1,
    )
    gradient_checkpointing: bool = _field(False, "recompute activations in the backward pass: less memory, more time")
    attention: Literal["auto", "eager", "sdpa", "flash_attention_2"] = _field("auto", "attention implementation")
    device: Literal["auto", "cpu", "cuda"] = _field("auto", "where to train; auto takes a GPU if there is one")
    compute: Literal["float32", "bfloat16"] = _field(
        "float32", "type of the arithmetic (autocast); bfloat16 is faster where the hardware has it"
    )

    @model_validator(mode="after")
    def _full_is_not_quantized(self) -> ModelConfig:
        if self.adapter == "full" and self.quantization != "none":
            raise ValueError(
                f"quantization = '{self.quantization}' cannot be trained with adapter = 'full'; use adapter = 'lora'"
            )
        if self.adapter == "full" and self.dtype == "bfloat16":
            # 20 AdamW steps at lr 1e-5 moved 16 % of bf16 weights: small updates round away.
            raise ValueError("dtype = 'bfloat16' loses small updates with adapter = 'full'; use 'float32' or 'auto'")
        return self


class DataConfig(_Section):
    """Where prompts come from and how they are split."""

    path: str = _field("demo", "CSV, TSV, JSON, JSONL, Parquet, hf://datasets/..., or 'demo'", min_length=1)
    prompt_column: str = _field("", "column with the prompt; empty: guess, and say what was guessed")
    reference_column: str = _field("", "column with the known right answer; empty: guess")
    chosen_column: str = _field("", "column with the preferred answer; empty: guess")
    rejected_column: str = _field("", "column with the worse answer; empty: guess")
    system_column: str = _field("", "column with a system prompt per row; empty: guess")
    system_prompt: str = _field("", "system prompt put before every row that has none of its own")
    max_prompt_tokens: int = _field(
        512, "longer prompts are dropped and counted, never cut", "tokens", ge=1, le=1_000_000
    )
    validation_fraction: float = _field(
        0.1, "share of rows held out for validation; repeats stay on one side", ge=0.0, le=0.9
    )
    validation_prompts: int = _field(64, "at most this many held-out prompts are used in a validation", "prompts", ge=0)
    max_rows: int = _field(0, "use only the first rows of the file; 0: all", "rows", ge=0)
    seed: int = _field(0, "seed of the split", ge=0, le=2**31 - 1)


class RolloutConfig(_Section):
    """How responses are sampled: exactly from the policy, unless you narrow it."""

    batch_size: int = _field(64, "responses per PPO step [B]", "rows", ge=1, le=65536)
    group_size: int = _field(
        1, "responses to each prompt of a step [K]; ppo.advantage = rloo or grpo needs 2 or more", "rows", ge=1, le=4096
    )
    max_new_tokens: int = _field(256, "cap on a response", "tokens", ge=1, le=131072)
    cap_min: int = _field(
        0, "if above 0: each row's cap is drawn uniformly from cap_min..max_new_tokens, both included", "tokens", ge=0
    )
    min_new_tokens: int = _field(
        0, "EOS is banned before this many tokens, in sampling and in every log-prob", "tokens", ge=0
    )
    temperature: float = _field(1.0, "softmax temperature of sampling and of every log-prob [tau]", gt=0.0, le=10.0)
    top_p: float = _field(1.0, "nucleus sampling; below 1 what is sampled is no longer what is scored", gt=0.0, le=1.0)
    top_k: int = _field(0, "keep only the k likeliest tokens; 0: off, as exact sampling needs", ge=0)
    decode_batch: int = _field(0, "rows decoded together; 0: all of them", "rows", ge=0)

    @model_validator(mode="after")
    def _caps_are_ordered(self) -> RolloutConfig:
        if self.cap_min > self.max_new_tokens:
            raise ValueError(f"cap_min = {self.cap_min} is above max_new_tokens = {self.max_new_tokens}")
        if self.min_new_tokens > (self.cap_min or self.max_new_tokens):
            raise ValueError(f"min_new_tokens = {self.min_new_tokens} is above the smallest cap")
        return self


class JudgeConfig(_Section):
    """Who scores the responses. Keys come from the environment, never from here."""

    backend: Literal["rubric"] = _field(
        "rubric", "used where no file is named; 'rubric' is the offline rule set for demos and tests: not a real judge"
    )
    file: str = _field("", "judge file ('rlaif-tui judge init' writes one) or name of a built-in judge")
    weights: dict[str, float] = _field({}, "weight per criterion of the rubric judge; empty: its defaults")
    concurrency: int = _field(8, "responses being judged at once", "responses", ge=1, le=1024)
    max_failed_fraction: float = _field(
        0.2, "a step with more failed judgements than this pauses the run", ge=0.0, le=1.0
    )
    cap_usd: float = _field(0.0, "the judge may cost this much over the whole run; 0: no cap", "$", ge=0.0)
    cap_calls: int = _field(0, "the judge may be called this often over the whole run; 0: no cap", "calls", ge=0)
    cache: Literal["rw", "replay", "off"] = _field(
        "rw", "replies on disk: use and add to them (rw), use nothing else (replay), or do without (off)"
    )
    referee: str = _field("", "a second judge, file or name, that scores a share of the rollouts; never trained on")
    referee_share: float = _field(0.05, "share of the rollouts that the referee scores as well", ge=0.0, le=1.0)
    referee_alarm: float = _field(
        4.0,
        "pause when the judge has risen above the referee by this much, summed over steps; 0: off",
        "points",
        ge=0.0,
    )
    canary_share: float = _field(
        0.0, "share of judgements spent on known bad answers, to see whether the judge can be fooled", ge=0.0, le=0.5
    )
    noise_sd: float = _field(
        0.0, "rubric only: seeded noise added to each score, for experiments", "points", ge=0.0, le=10.0
    )
    delay_s: float = _field(0.0, "rubric only: artificial latency of a call, for experiments", "s", ge=0.0, le=600.0)
    failure_rate: float = _field(0.0, "rubric only: share of calls that fail, for experiments", ge=0.0, le=1.0)


class PPOConfig(_Section):
    """PPO's numbers (arXiv:1707.06347, 1506.02438, 2009.01325)."""

    epochs: int = _field(2, "passes over each batch of rollouts", ge=1, le=100)
    mini_batch_size: int = _field(16, "rows per optimiser step", "rows", ge=1)
    micro_batch_size: int = _field(
        0, "rows per forward pass; 0: as many as a mini-batch, halved when memory runs out", "rows", ge=0
    )
    learning_rate: float = _field(1e-5, "AdamW step size of the actor", ge=0.0, le=1.0)
    critic_learning_rate: float = _field(5e-5, "AdamW step size of the critic", ge=0.0, le=1.0)
    adam_beta1: float = _field(0.9, "AdamW's decay of the mean", ge=0.0, lt=1.0)
    adam_beta2: float = _field(0.95, "AdamW's decay of the square", ge=0.0, lt=1.0)
    adam_eps: float = _field(1e-8, "AdamW's epsilon", gt=0.0, le=1.0)
    weight_decay: float = _field(0.0, "AdamW's weight decay", ge=0.0, le=1.0)
    schedule: Literal["constant", "cosine", "linear"] = _field(
        "constant", "learning rate over steps; cosine ends at 10 %, linear at 0"
    )
    warmup_fraction: float = _field(0.03, "share of steps over which the learning rate rises from 0", ge=0.0, le=1.0)
    max_grad_norm: float = _field(1.0, "gradient norm is clipped to this, actor and critic apart; 0: off", ge=0.0)
    clip_low: float = _field(0.2, "the ratio is clipped below 1 - this", ge=0.0, lt=1.0)
    clip_high: float = _field(0.2, "the ratio is clipped above 1 + this", ge=0.0, le=10.0)
    dual_clip: float = _field(
        3.0, "bound on the loss of a token with negative advantage; 0: off (arXiv:1912.09729)", ge=0.0
    )
    value_clip: float = _field(0.2, "a value may move this far from the rollout's; 0: off", ge=0.0)
    value_coef: float = _field(0.1, "weight of the value loss [c_vf]", ge=0.0, le=10.0)
    entropy_coef: float = _field(0.0, "weight of the entropy bonus [c_H]", ge=0.0, le=1.0)
    kl_coef: float = _field(0.05, "price of a nat of KL to the frozen starting model [beta]", ge=0.0, le=100.0)
    kl_estimator: Literal["k1", "k2", "k3", "abs"] = _field(
        "k1", "per-token KL in the reward; only k1 gives beta KL's gradient"
    )
    kl_controller: Literal["fixed", "adaptive"] = _field("fixed", "adaptive moves kl_coef to hold kl_target")
    kl_target: float = _field(6.0, "sequence KL the adaptive controller aims at", "nats", gt=0.0)
    kl_horizon: int = _field(10_000, "rows over which the adaptive controller acts", "rows", ge=1)
    kl_pause: float = _field(50.0, "a step with a larger mean sequence KL pauses the run; 0: off", "nats", ge=0.0)
    advantage: Literal["gae", "rloo", "grpo"] = _field(
        "gae", "against a critic; or, without one, against the other responses to the same prompt"
    )
    gamma: float = _field(1.0, "discount per token", ge=0.0, le=1.0)
    gae_lambda: float = _field(0.95, "GAE's lambda; 1.0 for long responses or no critic", ge=0.0, le=1.0)
    whiten_advantages: bool = _field(True, "scale advantages to mean 0 and deviation 1 over the rollout")
    missing_eos_penalty: float = _field(
        1.0, "taken off the reward of a response cut at its cap", "reward", ge=0.0, le=10.0
    )
    reward_normalization: Literal["none", "scale", "norm"] = _field(
        "none", "divide by (and centre on) running statistics"
    )
    reward_clip: float = _field(0.0, "normalised rewards are clipped to +- this; 0: off", ge=0.0)
    ratio_threshold: float = _field(
        10.0, "a mini-batch with mean ratio above this (or below 1/this) is not applied", gt=1.0
    )
    target_kl: float = _field(
        0.1, "a mini-batch with approx_kl above this ends the step's epochs; 0: off", "nats/token", ge=0.0
    )
    critic: Literal["adapter", "shared", "features", "none"] = _field(
        "adapter", "own LoRA; head on the actor's trunk; MLP on the frozen base's hidden states; or none"
    )
    critic_epochs: int = _field(4, "features critic only: extra passes over its cached inputs per step", ge=1, le=100)
    critic_width: int = _field(512, "features critic only: width of its MLP", ge=8, le=16384)
    critic_warmup_steps: int = _field(5, "first steps that train the critic only, on lambda = 1 returns", "steps", ge=0)


class RunSettings(_Section):
    """How long, how often, with which seed."""

    name: str = _field("", "run name, [a-z0-9-]; empty: made from the date and the model", pattern=r"^[a-z0-9-]{0,64}$")
    steps: int = _field(
        100, "PPO steps (a step is one batch of rollouts and its updates)", "steps", ge=1, le=10_000_000
    )
    seed: int = _field(0, "seed of everything random in training", ge=0, le=2**31 - 1)
    checkpoint_every: int = _field(10, "a checkpoint each this many steps, and at the end", "steps", ge=1)
    keep_checkpoints: int = _field(3, "complete checkpoints kept", ge=1, le=1000)
    validate_every: int = _field(0, "validate each this many steps as well as before and after; 0: off", "steps", ge=0)
    samples_per_step: int = _field(4, "responses shown live per step", ge=0, le=64)
    threads: int = _field(0, "CPU threads of torch; 0: torch's choice", ge=0, le=1024)


class RunConfig(_Section):
    """Everything a run is made from."""

    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    rollout: RolloutConfig = RolloutConfig()
    judge: JudgeConfig = JudgeConfig()
    ppo: PPOConfig = PPOConfig()
    run: RunSettings = RunSettings()

    @field_validator("run")
    @classmethod
    def _name_is_clean(cls, run: RunSettings) -> RunSettings:
        if run.name.startswith("-"):
            raise ValueError("run name may not start with '-'")
        return run

    @model_validator(mode="after")
    def _sections_agree(self) -> RunConfig:
        if self.ppo.mini_batch_size > self.rollout.batch_size:
            raise ValueError(
                f"ppo.mini_batch_size = {self.ppo.mini_batch_size} is above "
                f"rollout.batch_size = {self.rollout.batch_size}"
            )
        if self.rollout.batch_size % self.rollout.group_size:
            raise ValueError(
                f"rollout.batch_size = {self.rollout.batch_size} is not a multiple of "
                f"rollout.group_size = {self.rollout.group_size}"
            )
        if self.ppo.advantage != "gae" and (self.rollout.group_size < 2 or self.ppo.critic != "none"):
            raise ValueError(
                f"ppo.advantage = '{self.ppo.advantage}' needs rollout.group_size of 2 or more (it is "
                f"{self.rollout.group_size}) and ppo.critic = 'none' (it is '{self.ppo.critic}')"
            )
        if self.ppo.critic == "none" and self.ppo.critic_warmup_steps > 0:
            raise ValueError(
                "ppo.critic_warmup_steps must be 0 with ppo.critic = 'none': there is no critic to warm up"
            )
        return self
