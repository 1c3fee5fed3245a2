"""The judges of a comparison: one that scores replies, and one that says which of two is better. No torch."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import msgspec

from ..config import RunConfig
from ..config_file import load_config
from ..errors import JudgeError
from ..history import read_history
from ..judge.ledger import Ledger
from ..judge.open import API_BACKENDS, open_judge, open_spec
from ..judge.outcome import PairAnswer
from ..judge.resolve import template_of
from ..judge.rubric import check_weights
from ..judge.spec import JudgeSpec
from ..judge.workbench.pairwise import PairJudge, ScoredPairJudge
from ..run_dir import RunDir
from ..run_judges import judge_in, usable
from ..types import Judge, JudgeFailure, JudgeRequest, JudgeResult, Verdict
from .job import Job

PAIR_BACKENDS = frozenset({"chat_json", "chat_logprobs"})
"""They can be shown two replies at once and answer which is better."""
HOSTED_BACKENDS = frozenset({"local", "self"})
Text = tuple[str, str, str | None, str | None]
"""Task, response, reference and system prompt of what was scored."""


@dataclass
class Bench:
    """The judges of a comparison, opened."""

    ledger: Ledger
    name: str
    version: str
    scorer: Judge | None = None
    """None where the only judge there is compares two replies and scores none."""
    pairs: PairJudge | None = None
    pair_name: str = ""
    pair_version: str = ""
    concurrency: int = 8
    batch: int = 1
    """Replies that one call of the scorer takes."""
    stopped: str = ""
    """Why nothing more is asked; empty while the judge goes on."""
    known: dict[Text, JudgeResult] = field(default_factory=dict)
    """What the scorer said of each text, so that no pair makes it say so again."""
    _open: list[Judge] = field(default_factory=list)

    async def close(self) -> None:
        """End connections and processes of the judges."""
        for judge in self._open:
            with contextlib.suppress(JudgeError, OSError):
                await judge.close()

    def heed(self, result: object) -> None:
        """Take note of a failure that would meet every further question too."""
        if isinstance(result, JudgeFailure) and (result.fatal or result.status == "budget"):
            self.stopped = self.stopped or result.message


def open_bench(job: Job, home: RunDir | None) -> Bench:
    """The judges of a job. Raises ``JudgeError`` with one sentence if there is none that can be asked."""
    config = load_config(home.config) if home else RunConfig()
    spec = _spec(job, home, config)
    cap = job.cap_usd if job.cap_usd is not None else (config.judge.cap_usd or None)
    ledger = Ledger(None, cap_usd=cap)
    judge = _opened(spec, config, ledger)
    bench = Bench(
        ledger=ledger,
        name=_called(spec),
        version=judge.version,
        concurrency=spec.limits.concurrency if spec.backend in API_BACKENDS else 1,
        batch=spec.batch_size if spec.backend in HOSTED_BACKENDS else 1,
        _open=[judge],
    )
    if not _compares_only(spec):
        bench.scorer = judge
    elif home is not None and not _compares_only(own := _of_run(home, config)):
        bench.scorer = _opened(own, config, ledger)
        bench.name, bench.version = _called(own), bench.scorer.version
        bench._open.append(bench.scorer)
    if job.pairs:
        _add_pairs(bench, spec, judge)
    elif bench.scorer is None:
        raise JudgeError(f"judge '{spec.name}' compares two responses and scores none; it needs pairs to be judged")
    return bench


def _add_pairs(bench: Bench, spec: JudgeSpec, judge: Judge) -> None:
    asks = getattr(judge, "compare", None)
    if spec.backend in PAIR_BACKENDS and asks is not None:
        bench.pairs = _Asking(asks)
        bench.pair_name = f"{_called(spec)} is shown two replies, in both orders"
    else:
        assert bench.scorer is not None
        known = _Remembering(bench.scorer, bench.known)
        if spec.backend == "rubric":
            weights = check_weights(spec.weights)
            bench.pairs = ScoredPairJudge(known, lambda verdict: _before_caps(verdict, weights))
            then = ", at equal scores the better mean of criteria"
        else:
            bench.pairs, then = ScoredPairJudge(known), ""
        bench.pair_name = f"{_called(spec)} scores each reply blind, the higher score wins{then}"
    bench.pair_version = judge.version


def _before_caps(verdict: Verdict, weights: Mapping[str, float]) -> float:
    """The rubric's mean of criteria as it was before caps made bad replies equally bad: of two that miss the question
    one may still be whole and polite.
    """
    return round(sum(weights[name] * mark for name, mark in verdict.criteria.items()) / sum(weights.values()), 6)


def _spec(job: Job, home: RunDir | None, config: RunConfig) -> JudgeSpec:
    if job.judge:
        return usable(open_spec(job.judge), f"judge '{job.judge}'")
    if home is None:
        raise JudgeError("no run takes part whose judge could be asked; name one with --judge")
    return _of_run(home, config)


def _of_run(run: RunDir, config: RunConfig) -> JudgeSpec:
    """The judge in force, which may have replaced the first one."""
    replaced = read_history(run).timeline.judges
    spec = judge_in(run, config, replaced[-1].version if replaced else "")
    # A judge of the policy's own start needs the name of that start to be one in another process.
    return spec.model_copy(update={"model": config.model.id}) if spec.backend == "self" else spec


def _opened(spec: JudgeSpec, config: RunConfig, ledger: Ledger) -> Judge:
    return open_judge(spec, cache=config.judge.cache, ledger=ledger, seed=config.run.seed)


def _called(spec: JudgeSpec) -> str:
    return spec.name if spec.name == spec.backend else f"{spec.name} ({spec.model or spec.backend})"


def _compares_only(spec: JudgeSpec) -> bool:
    return spec.backend in PAIR_BACKENDS and template_of(spec).is_pair


class _Asking:
    """A judge that is shown both replies. Neither is marked as cut off, or one place would be favoured."""

    def __init__(self, ask: Callable[[JudgeRequest, str], object]) -> None:
        self._ask = ask

    async def compare(self, request: JudgeRequest, other_response: str) -> PairAnswer | JudgeFailure:
        plain = msgspec.structs.replace(request, truncated=False)
        answer: PairAnswer | JudgeFailure = await self._ask(plain, other_response)  # type: ignore[misc]
        return answer


class _Remembering:
    """The scorer, without asking it again about a text that it has scored, as cut off or not as that was."""

    def __init__(self, judge: Judge, known: dict[Text, JudgeResult]) -> None:
        self._judge, self._known = judge, known

    @property
    def name(self) -> str:
        return self._judge.name

    @property
    def version(self) -> str:
        return self._judge.version

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        new = [request for request in requests if text_of(request) not in self._known]
        for request, result in zip(new, await self._judge.judge(new) if new else [], strict=True):
            self._known[text_of(request)] = result
        # What it cost is told with the score.
        return [msgspec.structs.replace(self._known[text_of(request)], cost_usd=0.0) for request in requests]

    async def close(self) -> None:
        return


def text_of(request: JudgeRequest) -> Text:
    """What names a scored text; whether it was cut off does not."""
    return request.task, request.response, request.reference, request.system
