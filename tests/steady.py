"""A small trainer without a model, for the loop around trainers: exact arithmetic and a script of what happens."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import torch

from core.events import Phase, PhaseStarted, SamplesShown, StepCompleted, StepMetrics, ValidationCompleted
from core.recorder import Output
from core.trainer import Demand, TrainerState
from core.types import JudgedRollout, JudgeFailure, Message, Prompt, Rollout, RolloutMeasures, Verdict

ROWS = 3
METRICS = StepMetrics(
    **{
        name: None
        for name in (f.name for f in msgspec.structs.fields(StepMetrics) if f.required)
        if name not in ("learning_rate", "kl_coef", "phase_seconds")
    }
    | dict.fromkeys(("failed", "skipped", "cost_usd"), 0)
    | {"rows": ROWS, "updates": 1, "early_stopped": False, "tokens": 9, "seconds": 1.0},
    learning_rate=0.0,
    kl_coef=0.0,
)


@dataclass
class Line:
    """A judge's pool as far as a session looks at it: how the line to its server stands."""

    state: Any = None
    resets: int = 0
    judge: Any = None

    def link(self) -> Any:
        return self.state

    def reset(self) -> None:
        self.resets += 1


@dataclass
class SteadyTrainer:
    """Each step moves one weight by ``learning_rate * step - kl_coef * weight``, so every setting at every step counts.

    ``script`` is called with ("generate" | "update" | "validate", step) at that point; ``demands`` are made after the
    steps they stand for, once each; ``failing`` steps get no verdict for their last row the first time they are judged.
    """

    total_steps: int = 6
    script: Callable[[str, int], None] = lambda what, step: None
    demands: dict[int, Demand] = field(default_factory=dict)
    failing: set[int] = field(default_factory=set)
    completed: int = 0
    phase: Phase = "idle"
    phase_done: int = 0
    phase_total: int = 0
    updating: bool = False
    demand: Demand | None = None
    judge: Line = field(default_factory=Line)
    cost_usd: float = 0.0
    seconds: float = 0.0
    validations: list[ValidationCompleted] = field(default_factory=list)
    settings: dict[str, float] = field(
        default_factory=lambda: {"kl_coef": 0.1, "learning_rate": 0.5, "critic_learning_rate": 0.25}
    )
    weight: torch.Tensor = field(default_factory=lambda: torch.zeros(1, dtype=torch.float64))
    generated: list[str] = field(default_factory=list)
    judged: list[str] = field(default_factory=list)
    in_force: dict[int, tuple[float, float]] = field(default_factory=dict)

    def step(self, recorded: Sequence[Rollout | JudgedRollout] = ()) -> Iterator[Output]:
        number, self.demand = self.completed + 1, None
        known = {(r.rollout if isinstance(r, JudgedRollout) else r).id: r for r in recorded}
        yield PhaseStarted(step=number, phase="generate", total=ROWS)
        self.script("generate", number)
        rollouts = []
        for row in range(ROWS):
            rollouts.append(_rollout(number, row))
            if rollouts[-1].id not in known:
                self.generated.append(rollouts[-1].id)
                yield rollouts[-1]
        for rollout in rollouts:
            old = known.get(rollout.id)
            if not (isinstance(old, JudgedRollout) and isinstance(old.result, Verdict)):
                yield JudgedRollout(rollout=rollout, result=self._judge(rollout))
        if number in self.failing:
            self.failing.remove(number)
            self.demand = Demand("pause", "a verdict is missing")
            return
        yield PhaseStarted(step=number, phase="update", total=1)
        yield from self._update(number, rollouts)

    def _judge(self, rollout: Rollout) -> Verdict | JudgeFailure:
        self.judged.append(rollout.id)
        if rollout.step in self.failing and rollout.row == ROWS - 1:
            return JudgeFailure(
                status="infra_error", treatment="mask", message="away", backend="steady", judge_version="1"
            )
        return Verdict(score=5.0, reward=0.0, reason="fair", backend="steady", judge_version="1")

    def _update(self, number: int, rollouts: list[Rollout]) -> Iterator[Output]:
        self.updating = True
        self.script("update", number)
        rate, kl = self.settings["learning_rate"], self.settings["kl_coef"]
        self.in_force[number] = (rate, kl)
        self.weight = self.weight + rate * number - kl * self.weight
        self.completed, self.cost_usd, self.seconds = number, self.cost_usd + 0.25, self.seconds + 1.0
        self.demand = self.demands.pop(number, None)
        for rollout in rollouts:
            yield RolloutMeasures(rollout_id=rollout.id, reward=0.0, kl=0.0, kl_tokens=(0.0,), used=True)
        self.updating = False
        yield SamplesShown(step=number, samples=())
        yield StepCompleted(step=number, metrics=METRICS, cost_total_usd=self.cost_usd)

    def validate(self) -> Iterator[Output]:
        yield PhaseStarted(step=self.completed, phase="validate", total=1)
        self.script("validate", self.completed)
        result = ValidationCompleted(step=self.completed, n=1, mean=float(self.weight))
        self.validations.append(result)
        yield result

    def set(self, name: str, value: float) -> None:
        if not 0.0 <= value <= 1.0:
            raise ValueError(f"{name} = {value:g} is outside 0..1")
        self.settings[name] = value

    def state(self) -> TrainerState:
        values: dict[str, Any] = {
            "completed": self.completed, "cost_usd": self.cost_usd, "seconds": self.seconds,
            "settings": dict(self.settings), "validated": [v.step for v in self.validations],
        }  # fmt: skip
        return TrainerState({"weight": self.weight}, values)

    def load(self, state: TrainerState) -> None:
        values = state.values
        self.weight = state.tensors["weight"]
        self.completed, self.settings = values["completed"], dict(values["settings"])
        self.cost_usd, self.seconds = values["cost_usd"], values["seconds"]
        self.validations = [ValidationCompleted(step=step, n=1, mean=0.0) for step in values["validated"]]

    def weights_sha256(self) -> str:
        return hashlib.sha256(self.weight.numpy().tobytes()).hexdigest()

    def close(self) -> None:
        pass


def _rollout(step: int, row: int) -> Rollout:
    prompt = Prompt(id=f"p{row}", messages=(Message("user", "why?"),))
    return Rollout(
        id=f"{step:06d}-{row:04d}", step=step, row=row, prompt=prompt, prompt_tokens=(1, 2), response_tokens=(3, 4, 2),
        response="because", finish="stop",
    )  # fmt: skip
