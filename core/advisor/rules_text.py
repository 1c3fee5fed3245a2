"""Rules on what the model writes: too long, too short, the same again, longer for its own sake."""

from __future__ import annotations

from .finding import Remark
from .view import View, mean


def repeated_text(view: View) -> Remark | None:
    """Responses that say the same again and again."""
    now, start = view.now("repeated"), view.then("repeated")
    if now is None or now <= view.by.repeated or (view.settled and start is not None and now < 2 * start):
        return None
    return Remark(
        what=f"{100 * now:.0f} % of what a response says is said twice in it",
        evidence="share of repeated 4-grams of tokens"
        + (f", {100 * start:.0f} % at the start" if start is not None and view.settled else ""),
        cause="the judge may not mind",
        action="read samples; 4 makes the judge mark it down",
        key="6",
        command=f"rlaif-tui logs {view.course.name or 'RUN'}",
    )


def length_bought(view: View) -> Remark | None:
    """Longer responses that score higher for being longer."""
    steps = view.judged_alike
    first = max(0, len(steps) - view.by.look_back - view.by.recent)
    earlier, recent = steps[first : first + view.by.recent], steps[-view.by.recent :]
    now, then = mean(recent, "response_length"), mean(earlier, "response_length")
    score, before = mean(recent, "score_mean"), mean(earlier, "score_mean")
    if len(steps) < view.by.enough or not now or not then or score is None or before is None:
        return None
    within = mean(steps[-view.by.enough :], "length_score_corr")
    if (
        now <= (1 + view.by.longer) * then
        or score <= before
        or (within is not None and within <= view.by.length_bought)
    ):
        return None
    ago = len(steps) - first - view.by.recent
    tied = f"; within a step length and score correlate at {within:.2f}" if within is not None else ""
    return Remark(
        what=f"responses are {100 * (now / then - 1):.0f} % longer than {ago} steps ago while the score rises",
        evidence=f"{then:.0f} to {now:.0f} tokens, score {before:.2f} to {score:.2f}{tied}",
        cause="it may be learning length",
        action="read samples; J replaces the judge",
        key="6",
    )


def too_long(view: View) -> Remark | None:
    """Responses cut at the limit."""
    cut = view.now("truncated_rate")
    if cut is None or cut <= view.by.cut:
        return None
    limit = f" {view.limits.length_limit}" if view.limits.length_limit else ""
    return Remark(
        what=f"{100 * cut:.0f} % of the responses are cut at the limit{limit}",
        evidence=f"mean of {len(view.recent)} steps, over {100 * view.by.cut:g} %",
        cause="the limit is too low, or ending costs nothing",
        action="a new run may allow more tokens",
        key="2",
    )


def too_short(view: View) -> Remark | None:
    """Responses of a few tokens, or much shorter than at the start."""
    median = view.now("response_length_p50")
    now = median if median is not None else view.now("response_length")
    start = view.then("response_length_p50") if median is not None else view.then("response_length")
    limit = view.limits.length_limit
    if now is None or (limit is not None and limit < 2 * view.by.short_tokens):  # short answers are what was asked for
        return None
    shrunk = view.settled and start is not None and now < view.by.shrunk * start
    if now >= view.by.short_tokens and not shrunk:
        return None
    what = "half of the responses have under" if median is not None else "responses have"
    return Remark(
        what=f"{what} {now:.0f} tokens",
        evidence=f"mean of {len(view.recent)} steps" + (f", {start:.0f} at the start" if start is not None else ""),
        cause="template, judge or the penalty for being cut may want that",
        action="read samples before setting a minimum",
        key="6",
    )
