"""From the replies to one question to the verdict or the failure that the product counts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from ..types import (
    FLOOR_REWARD,
    CostSource,
    JudgeFailure,
    JudgeRequest,
    JudgeResult,
    JudgeStatus,
    Treatment,
    Usage,
    Verdict,
    score_to_reward,
)
from .endpoint import CallError
from .question import Question
from .reading import Reading, Scale, Unreadable, spread_of
from .spec import JudgeSpec
from .untrusted import addresses_grader


@dataclass(frozen=True)
class Bill:
    """What calls cost together, in millionths of a dollar; what has no known price counts as 0 and says so."""

    micros: int = 0
    source: CostSource = "free"
    usage: Usage | None = None
    requests: int = 0

    def plus(self, usage: Usage | None, micros: int | None, source: CostSource) -> Bill:
        """One more call; None for a price that is not known."""
        return self + Bill(micros or 0, "unknown" if micros is None else source, usage, 1)

    def __add__(self, other: Bill) -> Bill:
        """Both together. An unknown price anywhere makes the whole price unknown."""
        if not self.requests or not other.requests:
            return self if self.requests else other
        both = [usage for usage in (self.usage, other.usage) if usage is not None]
        return Bill(
            self.micros + other.micros,
            "unknown" if "unknown" in {self.source, other.source} else other.source,
            sum(both[1:], both[0]) if both else None,
            self.requests + other.requests,
        )


@dataclass(frozen=True)
class PairAnswer:
    """Which of two responses a judge prefers, in the order it was shown them."""

    winner: Literal["A", "B", "tie"]
    cost_usd: float = 0.0
    cached: bool = False


@dataclass(frozen=True)
class Answer:
    """What came of asking one question once."""

    outcome: Reading | PairAnswer | Unreadable | CallError
    bill: Bill
    attempts: int = 0
    cached: bool = False
    model_returned: str = ""
    flags: tuple[str, ...] = ()


class _Judge(Protocol):
    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def spec(self) -> JudgeSpec: ...


def failure(
    judge: _Judge,
    status: JudgeStatus,
    message: str,
    *,
    treatment: Treatment = "mask",
    kind: str = "",
    fatal: bool = False,
) -> JudgeFailure:
    """A judgement that was never asked for."""
    return JudgeFailure(
        status=status,
        treatment=treatment,
        message=message,
        backend=judge.name,
        judge_version=judge.version,
        kind=kind,
        fatal=fatal,
        attempts=0,
    )


def result_of(
    judge: _Judge, question: Question, answers: Sequence[Answer], request: JudgeRequest, *, latency_s: float
) -> JudgeResult:
    """The mean of what could be read; a failure unless at least half of the repeats could."""
    bill = sum((answer.bill for answer in answers), Bill())
    readings = [a.outcome for a in answers if isinstance(a.outcome, Reading)]
    flags = _flags(question, answers, readings, request)
    if 2 * len(readings) < len(answers) or not readings:
        first = next(a for a in answers if not isinstance(a.outcome, Reading))
        return _failed(judge, first, bill, answers, flags, latency_s)
    scale = Scale(judge.spec.scale.low, judge.spec.scale.high)
    scores = [scale.normalised(reading.score) for reading in readings]
    score = statistics.fmean(scores)
    steering = max((r.steering_p for r in readings if r.steering_p is not None), default=None)
    steers = steering is not None and steering >= judge.spec.steering_floor
    first_reading = readings[0]
    distribution = _normalised(first_reading, scale) if len(readings) == 1 else None
    return Verdict(
        score=score,
        reward=FLOOR_REWARD if steers else score_to_reward(score),
        reason=first_reading.reason,
        criteria=_criteria(readings, scale),
        backend=judge.name,
        judge_version=judge.version,
        latency_s=latency_s,
        attempts=sum(a.attempts for a in answers),
        cached=all(a.cached for a in answers),
        requests=bill.requests,
        cost_usd=bill.micros / 1e6,
        cost_source=bill.source,
        usage=bill.usage,
        model_returned=next((a.model_returned for a in answers if a.model_returned), ""),
        distribution=distribution,
        label_mass=first_reading.label_mass,
        spread=statistics.stdev(scores) if len(scores) > 1 else spread_of(distribution) if distribution else None,
        repeat_scores=tuple(scores) if len(answers) > 1 else (),
        steering_p=steering,
        flags=(*flags, "steering") if steers else flags,
    )


def _failed(
    judge: _Judge, answer: Answer, bill: Bill, answers: Sequence[Answer], flags: tuple[str, ...], latency_s: float
) -> JudgeFailure:
    status, treatment, kind, message = _kind_of(judge.spec, answer.outcome)
    error = answer.outcome if isinstance(answer.outcome, CallError) else None
    return JudgeFailure(
        status=status,
        treatment=treatment,
        message=message,
        backend=judge.name,
        judge_version=judge.version,
        kind=kind,
        fatal=error.fatal if error else False,
        http_status=error.http_status if error else None,
        code=error.code if error else "",
        request_id=error.request_id if error else "",
        latency_s=latency_s,
        attempts=sum(a.attempts for a in answers),
        requests=bill.requests,
        cost_usd=bill.micros / 1e6,
        cost_source=bill.source,
        usage=bill.usage,
        model_returned=answer.model_returned,
        flags=flags,
    )


def _kind_of(spec: JudgeSpec, outcome: object) -> tuple[JudgeStatus, Treatment, str, str]:
    """Status, treatment, kind and message of an answer without a score."""
    match outcome:
        case CallError(kind="budget") as error:
            return "budget", "mask", error.kind, str(error)
        case CallError() as error:
            return "infra_error", "mask", error.kind, str(error)
        case Unreadable(kind="refused", message=message):
            return "refused", spec.on_refused, "refused", message
        case Unreadable(kind="injected", message=message):
            # A verdict that the judge was not asked for stands in the response: it plainly worked on its grader.
            return "unparseable", "floor", "injected", message
        case Unreadable(kind=kind, message=message):
            return "unparseable", spec.on_unparseable, kind, message
        case _:
            return "unparseable", spec.on_unparseable, "no_verdict", "the reply is no score"


def _normalised(reading: Reading, scale: Scale) -> tuple[tuple[float, float], ...] | None:
    if reading.distribution is None:
        return None
    return tuple((scale.normalised(score), p) for score, p in reading.distribution)


def _criteria(readings: Sequence[Reading], scale: Scale) -> dict[str, float]:
    """Mean score per criterion, 0-10; a mark outside the scale is left out, not clamped."""
    marks: dict[str, list[float]] = {}
    for reading in readings:
        for name, score in (reading.criteria or {}).items():
            if scale.low <= score <= scale.high:
                marks.setdefault(name, []).append(scale.normalised(score))
    return {name: statistics.fmean(values) for name, values in marks.items()}


def _flags(
    question: Question, answers: Sequence[Answer], readings: Sequence[Reading], request: JudgeRequest
) -> tuple[str, ...]:
    found = [flag for answer in answers for flag in answer.flags] + [f for reading in readings for f in reading.flags]
    if question.neutralised:
        found.append(f"neutralised:{question.neutralised}")
    if addresses_grader(request.response) and not addresses_grader(request.task):
        found.append("steering_text")
    if len(answers) > 1 and len(readings) < len(answers):
        found.append(f"repeats:{len(readings)}/{len(answers)}")
    return tuple(dict.fromkeys(found))
