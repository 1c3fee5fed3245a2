"""Test scoring: what a judge makes of a set of responses, what it took, and how sure it is of itself."""

from __future__ import annotations

import asyncio
import math
import statistics
import time
from collections.abc import Callable, Sequence

from ...types import Judge, JudgeFailure, JudgeRequest, JudgeResult, Usage, Verdict
from .items import Item
from .samples import CERTAINTY, ScoredSample, ScoreReport, report_of

OnSample = Callable[[ScoredSample], object]


async def score_set(
    judge: Judge,
    items: Sequence[Item],
    *,
    concurrency: int = 8,
    repeats: int = 1,
    batch: int = 1,
    on_result: OnSample | None = None,
) -> ScoreReport:
    """Judge all ``items``, at most ``concurrency`` calls at a time; samples come in the order of ``items``.

    ``repeats`` above 1 asks that often for each response, for judges that do not repeat by themselves; ``batch``
    responses go into one call of the judge. After a fault that would meet every response (a bad key, the budget's end)
    no new one is asked. Cancelling leaves what ``on_result`` was given; ``report_of`` makes a report of it.
    """
    started = time.monotonic()
    done: dict[int, ScoredSample] = {}
    gate = asyncio.Semaphore(concurrency)
    stopped: list[str] = []

    async def some(start: int) -> None:
        async with gate:
            if stopped:
                return
            samples = await score_batch(judge, items[start : start + batch], repeats)
        for index, sample in enumerate(samples, start=start):
            done[index] = sample
            if sample.fatal or sample.status == "budget":
                stopped.append(sample.reason)
            if on_result is not None:
                on_result(sample)

    async with asyncio.TaskGroup() as group:
        for start in range(0, len(items), batch):
            group.create_task(some(start))
    samples = [done[index] for index in sorted(done)]
    seconds = time.monotonic() - started
    return report_of(judge, samples, n=len(items), seconds=seconds, stopped=stopped[0] if stopped else "")


async def score_batch(judge: Judge, items: Sequence[Item], repeats: int = 1) -> list[ScoredSample]:
    """Judge some responses ``repeats`` times. A score is the mean; a response that failed once has none."""
    requests = [item.request for item in items]
    rounds = [await _asked(judge, requests) for _ in range(repeats)]
    return [sample_of(item, results) for item, *results in zip(items, *rounds, strict=True)]


async def _asked(judge: Judge, requests: list[JudgeRequest]) -> list[JudgeResult]:
    try:
        return await judge.judge(requests)
    except Exception as error:  # noqa: BLE001  a judge's bug costs these samples, not the whole set
        failure = JudgeFailure(
            status="infra_error",
            treatment="mask",
            message=f"the judge raised {type(error).__name__}: {error}",
            backend=judge.name,
            judge_version=judge.version,
            kind="exception",
        )
        return [failure] * len(requests)


def sample_of(item: Item, results: Sequence[JudgeResult]) -> ScoredSample:
    """One sample of all results for one response."""
    verdicts = [r for r in results if isinstance(r, Verdict)]
    failure = next((r for r in results if isinstance(r, JudgeFailure)), None)
    last = failure or results[-1]
    scores = verdicts[0].repeat_scores if len(verdicts) == 1 else tuple(v.score for v in verdicts)
    spread = statistics.stdev(scores) if len(scores) > 1 else None
    ok = failure is None
    return ScoredSample(
        id=item.id,
        prompt=item.prompt,
        response=item.request.response,
        role=item.role,
        score=statistics.fmean(v.score for v in verdicts) if ok else None,
        reward=statistics.fmean(v.reward for v in verdicts) if ok else -1.0 if _floors(failure) else None,
        spread=verdicts[0].spread if ok and spread is None else spread if ok else None,
        reason=failure.message if failure else verdicts[0].reason,
        status=failure.status if failure else "ok",
        kind=failure.kind if failure else "",
        fatal=failure.fatal if failure else False,
        repeat_scores=scores if ok else (),
        latency_s=max(r.latency_s for r in results),
        cached=ok and all(v.cached for v in verdicts),
        requests=sum(r.requests for r in results),
        cost_usd=math.fsum(r.cost_usd for r in results),
        cost_source=min((r.cost_source for r in results), key=CERTAINTY.index),
        usage=sum((r.usage for r in results if r.usage is not None), Usage()),
        flags=last.flags,
    )


def _floors(failure: JudgeFailure | None) -> bool:
    """Whether training gives this failure -1 rather than leaving the response out."""
    return failure is not None and failure.treatment == "floor"
