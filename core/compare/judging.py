"""Judging a comparison: every reply by itself, and every two replies to one prompt against each other in both orders.

Only what differs is asked about, and nothing twice: replies that read alike tie without a call, and a judge of single
replies decides pairs by the scores it has given already. No torch.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterable, Sequence

import msgspec

from ..judge.workbench.pairwise import Duel, PairJudge, duel
from ..types import Judge, JudgeFailure, JudgeRequest, JudgeResult, Verdict
from .bench import Bench, text_of
from .record import DuelDone, Reply, RowDone, duel_of, request_of

TellRow = Callable[[RowDone], object]
TellDuel = Callable[[DuelDone], object]


async def score_rows(bench: Bench, rows: Sequence[RowDone], tell: TellRow) -> list[RowDone]:
    """Every reply with a verdict or a failure; ``tell`` gets each prompt once all its replies have one."""
    scorer = bench.scorer
    if scorer is None:
        return list(rows)
    done = list(rows)
    gate = asyncio.Semaphore(bench.concurrency)

    async def some(chunk: Sequence[int]) -> None:
        asked = [(place, reply) for place in chunk for reply in rows[place].replies]
        async with gate:
            requests = [request_of(rows[place], reply) for place, reply in asked]
            results = await _asked(bench, scorer, requests)
        bench.known.update((text_of(request), result) for request, result in zip(requests, results, strict=True))
        found = iter(results)
        for place in chunk:
            done[place] = _with_results(rows[place], [next(found) for _ in rows[place].replies])
            tell(done[place])

    width = len(rows[0].replies) if rows else 1
    size = max(1, bench.batch // width)
    async with asyncio.TaskGroup() as group:
        for first in range(0, len(rows), size):
            group.create_task(some(range(first, min(first + size, len(rows)))))
    return done


async def _asked(bench: Bench, scorer: Judge, requests: list[JudgeRequest]) -> list[JudgeResult]:
    if bench.stopped:
        return [_unasked(bench) for _ in requests]
    try:
        results = await scorer.judge(requests)
    except Exception as error:  # noqa: BLE001  a judge's defect costs these replies, not the comparison
        message = f"the judge raised {type(error).__name__}: {error}"
        results = [_failure(bench, "exception", message) for _ in requests]
    for result in results:
        bench.heed(result)
    return results


def _unasked(bench: Bench) -> JudgeFailure:
    return _failure(bench, "cancelled", f"not asked any more: {bench.stopped}")


def _failure(bench: Bench, kind: str, message: str) -> JudgeFailure:
    return JudgeFailure(
        status="infra_error", treatment="mask", message=message, backend=bench.name, judge_version=bench.version,
        kind=kind, attempts=0,
    )  # fmt: skip


def _with_results(row: RowDone, results: Iterable[JudgeResult]) -> RowDone:
    replies: list[Reply] = []
    for reply, result in zip(row.replies, results, strict=True):
        if isinstance(result, Verdict):
            replies.append(msgspec.structs.replace(reply, verdict=result, failure=None))
        else:
            replies.append(msgspec.structs.replace(reply, verdict=None, failure=result))
    return msgspec.structs.replace(row, replies=tuple(replies))


async def fight(bench: Bench, rows: Sequence[RowDone], tell: TellDuel) -> None:
    """Every two replies to every prompt against each other, each as it is decided. Nothing is asked once the judge has
    stopped.
    """
    judge = bench.pairs
    if judge is None:
        return
    gate = asyncio.Semaphore(bench.concurrency)

    async def one(row: RowDone, left: int, right: int) -> None:
        async with gate:
            if bench.stopped:
                return
            tell(await _decided(bench, judge, row, left, right))

    async with asyncio.TaskGroup() as group:
        for row in rows:
            for left, right in itertools.combinations(range(len(row.replies)), 2):
                group.create_task(one(row, left, right))


async def _decided(bench: Bench, judge: PairJudge, row: RowDone, left: int, right: int) -> DuelDone:
    ours, other = row.replies[right], row.replies[left]
    if ours.text.strip() == other.text.strip():
        return DuelDone(row=row.row, left=left, right=right, first="tie", second="tie")
    request = request_of(row, ours)
    try:
        found = await duel(judge, request, other.text)
    except Exception as error:  # noqa: BLE001  as above
        failed = _failure(bench, "exception", f"the judge raised {type(error).__name__}: {error}")
        found = Duel(request, other.text, failed, failed)
    for said in (found.first, found.second):
        bench.heed(said)
    return duel_of(row, left, right, found)
