"""Every action that works on a screen and in the app, by name, for the palette. Made from the bindings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from textual.app import App, SystemCommand
from textual.screen import Screen

from . import themes
from .places import Place

_NOT_LISTED = ("place(", "command_palette")


def commands(app: App[Any], screen: Screen[Any], places: Iterable[Place]) -> Iterator[SystemCommand]:
    """Name with its key, what it does, and how to do it."""
    seen: set[tuple[str, str]] = set()
    for active in screen.active_bindings.values():
        binding = active.binding
        name, what = binding.description, active.tooltip or binding.tooltip
        if not what or binding.action.startswith(_NOT_LISTED) or (name, what) in seen or not active.enabled:
            continue
        seen.add((name, what))
        title = f"{name or what} ({app.get_key_display(binding)})"
        yield SystemCommand(title, what, partial(app.run_action, binding.action, active.node))
    for place in places:
        yield SystemCommand(f"{place.title} ({place.key})", "go to this screen", partial(_go, app, place.key))
    for theme in themes.NAMES:
        yield SystemCommand(f"Theme {theme}", "these colours from now on", partial(setattr, app, "theme", theme))


async def _go(app: App[Any], key: str) -> None:
    await app.run_action(f"place('{key}')")
