"""What a look at the figures should worry about, each with what to do. Starting values, not laws. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from core.events import StepMetrics

from . import words
from .run_facts import RunFacts, cap
from .run_state import RunState
from .text import one_line
from .words import Health

LAST = 5
"""Steps whose mean is called "now"."""
ENOUGH = 20
"""Steps before anything is compared with the start."""
LOOK_BACK = 50
LONGER = 0.15
ENTROPY_LEFT = 0.5
CUT, CLIPPED, FAILED, SPENT = 0.3, 0.3, 0.05, 0.8
TOP_SCORE, TOP_SPREAD = 9.0, 0.7
CRITIC_STEPS = 10
FOOLED_SHARE, CANARIES_NEEDED = 0.05, 20

Figures = Sequence[StepMetrics]


def notices(state: RunState, facts: RunFacts) -> list[Health]:
    """Everything to know about a run now, the worst first; empty if it is well."""
    found: list[Health] = []
    standing = words.health(state)
    if state.lost or state.word in ("crashed", "paused", "stopped"):
        found.append(standing)
    reason = state.error if state.word == "crashed" else state.pause_reason  # said in ``standing``
    recent = [m for m in reversed(words.recent_warnings(state)) if not (found and reason and reason in m.text)]
    told = dict.fromkeys((m.severity, f"{one_line(m.text)} (step {m.step})") for m in recent)
    said = [Health(severity, text) for severity, text in told]
    said += concerns(state, facts) if state.word in ("starting", "running", "paused") else []
    if state.damaged:
        said.append(Health("warning", f"{state.damaged} damaged lines of the event log were passed over"))
    return found + sorted(said, key=lambda notice: notice.severity != "error")


def concerns(state: RunState, facts: RunFacts) -> list[Health]:
    """What the figures of the last steps say."""
    steps = [done.metrics for done in state.steps if not done.warmup]
    if not steps:
        return []
    found = [*_numbers(state, steps), *_policy(steps, facts), *_judge(steps), *_canaries(state), *_money(state, facts)]
    return sorted(found, key=lambda notice: notice.severity != "error")


def _numbers(state: RunState, steps: Figures) -> Iterator[Health]:
    last = steps[-1]
    if last.updates and last.policy_loss is None:
        at = state.last_checkpoint_step
        good = f"the last checkpoint is {at}" if at is not None else "there is no checkpoint yet"
        yield Health("error", f"the policy loss of step {state.step} is not a number; {good}. x stops, r resumes there")


def _policy(steps: Figures, facts: RunFacts) -> Iterator[Health]:
    recent = steps[-LAST:]
    target, kls = facts.kl_target, [m.kl_seq for m in recent]
    if target and len(kls) == LAST and all(kl is not None and kl > target for kl in kls):
        yield _warn(
            f"KL {kls[-1]:.1f} nats has been over its target {target:g} for {LAST} steps. t raises the KL price"
        )
    now, start = _mean(recent, "entropy"), _mean(steps[:LAST], "entropy")
    if len(steps) >= ENOUGH and now is not None and start and now < ENTROPY_LEFT * start:
        yield _warn(
            f"entropy fell from {start:.2f} to {now:.2f} nats: the responses become alike. "
            "t raises the KL price or lowers the learning rate"
        )
    yield from _length(steps, facts)
    clipped = _mean(recent, "clip_fraction")
    if clipped is not None and clipped > CLIPPED:
        yield _warn(f"clip fraction {clipped:.2f}: updates are too large. t lowers the learning rate")
    explained = [m.explained_variance for m in steps[-CRITIC_STEPS:]]
    if len(explained) == CRITIC_STEPS and all(value is not None and value < 0 for value in explained):
        yield _warn(f"the critic has been worse than a constant for {CRITIC_STEPS} steps. t sets its learning rate")


def _length(steps: Figures, facts: RunFacts) -> Iterator[Health]:
    recent = steps[-LAST:]
    first = max(0, len(steps) - LOOK_BACK - LAST)
    earlier = steps[first : first + LAST]
    now, then = _mean(recent, "response_length"), _mean(earlier, "response_length")
    score, before = _mean(recent, "score_mean"), _mean(earlier, "score_mean")
    if len(steps) >= ENOUGH and now and then and now > (1 + LONGER) * then and (score or 0) > (before or 0):
        yield _warn(
            f"responses are {100 * (now / then - 1):.0f} % longer than {len(steps) - first - LAST} steps "
            "ago while the score rises: it may be learning length. 6 shows samples; J replaces the judge"
        )
    cut = _mean(recent, "truncated_rate")
    if cut is not None and cut > CUT:
        limit = f" {facts.length_limit}" if facts.length_limit else ""
        yield _warn(f"{100 * cut:.0f} % of the responses are cut at the limit{limit}. A new run may allow more tokens")


def _judge(steps: Figures) -> Iterator[Health]:
    recent = steps[-LAST:]
    mean, spread = _mean(recent, "score_mean"), _mean(recent, "score_std")
    if len(recent) == LAST and mean is not None and spread is not None and mean > TOP_SCORE and spread < TOP_SPREAD:
        yield _warn(
            f"scores bunch at the top ({mean:.1f}, spread {spread:.1f}): the judge cannot tell responses apart. "
            "4 sharpens its prompt, J replaces it"
        )
    failed, rows = sum(m.failed for m in recent), sum(m.rows for m in recent)
    if rows and failed > FAILED * rows:
        yield _warn(f"{100 * failed / rows:.0f} % of the judgements fail. 4 tests the judge, l says why")


def _canaries(state: RunState) -> Iterator[Health]:
    last = state.canaries.last
    if last and last.seen >= CANARIES_NEEDED and last.fooled > FOOLED_SHARE * last.seen:
        yield _warn(f"{last.fooled} of {last.seen} known bad answers fooled the judge. 4 sharpens its prompt")


def _money(state: RunState, facts: RunFacts) -> Iterator[Health]:
    most = cap(state, facts)
    if most is not None and state.cost_usd >= SPENT * most:
        yield _warn(f"${state.cost_usd:.2f} of the judge's ${most:g} are spent: at the cap it pauses. t raises the cap")


def _warn(text: str) -> Health:
    return Health("warning", text)


def _mean(steps: Figures, name: str) -> float | None:
    known = [value for metrics in steps if (value := getattr(metrics, name)) is not None]
    return sum(known) / len(known) if known else None
