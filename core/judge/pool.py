"""A judge in a thread of its own, so that scoring goes on while the trainer generates and computes."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from ..types import Judge, JudgeFailure, JudgeRequest, JudgeResult


class JudgePool:
    """Runs ``judge`` on an event loop in a background thread, at most ``concurrency`` calls in flight."""

    def __init__(self, judge: Judge, concurrency: int) -> None:
        self.judge = judge
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

    async def _one(self, request: JudgeRequest) -> JudgeResult:
        if self._gate is None:
            self._gate = asyncio.Semaphore(self._concurrency)
        async with self._gate:
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
