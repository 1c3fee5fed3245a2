"""An event loop whose clock jumps: where only timers are left to wait for, the next one is due at once.

An hour of ``asyncio.sleep`` costs nothing. Work in threads (``asyncio.to_thread``) takes no virtual time; sockets are
looked at but never waited for.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Selector(selectors.DefaultSelector):
    """Never sleeps for a timer: it puts the loop's clock forward instead."""

    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if self.loop.threads and timeout != 0:
            return super().select(None)  # a thread at work wakes the loop itself
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("every task waits and no timer is set: nothing can ever happen again")
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Starts at second 1000, so that code which takes 0 for "never" is seen."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.threads = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)

    def time(self) -> float:
        return self.now

    def run_in_executor(self, executor: Any, func: Any, *args: Any) -> Any:  # type: ignore[override]
        future = super().run_in_executor(executor, func, *args)
        self.threads += 1
        future.add_done_callback(self._thread_done)
        return future

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        self.threads += 1  # it waits for a thread of its own
        await super().shutdown_default_executor()
        self.threads -= 1

    def _thread_done(self, _: object) -> None:
        self.threads -= 1


def run(coroutine: Coroutine[Any, Any, T]) -> tuple[T, float]:
    """What the coroutine returns, and the virtual seconds it took. Raises ``RuntimeError`` where it can never end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        began = loop.time()
        result = runner.run(coroutine)
        return result, loop.time() - began
