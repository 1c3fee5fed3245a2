"""Agreement of scores with people: the better of two answers, and marks given blind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .items import Pair
from .labels import Labelled
from .resampling import Figure, nothing
from .samples import ScoredSample
from .statistics import concordance, kappa, length_controlled, mean, share, spearman

SIMILAR_LENGTH = 0.2
"""Two answers are of similar length if they differ by at most this share of the longer one."""
ByText = Mapping[tuple[str, str], ScoredSample]


@dataclass(frozen=True, kw_only=True)
class PairAgreement:
    """How often the better answer scores higher. A tie is no agreement; it is counted apart."""

    n: int
    """Pairs with a score on both sides."""
    unscored: int
    accuracy: Figure
    """Share in which chosen scores above rejected, with Wilson's interval."""
    concordance: Figure
    """The same with a tie as half, with an interval over prompts: what PPO sees."""
    ties: Figure
    matched_n: int
    matched: Figure
    """Accuracy over pairs of similar length."""
    controlled: Figure
    """Accuracy to expect at equal length."""
    longer_wins: Figure
    """Share of decided pairs of unequal length in which the longer answer scores higher."""

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "accuracy": self.accuracy.value,
            "ci95": list(self.accuracy.ci95) if self.accuracy.ci95 else None,
            "unscored": self.unscored,
            "concordance": self.concordance.to_json(),
            "ties": self.ties.to_json(),
            "length_matched": {"n": self.matched_n, **_named(self.matched)},
            "length_controlled": self.controlled.to_json(),
            "longer_wins": self.longer_wins.to_json(),
        }


@dataclass(frozen=True, kw_only=True)
class LabelAgreement:
    """How the scores compare with a person's marks of the same responses."""

    n: int
    unscored: int
    spearman: Figure
    concordance: Figure
    """Within a prompt, ties as half."""
    kappa: Figure
    bias: Figure
    """Mean of score minus label: above 0 is a lenient judge."""
    mae: Figure

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "spearman": self.spearman.value,
            "ci95": list(self.spearman.ci95) if self.spearman.ci95 else None,
            "why": self.spearman.why,
            "unscored": self.unscored,
            "concordance": self.concordance.to_json(),
            "kappa": self.kappa.to_json(),
            "bias": self.bias.to_json(),
            "mae": self.mae.to_json(),
        }


def _named(figure: Figure) -> dict[str, Any]:
    json = figure.to_json()
    return {"accuracy": json["value"], "ci95": json["ci95"], "why": json["why"]}


def pair_agreement(pairs: Sequence[Pair], scores: ByText, seed: int = 0) -> PairAgreement:
    """Compare both sides of every pair that has two scores."""
    gaps, lengths, similar, prompts = [], [], [], []
    for pair in pairs:
        better, worse = (_score(scores, side.prompt, side.request.response) for side in (pair.chosen, pair.rejected))
        if better is None or worse is None:
            continue
        a, b = len(pair.chosen.request.response), len(pair.rejected.request.response)
        gaps.append(better - worse)
        lengths.append(a - b)
        similar.append(abs(a - b) <= SIMILAR_LENGTH * max(a, b))
        prompts.append(pair.chosen.prompt)
    near = [gap for gap, close in zip(gaps, similar, strict=True) if close]
    decided = [(gap > 0, length) for gap, length in zip(gaps, lengths, strict=True) if gap != 0]
    unequal = [won == (length > 0) for won, length in decided if length != 0]
    matched = share(sum(gap > 0 for gap in near), len(near))
    return PairAgreement(
        n=len(gaps),
        unscored=len(pairs) - len(gaps),
        accuracy=share(sum(gap > 0 for gap in gaps), len(gaps)),
        concordance=mean([0.5 if gap == 0 else float(gap > 0) for gap in gaps], prompts, seed=seed),
        ties=share(sum(gap == 0 for gap in gaps), len(gaps)),
        matched_n=len(near),
        matched=matched if near else nothing("no two answers of a pair are of similar length"),
        controlled=length_controlled([won for won, _ in decided], [length for _, length in decided]),
        longer_wins=share(sum(unequal), len(unequal)),
    )


def label_agreement(labels: Sequence[Labelled], scores: ByText, seed: int = 0) -> LabelAgreement:
    """Compare labels with scores of the same responses."""
    marks, given, prompts = [], [], []
    for labelled in labels:
        score = _score(scores, labelled.item.prompt, labelled.item.request.response)
        if score is not None:
            marks.append(score)
            given.append(labelled.label)
            prompts.append(labelled.item.prompt)
    gaps = [score - label for score, label in zip(marks, given, strict=True)]
    return LabelAgreement(
        n=len(marks),
        unscored=len(labels) - len(marks),
        spearman=spearman(marks, given, prompts, seed=seed),
        concordance=concordance(marks, given, prompts, seed=seed),
        kappa=kappa(marks, given, prompts, seed=seed),
        bias=mean(gaps, prompts, seed=seed),
        mae=mean([abs(gap) for gap in gaps], prompts, seed=seed),
    )


def _score(scores: ByText, prompt: str, response: str) -> float | None:
    sample = scores.get((prompt, response))
    return sample.score if sample else None
