"""The offline judge: a fixed set of rules with weights one may change. Not a real judge, and it says so.

Score = weighted mean of the five criteria (0-10 each), held down by caps. A cap belongs to a criterion and goes with it
when its weight is 0; text written for the grader, no attempt and a copied question are capped whatever the weights.
"""

from __future__ import annotations

import asyncio
import difflib
import hashlib
import json
import math
import random
from collections.abc import Mapping

import msgspec

from ..demo.corpus import clean_sentences
from ..errors import JudgeError
from ..types import SCORE_HIGH, SCORE_LOW, JudgeFailure, JudgeRequest, JudgeResult, Verdict, score_to_reward
from .criteria import CRITERIA, Mark, View, view_of
from .text import DECLINES, GRADER, is_verb, normalise, words_of

RULES_VERSION = 1
DEFAULT_WEIGHTS: Mapping[str, float] = {
    "answers": 0.45,
    "sentences": 0.25,
    "polite": 0.1,
    "repetition": 0.1,
    "ending": 0.1,
}
CAPS: Mapping[str, tuple[tuple[float, float], ...]] = {
    "answers": ((2.0, 1.5), (5.0, 4.0), (7.0, 6.0)),
    "sentences": ((2.0, 2.5), (5.0, 5.0)),
    "polite": ((2.0, 1.5),),
    "repetition": ((3.0, 3.0), (6.0, 4.0)),
    "ending": ((1.0, 3.5), (5.0, 5.0)),
}
"""Per criterion: (below or at this score of it, the total is at most that)."""


class Grade(msgspec.Struct, frozen=True, kw_only=True):
    """What the rules make of one response: score 0-10, score per criterion, reason in plain words."""

    score: float
    criteria: dict[str, float]
    reason: str
    flags: tuple[str, ...] = ()


def check_weights(weights: Mapping[str, float] | None) -> dict[str, float]:
    """Complete and validate weights: named criteria replace their default, the others keep it.

    Raises ``JudgeError`` for an unknown name, a negative or non-finite weight, or when nothing is left to weigh.
    """
    for name, weight in (weights or {}).items():
        if name not in DEFAULT_WEIGHTS:
            near = difflib.get_close_matches(name, DEFAULT_WEIGHTS, n=1, cutoff=0.0)[0]
            raise JudgeError(f'judge weights: there is no criterion "{name}"; did you mean "{near}"?')
        if not math.isfinite(weight) or weight < 0:
            raise JudgeError(f'judge weights: "{name}" is {weight}; a weight is a number of 0 or more')
    merged = {**DEFAULT_WEIGHTS, **(weights or {})}
    if not 0 < sum(merged.values()) < math.inf:
        raise JudgeError("judge weights: all are 0; give at least one criterion a weight above 0")
    return merged


def grade(request: JudgeRequest, weights: Mapping[str, float]) -> Grade:
    """Score one response that is not blank. Pure: the same request and weights give the same grade."""
    weights = check_weights(weights)
    response = normalise(request.response)
    view = view_of(normalise(request.task), response, request.reference, request.truncated)
    marks = {name: rule(view) for name, rule in CRITERIA.items()}
    score = sum(weights[n] * marks[n].score for n in CRITERIA) / sum(weights.values())
    for name, steps in CAPS.items():
        if weights[name] > 0:
            score = min([score, *(cap for below, cap in steps if marks[name].score <= below)])
    cap, note, flags = _plain_defect(view)
    score = max(SCORE_LOW, min(SCORE_HIGH, score, cap))
    return Grade(
        score=round(score, 3),
        criteria={name: round(mark.score, 3) for name, mark in marks.items()},
        reason="fixed rules: " + (note or _reason(marks)),
        flags=flags,
    )


def _plain_defect(view: View) -> tuple[float, str, tuple[str, ...]]:
    """What no weight can buy back: (highest score, why, flags)."""
    words = words_of(view.response)
    if GRADER.search(view.response) and not GRADER.search(view.task):
        return 1.0, "speaks to the grader instead of answering", ("steering",)
    if len(words) < 3 or not any(w[0].isalpha() for w in words) or not any(is_verb(w) for w in words):
        return 1.0, "makes no attempt at an answer", ()
    if DECLINES.search(view.response):
        return 2.0, "declines to answer", ()
    runs, asked = _runs(words), _runs(words_of(view.task))
    if asked and len(runs & asked) >= max(1, 0.6 * len(runs)):
        return 1.5, "copies the question", ()
    return SCORE_HIGH, "", ()


def _runs(words: list[str]) -> set[tuple[str, ...]]:
    return set(zip(words, words[1:], words[2:], strict=False))


def _reason(marks: Mapping[str, Mark]) -> str:
    opening = "answers the question" if marks["answers"].score > 7 else "does not fully answer"
    if marks["answers"].score <= 2:
        opening = "does not answer"
    notes = [m.note for m in marks.values() if m.note and m.score < 9.5]
    return "; ".join([opening, *notes]) if notes else f"{opening}; nothing to object to"


class RubricJudge:
    """Judge by fixed rules: deterministic, offline, free. Noise, delay and failures are for benchmarks and tests.

    ``noise_sd`` is in points of the 0-10 scale; ``delay_s`` in seconds per call of ``judge``, whatever its size;
    ``failure_rate`` is the share of texts that get a simulated infrastructure failure. Noise and failures depend on
    ``seed`` and the text alone, so a run can be repeated. Raises ``JudgeError`` for a setting out of range.
    """

    def __init__(
        self,
        weights: Mapping[str, float] | None = None,
        *,
        noise_sd: float = 0.0,
        delay_s: float = 0.0,
        failure_rate: float = 0.0,
        seed: int = 0,
    ) -> None:
        for name, value, top in (
            ("noise_sd", noise_sd, math.inf),
            ("delay_s", delay_s, math.inf),
            ("failure_rate", failure_rate, 1.0),
        ):
            if not (math.isfinite(value) and 0 <= value <= top):
                raise JudgeError(f"judge {name} is {value}; allowed: 0 {'to 1' if top == 1 else 'or more'}")
        self._weights = check_weights(weights)
        self._noise_sd, self._delay_s, self._failure_rate, self._seed = noise_sd, delay_s, failure_rate, seed
        # Without noise the seed changes no score, so runs of any seed have the same judge.
        drawn = seed if noise_sd or failure_rate else 0
        noise = {"noise_sd": noise_sd, "failure_rate": failure_rate, "seed": drawn}
        known = hashlib.sha256("\n".join(clean_sentences()).encode()).hexdigest()
        canonical = {"rules": RULES_VERSION, "weights": self._weights, "noise": noise, "caps": CAPS, "known": known}
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
        self._version = hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self) -> str:
        return "rubric"

    @property
    def version(self) -> str:
        """First 12 hex digits of the sha256 of rules version, known text, weights, caps and noise settings."""
        return self._version

    def describe(self) -> str:
        """One line on what this judge is, for the screens."""
        weights = ", ".join(f"{n} {w:g}" for n, w in self._weights.items())
        return f"a fixed set of text rules, not a real judge (weights: {weights})"

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        """One result per request, in order. A blank response is a failure that floors, never a score."""
        if self._delay_s > 0:
            await asyncio.sleep(self._delay_s)
        return [self._one(request) for request in requests]

    async def close(self) -> None:
        """Nothing is held open."""

    def _one(self, request: JudgeRequest) -> JudgeResult:
        if not normalise(request.response):
            return self._failed("skipped_empty", "the response is empty")
        digest = hashlib.sha256(json.dumps([self._seed, request.task, request.response]).encode()).digest()
        chance = random.Random(int.from_bytes(digest[:8], "big"))
        if chance.random() < self._failure_rate:
            return self._failed("infra_error", f"simulated failure (failure_rate {self._failure_rate:g})")
        graded = grade(request, self._weights)
        noise = chance.gauss(0.0, self._noise_sd) if self._noise_sd > 0 else 0.0
        score = min(SCORE_HIGH, max(SCORE_LOW, graded.score + noise))
        return Verdict(
            score=score,
            reward=score_to_reward(score),
            reason=graded.reason,
            criteria=graded.criteria,
            backend=self.name,
            judge_version=self.version,
            latency_s=self._delay_s,
            flags=graded.flags,
        )

    def _failed(self, status: str, message: str) -> JudgeFailure:
        empty = status == "skipped_empty"
        return JudgeFailure(
            status="skipped_empty" if empty else "infra_error",
            treatment="floor" if empty else "mask",
            message=message,
            backend=self.name,
            judge_version=self.version,
            kind="" if empty else "server",
            latency_s=self._delay_s,
        )
