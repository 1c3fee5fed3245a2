"""The judge's screen alone in an app, and ways to write on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from shell_pilot import until, words_in
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input

from core.judge.builtin import built_in_spec
from core.judge.spec_file import dump_spec
from core.run_dir import RunDir
from rlaif_tui.desks.judge import JudgeDesk
from rlaif_tui.desks.purse import Purse
from rlaif_tui.screens.judge import JudgeScreen

_NAMES = {"/": "slash", ".": "full_stop", "-": "minus", "_": "underscore", " ": "space", "$": "dollar_sign"}


class Alone(App[None]):
    """One judge's screen; keeps what it asked for."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(
        self,
        folder: Path,
        run: RunDir | None = None,
        memory: dict[str, Any] | None = None,
        purse: Purse | None = None,
    ) -> None:
        super().__init__()
        self.animation_level = "none"
        self.desk = JudgeDesk(state_dir=folder / "state", data_dir=folder / "data", purse=purse)
        self.view = JudgeScreen(self.desk)
        self.adopted: list[str] = []
        self.view.attach(run)
        if memory is not None:
            self.view.recall(memory)

    def on_mount(self) -> None:
        self.push_screen(self.view)

    def on_judge_screen_adopt_asked(self, message: JudgeScreen.AdoptAsked) -> None:
        self.adopted.append(message.spec_text)


@asynccontextmanager
async def opened(app: Alone, size: tuple[int, int] = (120, 36)) -> AsyncIterator[Pilot[None]]:
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: bool(app.view.bench.rows) and app.view.checked is not None)
        yield pilot


async def scored(pilot: Pilot[None], *keys: str) -> str:
    """What the bench says when the work that these keys begin is over."""
    view = pilot.app.view  # type: ignore[attr-defined]
    before = view.bench
    await pilot.press(*keys)
    await until(
        pilot,
        lambda: (
            view.bench.work is not None
            or view.bench.sums is not before.sums
            or view.bench.problem is not before.problem
        ),
    )
    await until(pilot, lambda: view.bench.work is None)
    return words_in(pilot, "#bench")


async def write(pilot: Pilot[None], text: str) -> None:
    """Put this into the field of a dialog, in place of what is there; the last letter by its key."""
    field = pilot.app.focused
    assert isinstance(field, Input)
    field.value = text[:-1]
    await pilot.press("end", _NAMES.get(text[-1], text[-1]))
    await until(pilot, lambda: field.value == text)


def rules(folder: Path) -> Path:
    """A judge file with the offline rules."""
    path = folder / "rules.toml"
    path.write_text('name = "rules"\nbackend = "rubric"\n')
    return path


def of_server(folder: Path, url: str, name: str = "remote.toml", **changes: Any) -> Path:
    """A judge file that asks the server of a test, which is free."""
    spec = built_in_spec("classic-0-10", provider="compatible", base_url=url, model="small")
    free = spec.price.model_copy(update={"free": True})
    path = folder / name
    path.write_text(dump_spec(spec.model_copy(update={"price": free, **changes})))
    return path


async def open_judge(pilot: Pilot[None], path: Path) -> None:
    """Bring a judge file into the editor."""
    view = pilot.app.view  # type: ignore[attr-defined]
    await pilot.press("f")
    await write(pilot, str(path))
    await pilot.press("enter")
    text = path.read_text()
    await until(pilot, lambda: view.is_current and view.checked.text == view.text == text)
