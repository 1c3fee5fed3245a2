"""Blocking work beside the event loop, in threads that never keep the process alive."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

if TYPE_CHECKING:
    from textual.dom import DOMNode
    from textual.worker import Worker

P = ParamSpec("P")
T = TypeVar("T")


async def in_background(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of ``work(...)``, or its exception.

    ``asyncio.to_thread`` would make the exit of the app wait for a read from a dead file system or a worker that is
    slow to start; a daemon thread is left behind instead.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: Exception | None) -> None:
        if future.cancelled():
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result, error = None, None
        try:
            result = work(*args, **kwargs)
        except Exception as caught:  # noqa: BLE001 it is raised again where the result is awaited
            error = caught
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="background", daemon=True).start()
    return await future


def begin(node: DOMNode, work: Callable[[], Coroutine[Any, Any, Any]], *, group: str = "", fatal: bool = False) -> None:
    """Do this beside the message loop of a widget, screen or app, and end with it; of a group only the newest goes on.

    A function and not a coroutine, because Python complains about a coroutine that was cancelled before it began.
    """

    async def run() -> None:
        await work()

    _: Worker[None] = node.run_worker(run, group=group or "default", exclusive=bool(group), exit_on_error=fatal)
