"""Rules on the judge: verdicts that fail or are off the scale, scores that tell nothing, a judge that is gamed."""

from __future__ import annotations

from .finding import Remark
from .view import View, mean

_OFF_SCALE = " is outside "
"""In the message of a verdict whose number is not on the judge's scale."""
_SHARP = "sharpen its prompt; J replaces it"


def scores_out_of_range(view: View) -> Remark | None:
    """The judge answers with numbers off its scale; they are never clamped, so those responses are lost."""
    off = [failed for failed in view.course.failures if view.is_recent(failed.step) and _OFF_SCALE in failed.message]
    rows = sum(metrics.rows + metrics.failed for metrics in view.recent)
    if not rows or len(off) <= view.by.failed * rows:
        return None
    return Remark(
        what=f"{len(off)} verdicts of the last {len(view.recent)} steps are off the judge's scale",
        evidence=f"of {rows} responses; they are left out and not clamped",
        cause="the judge's prompt does not say its scale clearly",
        action="say the scale in its prompt",
        key="4",
    )


def judge_failures(view: View) -> Remark | None:
    """Responses without a verdict."""
    failed = sum(metrics.failed for metrics in view.recent)
    asked = failed + sum(metrics.rows for metrics in view.recent)
    if not asked or failed <= view.by.failed * asked:
        return None
    badly = failed > view.by.failed_badly * asked
    return Remark(
        what=f"{100 * failed / asked:.0f} % of the judgements fail",
        evidence=f"{failed} in {len(view.recent)} steps; those responses are left out of training",
        cause="its server, its key or its prompt",
        action="test the judge; l says why each failed",
        key="4",
        command=f"rlaif-tui logs {view.course.name or 'RUN'}",
        severity="error" if badly else "warning",
    )


def judge_saturated(view: View) -> Remark | None:
    """Nearly all scores at the top: nothing left to learn from them."""
    recent = view.judged_alike[-view.by.recent :]
    score, spread = mean(recent, "score_mean"), mean(recent, "score_std")
    if len(recent) < view.by.recent or score is None or spread is None:
        return None
    if score <= view.by.top_score or spread >= view.by.top_spread:
        return None
    return Remark(
        what=f"scores bunch at the top ({score:.1f}, spread {spread:.1f})",
        evidence=f"mean over {len(recent)} steps",
        cause="the judge cannot tell responses apart",
        action=_SHARP,
        key="4",
    )


def judge_fooled(view: View) -> Remark | None:
    """Known bad answers that got a good score."""
    last = view.course.canaries[-1] if view.course.canaries else None
    if last is None or last.seen < view.by.canaries_needed or last.fooled <= view.by.fooled * last.seen:
        return None
    best = max((each for each in last.scores if each.score is not None), key=lambda each: each.score or 0, default=None)
    worst = f"; the last best was {best.name} with {best.score:g}" if best is not None else ""
    return Remark(
        what=f"{last.fooled} of {last.seen} known bad answers fooled the judge",
        evidence=f"more than {100 * view.by.fooled:g} % of them{worst}",
        cause="it can be gamed",
        action=_SHARP,
        key="4",
    )


def referee_drift(view: View) -> Remark | None:
    """The judge's scores rise and the referee's do not."""
    last, alarm = (view.course.referee[-1] if view.course.referee else None), view.limits.referee_alarm
    if last is None or not alarm or last.drift <= alarm / 2:
        return None
    return Remark(
        what=f"the judge has risen {last.drift:.1f} points further than the referee",
        evidence=f"summed over steps; at {alarm:g} the run pauses",
        cause="the model may be learning the judge, not the task",
        action="read the responses with the highest scores",
        key="6",
    )


def person_disagrees(view: View) -> Remark | None:
    """The judge no longer ranks responses as the person does."""
    seen = view.agreement
    if seen is None or not seen.alarm or seen.newest is None:
        return None
    return Remark(
        what=seen.alarm,
        evidence=seen.newest.words,
        cause="the judge may want something else than you",
        action="read where you differ; 4 sharpens the judge's prompt",
        key="6",
    )
