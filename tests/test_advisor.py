"""The advisor: each rule finds its rigged run and nothing else does, healthy runs are left alone, nothing flickers."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from rigged_runs import Change, course_of, healthy, recorded_demo, run, started, step

from core.advice import changes
from core.advisor import RULES, Course, Finding, Limits, Thresholds, advance, advise, limits_of
from core.advisor.view import slope
from core.agreement import Agreement, Window
from core.config_file import from_dict
from core.events import (
    CanariesScored,
    CanaryScore,
    CheckpointSaved,
    CommandApplied,
    Event,
    JudgeFailed,
    JudgeReplaced,
    MicroBatchHalved,
    RefereeScored,
    RolledBack,
    StepCompleted,
    UpdateSkipped,
    ValidationCompleted,
)
from core.judge.workbench.resampling import Figure
from core.repetition import alike, repeated
from rlaif_tui.cli_control import _setting
from rlaif_tui.screens.train_keys import TRAIN_KEYS

LIMITS = Limits(kl_target=30.0, kl_pause=50.0, length_limit=256, referee_alarm=4.0, group_size=1)
DISAGREE = Agreement(
    (Window(30, 50, 20, Figure(0.2, (-0.2, 0.5))),), 20, "agreement of judge and person fell from ρ 0.80 to 0.20"
)


def steady(**figures: Any) -> Change:
    return lambda _number: dict(figures)


def flat(**figures: Any) -> Change:
    """A score that goes up and down and nowhere."""
    return lambda number: {"score_mean": 4.0 + 0.2 * (-1) ** number, "reward_mean": 0.04 * (-1) ** number, **figures}


def with_events(*more: Event) -> list[Event]:
    events = run(50)
    return [*events[:-3], *more, *events[-3:]]


OFF_SCALE = [
    JudgeFailed(step=50, rollout_id=f"{n}", status="unparseable", treatment="mask", message="11 is outside 1 to 10")
    for n in range(40)
]
RIGS: dict[str, tuple[list[Event], Limits, Agreement | None]] = {
    name: (events, limits, None)
    for name, events, limits in (
        ("not_finite", run(45, steady(policy_loss=None, clip_fraction=0.9, explained_variance=-3.0), 45), LIMITS),
        ("negative_kl", run(45, steady(kl_seq=-3.0, kl_seq_error=0.3), 40), LIMITS),
        ("ratio_guard", run(45, steady(skipped=1, updates=7, clip_fraction=0.5), 40), LIMITS),
        ("exploding", run(60, steady(grad_norm_actor=9.0, clip_fraction=0.5), 55), LIMITS),
        ("kl_high", run(45, steady(kl_seq=31.0, clip_fraction=0.5), 35), LIMITS),
        ("kl_jump", run(45, lambda n: {"kl_seq": 4.0 * 1.2 ** (n - 34)}, 35), replace(LIMITS, kl_target=6.0)),
        ("kl_over_target", run(45, lambda n: {"kl_seq": 7.0 + 0.02 * n}, 1), replace(LIMITS, kl_target=6.0)),
        ("clipped", run(45, steady(clip_fraction=0.4), 38), LIMITS),
        ("judge_failures", run(45, steady(failed=4, rows=28), 41), LIMITS),
        ("judge_saturated", run(45, steady(score_mean=9.7, score_std=0.3, reward_mean=0.94), 41), LIMITS),
        ("entropy_collapse", run(60, steady(entropy=0.6, alike=0.6, repeated=0.3), 45), LIMITS),
        ("repeated_text", run(60, steady(repeated=0.5, truncated_rate=0.6), 45), LIMITS),
        ("length_bought",
         run(60, lambda n: {"response_length": 100.0 + 2 * n, "length_score_corr": 0.7, "truncated_rate": 0.4}, 1),
         LIMITS),
        ("too_long", run(45, steady(truncated_rate=0.5), 40), LIMITS),
        ("too_short", run(45, steady(response_length=6.0, response_length_p50=5.0), 40), LIMITS),
        ("critic", run(60, steady(explained_variance=-0.5), 45), LIMITS),
        ("flat_judge", run(60, flat(score_std=0.1)), LIMITS),
        ("flat_price", run(60, flat(kl_coef=0.4, kl_seq=0.3, kl_penalty_mean=0.12)), LIMITS),
        ("flat_diversity", run(60, lambda n: flat(alike=0.05 + 0.008 * n)(n)), LIMITS),
        ("flat_rate", run(60, flat(kl_seq=0.02, kl_penalty_mean=0.001, approx_kl=1e-6, clip_fraction=0.0)), LIMITS),
        ("money", run(60, lambda n: {"total": 0.09 * n}), replace(LIMITS, cap_usd=6.0)),
        ("retries", run(45, steady(judge_requests=80), 40), LIMITS),
        ("scores_out_of_range", [*run(50, steady(failed=14, rows=18), 48), *OFF_SCALE], LIMITS),
        ("judge_fooled",
         with_events(CanariesScored(step=50, scores=(CanaryScore(name="empty", score=9.0),), seen=40, fooled=6)),
         LIMITS),
        ("referee_drift",
         with_events(RefereeScored(step=50, n=6, failed=0, judge_mean=8.0, referee_mean=4.0, drift=3.0, referee="x")),
         LIMITS),
        ("out_of_memory", with_events(MicroBatchHalved(step=50, micro_batch_size=4)), LIMITS),
        ("held_out_falls",
         [*run(60), ValidationCompleted(step=60, n=64, mean=4.4, difference=0.4, ci95=(0.0, 0.8))], LIMITS),
    )
}  # fmt: skip
RIGS["person_disagrees"] = run(60), LIMITS, DISAGREE


def test_every_rule_has_a_rigged_run() -> None:
    assert set(RIGS) == set(RULES)


@pytest.mark.parametrize("rule", RULES)
def test_a_rigged_run_gives_its_finding_and_no_other(rule: str) -> None:
    events, limits, agreement = RIGS[rule]
    found = advise(course_of(events), limits, agreement)
    assert [finding.rule for finding in found] == [rule], [finding.sentence for finding in found]
    (finding,) = found
    for text in (finding.what, finding.evidence, finding.cause, finding.action):
        assert text
        assert text == " ".join(text.split())
        assert "None" not in text
        assert "nan" not in text.split()
    assert len(finding.sentence) < 160
    _check_action(finding)


def _check_action(finding: Finding) -> None:
    """What is to be pressed is a key of the Train screen or of a screen, what is to be typed a command."""
    keys = {binding.key for binding in TRAIN_KEYS} | {"2", "4", "6", "l"}  # type: ignore[union-attr]
    assert finding.key in keys
    if not finding.command:
        return
    program, command, name, *rest = finding.command.split()
    assert (program, name) == ("rlaif-tui", "gentle")
    assert command in ("set", "stop", "logs")
    assert bool(rest) == (command == "set")
    for setting in rest:
        _setting(setting)


@pytest.mark.parametrize("events", [run(120), recorded_demo()], ids=["synthetic", "demo"])
def test_a_healthy_run_is_left_alone(events: list[Event]) -> None:
    course = Course()
    limits = Limits(kl_pause=50.0, length_limit=256, cap_usd=10.0, referee_alarm=4.0)
    agreed = Agreement((Window(30, 50, 20, Figure(0.8, (0.6, 0.9))),), 20)
    for event in events:
        course = advance(course, event)
        found = advise(course, limits, agreed)
        assert not found, (course.step, [finding.sentence for finding in found])


def test_what_a_run_without_the_newer_figures_tells_is_enough() -> None:
    old = dict.fromkeys(("kl_seq_error", "response_length_p50", "length_score_corr", "repeated", "alike"))
    assert not advise(course_of(run(60, steady(**old))), LIMITS)
    longer = course_of(run(60, lambda n: {**old, "response_length": 100.0 + 2 * n}))
    assert [finding.rule for finding in advise(longer, LIMITS)] == ["length_bought"]
    bug = course_of(run(45, steady(**old, kl_seq=-2.0), 43))
    assert [finding.rule for finding in advise(bug, LIMITS)] == ["negative_kl"]


def told(events: Sequence[Event], limits: Limits = LIMITS) -> list[tuple[int, str, bool]]:
    """(step, rule, whether it is over) of everything that is written along a run."""
    course, standing, said = Course(), {}, []
    for event in events:
        course = advance(course, event)
        if isinstance(event, StepCompleted):
            for advice in changes(standing, advise(course, limits), event.step):
                said.append((advice.step, advice.code, advice.ended))
                standing.pop(advice.code, None) if advice.ended else standing.update({advice.code: advice.what})
    return said


def test_a_figure_at_its_threshold_makes_no_flicker() -> None:
    wave = run(120, lambda n: {"clip_fraction": 0.3 + (0.06 if n // 6 % 2 else -0.06)}, 30)
    raw = [
        bool(advise(course_of(wave[:end]), replace(LIMITS, thresholds=Thresholds(hold=1)))) for end in range(33, 120)
    ]
    assert sum(a != b for a, b in itertools.pairwise(raw)) > 6, "the condition itself comes and goes"
    assert len(told(wave)) == 1, "the finding does not"


def test_a_finding_ends_when_its_cause_is_gone() -> None:
    cured = run(80, lambda n: {"clip_fraction": 0.6 if n < 45 else 0.1}, 40)
    (begun, rule, over), (ended, same, gone) = told(cured)
    assert (rule, over, same, gone) == ("clipped", False, "clipped", True)
    assert 40 <= begun < 45 < ended <= 45 + Thresholds().recent + Thresholds().hold


def test_one_cause_is_told_once() -> None:
    everything = steady(
        policy_loss=None, clip_fraction=0.9, kl_seq=60.0, explained_variance=-5.0, entropy=0.1, alike=0.9,
        grad_norm_actor=50.0, skipped=7, updates=1,
    )  # fmt: skip
    assert [finding.rule for finding in advise(course_of(run(60, everything, 45)), LIMITS)] == ["not_finite"]
    for name, rule in RULES.items():
        for cause in rule.follows:
            assert cause in RULES, name
            assert name not in RULES[cause].follows, "no two rules hide each other"


def test_an_early_stop_in_each_step_and_a_guard_that_names_the_reason() -> None:
    (stopped,) = advise(course_of(run(45, steady(early_stopped=True), 38)), LIMITS)
    assert (stopped.rule, stopped.what) == ("clipped", "every step stopped early")
    skip = UpdateSkipped(step=50, epoch=0, mini_batch=1, reason="the gradient norm was not finite")
    (bad,) = advise(course_of([*with_events(CheckpointSaved(step=40, path="p", size_mb=1, seconds=1), skip)]), LIMITS)
    assert (bad.rule, bad.severity) == ("not_finite", "error")
    assert "last good: checkpoint 40" in bad.evidence


def test_kl_below_zero_by_chance_is_no_bug() -> None:
    assert not advise(course_of(run(45, steady(kl_seq=-1.5, kl_seq_error=1.0), 40)), LIMITS)


def test_a_plateau_after_a_rise_is_no_failure_and_a_short_answer_may_be_wanted() -> None:
    assert not advise(
        course_of(run(90, lambda n: {"score_mean": 7.2 + 0.1 * (-1) ** n, "reward_mean": 0.44}, 45)), LIMITS
    )
    short = course_of(run(45, steady(response_length=6.0, response_length_p50=5.0)))
    assert not advise(short, replace(LIMITS, length_limit=16))


def test_lower_entropy_with_different_responses_is_learning() -> None:
    assert not advise(course_of(run(60, steady(entropy=0.8), 45)), LIMITS)
    (gone,) = advise(course_of(run(60, steady(entropy=0.1), 45)), LIMITS)
    assert gone.rule == "entropy_collapse"


def test_a_critic_that_explains_nothing_is_said_after_long() -> None:
    course = course_of(run(80, steady(explained_variance=0.0)))
    (found,) = advise(course, LIMITS)
    assert (found.rule, found.severity) == ("critic", "info")


def test_money_is_counted_against_the_cap_in_force() -> None:
    limits = replace(LIMITS, cap_usd=1.5)
    (found,) = advise(course_of(run(60)), limits)
    assert "$0.60 of the judge's $1.5 are spent, and $2.00 will be needed" in found.what
    raised = CommandApplied(command_id="a", name="set", step=50, detail="judge_cap_usd = 10.0")
    assert not advise(course_of([*run(60), raised]), limits)
    none = CommandApplied(command_id="a", name="set", step=50, detail="judge_cap_usd = 0.0")
    assert not advise(course_of([*run(60), none]), limits)


def test_another_judge_begins_another_series() -> None:
    events = run(60, lambda n: {"response_length": 100.0 + 2 * n, "length_score_corr": 0.7})
    assert advise(course_of(events), LIMITS)
    swapped = JudgeReplaced(
        step=51, from_version="a", to_version="b", name="b", n=8, failed=0, old_mean=6.0, new_mean=5.0
    )
    at = next(i for i, event in enumerate(events) if isinstance(event, StepCompleted) and event.step == 51)
    assert not advise(course_of([*events[:at], swapped, *events[at:]]), LIMITS)


def test_a_slope_is_that_of_scipy() -> None:
    from scipy.stats import linregress, t

    series = [healthy(n)["score_mean"] for n in range(1, 41)]
    expected = linregress(range(20), series[-20:])
    reach = t.ppf(0.975, 18) * expected.stderr
    found = slope(series)
    assert found == pytest.approx((expected.slope, expected.slope - reach, expected.slope + reach), rel=1e-6)
    assert slope(series[:19]) is None


def test_going_back_is_as_if_it_had_not_been() -> None:
    straight = run(60)
    bad = [step(n, clip_fraction=0.9, kl_seq=40.0) for n in range(51, 56)]
    until_50 = [event for event in straight if getattr(event, "step", 0) <= 50]
    after = [event for event in straight if getattr(event, "step", 0) > 50]
    for back in (RolledBack(from_step=55, to_step=50, reason="x", learning_rate=1e-6), started(resumed_from=50)):
        course = course_of([*until_50, *bad, back, *after])
        assert course == course_of(straight)
        assert not advise(course, LIMITS)


def test_the_limits_are_those_of_the_configuration() -> None:
    config = from_dict({"ppo": {"kl_controller": "adaptive", "kl_target": 4.0, "kl_pause": 0.0}})
    limits = limits_of(config)
    assert (limits.kl_target, limits.kl_pause, limits.cap_usd) == (4.0, None, None)
    assert limits_of(from_dict({})).kl_target is None


def test_repetition_by_hand() -> None:
    assert repeated([[1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3]]) == pytest.approx(1 - 4 / 8)
    assert repeated([[1, 2, 3]]) is None
    assert repeated([list(range(20))]) == 0
    # Each answer has three 4-grams; two prompts share one of them, which counts in both.
    assert alike([[1, 2, 3, 4, 5, 6], [9, 1, 2, 3, 4, 8]], ["a", "b"]) == pytest.approx(2 / 6)
    assert alike([[1, 2, 3, 4], [1, 2, 3, 4]], ["a", "a"]) is None, "answers to one prompt may be alike"
