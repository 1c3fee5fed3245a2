"""The values that flow from prompts to training, one frozen type per stage. No torch here.

``Prompt`` -> ``Rollout`` -> ``JudgedRollout``; the judge's answer is a ``Verdict`` or a ``JudgeFailure``.
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

Role = Literal["system", "user", "assistant"]
Finish = Literal["stop", "length"]
JudgeStatus = Literal["refused", "unparseable", "infra_error", "budget", "skipped_empty"]
Treatment = Literal["floor", "mask"]
CostSource = Literal["provider", "user", "table", "free", "unknown"]
FaultKind = Literal[
    "timeout",
    "connect",
    "server",
    "rate_limited",
    "overloaded",
    "bad_body",
    "auth",
    "quota",
    "not_found",
    "bad_request",
    "too_long",
    "unavailable_mode",
    "budget",
    "cancelled",
    "exception",
]
"""Why a call gave no reply that could be read."""
UnreadableKind = Literal["refused", "empty", "truncated", "no_verdict", "injected", "low_label_mass"]
"""Why a reply gave no score."""

SCORE_LOW = 0.0
SCORE_HIGH = 10.0
FLOOR_REWARD = -1.0


class Message(msgspec.Struct, frozen=True):
    """One turn of a chat."""

    role: Role
    content: str


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the user's data, ready for the chat template."""

    id: str
    """Stable across runs: a hash of the messages, with the row number behind it where rows repeat."""
    messages: tuple[Message, ...]
    reference: str | None = None
    """The known right answer, where the data has one."""
    chosen: str | None = None
    rejected: str | None = None

    @property
    def text(self) -> str:
        """What the judge and the screens are shown: the last user turn, or the whole chat if it has several turns."""
        turns = [m for m in self.messages if m.role != "system"]
        if len(turns) == 1:
            return turns[0].content
        return "\n\n".join(f"{m.role}: {m.content}" for m in turns)


class Rollout(msgspec.Struct, frozen=True, kw_only=True):
    """One sampled response. ``response_tokens`` includes the EOS if one was sampled."""

    id: str
    """``<step>-<row>``, unique in a run."""
    step: int
    row: int
    prompt: Prompt
    prompt_tokens: tuple[int, ...]
    response_tokens: tuple[int, ...]
    response: str
    """The decoded response without special tokens."""
    finish: Finish
    """``stop``: EOS was sampled. ``length``: the row's cap was reached without one."""


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of one or several calls, as the provider counts them."""

    input_tokens: int = 0
    """All input tokens, the cached ones among them."""
    cached_tokens: int = 0
    """Input tokens that the provider had in its own prompt cache."""
    output_tokens: int = 0
    """All output tokens, the reasoning ones among them."""
    reasoning_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
        )


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a judge said of one response: a finite score on the 0-10 scale and why."""

    score: float
    reward: float
    """``score / 5 - 1`` unless a floor applied; in [-1, 1]; all that PPO reads."""
    reason: str
    criteria: dict[str, float] = {}
    """Score per criterion, 0-10."""
    backend: str
    judge_version: str
    latency_s: float = 0.0
    attempts: int = 1
    cached: bool = False
    """Nothing was asked: every reply came from the cache."""
    requests: int = 0
    """Calls that were sent, retries and re-asks among them."""
    cost_usd: float = 0.0
    """0 where the price is unknown; ``cost_source`` says so."""
    cost_source: CostSource = "free"
    usage: Usage | None = None
    model_returned: str = ""
    """The model that the provider says has answered."""
    distribution: tuple[tuple[float, float], ...] | None = None
    """(score, probability) of every level, where the judge gives probabilities; they sum to 1."""
    label_mass: float | None = None
    """Probability of all labels together before they were scaled to 1."""
    spread: float | None = None
    """Standard deviation of the distribution, or of repeated judgements."""
    repeat_scores: tuple[float, ...] = ()
    """The single scores where a response was judged several times."""
    steering_p: float | None = None
    """The judge's probability that the response works on its grader."""
    flags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not SCORE_LOW <= self.score <= SCORE_HIGH:  # NaN fails this too
            raise ValueError(f"Verdict: score {self.score} is outside {SCORE_LOW:g}..{SCORE_HIGH:g}; use JudgeFailure")
        if not -1.0 <= self.reward <= 1.0:
            raise ValueError(f"Verdict: reward {self.reward} is outside -1..1")


class JudgeFailure(msgspec.Struct, frozen=True, kw_only=True):
    """A judgement that gave no score. It is never turned into one."""

    status: JudgeStatus
    treatment: Treatment
    """``mask``: the rollout is left out. ``floor``: the response plainly earned -1 (it was empty)."""
    message: str
    backend: str
    judge_version: str
    kind: str = ""
    """A ``FaultKind`` or an ``UnreadableKind``."""
    fatal: bool = False
    """Asking again is useless until a person changes something: a key, a model's name, a request that is refused."""
    http_status: int | None = None
    code: str = ""
    request_id: str = ""
    latency_s: float = 0.0
    attempts: int = 1
    requests: int = 0
    cost_usd: float = 0.0
    cost_source: CostSource = "free"
    usage: Usage | None = None
    model_returned: str = ""
    flags: tuple[str, ...] = ()


JudgeResult = Verdict | JudgeFailure


def score_to_reward(score: float) -> float:
    """Map a 0-10 score linearly to [-1, 1]: ``score / 5 - 1``. Raises ``ValueError`` out of range, never clamps."""
    if not SCORE_LOW <= score <= SCORE_HIGH:
        raise ValueError(f"score {score} is outside {SCORE_LOW:g}..{SCORE_HIGH:g}")
    return score / 5.0 - 1.0


def reward_of(result: JudgeResult) -> float | None:
    """The terminal reward of a judged response, or None where the rollout must be left out of training."""
    match result:
        case Verdict():
            return result.reward
        case JudgeFailure(treatment="floor"):
            return FLOOR_REWARD
        case _:
            return None


class JudgedRollout(msgspec.Struct, frozen=True, kw_only=True):
    """A rollout with what the judge said of it."""

    rollout: Rollout
    result: JudgeResult


class RefereeResult(msgspec.Struct, frozen=True, kw_only=True):
    """What the referee said of a rollout that the judge scored as well. It has no weight in the loss."""

    rollout_id: str
    result: JudgeResult


class JudgeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One response to be judged. The judge sees the data set's text, never the decoded template."""

    task: str
    response: str
    reference: str | None = None
    truncated: bool = False
    system: str | None = None


class Judge(Protocol):
    """Scores responses. One result per request, in order; a bad sample is a ``JudgeFailure``, never an exception."""

    @property
    def name(self) -> str:
        """Short name for screens, such as ``rubric``."""
        ...

    @property
    def version(self) -> str:
        """Hash of everything that can change a score."""
        ...

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]: ...

    async def close(self) -> None: ...


def request_for(rollout: Rollout) -> JudgeRequest:
    """What the judge is shown of a rollout."""
    system = next((m.content for m in rollout.prompt.messages if m.role == "system"), None)
    return JudgeRequest(
        task=rollout.prompt.text,
        response=rollout.response,
        reference=rollout.prompt.reference,
        truncated=rollout.finish == "length",
        system=system,
    )


class RolloutMeasures(msgspec.Struct, frozen=True, kw_only=True):
    """What training computed for one rollout of a finished step."""

    rollout_id: str
    reward: float | None
    """Terminal reward after the pipeline; None for a rollout that was left out."""
    kl: float
    """Sum over the response of old minus reference log-prob, nats."""
    kl_tokens: tuple[float, ...]
    """The same per response token."""
    used: bool
    """False if the judgement failed and the rollout was left out of advantages and losses."""
