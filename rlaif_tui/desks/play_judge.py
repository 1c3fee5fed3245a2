"""Both replies scored by the judge that scores the run now, at the run's own cap. Everything here blocks."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec

from core.errors import JudgeError
from core.play.protocol import SIDES
from core.run_dir import RunDir
from core.types import JudgeRequest, JudgeResult, Verdict

from .play_state import Exchange

if TYPE_CHECKING:
    from core.judge.hosted import HostedJudge
    from core.judge.spec import JudgeSpec
    from core.types import Judge

LEDGER = "play-ledger.jsonl"
"""An account of its own beside the run's, whose only writer is the worker; the cap counts both."""


class Scorer:
    """Keeps a judge with a model of its own loaded from one score to the next."""

    def __init__(self) -> None:
        self._hosted: HostedJudge | None = None

    def score(self, run: RunDir, exchange: Exchange, spent_usd: float, cap_usd: float | None) -> Exchange:
        """The exchange with scores, or with the reasons why there are none.

        ``spent_usd``: by the run's worker. ``cap_usd``: as it is set now, None as it was configured. Raises
        ``RlaifError`` or ``OSError`` where the judge cannot be asked at all.
        """
        from core.config_file import load_config

        from .judge_files import of_run
        from .judge_work import spec_of

        config, spec = load_config(run.config), spec_of(of_run(run))
        if spec.backend == "self":  # whose weights judge is part of the version
            spec = spec.model_copy(update={"model": config.model.id})
        cap = config.judge.cap_usd if cap_usd is None else cap_usd
        requests = [_request(exchange, exchange.reply(side).text, exchange.reply(side).finish) for side in SIDES]
        if spec.backend in ("local", "self"):
            name, results = self._by_model(spec, requests)
        else:
            left = max(0.0, cap - spent_usd) if cap else None
            name, results = _by_asking(run, spec, requests, left, config.judge.cap_calls or None, config.run.seed)
        for side, result in zip(SIDES, results, strict=True):
            reply = exchange.reply(side)
            exchange = exchange.having(side, msgspec.structs.replace(reply, **_said(result)))
        return msgspec.structs.replace(exchange, judge=name)

    def close(self) -> None:
        """End the judge's process."""
        hosted, self._hosted = self._hosted, None
        if hosted is not None:
            asyncio.run(hosted.close())

    def _by_model(self, spec: JudgeSpec, requests: list[JudgeRequest]) -> tuple[str, list[JudgeResult]]:
        from core.judge.hosted import HostedJudge

        if self._hosted is not None and self._hosted.spec != spec:
            self.close()
        if self._hosted is None:
            self._hosted = HostedJudge(spec)
        self._hosted.reset()
        return f"{spec.name} {self._hosted.version}", asyncio.run(self._hosted.judge(requests))


def _by_asking(
    run: RunDir, spec: JudgeSpec, requests: list[JudgeRequest], left_usd: float | None, calls: int | None, seed: int
) -> tuple[str, list[JudgeResult]]:
    from core.judge.ledger import Ledger
    from core.judge.open import open_judge

    async def ask(judge: Judge) -> list[JudgeResult]:
        try:
            return await judge.judge(requests)
        finally:
            await judge.close()

    ledger = Ledger(run.judges / LEDGER, cap_usd=left_usd, cap_calls=calls) if spec.backend != "rubric" else None
    try:
        judge = open_judge(spec, ledger=ledger, seed=seed)
        return f"{spec.name} {judge.version}", asyncio.run(ask(judge))
    finally:
        if ledger is not None:
            ledger.close()


def _request(exchange: Exchange, response: str, finish: str | None) -> JudgeRequest:
    if finish is None:
        raise JudgeError("the replies are not complete yet")
    system = next((m.content for m in exchange.messages if m.role == "system"), None)
    return JudgeRequest(
        task=exchange.prompt.text, response=response, truncated=finish != "stop", system=system,
    )  # fmt: skip


def _said(result: JudgeResult) -> dict[str, object]:
    if isinstance(result, Verdict):
        return {"score": result.score, "reason": result.reason or "no reason given"}
    return {"score": None, "reason": f"no verdict ({result.status}): {result.message}"}
