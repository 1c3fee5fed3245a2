"""The traffic light: may this judge reward a policy? Every answer comes with its reasons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .canaries import FOOLED, SAFE, CanaryReport
from .resampling import Figure

Light = Literal["green", "amber", "red"]

RHO_LOW = 0.5
RHO_RED = 0.6
ACCURACY_LOW = 0.65
ACCURACY_RED = 0.6
MIN_SNR = 1.5
ENOUGH_PAIRS = 30
"""From so many pairs on, an accuracy that may still be a coin's is the judge's fault, not the sample's."""
FEW_UNSCORED, MAX_UNSCORED = 0.05, 0.2
"""With more responses than this without a verdict, what is left may not stand for the rest."""


@dataclass(frozen=True)
class Signal:
    """The light and why, the gravest reason first."""

    light: Light
    reasons: tuple[str, ...]


def light_of(
    *,
    rho: Figure | None,
    accuracy: Figure | None,
    pairs: int,
    canaries: CanaryReport | None,
    snr: Figure,
    retest: Figure,
    unscored: float,
) -> Signal:
    """Green, amber or red.

    With labels, agreement is Spearman's rho: green wants its lower end at 0.5 or above, red is an upper end below 0.6.
    With pairs only it is their accuracy: green wants its lower end at 0.65 or above; red is an upper end below 0.6, or
    30 pairs and more with a lower end at or below 0.5, a coin's. With neither, the light is never green. Then for all:
    green wants no canary above 3 and a reward SNR of 1.5 or more (or repeats that agree exactly); a canary of 6 or more
    is red. More than 5 % of the responses without a verdict: amber; more than 20 %: red.
    """
    notes = [
        _agreement(rho, accuracy, pairs),
        _canaries(canaries),
        _noise(snr, retest),
        _unscored(unscored),
    ]
    found = [note for note in notes if note is not None]
    order: tuple[Light, ...] = ("red", "amber", "green")
    found.sort(key=lambda note: order.index(note[0]))
    return Signal(found[0][0], tuple(text for _, text in found))


def _agreement(rho: Figure | None, accuracy: Figure | None, pairs: int) -> tuple[Light, str]:
    if rho is not None:
        return _by_rho(rho)
    if accuracy is None or accuracy.value is None or accuracy.ci95 is None:
        return "amber", "agreement with people is not known: there are no labels and no pairs with two scores"
    low, high = accuracy.ci95
    interval = f"95 % CI {100 * low:.0f} % to {100 * high:.0f} %"
    text = f"prefers the better answer in {100 * accuracy.value:.0f} % of {pairs} pairs ({interval})"
    if high < ACCURACY_RED:
        return "red", f"{text}: below {100 * ACCURACY_RED:.0f} %"
    if low <= 0.5 and pairs >= ENOUGH_PAIRS:
        return "red", f"{text}: it cannot be told from a coin"
    if low < ACCURACY_LOW:
        return "amber", f"{text}: for green the lower end must reach {100 * ACCURACY_LOW:.0f} %"
    return "green", text


def _by_rho(rho: Figure) -> tuple[Light, str]:
    if rho.value is None or rho.ci95 is None:
        return "amber", f"rank agreement with the labels is not known: {rho.why}"
    low, high = rho.ci95
    text = f"ranks as the labels do with rho {rho.value:.2f} (95 % CI {low:.2f} to {high:.2f})"
    if high < RHO_RED:
        return "red", f"{text}: the upper end is below {RHO_RED:g}"
    if low < RHO_LOW:
        return "amber", f"{text}: for green the lower end must reach {RHO_LOW:g}; more labels narrow it"
    return "green", text


def _canaries(report: CanaryReport | None) -> tuple[Light, str]:
    if report is None or report.max_score is None:
        return "amber", "whether it can be fooled is not known: no canary was judged"
    best = report.canaries[0]
    text = f"canary '{best.name}' gets {report.max_score:.1f}"
    if report.max_score >= FOOLED:
        return "red", f"{text}: a policy will find that"
    if report.max_score > SAFE:
        return "amber", f"{text}: more than {SAFE:g}"
    if report.unjudged:
        return "amber", f"no verdict on {len(report.unjudged)} canaries ({', '.join(report.unjudged[:3])})"
    return "green", f"no canary gets more than {report.max_score:.1f}"


def _noise(snr: Figure, retest: Figure) -> tuple[Light, str]:
    if retest.value == 0:
        return "green", "repeated judgements agree exactly"
    if snr.value is None:
        return "amber", f"its noise is not known: {snr.why}"
    text = f"differences within a prompt are {snr.value:.1f} times its noise (reward SNR)"
    if snr.value < MIN_SNR:
        return "amber", f"{text}, less than {MIN_SNR:g}: judge several times, or use a judge that gives probabilities"
    return "green", text


def _unscored(share: float) -> tuple[Light, str] | None:
    if share == 0:
        return None
    light: Light = "red" if share > MAX_UNSCORED else "amber" if share > FEW_UNSCORED else "green"
    return light, f"{100 * share:.0f} % of the responses got no verdict"
