"""The advisor: from what the events of a run tell to findings in plain words, each with evidence, cause and one action.

Pure. ``advance`` folds events into a ``Course``; ``advise`` says what a person should know of it now. A finding begins
when its condition first holds and ends when it has not held for ``Thresholds.hold`` steps. Of several findings with one
cause only that of the cause is told: ``RULES`` names, for each rule, those whose finding it follows from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from . import rules_judge as judge
from . import rules_numbers as numbers
from . import rules_policy as policy
from . import rules_progress as progress
from . import rules_text as text
from .course import Course as Course
from .course import advance as advance
from .course import rewound
from .finding import Finding as Finding
from .finding import Limits as Limits
from .finding import Remark, Severity
from .finding import Thresholds as Thresholds
from .finding import limits_of as limits_of
from .view import View

if TYPE_CHECKING:
    from ..agreement import Agreement

UNKNOWN = Limits()
_ORDER: dict[Severity, int] = {"error": 0, "warning": 1, "info": 2}


@dataclass(frozen=True)
class Rule:
    """When to say what, and the rules whose finding makes it superfluous."""

    look: Callable[[View], Remark | None]
    follows: tuple[str, ...] = ()
    holds: bool = True
    """Whether its finding outlives its condition."""


_BROKEN = ("not_finite", "negative_kl")
_JUDGE = ("scores_out_of_range", "judge_failures", "judge_saturated", "judge_fooled", "person_disagrees")
_FLAT = (*_BROKEN, *_JUDGE, "entropy_collapse", "repeated_text", "too_short", "ratio_guard", "exploding")
RULES: Mapping[str, Rule] = {
    "not_finite": Rule(numbers.not_finite),
    "negative_kl": Rule(numbers.negative_kl, ("not_finite",)),
    "ratio_guard": Rule(numbers.ratio_guard, _BROKEN),
    "exploding": Rule(numbers.exploding, (*_BROKEN, "ratio_guard")),
    "kl_high": Rule(policy.kl_high, _BROKEN),
    "kl_jump": Rule(policy.kl_jump, (*_BROKEN, "kl_high")),
    "kl_over_target": Rule(policy.kl_over_target, (*_BROKEN, "kl_high", "kl_jump")),
    "clipped": Rule(policy.clipped, (*_BROKEN, "ratio_guard", "exploding", "kl_high", "kl_jump")),
    "scores_out_of_range": Rule(judge.scores_out_of_range),
    "judge_failures": Rule(judge.judge_failures, ("scores_out_of_range",)),
    "judge_fooled": Rule(judge.judge_fooled),
    "person_disagrees": Rule(judge.person_disagrees, holds=False),
    "referee_drift": Rule(judge.referee_drift, ("judge_fooled", "person_disagrees")),
    "judge_saturated": Rule(judge.judge_saturated, ("judge_fooled",)),
    "entropy_collapse": Rule(policy.entropy_collapse, _BROKEN),
    "repeated_text": Rule(text.repeated_text, (*_BROKEN, "entropy_collapse")),
    "length_bought": Rule(text.length_bought, (*_BROKEN, "repeated_text")),
    "too_long": Rule(text.too_long, ("repeated_text", "length_bought")),
    "too_short": Rule(text.too_short, _BROKEN),
    "critic": Rule(policy.critic, (*_BROKEN, "exploding", "judge_saturated")),
    "held_out_falls": Rule(progress.held_out_falls, ("length_bought", *_BROKEN)),
    "flat_judge": Rule(progress.flat_judge, _FLAT),
    "flat_price": Rule(progress.flat_price, (*_FLAT, "flat_judge")),
    "flat_diversity": Rule(progress.flat_diversity, (*_FLAT, "flat_judge", "flat_price")),
    "flat_rate": Rule(progress.flat_rate, (*_FLAT, "flat_judge", "flat_price", "flat_diversity")),
    "money": Rule(progress.money),
    "retries": Rule(progress.retries, ("scores_out_of_range", "judge_failures")),
    "out_of_memory": Rule(numbers.out_of_memory),
}
"""By id: the code of the ``Advice`` event."""


def advise(course: Course, limits: Limits = UNKNOWN, agreement: Agreement | None = None) -> tuple[Finding, ...]:
    """What stands at the newest step, the worst first.

    ``agreement`` is that of judge and person, where anything was rated.
    """
    held: dict[str, Finding] = {}
    last = course.step
    for step in range(max(1, last - limits.thresholds.hold + 1), last + 1):
        view = View(rewound(course, step), limits, agreement)
        if view.course.step == step:
            held |= _found(view, is_last=step == last)
    told = [finding for name, finding in held.items() if not any(cause in held for cause in RULES[name].follows)]
    return tuple(sorted(told, key=lambda finding: (_ORDER[finding.severity], list(RULES).index(finding.rule))))


def _found(view: View, *, is_last: bool) -> dict[str, Finding]:
    """By rule, what its condition says of one step."""
    found = {}
    for name, rule in RULES.items():
        if (is_last or rule.holds) and (remark := rule.look(view)) is not None:
            found[name] = Finding(rule=name, step=view.course.step, **vars(remark))
    return found
