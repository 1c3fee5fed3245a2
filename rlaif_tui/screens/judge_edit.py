"""The keys of the judge's editor: what is typed reaches the disk, is checked, found again, saved and shown as sent."""

from __future__ import annotations

from dataclasses import replace

from textual.app import SuspendNotSupported
from textual.timer import Timer
from textual.widgets import Input, TextArea

from ..desks.judge_files import edit_outside
from ..desks.judge_state import Version
from ..text import one_line
from ..widgets.rows import RowList
from . import judge_text
from .judge_view import JudgeView
from .overlay import Overlay

SETTLE_S = 0.4
"""From a key to the disk and to the check; both are done within a second of the last key."""


class EditKeys(JudgeView):
    """What keys do in the editor, and for reading."""

    _settling: Timer | None = None
    _latest: str | None = None
    """The text as last typed; None before anything was opened."""
    _draft_problem = ""

    def on_text_area_changed(self, message: TextArea.Changed) -> None:
        message.stop()
        if self._latest is None or self.text == self._latest:
            return
        self._latest = self.text
        self._draw_head()
        if self._settling is None:
            self._settling = self.set_timer(SETTLE_S, self._settle)

    def _settle(self) -> None:
        self._settling = None
        self.go(self._keep(), group="draft")
        self.go(self._check(), group="check")

    async def _keep(self) -> None:
        try:
            await self.desk.texts.keep_draft(self.text, self.base.text)
            self._draft_problem = ""
        except OSError as error:
            if str(error) != self._draft_problem:  # once, not at every key
                self._draft_problem = str(error)
                self.tell(f"what you type is not kept on disk: {error}", "error")

    async def _check(self) -> None:
        found = await self.desk.texts.check(self.text, self.base.folder)
        if found.text == self.text:
            self.checked = found
            self._draw_check()
            await self.poll()
            self._draw_head()

    async def put_version(self, version: Version) -> None:
        """Bring a version into the editor; the text that was there is kept if it was not saved."""
        if self.unsaved:
            await self.desk.texts.set_aside(self.text)
        self.editor.put(version.text)
        self.base = replace(version, text=self.text)
        self._latest = self.text
        await self._keep()
        await self._check()

    def action_edit(self) -> None:
        self.remove_class("-zoomed-bench")
        self.editor.focus()

    def action_leave_field(self) -> None:
        if self.has_class("-finding"):
            self.remove_class("-finding")
            self.query_one("#edit").border_subtitle = ""
            self.editor.focus()
        else:
            self.remove_class("-zoomed-edit")
            self.query_one("#rows").focus()

    def action_save(self) -> None:
        self.go(self._save())

    async def _save(self) -> None:
        text = self.text
        version = await self.desk.texts.save(text, self.base.folder)
        self.base = replace(version, path=self.base.path)
        if self.text != text:  # typed on while it was written
            await self._keep()
        self._draw_head()
        self.tell(f"saved as {version.name} {version.version}; a takes it into use")

    def action_editor(self) -> None:
        try:
            with self.app.suspend():
                text = edit_outside(self.text)
        except SuspendNotSupported:
            self.tell("this terminal cannot be lent to another program: edit here instead", "warning")
            return
        except Exception as error:  # noqa: BLE001  whatever the editor did, the text here stays
            self.tell(str(error), "error")
            return
        self.editor.put(text)

    def action_find(self) -> None:
        self.remove_class("-zoomed-bench")
        self.add_class("-finding")
        self.query_one("#find").focus()

    def action_find_here(self) -> None:
        self.action_find()

    def action_find_next(self) -> None:
        self._find(onward=True)

    def on_input_changed(self) -> None:
        self._find()

    def on_input_submitted(self) -> None:
        self._find(onward=True)

    def _find(self, *, onward: bool = False) -> None:
        words = self.query_one("#find", Input).value
        at, count = self.editor.find(words, onward=onward)
        self.query_one("#edit").border_subtitle = f"match {at} of {count}" if count else "no match" if words else ""

    def action_preview(self) -> None:
        self.go(self._preview())

    async def _preview(self) -> None:
        row = self.row
        if row is None:
            self.tell("there is no response to show the messages for: o opens a file, s takes others")
            return
        parts = await self.desk.texts.preview(self.text, self.base.folder, row.item)
        lines = [line for name, text in parts for line in ((f"--- {name}" if name else "", ""), ("", text), ("", ""))]
        self.app.push_screen(Overlay(f"what is sent: {one_line(row.item.id)}", lines))

    def on_row_list_chosen(self, message: RowList.Chosen) -> None:
        new = self.checked.version if self.checked else ""
        lines = judge_text.whole(self._row(message.index), self.old.version, new)
        self.app.push_screen(Overlay(f"response {message.index + 1}", lines))

    def action_report(self) -> None:
        words = self.bench.report or ("Nothing was scored yet: ^r scores, t calibrates.",)
        self.app.push_screen(Overlay("report", [("", line) for line in words]))

    def action_zoom(self) -> None:
        where = "edit" if self.query_one("#edit").has_pseudo_class("focus-within") else "bench"
        zoomed = self.has_class("-zoomed-edit") or self.has_class("-zoomed-bench")
        self.remove_class("-zoomed-edit", "-zoomed-bench")
        if not zoomed:
            self.add_class(f"-zoomed-{where}")
