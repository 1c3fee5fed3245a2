"""The setup of a new run: what will I start, does it fit, what will it cost?"""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input

from core.errors import RlaifError

from ..background import begin
from ..desks.setup import Origin
from ..desks.setup_form import Form, choices_of, text_of
from ..text import one_line
from . import setup_words as says
from .dialogs import AskChoice, AskText, Choice
from .overlay import Overlay
from .runs import RunsScreen
from .setup_pick import OriginPicker
from .setup_view import SetupView


class SetupScreen(SetupView):
    """A draft of a run, which becomes a run."""

    CSS_PATH = "setup.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r", "preflight", "Preflight", key_display="^r", id="setup.preflight", tooltip="run ten checks"),
        Binding("ctrl+r", "cancel", "Cancel checks", key_display="^r", id="setup.cancel", tooltip="end the preflight"),
        Binding("ctrl+g", "start", "Start…", key_display="^g", id="setup.start", tooltip="make the run, after asking"),
        Binding("ctrl+s", "save", "Save as…", key_display="^s", id="setup.save", tooltip="write a commented run.toml"),
        Binding(
            "ctrl+o",
            "origin",
            "Begin from…",
            key_display="^o",
            id="setup.origin",
            tooltip="fill the form from a preset, a run, a draft or a file",
        ),
        Binding("A", "everything", "All keys", id="setup.all", tooltip="all keys, or those that matter most"),
        Binding("space", "next_choice", "Next choice", id="setup.choice", tooltip="where a key has few values"),
        Binding("d", "default", "Default", id="setup.default", tooltip="give this key its default again"),
        Binding("x", "next_wrong", "Next error", id="setup.wrong", tooltip="go to the next value to correct"),
        Binding("p", "details", "Evidence", id="setup.details", tooltip="what the preflight found, in full"),
        Binding("escape", "leave_field", "Leave field", key_display="esc", tooltip="back to the list; nothing is lost"),
        Binding("up", "step(-1)", "Field up", show=False, tooltip="edit the key above"),
        Binding("down", "step(1)", "Field down", show=False, tooltip="edit the key below"),
    ]

    @property
    def _editing(self) -> bool:
        return self.is_mounted and self.query_one("#edit", Input).has_focus

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        running = self.preflight is not None and self.preflight.running
        match action:
            case "leave_field" | "step":
                return self._editing
            case "preflight":
                return not running
            case "cancel":
                return running
            case "next_choice":
                return (key := self._key) is not None and bool(choices_of(key))
            case "next_wrong":
                return bool(self._checked.wrong)
            case "details":
                return self.preflight is not None
            case _:
                return True

    def on_row_list_highlighted(self) -> None:
        self._draw_help()
        self.refresh_bindings()

    def on_row_list_chosen(self) -> None:
        self._edit()

    def _edit(self) -> None:
        if self._form is None or (key := self._key) is None:
            return
        field = self.query_one("#edit", Input)
        self.add_class("-editing")
        with field.prevent(Input.Changed):
            field.value = self._form.texts[key.path]
        field.cursor_position = len(field.value)
        field.placeholder = "empty" if key.is_text else key.allowed
        field.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        if self._editing and (key := self._key) is not None:
            self._set(key.path, event.value)

    def on_input_submitted(self) -> None:
        self.action_leave_field()

    def on_input_blurred(self) -> None:
        self.remove_class("-editing")

    def action_leave_field(self) -> None:
        self._fields.focus()

    def action_step(self, by: int) -> None:
        self._fields.action_move(by)
        self._edit()

    def action_everything(self) -> None:
        self._everything = not self._everything
        self._draw()

    def action_next_choice(self) -> None:
        if self._form is not None and (key := self._key) is not None and (choices := choices_of(key)):
            now = self._form.texts[key.path]
            at = choices.index(now) + 1 if now in choices else 0
            self._set(key.path, choices[at % len(choices)])

    def action_default(self) -> None:
        if (key := self._key) is not None:
            self._set(key.path, text_of(key, key.default))

    def action_next_wrong(self) -> None:
        paths = [key.path for key in self._keys]
        start = (self._fields.cursor or 0) + 1
        for at in (*range(start, len(paths)), *range(start)):
            if at < len(paths) and paths[at] in self._checked.wrong:
                self._fields.move_to(at)
                return

    def action_details(self) -> None:
        if self.preflight is not None:
            self.app.push_screen(Overlay("preflight", says.overlay_lines(self.preflight)))

    def action_preflight(self) -> None:
        if (form := self._sound()) is not None:
            begin(self, lambda: self._desk.check_all(form), group="preflight")
            self.call_after_refresh(self._draw_preflight)

    def action_cancel(self) -> None:
        self._desk.cancel()

    def action_save(self) -> None:
        if (form := self._sound()) is not None:
            begin(self, lambda: self._save(form), group="ask")

    def action_origin(self) -> None:
        begin(self, self._begin_from, group="ask")

    def action_start(self) -> None:
        if (form := self._sound()) is not None:
            begin(self, lambda: self._start(form), group="ask")

    def _sound(self) -> Form | None:
        """The form, if all of it is right; else the cursor goes to what is not."""
        if self._form is None or not self._checked.wrong:
            return self._form
        path, sentence = next(iter(self._checked.wrong.items()))
        self._wanted = path
        self._draw()
        self.notify(one_line(sentence), title="correct this first", severity="warning", markup=False)
        return None

    async def _save(self, form: Form) -> None:
        path = await self.app.push_screen_wait(AskText("save the draft", "As the run.toml:", "run.toml"))
        if path is None:
            return
        try:
            place = await self._desk.save(form, path)
            if place is None:
                choice = Choice("r", "replace", "replace it")
                if await self.app.push_screen_wait(AskChoice("save the draft", f"{path} exists.", [choice])) is None:
                    return
                place = await self._desk.save(form, path, replace_it=True)
        except RlaifError as error:
            self._refused("the draft was not saved", error)
        else:
            self.notify(f"written to {one_line(str(place))}", title="draft saved", markup=False)

    async def _begin_from(self) -> None:
        try:
            origins = await self._desk.origins()
            origin = await self.app.push_screen_wait(OriginPicker(origins, ascii_only=self._ascii))
            if origin is not None and origin.kind == "file":
                path = await self.app.push_screen_wait(AskText("begin from a file", "Path of a run.toml:", "run.toml"))
                origin = Origin("file", path, "") if path else None
            if origin is None:
                return
            form = await self._desk.begin_from(origin)
            await self._make_room()
        except (RlaifError, OSError) as error:
            self._refused("the form stays as it is", error)
            return
        self._fill(form)
        await self._keep()

    async def _make_room(self) -> None:
        """A draft that somebody typed into is not lost to another one."""
        if self._form is not None:
            await self._desk.set_aside(self._form)

    async def _start(self, form: Form) -> None:
        choices = [Choice("s", "start", "start it in the background")]
        question = says.start_question(form, self.preflight, self._money)
        if await self.app.push_screen_wait(AskChoice("start this run", question, choices)) is None:
            return
        self._desk.cancel()
        self.notify("starting a worker…", markup=False)
        try:
            started = await self._desk.begin(form)
        except (RlaifError, OSError) as error:
            self._refused("the run was not started", error)
            return
        if started.hint:
            self.notify(one_line(started.hint), severity="warning", markup=False)
        self._set("run.name", "")
        self.post_message(RunsScreen.OpenAsked(started.name))

    def _refused(self, title: str, error: Exception) -> None:
        self.notify(one_line(str(error)), title=title, severity="error", markup=False)
