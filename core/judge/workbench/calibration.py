"""Does the judge agree with people? Pairs of a better and a worse answer, blind labels, canaries; then a light."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ...types import Judge
from .agreement import LabelAgreement, PairAgreement, label_agreement, pair_agreement
from .canaries import TASKS, CanaryReport, Task, canaries_of, canary_items
from .items import Item, Pair
from .labels import Labelled, unique_items
from .light import Light, Signal, light_of
from .resampling import Figure
from .samples import ScoredSample, ScoreReport, report_of
from .scoring import OnSample, score_set
from .statistics import retest_sd, share, signal_to_noise, slope, within_sd


@dataclass(frozen=True)
class Evidence:
    """What people have said: pairs, labels, or both."""

    pairs: tuple[Pair, ...] = ()
    labels: tuple[Labelled, ...] = ()

    @property
    def items(self) -> tuple[Item, ...]:
        """Every response once."""
        sides = [item for pair in self.pairs for item in (pair.chosen, pair.rejected)]
        return unique_items(sides, [labelled.item for labelled in self.labels])


@dataclass(frozen=True, kw_only=True)
class Steadiness:
    """How the scores lie and how far one may trust a single one."""

    retest: Figure
    within: Figure
    snr: Figure
    length: Figure
    """Points per 100 characters of response."""
    at_zero: Figure
    at_ten: Figure

    def to_json(self) -> dict[str, Any]:
        return {
            "retest_sd": self.retest.to_json(),
            "within_prompt_sd": self.within.to_json(),
            "snr": self.snr.to_json(),
            "length_slope": self.length.to_json(),
            "share_at_0": self.at_zero.to_json(),
            "share_at_10": self.at_ten.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """Everything that speaks for or against the judge."""

    pairs: PairAgreement | None
    labels: LabelAgreement | None
    canaries: CanaryReport | None
    steadiness: Steadiness
    signal: Signal
    scoring: ScoreReport

    @property
    def light(self) -> Light:
        return self.signal.light

    @property
    def usd_per_1000(self) -> float | None:
        """Price of a thousand judgements that were really asked; None where that is not known."""
        asked = [s for s in self.scoring.samples if s.requests]
        if self.scoring.cost_usd is None or not asked:
            return None
        return 1000.0 * self.scoring.cost_usd / sum(max(1, len(s.repeat_scores)) for s in asked)

    def to_json(self) -> dict[str, Any]:
        scoring = self.scoring.to_json()
        costs = [self.scoring.cost_usd, self.canaries.scoring.cost_usd if self.canaries else 0.0]
        known = [cost for cost in costs if cost is not None]
        extra = self.canaries.scoring if self.canaries else None
        return {
            "pairs": self.pairs.to_json() if self.pairs else None,
            "labels": self.labels.to_json() if self.labels else None,
            "light": self.light,
            "reasons": list(self.signal.reasons),
            "canaries": self.canaries.to_json() if self.canaries else None,
            "steadiness": self.steadiness.to_json(),
            "usd_per_1000": self.usd_per_1000,
            **{key: value for key, value in scoring.items() if key != "samples"},
            "requests": self.scoring.requests + (extra.requests if extra else 0),
            "cost_usd": sum(known) if len(known) == len(costs) else None,
            "samples": scoring["samples"],
        }


async def calibrate(
    judge: Judge,
    evidence: Evidence,
    *,
    tasks: Sequence[Task] = TASKS,
    repeats: int = 1,
    repeats_in_use: int = 1,
    concurrency: int = 8,
    batch: int = 1,
    seed: int = 0,
    on_result: OnSample | None = None,
) -> CalibrationReport:
    """Judge what people have judged, then the canaries. ``repeats`` and ``batch`` as in ``score_set``.

    ``repeats_in_use``: judgements per response that training would make. The judge sees no label.
    """
    scoring = await score_set(
        judge, evidence.items, concurrency=concurrency, repeats=repeats, batch=batch, on_result=on_result
    )
    canaries = None
    if tasks and not scoring.stopped:
        items = canary_items(tasks, seed)
        canaries = canaries_of(await score_set(judge, items, concurrency=concurrency, batch=batch, on_result=on_result))
    return calibration_of(scoring, evidence, canaries, repeats_in_use=repeats_in_use, seed=seed)


def calibration_so_far(
    judge: Judge, samples: Sequence[ScoredSample], evidence: Evidence, *, repeats_in_use: int = 1, seed: int = 0
) -> CalibrationReport:
    """A report of the samples there are, canaries among them."""
    wanted = {item.id for item in evidence.items}
    people = [sample for sample in samples if sample.id in wanted]
    others = [sample for sample in samples if sample.id not in wanted]
    scoring = report_of(judge, people, n=len(wanted))
    canaries = canaries_of(report_of(judge, others, n=len(others))) if others else None
    return calibration_of(scoring, evidence, canaries, repeats_in_use=repeats_in_use, seed=seed)


def calibration_of(
    scoring: ScoreReport,
    evidence: Evidence,
    canaries: CanaryReport | None,
    *,
    repeats_in_use: int = 1,
    seed: int = 0,
) -> CalibrationReport:
    """All figures of scores that are there; nothing is asked."""
    by_text = {(s.prompt, s.response): s for s in scoring.samples}
    pairs = pair_agreement(evidence.pairs, by_text, seed) if evidence.pairs else None
    labels = label_agreement(evidence.labels, by_text, seed) if evidence.labels else None
    steady = _steadiness(scoring.good, repeats_in_use, seed)
    unscored = 1.0 - len(scoring.scores) / len(scoring.samples) if scoring.samples else 0.0
    signal = light_of(
        rho=labels.spearman if labels else None,
        accuracy=pairs.accuracy if pairs else None,
        pairs=pairs.n if pairs else 0,
        canaries=canaries,
        snr=steady.snr,
        retest=steady.retest,
        unscored=unscored,
    )
    return CalibrationReport(
        pairs=pairs, labels=labels, canaries=canaries, steadiness=steady, signal=signal, scoring=scoring
    )


def _steadiness(samples: Sequence[ScoredSample], repeats_in_use: int, seed: int) -> Steadiness:
    marks = [s.score for s in samples if s.score is not None]
    prompts = [s.prompt for s in samples]
    retest = retest_sd(s.repeat_scores for s in samples)
    within = within_sd(marks, prompts)
    return Steadiness(
        retest=retest,
        within=within,
        snr=signal_to_noise(within, retest, repeats_in_use),
        length=slope([len(s.response) for s in samples], marks, prompts, seed=seed),
        at_zero=share(sum(mark == 0 for mark in marks), len(marks)),
        at_ten=share(sum(mark == 10 for mark in marks), len(marks)),
    )
