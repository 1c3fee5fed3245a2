"""A run as lines of text, for pipes, dumb terminals and screen readers: no colour, no cursor movement, no rewriting.

One line a step, a few samples now and then, everything noteworthy as a line of its own, and the verdict at the end.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TextIO

from core.events import RunStarted, Sample, StepCompleted, ValidationCompleted
from core.run_dir import RunDir

from .feed import RunFeed, log_tail
from .run_state import Message, RunState
from .sentences import number
from .text import one_line, safe
from .words import span

POLL_S = 0.25
STEPS_BETWEEN_SAMPLES = 10
STEPS_CAUGHT_UP = 10
"""Steps shown of what happened before one looked."""
LONGEST_TEXT = 400
ENDED = ("completed", "stopped", "crashed")
_LOG_LINES = 5


def follow(run: RunDir, reference: str, stream: TextIO) -> RunState:
    """Write lines until the run's worker has ended; returns its last state. Ctrl-C raises and leaves the run alone.

    ``reference`` is what a person types to mean this run.
    """
    feed, lines = RunFeed(run), Lines()
    while True:
        state = feed.poll()
        for line in lines.of(state):
            write(stream, line)
        if state.word in ENDED:
            for line in closing(run, reference, state):
                write(stream, line)
            return state
        time.sleep(POLL_S)


def write(stream: TextIO, line: str) -> None:
    """One line, with everything that a terminal could obey made visible."""
    stream.write(safe(line) + "\n")
    stream.flush()


class Lines:
    """Remembers what has been said of a run, so that each state gives only what is new."""

    def __init__(self) -> None:
        self._step: int | None = None
        self._started: RunStarted | None = None
        self._message: Message | None = None
        self._samples_step = 0

    def of(self, state: RunState) -> Iterator[str]:
        """What is new in ``state``, in the order in which it happened."""
        moments = [(m.time, 0, _message(m)) for m in self._new_messages(state) if m.text]
        moments += [(event.time, 1, step_line(event, state)) for event in self._new_steps(state)]
        yield from (line for _, _, line in sorted(moments, key=lambda moment: moment[:2]))
        if self._samples_are_due(state):
            self._samples_step = state.samples_step
            yield from samples(state.samples)

    def _new_steps(self, state: RunState) -> list[StepCompleted]:
        if self._step is None:
            self._step = max(0, state.step - STEPS_CAUGHT_UP)
        if state.started is not self._started:  # a resumed run goes back to its checkpoint
            self._started, self._step = state.started, min(self._step, state.resumed_from or self._step)
        self._step = min(self._step, state.step)  # and so does a rolled back one
        since = self._step
        new = [event for event in state.steps if event.step > since]
        self._step = state.step
        return new

    def _new_messages(self, state: RunState) -> Sequence[Message]:
        known = next((i for i, m in enumerate(state.messages) if m is self._message), -1)
        new = state.messages[known + 1 :]
        self._message = state.messages[-1] if state.messages else None
        return new

    def _samples_are_due(self, state: RunState) -> bool:
        if not state.samples or state.samples_step > state.step:
            return False
        since = state.samples_step - self._samples_step
        return since >= STEPS_BETWEEN_SAMPLES or (self._samples_step == 0 and since > 0)


def step_line(event: StepCompleted, state: RunState) -> str:
    """The figures of one step: score (0-10), KL (nats a response), losses, tokens/s, time left, cost."""
    m = event.metrics
    eta = span(state.eta_seconds if event.step == state.step < state.total_steps else None)
    width = len(str(state.total_steps))
    return (
        f"{clock(event.time)} step {event.step:>{width}}/{state.total_steps}  score {number(m.score_mean)}"
        f"  KL {number(m.kl_seq)}  policy {number(m.policy_loss, '+.4f')}  value {number(m.value_loss, '.4f')}"
        f"  {number(m.tokens_per_s, '.0f')} tok/s  ETA {eta}  ${event.cost_total_usd:.2f}"
        + ("  critic only" if event.warmup else "")
        + (f"  {m.failed} of {m.rows} not judged" if m.failed else "")
    )


def samples(shown: Sequence[Sample]) -> Iterator[str]:
    """The best and the worst scored of some responses."""
    scored = sorted((s for s in shown if s.score is not None), key=lambda s: s.score or 0.0)
    for sample in dict.fromkeys((scored[-1], scored[0]) if scored else shown[:1]):
        yield f"    prompt   {cut(sample.prompt)}"
        yield f"    response {cut(sample.response)}"
        yield f"    score    {number(sample.score, '.1f')}: {cut(sample.reason)}"


def closing(run: RunDir, reference: str, state: RunState) -> Iterator[str]:
    """How a run ended: the verdict on held-out prompts, or why it crashed, and what to do next."""
    if state.word == "crashed":
        yield f"crashed after step {state.step}: {cut(state.error) or 'the worker is gone without a word'}"
        yield from (f"    {line}" for line in log_tail(run.log, _LOG_LINES))
        saved = state.last_checkpoint_step
        where = "begin again" if saved is None else f"go on from the checkpoint of step {saved}"
        yield f"{where}: rlaif-tui resume {reference}"
        return
    yield from before_after(state.validations)
    yield from verdict(state.validations)
    seconds = f" in {span(state.seconds)}" if state.seconds is not None else ""
    yield f"{run.name}: {state.word} after {state.step} of {state.total_steps} steps{seconds}; {run.path}"
    if state.word == "stopped":
        yield f"go on: rlaif-tui resume {reference}"


def verdict(validations: Sequence[ValidationCompleted]) -> Iterator[str]:
    """Before, after, the paired difference and what its confidence interval says, in words."""
    if not validations:
        return
    first, last = validations[0], validations[-1]
    if len(validations) < 2 or last.difference is None or last.ci95 is None:
        yield f"held-out judge score: {number(first.mean)} on {first.n} prompts (0-10); nothing to compare it with yet"
        return
    low, high = last.ci95
    words = "better" if low > 0 else "worse" if high < 0 else f"no difference that {last.n} prompts can show"
    yield (
        f"held-out judge score (0-10, {last.n} prompts): {number(first.mean)} before, {number(last.mean)} after; "
        f"difference {last.difference:+.2f}, 95% CI [{low:+.2f}, {high:+.2f}]: {words}"
    )


def before_after(validations: Sequence[ValidationCompleted], count: int = 3) -> Iterator[str]:
    """Some held-out prompts with the response before and after training."""
    if len(validations) < 2:
        return
    after = {sample.prompt: sample for sample in validations[-1].samples}
    pairs = [(old, after[old.prompt]) for old in validations[0].samples if old.prompt in after]
    for old, new in pairs[:count]:
        yield f"    prompt {cut(old.prompt)}"
        yield f"    before {number(old.score, '.1f')}  {cut(old.response)}"
        yield f"    after  {number(new.score, '.1f')}  {cut(new.response)}"


def clock(seconds: float) -> str:
    """Local time of day."""
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def cut(text: str) -> str:
    """The text on one line, at most ``LONGEST_TEXT`` characters."""
    flat = one_line(text)
    return flat if len(flat) <= LONGEST_TEXT else flat[: LONGEST_TEXT - 1] + "…"


def _message(message: Message) -> str:
    label = "" if message.severity == "info" else f"{message.severity}: "
    return f"{clock(message.time)} {label}{one_line(message.text)}"
