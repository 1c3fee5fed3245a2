"""One thing that a person should know of a run, and what the advisor is told besides the run's events."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from ..config import RunConfig

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True)
class Thresholds:
    """Where a figure begins to be worth a word: starting values, not laws. Means are over ``recent`` steps."""

    recent: int = 5
    """Steps whose mean is called "now"."""
    enough: int = 20
    """PPO steps before anything is compared with the start, and the steps over which a slope is drawn."""
    look_back: int = 50
    hold: int = 10
    """Steps for which a finding outlives its condition, so that a figure at its threshold does not make it flicker."""
    kl_bug: float = -1.0
    """Sequence KL, nats: exact sampling gives less only by chance."""
    kl_high: float = 25.0
    """Nats; over-optimised policies were found from 50 on (arXiv:2403.17031)."""
    kl_floor: float = 6.0
    """Nats below which a doubling says nothing, where no target is set."""
    kl_low: float = 1.0
    clipped: float = 0.3
    entropy_left: float = 0.5
    """Share of the starting entropy below which responses that grow alike count as a collapse."""
    entropy_gone: float = 0.15
    """Share of the starting entropy below which it is one however different the responses are."""
    alike_more: float = 0.15
    """Rise of the share of 4-grams that answers to different prompts have in common."""
    repeated: float = 0.2
    """Share of a response's 4-grams that it holds twice."""
    longer: float = 0.15
    length_bought: float = 0.5
    """Correlation of length and score within a step."""
    cut: float = 0.3
    short_tokens: float = 10.0
    shrunk: float = 0.4
    """Length left of that at the start."""
    failed: float = 0.05
    failed_badly: float = 0.2
    top_score: float = 9.0
    top_spread: float = 0.7
    fooled: float = 0.05
    canaries_needed: int = 20
    skipped: float = 0.05
    exploded: float = 10.0
    """Gradient norm or value loss over its own median."""
    critic_steps: int = 10
    critic_bad: float = -0.2
    """Explained variance: the advantages' variance is a fifth larger than without a critic."""
    critic_idle_steps: int = 50
    critic_idle: float = 0.02
    score_spread: float = 0.3
    """Points of 10 within a step below which a judge tells nothing apart."""
    nat_price: float = 0.5
    """Price of one nat of KL in standard deviations of the step's rewards."""
    update_small: float = 1e-4
    """approx_kl of a step's updates, nats per token, below which the policy hardly moves."""
    spent: float = 0.8
    calls_per_verdict: float = 1.6
    held_out_fall: float = 0.3
    """Points of 10."""


DEFAULT = Thresholds()


@dataclass(frozen=True)
class Limits:
    """Of a run's configuration; None where it is not known or not set."""

    kl_target: float | None = None
    """Nats that the adaptive controller aims at; None where the price is fixed."""
    kl_pause: float | None = None
    length_limit: int | None = None
    """Most tokens of a response."""
    group_size: int | None = None
    """Responses to each prompt of a step."""
    cap_usd: float | None = None
    """Most dollars that the judge may cost."""
    referee_alarm: float | None = None
    """Points of drift at which the run pauses."""
    thresholds: Thresholds = field(default=DEFAULT)


def limits_of(config: RunConfig) -> Limits:
    """What the advisor needs of a configuration."""
    return Limits(
        kl_target=config.ppo.kl_target if config.ppo.kl_controller == "adaptive" else None,
        kl_pause=config.ppo.kl_pause or None,
        length_limit=config.rollout.max_new_tokens,
        group_size=config.rollout.group_size,
        cap_usd=config.judge.cap_usd or None,
        referee_alarm=config.judge.referee_alarm or None,
    )


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What is wrong, how that is known, why it may be so, and one thing to do. Texts are for a person."""

    rule: str
    severity: Severity
    step: int
    """At which its condition last held."""
    what: str
    evidence: str
    cause: str
    action: str
    """What to do, as an order: ``raise the KL price to 0.1``."""
    key: str = ""
    """Key of the Train screen that does it or leads there."""
    command: str = ""
    """The same from a shell; empty where there is none."""

    @property
    def sentence(self) -> str:
        """All but the evidence, on one line."""
        return f"{self.what}: {self.cause}. {self.key + ': ' if self.key else ''}{self.action}"


@dataclass(frozen=True)
class Remark:
    """What a rule says. The advisor adds which rule that was and at which step."""

    what: str
    evidence: str
    cause: str
    action: str
    key: str = ""
    command: str = ""
    severity: Severity = "warning"
