"""When an app has done what it was asked: for Textual's pilot, in place of its look at the processor's load.

Textual's own ``wait_for_idle`` calls an app idle that got no processor for 20 ms. On a busy machine that is any app, at
any moment, and on a quiet one it costs 40 ms for every key. What is waited for here has no such number in it: every
callback of the event loop, every thread of ``rlaif_tui.background``, every change that is not yet drawn, and every
timer that is about to ring.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from typing import Any

from textual._context import active_app

SOON_S = 0.03
"""A timer within this is waited for."""
ROUNDS = 12
"""So many drawings or timers in a row are waited for: what always asks for one more is an animation."""
PATIENCE_S = 1.0
"""A thread that takes longer is one that the test holds up, and is not waited for again."""
_held_up: weakref.WeakSet[threading.Thread] = weakref.WeakSet()


async def wait_until_quiet(*_: float) -> None:
    """Return when the app of this event loop has nothing left to do but to wait."""
    loop: Any = asyncio.get_running_loop()
    for _round in range(ROUNDS):
        await _threads(loop)
        if _draw():
            continue
        due = [at for at in map(_rings, loop._scheduled) if at < loop.time() + SOON_S]
        if not due:
            return
        await asyncio.sleep(max(0.0, max(due) - loop.time()))


def _draw() -> bool:
    """Draw what the screen would draw at its next tick, up to 17 ms from now; was there anything?"""
    app = active_app.get(None)
    if app is None or not app.screen_stack or not app.screen._update_timer._active.is_set():
        return False
    app.screen._on_timer_update()
    return True


def _rings(timer: Any) -> float:
    """When this timer does something, by the loop's clock; never, if it is the one that draws a screen."""
    waiting = [call for future in timer._args or () for call, _ in getattr(future, "_callbacks", None) or ()]
    tasks = [getattr(call, "__self__", None) for call in waiting]
    draws = any(isinstance(task, asyncio.Task) and task.get_name() == "screen_update" for task in tasks)
    return float("inf") if draws or timer.cancelled() else timer.when()


async def _threads(loop: Any) -> None:
    """Until no thread of the app runs and what they brought is taken up."""
    end = loop.time() + PATIENCE_S
    await _callbacks(loop)
    while running := [each for each in threading.enumerate() if each.name == "background" and each not in _held_up]:
        if loop.time() > end:
            _held_up.update(running)
        await asyncio.sleep(0.001)
        await _callbacks(loop)


async def _callbacks(loop: Any) -> None:
    """Until the event loop has nothing to call, three times in a row, as a thread may just be handing something in."""
    quiet = 0
    while quiet < 3:
        await asyncio.sleep(0)
        quiet = 0 if loop._ready else quiet + 1
