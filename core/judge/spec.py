"""A judge as data: what ``judge.toml`` holds. Validated once; keys come from the environment, never from here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

BackendName = Literal["decisions", "systemone", "chat_logprobs", "chat_json", "local", "self", "rubric"]
Provider = Literal["openai", "openai-chat", "anthropic", "gemini", "compatible"]
"""``openai``: the Responses API. ``openai-chat``: Chat Completions. ``compatible``: any server that speaks them."""


def _field(default: Any, description: str, unit: str = "", **limits: Any) -> Any:
    return Field(default=default, description=description, json_schema_extra={"unit": unit}, **limits)


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, protected_namespaces=())


class CriterionSpec(_Part):
    """One thing a judge weighs, with a sentence one can observe for each of the scores 0, 2, 4, 6, 8, 10."""

    name: str = Field(min_length=1, max_length=60)
    weight: float = _field(1.0, "share in the total, against the other criteria", gt=0.0, le=1000.0)
    question: str = Field(min_length=1)
    levels: tuple[str, ...] = _field((), "six sentences, for 0, 2, 4, 6, 8, 10; may be empty")


class ExemplarSpec(_Part):
    """A judged response that the judge is shown beforehand."""

    task: str
    response: str
    reference: str | None = None
    score: float
    reason: str = ""


class TemplateSpec(_Part):
    """The prompt: a built-in one by name, or two Jinja2 texts, inline or in files beside ``judge.toml``."""

    built_in: str = ""
    system: str = ""
    user: str = ""
    system_file: str = ""
    user_file: str = ""


class ScaleSpec(_Part):
    """The marks that the judge is asked for. Whatever they are, the product counts in 0-10."""

    low: float = 0.0
    high: float = 10.0

    @model_validator(mode="after")
    def _ordered(self) -> ScaleSpec:
        if not self.low < self.high:
            raise ValueError(f"low = {self.low:g} must be below high = {self.high:g}")
        return self


class ParametersSpec(_Part):
    """What is sent besides the prompt. What is left out takes the server's default."""

    temperature: float | None = _field(0.0, "sampling temperature of the judge", ge=0.0, le=2.0)
    top_p: float | None = _field(None, "nucleus sampling of the judge", gt=0.0, le=1.0)
    seed: int | None = _field(None, "seed, for servers that take one")
    reasoning_effort: str | None = _field("none", "none, minimal, low, medium or high, as the model allows")
    max_output_tokens: int = _field(400, "longest reply", "tokens", ge=1, le=100_000)
    extra: dict[str, Any] = _field({}, "further fields of the request's body")


class LimitsSpec(_Part):
    """How hard the server may be asked. None of it changes a score."""

    concurrency: int = _field(8, "calls in flight at the start", "calls", ge=1, le=256)
    max_concurrency: int = _field(64, "calls in flight at most", "calls", ge=1, le=256)
    requests_per_minute: int = _field(0, "the account's limit; 0: not known", "requests/min", ge=0)
    tokens_per_minute: int = _field(0, "the account's limit; 0: not known", "tokens/min", ge=0)
    connect_timeout_s: float = _field(5.0, "patience for a connection", "s", gt=0.0, le=600.0)
    attempt_timeout_s: float = _field(30.0, "patience for one call", "s", gt=0.0, le=3600.0)
    total_timeout_s: float = _field(120.0, "patience for one response, retries included", "s", gt=0.0, le=86_400.0)


class PriceSpec(_Part):
    """What calls cost where nobody publishes it; ``free = true`` for a server of one's own."""

    free: bool = _field(False, "this server charges nothing")
    input: float | None = _field(None, "price of input", "$ per million tokens", ge=0.0)
    cached_input: float | None = _field(None, "price of cached input", "$ per million tokens", ge=0.0)
    output: float | None = _field(None, "price of output", "$ per million tokens", ge=0.0)
    per_call: float = _field(0.0, "price of a call, added to the tokens'", "$", ge=0.0)


class JudgeSpec(_Part):
    """Everything of a judge. ``version`` hashes what can change a score and leaves out limits and prices."""

    name: str = _field("judge", "short name", min_length=1, max_length=60, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    backend: BackendName = _field("chat_json", "how the model is asked")
    provider: Provider = _field("openai", "whose protocol it speaks")
    model: str = _field("", "the provider's name of the model")
    base_url: str = _field("", "address of the server; empty: the provider's own")
    api_key_env: str = _field("", "environment variable that holds the key; empty: the provider's usual one")
    template: TemplateSpec = TemplateSpec(built_in="anchored")
    output: Literal["json", "mark"] = _field("json", "what chat_json asks for: a JSON verdict or a bare mark")
    criteria: tuple[CriterionSpec, ...] = _field((), "empty: the built-in general rubric")
    caps: tuple[str, ...] = _field((), "sentences that hold a score down")
    exemplars: tuple[ExemplarSpec, ...] = _field((), "judged responses that the judge is shown")
    scale: ScaleSpec = ScaleSpec()
    parameters: ParametersSpec = ParametersSpec()
    repeats: int = _field(1, "judgements per response; the score is their mean", ge=1, le=32)
    on_refused: Literal["mask", "floor"] = _field("mask", "a refusal leaves the response out, or costs it -1")
    on_unparseable: Literal["mask", "floor"] = _field("mask", "the same for a reply without a verdict")
    steering_floor: float = _field(0.8, "a response this surely working on the judge gets -1", ge=0.0, le=1.0)
    limits: LimitsSpec = LimitsSpec()
    price: PriceSpec = PriceSpec()
    weights: dict[str, float] = _field({}, "rubric only: weight per criterion; empty: its defaults")
    noise_sd: float = _field(0.0, "rubric only: seeded noise, for experiments", "points", ge=0.0, le=10.0)
    delay_s: float = _field(0.0, "rubric only: artificial latency, for experiments", "s", ge=0.0, le=600.0)
    failure_rate: float = _field(0.0, "rubric only: share of calls that fail, for experiments", ge=0.0, le=1.0)
    dtype: Literal["auto", "float32", "bfloat16"] = _field("auto", "local only: type of the weights")
    device: Literal["auto", "cpu", "cuda"] = _field("auto", "local only: where the judge runs")
    batch_size: int = _field(16, "local and self: responses per forward pass", "rows", ge=1, le=4096)

    @field_validator("criteria")
    @classmethod
    def _names_differ(cls, value: tuple[CriterionSpec, ...]) -> tuple[CriterionSpec, ...]:
        names = [c.name for c in value]
        if twice := next((n for n in names if names.count(n) > 1), None):
            raise ValueError(f'criterion "{twice}" is there twice')
        return value
