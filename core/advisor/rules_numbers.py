"""Rules on the arithmetic itself: numbers that are not finite, guards that struck, memory, a sampler that disagrees."""

from __future__ import annotations

import statistics

from .finding import Remark
from .view import View, mean, values

_NOT_FINITE = "not finite"


def not_finite(view: View) -> Remark | None:
    """A loss, ratio or gradient that is no number; the guard keeps such updates from the weights."""
    last = view.steps[-1] if view.steps else None
    skips = [skip for skip in view.course.skips if view.is_recent(skip.step) and _NOT_FINITE in skip.reason]
    lost = last is not None and last.updates > 0 and last.policy_loss is None
    if not lost and not skips:
        return None
    step = view.course.step
    good = f"checkpoint {view.course.checkpoint}" if view.course.checkpoint is not None else "there is none yet"
    return Remark(
        what=f"the policy loss of step {step} is not a number" if lost else "updates were not finite",
        evidence=f"{len(skips)} updates skipped in the last {view.by.recent} steps, weights kept; last good: {good}",
        cause="a step too large, or values that overflow",
        action="stop; r resumes from the checkpoint, t lowers the rate",
        key="x",
        command=f"rlaif-tui stop {view.course.name or 'RUN'}",
        severity="error",
    )


def negative_kl(view: View) -> Remark | None:
    """KL under zero by more than chance: what is sampled is not what is scored."""
    last = view.steps[-1] if view.steps else None
    if last is None or last.kl_seq is None or last.kl_seq >= view.by.kl_bug:
        return None
    if last.kl_seq_error is not None:
        # A few rows can be below by chance; three standard errors under zero are not chance.
        if last.kl_seq + 3 * last.kl_seq_error >= 0:
            return None
        chance = f", {last.kl_seq / last.kl_seq_error:.0f} standard errors" if last.kl_seq_error else ""
    else:
        three = values(view.steps[-3:], "kl_seq")
        if len(three) < 3 or max(three) >= view.by.kl_bug:
            return None
        chance = " for 3 steps"
    return Remark(
        what=f"KL is {last.kl_seq:.2f} nats",
        evidence=f"exact sampling gives less than {view.by.kl_bug:g} only by chance; this is below 0{chance}",
        cause="sampler and trainer disagree (top_p, top_k, temperature or a mask)",
        action="stop; a new run needs rollout.top_p = 1, top_k = 0",
        key="x",
        command=f"rlaif-tui stop {view.course.name or 'RUN'}",
        severity="error",
    )


def ratio_guard(view: View) -> Remark | None:
    """Updates dropped because the policy had moved too far from the one that wrote the responses."""
    skipped = sum(metrics.skipped for metrics in view.recent)
    tried = skipped + sum(metrics.updates for metrics in view.recent)
    if not tried or skipped <= view.by.skipped * tried:
        return None
    rate = view.recent[-1].learning_rate
    return Remark(
        what=f"{100 * skipped / tried:.0f} % of the updates were dropped",
        evidence=f"the ratio guard struck {skipped} of {tried} times in {len(view.recent)} steps",
        cause="each step moves the policy too far",
        action=f"halve the learning rate to {rate / 2:g}",
        key="t",
        command=view.set_command("learning_rate", rate / 2),
    )


def exploding(view: View) -> Remark | None:
    """Gradient norm or value loss far above what this run is used to."""
    before = view.steps[: -view.by.recent][-view.by.look_back :]
    if len(before) < view.by.recent:
        return None
    for name, words, setting in (
        ("grad_norm_actor", "the policy's gradient norm", "learning_rate"),
        ("value_loss", "the value loss", "critic_learning_rate"),
    ):
        usual, now = values(before, name), mean(view.recent, name)
        median = statistics.median(usual) if usual else 0.0
        if now is not None and median > 0 and now > view.by.exploded * median:
            rate = view.recent[-1].learning_rate
            ours = setting == "learning_rate"
            return Remark(
                what=f"{words} is {now / median:.0f} times what it was",
                evidence=f"{now:.3g} over {len(view.recent)} steps, median of the {len(usual)} before {median:.3g}",
                cause="training is unstable",
                action=f"halve the learning rate to {rate / 2:g}" if ours else "halve the critic's learning rate",
                key="t",
                command=view.set_command(setting, rate / 2) if ours else "",
            )
    return None


def out_of_memory(view: View) -> Remark | None:
    """Memory ran out, and the work was cut smaller."""
    halvings = [halved for halved in view.course.halvings if view.is_recent(halved.step)]
    if not halvings:
        return None
    last = halvings[-1]
    return Remark(
        what=f"memory ran out in the {last.where}, now {_rows(last.micro_batch_size)} at a time",
        evidence=f"{_times(len(halvings))} since step {halvings[0].step}; the gradient is the same, each step slower",
        cause="the rows did not fit",
        action="a new run is faster with fewer tokens or model.gradient_checkpointing",
        key="2",
        severity="info",
    )


def _rows(count: int) -> str:
    return "1 row" if count == 1 else f"{count} rows"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
