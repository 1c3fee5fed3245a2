"""Rules on how fast and whereto the policy moves: KL, clipping, entropy, the critic."""

from __future__ import annotations

from .finding import Remark
from .view import View, mean, values


def _raise_price(view: View) -> tuple[str, str]:
    """The action that doubles the price of KL, and its command."""
    price = view.recent[-1].kl_coef
    wanted = 2 * price or 0.05
    return f"raise the KL price to {wanted:g}", view.set_command("kl_coef", wanted)


def _lower_rate(view: View) -> tuple[str, str]:
    rate = view.recent[-1].learning_rate
    return f"halve the learning rate to {rate / 2:g}", view.set_command("learning_rate", rate / 2)


def kl_high(view: View) -> Remark | None:
    """So far from the start that over-optimisation is likely."""
    now = view.now("kl_seq")
    if now is None or now <= view.by.kl_high:
        return None
    action, command = _raise_price(view)
    pauses = f"; at {view.limits.kl_pause:g} the run pauses" if view.limits.kl_pause else ""
    return Remark(
        what=f"KL is {now:.1f} nats per response",
        evidence=f"mean of {len(view.recent)} steps, over {view.by.kl_high:g}{pauses}",
        cause="so far from the start judges are easily fooled",
        action=action,
        key="t",
        command=command,
    )


def kl_jump(view: View) -> Remark | None:
    """KL doubled within five steps."""
    span = view.by.recent
    now, before = mean(view.steps[-2:], "kl_seq"), mean(view.steps[-span - 2 : -span], "kl_seq")
    floor = view.limits.kl_target or view.by.kl_floor
    if now is None or before is None or len(view.steps) < span + 2 or now <= floor or now < 2 * before:
        return None
    action, command = _raise_price(view)
    return Remark(
        what=f"KL doubled in {span} steps",
        evidence=f"from {before:.1f} to {now:.1f} nats per response",
        cause="the model is changing too fast",
        action=action,
        key="t",
        command=command,
    )


def kl_over_target(view: View) -> Remark | None:
    """Over the target of the controller for some steps without a break."""
    target, kls = view.limits.kl_target, values(view.recent, "kl_seq")
    if not target or len(kls) < view.by.recent or min(kls) <= target:
        return None
    action, command = _raise_price(view)
    return Remark(
        what=f"KL {kls[-1]:.1f} nats has been over its target {target:g} for {len(kls)} steps",
        evidence=", ".join(f"{kl:.1f}" for kl in kls),
        cause="the price of KL rises too slowly",
        action=action,
        key="t",
        command=command,
    )


def clipped(view: View) -> Remark | None:
    """Updates so large that PPO's clipping, or its early stop, holds most of them back."""
    fraction = view.now("clip_fraction")
    stopped = sum(metrics.early_stopped for metrics in view.recent)
    too_large = fraction is not None and fraction > view.by.clipped
    if not too_large and (len(view.recent) < view.by.recent or stopped < len(view.recent)):
        return None
    action, command = _lower_rate(view)
    return Remark(
        what=f"clip fraction {fraction:.2f}" if fraction is not None and too_large else "every step stopped early",
        evidence=f"mean of {len(view.recent)} steps, over {view.by.clipped:g}"
        if too_large
        else f"approx_kl passed ppo.target_kl in each of the last {stopped} steps",
        cause="updates are too large",
        action=action,
        key="t",
        command=command,
    )


def entropy_collapse(view: View) -> Remark | None:
    """The next token is hardly open any more, and what is written to different prompts becomes the same.

    Entropy alone also falls where a model merely learns to answer well, so half of it must go along with likeness.
    """
    now, start = view.now("entropy"), view.then("entropy")
    if not view.settled or now is None or not start or now >= view.by.entropy_left * start:
        return None
    same, before = view.now("alike"), view.then("alike")
    known = same is not None and before is not None
    rise = same - before if same is not None and before is not None else 0.0
    gone = view.by.entropy_gone if known else view.by.entropy_left**2  # the figures of older runs tell no likeness
    if rise < view.by.alike_more and now >= gone * start:
        return None
    action, command = _raise_price(view)
    shared = f"; {100 * (same or 0):.0f} % of the wording is shared between prompts" if known else ""
    return Remark(
        what=f"entropy fell from {start:.2f} to {now:.2f} nats",
        evidence=f"first against last {len(view.recent)} steps{shared}",
        cause="the responses become alike",
        action=action,
        key="t",
        command=command,
    )


def critic(view: View) -> Remark | None:
    """The critic foresees nothing of the reward, or does worse than a constant."""
    last = view.steps[-view.by.critic_steps :]
    known = values(last, "explained_variance")
    now = mean(last, "explained_variance")
    worse = len(known) == view.by.critic_steps and max(known) < 0 and now is not None and now <= view.by.critic_bad
    long = view.steps[-view.by.critic_idle_steps :]
    idle = mean(long, "explained_variance")
    useless = (
        len(values(long, "explained_variance")) == view.by.critic_idle_steps and (idle or 0) <= view.by.critic_idle
    )
    if not worse and not useless:
        return None
    steps, figure = (len(last), now) if worse else (len(long), idle)
    return Remark(
        what=f"the critic has been worse than a constant for {steps} steps"
        if worse
        else f"the critic has explained nothing for {steps} steps",
        evidence=f"explained variance {figure or 0:.2f} on average",
        cause="its learning rate does not fit",
        action="set the critic's learning rate",
        key="t",
        severity="warning" if worse else "info",
    )
