"""What the app does when one of its screens breaks: it says so, keeps a report, and goes on without that screen.

Textual ends the app at the first error that nobody caught, and the message loop of the widget where it happened is dead
by then. So the screen around it is made anew; if that one breaks too, the person is taken back to the list of runs;
only a list of runs that breaks twice ends the app. Training goes on in any case: it is another process.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any
from weakref import WeakSet

from textual._context import active_message_pump
from textual.dom import DOMNode
from textual.message import Message
from textual.screen import Screen
from textual.worker import WorkerFailed

from core.judge.keys import mask

from .background import begin, in_background
from .crash import report_file, write_report
from .places import Ground, Place
from .stage import Stage
from .text import one_line

FAULT_TOLD_EVERY_S = 30.0
AGAIN_S = 60.0
"""A screen that breaks within this time of being made anew is given up."""
NOT_AFFECTED = "The run is not affected; rlaif-tui status shows it."


class Rescue(Stage):
    """An app that outlives the faults of its screens."""

    def __init__(self, places: Sequence[Place], ground: Ground) -> None:
        super().__init__(places, ground)
        self.is_open = False
        """Whether there is something to keep alive: the first screen is shown."""
        self._told: dict[str, float] = {}
        self._given_up: WeakSet[Screen[Any]] = WeakSet()
        """Screens with a dead widget in them; nothing is asked of them any more."""
        self._renewed: dict[str, float] = {}
        """When the screen of a place was last made anew."""

    def leave(self, reason: str = "") -> None:
        """Close the app, with a reason if it is not the person's wish."""
        raise NotImplementedError

    def is_given_up(self, screen: Screen[Any]) -> bool:
        """Whether this screen waits to be replaced."""
        return screen in self._given_up

    def tell_fault(self, error: BaseException, then: str = NOT_AFFECTED) -> None:
        """Say what went wrong in a screen, once in a while, and keep a report."""
        what = in_short(error)
        now = time.monotonic()
        if now - self._told.get(what, -FAULT_TOLD_EVERY_S) < FAULT_TOLD_EVERY_S:
            return
        self._told[what] = now
        report = report_file()
        text = f"This view could not be drawn ({what}). {then} Report: {one_line(str(report))}"
        self.notify(text, severity="error", timeout=15, markup=False)
        begin(self, lambda: self._keep(error, report))

    async def _keep(self, error: BaseException, report: Path) -> None:
        found = await in_background(write_report, error, report)
        if found != str(report):
            self.notify(f"The report could not be kept: {found}", severity="warning", markup=False)

    async def guarded(self, work: Awaitable[None]) -> None:
        """Wait for work of a screen; a fault in it is told."""
        try:
            await work
        except Exception as error:  # noqa: BLE001 the run must stay watchable whatever a screen does
            self.tell_fault(error)

    async def _dispatch_message(self, message: Message) -> None:
        # An error in a handler of the app itself would end its loop. Before the loop runs there is nothing to keep.
        try:
            await super()._dispatch_message(message)
        except Exception as error:
            if not self.is_open:
                raise
            self.tell_fault(error)

    def _handle_exception(self, error: Exception) -> None:
        """Textual calls this, from wherever it is, with what nobody caught; its own ends the app."""
        if self._exit:
            return
        if isinstance(error, WorkerFailed):  # nothing that draws is dead
            self.tell_fault(error.error)
            return
        screen = _screen_of(active_message_pump.get(self))
        if screen is None and self.is_open:
            self.tell_fault(error)
        elif screen is None:
            self._end(error, "The app could not be opened")
        elif screen not in self._given_up:
            self._given_up.add(screen)
            self.call_later(self._replace, screen, error)

    async def _replace(self, screen: Screen[Any], error: Exception) -> None:
        """Put something that works in the place of a screen that broke."""
        try:
            place = self.place_of(screen)
            if place is None:
                then = await self._close(screen)
            elif not self._renewed_lately(place):
                await self.renew(place)
                then = "It was made anew."
            elif place != self.home():
                await self.retreat(place)
                then = "It failed again; this is the list of runs."
            else:
                self._end(error, "The list of runs broke twice, so the app has ended")
                return
        except Exception as second:  # noqa: BLE001 what is shown is dead, and there is nothing to show instead
            self._end(second, f"A screen broke ({in_short(error)}) and could not be replaced")
            return
        self._told.clear()
        self.tell_fault(error, f"{then} {NOT_AFFECTED}")

    async def _close(self, screen: Screen[Any]) -> str:
        while screen in self.screen_stack[1:]:
            await self.pop_screen()
        return "It was closed."

    def _renewed_lately(self, place: str) -> bool:
        now = time.monotonic()
        lately = now - self._renewed.get(place, -AGAIN_S) < AGAIN_S
        self._renewed[place] = now
        return lately

    def _end(self, error: BaseException, why: str) -> None:
        report = write_report(error)
        self.leave(f"{why} ({in_short(error)}). No run is affected. Report: {report}")
        self._close_messages_no_wait()

    def _fatal_error(self) -> None:
        """Textual's own prints local variables, which may hold a key; what is to be said is said by ``leave``."""
        self._close_messages_no_wait()


def in_short(error: BaseException) -> str:
    """The error in one line without keys and control characters."""
    return f"{type(error).__name__}: {one_line(mask(str(error)))[:200]}"


def _screen_of(node: object) -> Screen[Any] | None:
    if not isinstance(node, DOMNode):
        return None
    return next((each for each in node.ancestors_with_self if isinstance(each, Screen)), None)
