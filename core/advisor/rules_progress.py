"""Rules on whether it is worth going on: a score that does not rise and why, held-out prompts, money."""

from __future__ import annotations

import math
import statistics

from .finding import Remark
from .view import View, mean, slope, values

_POINTS = 5.0
"""Points of the judge's scale per unit of reward."""


def _flat(view: View) -> str:
    """Evidence that the reward does not rise: no slope over the last steps and no gain since the start; or nothing."""
    steps = view.judged_alike
    rewards = values(steps, "reward_mean") or [score / _POINTS - 1 for score in values(steps, "score_mean")]
    line = slope(rewards)
    if line is None or view.course.ppo_steps < 2 * view.by.enough or line[1] > 0:
        return ""
    early = [done.metrics for done in view.course.opening if done.step >= view.course.judge_since]
    name = "reward_mean" if values(steps, "reward_mean") else "score_mean"
    start, now = values(early, name), values(steps[-view.by.enough :], name)
    if start and now and statistics.fmean(now) - _error(now) > statistics.fmean(start) + _error(start):
        return ""  # it has risen and stands: that is an end, not a failure
    return f"slope over {view.by.enough} steps {line[0]:+.4f}, 95 % CI {line[1]:+.4f} to {line[2]:+.4f}"


def _error(numbers: list[float]) -> float:
    """Standard error of the mean."""
    if len(numbers) < 2:
        return 0.0
    return statistics.stdev(numbers) / math.sqrt(len(numbers))


def _why_flat(view: View) -> str:
    """Which one of the four causes the figures point to."""
    spread = view.now("score_std")
    same, before = view.now("alike"), view.then("alike")
    if same is not None and before is not None and same - before >= view.by.alike_more:
        return "diversity"
    groups = (view.now("rows") or 0.0) / (view.limits.group_size or 1)
    if groups and (view.now("groups_flat") or 0.0) > groups / 2:
        return "diversity"
    if spread is not None and spread < view.by.score_spread:
        return "judge"
    kl, price, penalty = view.now("kl_seq") or 0.0, view.recent[-1].kl_coef, view.now("kl_penalty_mean") or 0.0
    reward_spread = (spread or 0.0) / _POINTS
    if reward_spread and (price > view.by.nat_price * reward_spread or penalty > reward_spread):
        return "price"
    moved = view.now("approx_kl")
    if kl < view.by.kl_low or (moved is not None and moved < view.by.update_small):
        return "rate"
    return "judge"


def flat_judge(view: View) -> Remark | None:
    """Not improving: the scores are no guide."""
    found = _flat(view)
    if not found or _why_flat(view) != "judge":
        return None
    spread = view.now("score_std")
    return Remark(
        what="the score does not rise",
        evidence=found + (f"; scores of a step spread by {spread:.2f} points" if spread is not None else ""),
        cause="the judge's scores may not say what is better",
        action="rate some replies; 4 tests the judge",
        key="6",
    )


def flat_price(view: View) -> Remark | None:
    """Not improving: moving costs more than there is to gain."""
    found = _flat(view)
    if not found or _why_flat(view) != "price":
        return None
    price = view.recent[-1].kl_coef
    return Remark(
        what="the score does not rise",
        evidence=f"{found}; a nat of KL costs {price:g} where rewards spread by "
        f"{(view.now('score_std') or 0) / _POINTS:.2f}",
        cause="the KL price is too high",
        action=f"lower the KL price to {price / 2:g}",
        key="t",
        command=view.set_command("kl_coef", price / 2),
    )


def flat_diversity(view: View) -> Remark | None:
    """Not improving: all responses are the same, so none is better."""
    found = _flat(view)
    if not found or _why_flat(view) != "diversity":
        return None
    return Remark(
        what="the score does not rise",
        evidence=f"{found}; {100 * (view.now('alike') or 0):.0f} % of the wording is shared between prompts",
        cause="the responses do not differ enough to learn from",
        action="a new run needs more varied prompts or a higher KL price",
        key="2",
    )


def flat_rate(view: View) -> Remark | None:
    """Not improving: the policy hardly moves."""
    found = _flat(view)
    if not found or _why_flat(view) != "rate":
        return None
    rate = view.recent[-1].learning_rate
    wanted = 3 * rate or 1e-5
    return Remark(
        what="the score does not rise",
        evidence=f"{found}; KL is {view.now('kl_seq') or 0:.2f} nats",
        cause="the learning rate is too low",
        action=f"raise the learning rate to {wanted:g}",
        key="t",
        command=view.set_command("learning_rate", wanted),
    )


def held_out_falls(view: View) -> Remark | None:
    """The score on training prompts rises while that on held-out prompts falls."""
    known = [v for v in view.course.validations if v.mean is not None and v.step >= view.course.judge_since]
    if len(known) < 3:
        return None
    best, last = max(known[:-1], key=lambda v: v.mean or 0.0), known[-1]
    fall = (best.mean or 0.0) - (last.mean or 0.0)
    within = best.difference is not None and last.ci95 is not None and last.ci95[1] >= best.difference
    if best.step == known[0].step:
        within = last.ci95 is not None and last.ci95[1] >= 0
    if fall <= view.by.held_out_fall or within:
        return None
    then, now = _score_around(view, best.step), _score_around(view, last.step)
    if then is None or now is None or now <= then:
        return None
    return Remark(
        what=f"held-out score fell by {fall:.2f} since step {best.step} while the training score rose",
        evidence=f"held-out {best.mean:.2f} to {last.mean:.2f} on {last.n} prompts, training {then:.2f} to {now:.2f}",
        cause="it may be learning prompts by heart",
        action=f"stop; the model of step {best.step} is the better one",
        key="x",
        command=f"rlaif-tui stop {view.course.name or 'RUN'}",
    )


def _score_around(view: View, step: int) -> float | None:
    reach = view.by.recent
    near = [done.metrics for done in view.course.steps if step - reach < done.step <= step + reach and not done.warmup]
    return mean(near, "score_mean")


def money(view: View) -> Remark | None:
    """The cap is near, or will be met before the last step."""
    cap = view.limits.cap_usd if view.course.cap_usd is None else view.course.cap_usd or None
    if not cap or not view.course.steps:
        return None
    spent, left = view.course.steps[-1].cost_total_usd, view.course.total_steps - view.course.step
    per_step = view.now("cost_usd") or 0.0
    needed = spent + per_step * left
    near = spent >= view.by.spent * cap
    if not near and (needed <= cap or view.course.ppo_steps < view.by.recent):
        return None
    what = f"${spent:.2f} of the judge's ${cap:g} are spent"
    if not near:
        what += f", and ${needed:.2f} will be needed"
    at = f", the cap is met near step {view.course.step + int((cap - spent) / per_step)}" if per_step > 0 else ""
    return Remark(
        what=what,
        evidence=f"${per_step:.4f} a step, {left} steps left{at}",
        cause="at the cap the run pauses",
        action=f"raise the cap to ${1.2 * needed:.2f}; J takes a cheaper judge",
        key="t",
        command=view.set_command("judge_cap_usd", round(1.2 * needed, 2)),
    )


def retries(view: View) -> Remark | None:
    """Each verdict takes several paid calls."""
    calls, cost = sum(m.judge_requests or 0 for m in view.recent), sum(m.cost_usd for m in view.recent)
    verdicts = sum(m.rows - (m.judge_cached or 0) for m in view.recent)
    if len(view.recent) < view.by.recent or cost <= 0 or verdicts <= 0 or calls <= view.by.calls_per_verdict * verdicts:
        return None
    return Remark(
        what=f"a verdict takes {calls / verdicts:.1f} calls of the judge",
        evidence=f"{calls} calls for {verdicts} verdicts and ${cost:.4f} in {len(view.recent)} steps",
        cause="replies that cannot be read are asked for again, or its file asks for repeats",
        action="look at the judge's replies",
        key="4",
    )
