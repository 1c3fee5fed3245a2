"""The screens that there are: made at their first visit, kept, and exchanged for new ones when they break."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from textual.app import App
from textual.screen import Screen

from core.run_dir import RunDir

from .memory import Memory
from .places import Ground, Place
from .screens.view import View


class Stage(App[str]):
    """An app that shows one screen at a time, each by its place."""

    def __init__(self, places: Sequence[Place], ground: Ground) -> None:
        super().__init__()
        self._places = {place.id: place for place in places}
        self._ground = ground
        self._views: dict[str, View] = {}
        self._attached: dict[str, RunDir | None] = {}
        """The run that each screen was given last."""
        self._known = Memory()
        """How the app was left."""
        self._place = ""
        self._news = asyncio.Event()
        self._numbers = itertools.count()

    @property
    def _view(self) -> View:
        """The screen under whatever lies over it."""
        return self._views[self._place]

    def build(self, place: Place) -> View:
        """The screen of this place, made and kept at the first visit."""
        if place.id not in self._views:
            self._make(place)
        return self._views[place.id]

    def _make(self, place: Place) -> View:
        view = place.build(self._ground)
        self.install_screen(view, f"{place.id}-{next(self._numbers)}")
        self._views[place.id] = view
        return view

    def home(self) -> str:
        return next(iter(self._places))

    def place_of(self, screen: Screen[Any]) -> str | None:
        return next((id_ for id_, view in self._views.items() if view is screen), None)

    async def renew(self, place: str) -> None:
        old, screens = self._views[place], dict(self._known.screens)
        if place in self._attached:  # what it was before it was attached says nothing
            with contextlib.suppress(Exception):
                screens[place] = old.memory()
        new, self._known = self._make(self._places[place]), replace(self._known, screens=screens)
        await self._exchange(old, new, place)

    async def retreat(self, place: str) -> None:
        screens = {id_: known for id_, known in self._known.screens.items() if id_ != place}
        self._known = replace(self._known, screens=screens)
        old, home = self._views[place], self.build(self._places[self.home()])
        if place == self._place:
            self._place = self.home()
        await self._exchange(old, home, place)
        self._views.pop(place)

    async def _exchange(self, old: View, new: View, place: str) -> None:
        """Show one screen where another was, if that was shown, and let go of that one, whatever is dead in it."""
        self._attached.pop(place, None)
        if old in self.screen_stack:
            while self.screen is not old:
                await self.pop_screen()
            await self.switch_screen(new)
        self.uninstall_screen(old)
        old.remove()
        self._news.set()
