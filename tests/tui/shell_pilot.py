"""Hands and eyes for tests of the whole app."""

from __future__ import annotations

from typing import Any

import pytest
from textual.pilot import Pilot
from tui_logs import screen_text

from rlaif_tui.shell import Shell

SIZES = [(120, 36), (80, 24)]
both_sizes = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


async def look(pilot: Pilot[Any]) -> str:
    """Let the app read the run, and read the screen."""
    app = pilot.app
    assert isinstance(app, Shell)
    await app.poll_once()
    await pilot.pause()
    await pilot.pause()
    return screen_text(app)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    """Press these and read the screen."""
    await pilot.press(*keys)
    await pilot.pause()
    return await look(pilot)


def told(pilot: Pilot[Any]) -> str:
    """What the messages in the corner say."""
    return "\n".join(message.message for message in pilot.app._notifications)
