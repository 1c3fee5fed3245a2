"""Hands and eyes for tests of the whole app and of one screen alone."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from textual.pilot import Pilot
from tui_logs import screen_text

from rlaif_tui.screens.view import View
from rlaif_tui.shell import Shell

SIZES = [(120, 36), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


async def poll(pilot: Pilot[Any]) -> None:
    """Let the app look for news, as it does twice a second."""
    app = pilot.app
    if isinstance(app, Shell):
        await app.poll_once()
    else:
        for screen in app.screen_stack:
            if isinstance(screen, View):
                await screen.poll()


async def look(pilot: Pilot[Any]) -> str:
    """Let the app read the run, and read the screen."""
    await poll(pilot)
    await pilot.pause()
    await pilot.pause()
    return screen_text(pilot.app)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    """Press these and read the screen."""
    await pilot.press(*keys)
    await pilot.pause()
    return await look(pilot)


async def until(pilot: Pilot[Any], done: Callable[[], object], patience_s: float = 60.0) -> str:
    """Let the app go on until this holds; gives what is read then. ``patience_s`` only bounds a test that fails."""
    end = time.monotonic() + patience_s
    while True:
        await poll(pilot)
        await pilot.pause()
        if done():
            await pilot.pause()
            return screen_text(pilot.app)
        assert time.monotonic() < end, screen_text(pilot.app)
        await asyncio.sleep(0.01)


async def read_until(pilot: Pilot[Any], words: str) -> str:
    """The screen once it says this."""
    return await until(pilot, lambda: words in screen_text(pilot.app))


def words_in(pilot: Pilot[Any], selector: str) -> str:
    """What is read within this widget and its border, each run of blanks as one."""
    area = pilot.app.screen.query_one(selector).region
    lines = screen_text(pilot.app).splitlines()[area.y : area.bottom]
    return " ".join(" ".join(line[area.x : area.right].strip("│╭╰╮╯─ ") for line in lines).split())


def told(pilot: Pilot[Any]) -> str:
    """What the messages in the corner say."""
    return "\n".join(message.message for message in pilot.app._notifications)
