"""A judge in a thread of its own, so that scoring goes on while the trainer generates and computes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Protocol

from ..types import Judge, JudgeFailure, JudgeRequest, JudgeResult

if TYPE_CHECKING:
    from .transport import LinkState


class Pool(Protocol):
    """How a trainer asks a judge, wherever the judge runs."""

    judge: Judge
    waiting_peak: int
    """Most responses that were waiting or being judged at once since it was last set to 0."""

    def submit(self, request: JudgeRequest, done: Callable[[JudgeResult], None] | None = None) -> Future[JudgeResult]:
        """Start judging one response; the future never raises for a bad sample."""
        ...

    def flush(self) -> None:
        """Nothing more is coming for now: a judge that needs the caller's thread does its work here."""
        ...

    def link(self) -> LinkState | None:
        """How the connection to the judge's server stands; None where there is none."""
        ...

    def reset(self) -> None:
        """Somebody may have mended what was wrong: forget fatal errors, try an interrupted server at once."""
        ...

    def close(self) -> None: ...


class JudgePool:
    """Runs ``judge`` on an event loop in a background thread, at most ``concurrency`` responses at once."""

    def __init__(self, judge: Judge, concurrency: int) -> None:
        self.judge = judge
        self.waiting_peak = 0
        self._waiting = 0
        self._concurrency = concurrency
        self._loop = asyncio.new_event_loop()
        self._gate: asyncio.Semaphore | None = None
        self._thread = threading.Thread(target=self._run, name="judge", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def submit(self, request: JudgeRequest, done: Callable[[JudgeResult], None] | None = None) -> Future[JudgeResult]:
        """Start judging one response; the future never raises for a bad sample."""
        future = asyncio.run_coroutine_threadsafe(self._one(request), self._loop)
        if done is not None:
            future.add_done_callback(lambda f: None if f.cancelled() else done(f.result()))
        return future

    def flush(self) -> None:
        """Everything is under way already."""

    def link(self) -> LinkState | None:
        """How the connection to the judge's server stands; None where there is none."""
        return getattr(self.judge, "link", None)

    def reset(self) -> None:
        """Forget fatal errors, try an interrupted server at once."""
        if (reset := getattr(self.judge, "reset", None)) is not None:
            self._loop.call_soon_threadsafe(reset)

    async def _one(self, request: JudgeRequest) -> JudgeResult:
        if self._gate is None:
            self._gate = asyncio.Semaphore(self._concurrency)
        self._waiting += 1
        self.waiting_peak = max(self.waiting_peak, self._waiting)
        try:
            async with self._gate:
                return await self._judged(request)
        finally:
            self._waiting -= 1

    async def _judged(self, request: JudgeRequest) -> JudgeResult:
        started = time.monotonic()
        try:
            (result,) = await self.judge.judge([request])
        except Exception as error:  # noqa: BLE001  a judge's bug must cost one sample, not the run
            return JudgeFailure(
                status="infra_error",
                treatment="mask",
                kind="exception",
                message=f"the judge raised {type(error).__name__}: {error}",
                backend=self.judge.name,
                judge_version=self.judge.version,
                latency_s=time.monotonic() - started,
            )
        return result

    def close(self) -> None:
        """Cancel what is in flight and end the thread."""
        if not self._thread.is_alive():
            return
        asyncio.run_coroutine_threadsafe(self._shutdown(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        self._loop.close()

    async def _shutdown(self) -> None:
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.judge.close()
