"""What the setup screen shows: the form with its faults, the draft's state and the preflight."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from core.config import RunConfig
from core.config_schema import Key

from ..background import begin
from ..desks.setup import Preflight, SetupDesk
from ..desks.setup_form import Checked, Form, check
from ..text import one_line
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.rows import RowList
from . import setup_words as says
from .overlay import Line
from .view import View

KEEP_AFTER_S = 0.3


class SetupView(View):
    """Draws the form and keeps its draft."""

    AUTO_FOCUS = "#fields"

    def __init__(self, desk: SetupDesk, *, ascii_only: bool = False) -> None:
        super().__init__()
        self._desk = desk
        self._ascii = ascii_only
        self._form: Form | None = None
        self._checked = Checked(None)
        self._keys: tuple[Key, ...] = ()
        self._everything = False
        self._wanted = ""
        """Key to put the cursor on once there is a form."""
        self._kept: Form | None = None
        self._problem = ""
        self._drawn: tuple[object, ...] = ()
        self._money = ""
        """What judging may cost, as far as that is known without asking."""
        self._priced: RunConfig | None = None
        """What that was told of."""

    @property
    def form(self) -> Form | None:
        """What is filled in; None until the draft was read."""
        return self._form

    @property
    def preflight(self) -> Preflight | None:
        """How the last preflight stands."""
        return self._desk.preflight

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="what")
        with Horizontal(id="main"):
            with Vertical(id="form"):
                yield RowList(says.columns_for(says.shown_keys(self._checked, everything=False)), id="fields",
                              ascii_only=self._ascii)  # fmt: skip
                yield Input(id="edit", compact=True)
                yield Sentence(id="help")
                yield Sentence(id="forecast")
            with VerticalScroll(id="checks"):
                yield Static(id="told", markup=False)
        yield FieldLine(id="brief")

    def on_mount(self) -> None:
        self.query_one("#checks").can_focus = False
        self.query_one("#edit", Input).cursor_blink = False
        self.query_one("#what", FieldLine).show([Field("looking for a draft…")])

    def on_unmount(self) -> None:
        self._desk.cancel()
        if self._form is not None and self._form is not self._kept:
            self._desk.keep_now(self._form)

    def on_resize(self) -> None:
        super().on_resize()
        self._drawn = ()
        self.call_after_refresh(self._draw_preflight)

    def memory(self) -> dict[str, Any]:
        key = self._key
        return {"everything": self._everything, "key": key.path if key else self._wanted}

    def recall(self, memory: dict[str, Any]) -> None:
        if isinstance(memory.get("everything"), bool):
            self._everything = memory["everything"]
        if isinstance(memory.get("key"), str):
            self._wanted = memory["key"]

    def explain(self) -> Sequence[Line]:
        return says.HELP

    def in_short(self) -> str:
        return f"setup of {one_line(self._form.texts['model.id'])}" if self._form else ""

    async def poll(self) -> None:
        await self._load()
        if self._checked.config is not self._priced:
            await self._price()
        self._draw_preflight()

    async def _load(self) -> None:
        if self._form is not None:
            return
        try:
            form = await self._desk.open()
        except OSError as error:
            self._problem = f"the draft cannot be read: {error.strerror or error}"
            self._draw_what()
            return
        if self._form is None:
            self._kept = form
            self._fill(form)

    async def use_data(self, changes: Mapping[str, str]) -> None:
        """Put these values into the draft, whether or not the screen was ever shown."""
        await self._load()
        if self._form is not None:
            self._fill(self._form.changed({path: changes[path] for path in changes if path in self._form.texts}))
            await self._keep()

    @property
    def _fields(self) -> RowList:
        return self.query_one("#fields", RowList)

    @property
    def _key(self) -> Key | None:
        """The key under the cursor."""
        at = self._fields.cursor if self.is_mounted else None
        return self._keys[at] if at is not None and at < len(self._keys) else None

    def _fill(self, form: Form) -> None:
        """Show this form from now on."""
        self._form, self._checked = form, check(form)
        self._draw()

    async def _price(self) -> None:
        """Say what the judge of this draft may cost; one with faults costs nothing yet."""
        config = self._priced = self._checked.config
        self._money = await self._desk.money(config) if config is not None else ""

    def _set(self, path: str, text: str) -> None:
        if self._form is None or self._form.texts[path] == text:
            return
        self._fill(self._form.changed({path: text}))
        begin(self, self._keep_soon, group="keep")

    async def _keep_soon(self) -> None:
        await asyncio.sleep(KEEP_AFTER_S)
        await self._keep()

    async def _keep(self) -> None:
        form = self._form
        if form is None:
            return
        try:
            await self._desk.keep(form)
        except OSError as error:
            self._problem = f"the draft cannot be kept: {error.strerror or error}"
        else:
            self._kept, self._problem = form, ""
        self._draw_what()

    def _draw(self) -> None:
        form, checked = self._form, self._checked
        if form is None or not self.is_mounted:
            return
        before = self._key
        keys = says.shown_keys(checked, everything=self._everything)
        if keys != self._keys:
            self._keys = keys
            self._fields.set_columns(says.columns_for(keys))
        self._fields.show(len(keys), lambda at: says.key_row(keys, at, form, checked))
        paths = [key.path for key in keys]
        wanted = self._wanted or (before.path if before else "")
        if wanted in paths and (self._key is None or self._key.path != wanted):
            self._fields.move_to(paths.index(wanted))
        self._wanted = ""
        self.query_one("#form").border_title = Content(one_line(form.texts["run.name"] or "a new run"))
        self._draw_what()
        self._draw_help()
        self._draw_preflight()
        self.say_size()

    def _draw_what(self) -> None:
        if not self.is_mounted:
            return
        fields = [Field(f"from {self._form.source}")] if self._form else []
        if wrong := len(self._checked.wrong):
            fields.append(Field(f"✗ {wrong} value{'' if wrong == 1 else 's'} to correct", "bold $text-warning"))
        if self._problem:
            fields.append(Field(f"✗ {self._problem}", "$text-warning"))
        state = "" if self._form is None else "draft kept" if self._form is self._kept else "draft…"
        self.query_one("#what", FieldLine).show(fields, Field(state, "$foreground 75%"))
        self.refresh_bindings()

    def _draw_help(self) -> None:
        if self._form is not None and (key := self._key) is not None:
            self.query_one("#help", Sentence).say(says.key_help(key, self._form, self._checked))

    def _draw_preflight(self) -> None:
        form, preflight = self._form, self.preflight
        if form is None or not self.is_mounted:
            return
        elapsed = int(time.monotonic() - preflight.since) if preflight and preflight.running else 0
        width = self.query_one("#checks").scrollable_content_region.width
        if (shape := (preflight, elapsed, form, width, self._money)) == self._drawn:
            return
        self._drawn = shape
        words = says.summary(preflight, form, elapsed)
        self.query_one("#checks").border_title = Content(one_line(f"preflight: {words}"))
        more = "  p shows it" if preflight else "  ctrl+r runs it"
        brief = [Field(f"preflight: {words}{more}", "$foreground 85%")]
        brief += [Field(f"judge {self._money}", "$foreground 75%")] if self._money else []
        self.query_one("#brief", FieldLine).show(brief)
        self.query_one("#forecast", Sentence).say(one_line(f"forecast  {says.forecast(preflight, form, self._money)}"))
        told = self.query_one("#told", Static)
        if preflight is None:
            told.update(Content(says.NOT_RUN))
        else:
            told.update(says.check_lines(preflight, max(20, width), ascii_only=self._ascii))
        self.refresh_bindings()
