"""What the app owes its terminal: to leave when it hangs up, even if writing to it has frozen the event loop."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

from textual.driver import Driver

GRACE_S = 4.0
"""Seconds an orderly exit may take after a hang-up or a termination; then the process ends at once."""


def listen(leave: Callable[[], object], interrupted: Callable[[], object]) -> None:
    """Call ``leave`` on SIGHUP and SIGTERM and ``interrupted`` on SIGINT, from the main thread.

    Plain handlers, not the event loop's: a terminal that stops reading blocks the loop in a write (after 30 of them in
    Textual 8.2), and only a plain handler still runs then. A viewer has nothing to save, so it may end at once.
    """

    def on_end(number: int, _: FrameType | None) -> None:
        watchdog = threading.Timer(GRACE_S, os._exit, (128 + number,))
        watchdog.daemon = True
        watchdog.start()
        leave()

    for number in (signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, on_end)
    signal.signal(signal.SIGINT, lambda *_: interrupted())


def is_terminal() -> bool:
    """Whether standard input is a terminal that still exists; false after a hang-up."""
    try:
        return sys.__stdin__ is not None and os.isatty(sys.__stdin__.fileno())
    except (OSError, ValueError):
        return False


def take_mouse(driver: Driver, wanted: bool) -> bool:
    """Have the terminal report the mouse, or leave it to select text. Returns whether it could be done.

    Textual 8.2 decides this once, at the start, and offers no call for later.
    """
    switch = getattr(driver, "_enable_mouse_support" if wanted else "_disable_mouse_support", None)
    if switch is None:
        return False
    driver._mouse = True  # without it neither call writes anything
    switch()
    driver._mouse = wanted
    return True
