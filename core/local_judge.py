"""Judges that are models of this process: the expected score over label tokens, read after one pass over the prompt.

``LocalJudge`` loads a model of its own. ``SelfJudge`` asks the policy's frozen start (arXiv:2309.00267, section 4: a
model can be improved by its own judgement); it holds no weights. ``InlinePool`` runs either in the trainer's thread,
between sampling and update, because a model cannot be read while another thread switches its adapters.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING

import torch
from torch import nn

from .config import ModelConfig
from .errors import JudgeError, ModelError
from .judge.asking import make_question
from .judge.endpoint import CallError
from .judge.hosted import name_of
from .judge.outcome import Answer, Bill, failure, result_of
from .judge.question import Question
from .judge.reading import Reading, Unreadable, expected
from .judge.spec import JudgeSpec
from .judge.spec_file import version_of_spec
from .judge.template import LABELS
from .labels import LabelReader, check_template, encode_chat, label_ids
from .model import Tokenizer, load_base, load_tokenizer, max_positions
from .policy import Policy
from .types import Judge, JudgeRequest, JudgeResult

if TYPE_CHECKING:
    from .judge.link import LinkState

NO_SECRET = b""
"""A label echoes no id, so the id need not be hidden; a constant one makes scores the same on every machine."""
Outcome = Reading | Unreadable | CallError
PROBE = JudgeRequest(task="a task", response="a response")


class LabelJudge:
    """Asks one causal LM for one label per response. Deterministic, so ``repeats`` of the judge file have no effect.

    ``borrow`` gives the model for the length of one batch. Raises ``JudgeError`` if a label is no single token or the
    judge file has no prompt.
    """

    def __init__(
        self,
        spec: JudgeSpec,
        tokenizer: Tokenizer,
        borrow: Callable[[], contextlib.AbstractContextManager[nn.Module]],
        *,
        positions: int,
    ) -> None:
        self.spec = spec
        self._tokenizer = tokenizer
        self._borrow = borrow
        self._positions = positions
        self._version = version_of_spec(spec)
        probe = make_question(spec, PROBE, NO_SECRET)
        check_template(tokenizer, [m.role for m in probe.messages])
        labels = label_ids(tokenizer, LABELS[: len(probe.levels)])
        self._reader = LabelReader(labels, pad_id=tokenizer.pad_id, batch_size=spec.batch_size)

    @property
    def name(self) -> str:
        """``backend:model``, such as ``local:zephyr-7b-beta``; of a local folder its name alone."""
        return name_of(self.spec)

    @property
    def version(self) -> str:
        return self._version

    def judge_batch(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        """One result per request, in order; a bad sample is a ``JudgeFailure``, never an exception."""
        try:
            return self._judge_all(requests)
        except Exception as error:  # noqa: BLE001  a defect here must cost a batch its scores, not the run
            message = f"the judge raised {type(error).__name__}: {error}"
            return [failure(self, "infra_error", message, kind="exception") for _ in requests]

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        """The same for a caller with an event loop, which stands still meanwhile."""
        return self.judge_batch(requests)

    async def close(self) -> None:
        return

    def _judge_all(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        began = time.monotonic()
        results: dict[int, JudgeResult] = {}
        asked: dict[int, tuple[Question, tuple[int, ...]]] = {}
        for row, request in enumerate(requests):
            if not request.response.strip():
                results[row] = failure(self, "skipped_empty", "the response is empty", treatment="floor", kind="empty")
                continue
            try:
                question = make_question(self.spec, request, NO_SECRET)
                ids = encode_chat(self._tokenizer, question.messages)
            except JudgeError as error:
                results[row] = failure(self, "infra_error", str(error), kind="exception", fatal=True)
                continue
            asked[row] = (question, ids)
        outcomes = self._outcomes(asked)
        seconds = (time.monotonic() - began) / max(1, len(asked))  # a row's share: they were read together
        for row, outcome in outcomes.items():
            answers = [Answer(outcome, Bill(), attempts=1)]
            results[row] = result_of(self, asked[row][0], answers, requests[row], latency_s=seconds)
        return [results[row] for row in range(len(requests))]

    def _outcomes(self, asked: dict[int, tuple[Question, tuple[int, ...]]]) -> dict[int, Outcome]:
        lengths = {row: len(ids) for row, (_, ids) in asked.items()}
        rows = [row for row, length in lengths.items() if length <= self._positions]
        outcomes: dict[int, Outcome] = {
            row: CallError("too_long", self._too_long(length))
            for row, length in lengths.items()
            if length > self._positions
        }
        if not rows:
            return outcomes
        with self._borrow() as model:
            found = self._reader.read(model, [asked[row][1] for row in rows])
        for row, probabilities in zip(rows, found, strict=True):
            if probabilities is None:
                message = f"memory runs out on this prompt of {lengths[row]} tokens alone; take a smaller judge"
                outcomes[row] = CallError("too_long", message)
            else:
                levels = [level.score for level in asked[row][0].levels]
                outcomes[row] = expected(dict(zip(levels, probabilities, strict=True)))
        return outcomes

    def _too_long(self, length: int) -> str:
        return (
            f"the judge's prompt has {length} tokens and its model reads {self._positions}; shorten the prompt of "
            f"judge '{self.spec.name}' or rollout.max_new_tokens, or take a model that reads more"
        )


class LocalJudge(LabelJudge):
    """A judge with a model of its own."""

    @classmethod
    def load(cls, spec: JudgeSpec) -> LocalJudge:
        """Load the judge file's model, frozen. Raises ``JudgeError`` with one sentence if it cannot judge here."""
        if not spec.model:
            raise JudgeError(f"judge '{spec.name}': backend = '{spec.backend}' needs a model, an id or a folder")
        if spec.device == "cuda" and not torch.cuda.is_available():
            raise JudgeError(f"judge '{spec.name}': device = 'cuda', but torch sees no GPU here; use 'auto' or 'cpu'")
        on_gpu = spec.device != "cpu" and torch.cuda.is_available()
        config = ModelConfig(id=spec.model, dtype=spec.dtype, device=spec.device)
        try:
            tokenizer = load_tokenizer(config)
            model = load_base(config, torch.device("cuda", torch.cuda.current_device()) if on_gpu else _CPU)
        except ModelError as error:
            raise JudgeError(f"judge '{spec.name}': {error}") from error
        model.requires_grad_(False).eval()
        return cls(spec, tokenizer, lambda: contextlib.nullcontext(model), positions=max_positions(model))


class SelfJudge(LabelJudge):
    """The policy's frozen start as judge of what the policy has become: no second copy of any weight."""

    def __init__(self, policy: Policy, spec: JudgeSpec) -> None:
        super().__init__(spec, policy.tokenizer, policy.frozen, positions=policy.positions)


class InlinePool:
    """Stands in for ``JudgePool`` where the judge must run in the caller's thread: ``flush`` judges what waits."""

    def __init__(self, judge: LabelJudge) -> None:
        self.judge: Judge = judge
        self.waiting_peak = 0
        self._judge = judge
        self._waiting: list[tuple[JudgeRequest, Future[JudgeResult]]] = []

    def submit(self, request: JudgeRequest, done: Callable[[JudgeResult], None] | None = None) -> Future[JudgeResult]:
        """Queue one response; its future is resolved by the next ``flush`` and never raises for a bad sample."""
        future: Future[JudgeResult] = Future()
        if done is not None:
            future.add_done_callback(lambda f: None if f.cancelled() else done(f.result()))
        self._waiting.append((request, future))
        self.waiting_peak = max(self.waiting_peak, len(self._waiting))
        return future

    def flush(self) -> None:
        """Judge everything queued, here and now, and resolve the futures in order; cancelled ones are skipped."""
        waiting, self._waiting = self._waiting, []
        live = [(request, future) for request, future in waiting if future.set_running_or_notify_cancel()]
        if not live:
            return
        for (_, future), result in zip(live, self._judge.judge_batch([request for request, _ in live]), strict=True):
            future.set_result(result)

    def link(self) -> LinkState | None:
        """None: there is no server."""
        return None

    def reset(self) -> None:
        """Nothing here can be down."""

    def close(self) -> None:
        """Cancel what waits."""
        waiting, self._waiting = self._waiting, []
        for _, future in waiting:
            future.cancel()


_CPU = torch.device("cpu")
