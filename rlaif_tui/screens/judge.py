"""The judge: edit it, see what it sends, try it on responses, compare versions, calibrate it, take it into use."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any, ClassVar

from textual.binding import Binding, BindingType
from textual.widgets import Input, TextArea

from core.run_dir import RunDir

from ..desks.judge import JudgeDesk
from ..words import span
from .judge_bench import BenchKeys
from .judge_edit import EditKeys


class JudgeScreen(EditKeys, BenchKeys):
    """Edits one judge; asks for its use in a run by a message."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "leave_field", "Leave", key_display="esc", id="judge.leave", tooltip="out of the editor"),
        Binding("escape", "cancel", "End", key_display="esc", id="judge.cancel", tooltip="ask no more"),
        Binding("ctrl+r", "score", "Score", key_display="^r", id="judge.score", tooltip="score the set with this text"),
        Binding("ctrl+s", "save", "Save", key_display="^s", id="judge.save", tooltip="save the text as a version"),
        Binding("i", "edit", "Edit", id="judge.edit", tooltip="into the editor; esc leaves it"),
        Binding("d", "diff", "Diff", id="judge.diff", tooltip="score both versions, the largest changes first"),
        Binding("r", "rate", "Rate blind", id="judge.rate", tooltip="give marks yourself, the judge hidden"),
        Binding("c", "canaries", "Canaries", id="judge.canaries", tooltip="try to fool the judge"),
        Binding("t", "trust", "Trust?", id="judge.trust", tooltip="calibrate: agreement, noise, canaries; a light"),
        Binding("v", "versions", "Versions", id="judge.versions", tooltip="compare with, or go back to, another one"),
        Binding("p", "preview", "Preview", id="judge.preview", tooltip="the exact messages for the selected row"),
        Binding("x", "exemplar", "Exemplar…", id="judge.exemplar", tooltip="show the judge where you differ from it"),
        Binding("a", "adopt", "Adopt…", id="judge.adopt", tooltip="use it in a new run or in the running one"),
        Binding("s", "next_set", "Samples", id="judge.set", tooltip="other responses: built in, the run's, a file's"),
        Binding("o", "open_data", "Open data", id="judge.data", tooltip="responses of a data file"),
        Binding("f", "open_judge", "Judge file", id="judge.file", tooltip="edit a judge file of yours"),
        Binding("w", "report", "Report", id="judge.report", tooltip="the whole report of the last scoring"),
        Binding("slash", "find", "Find", key_display="/", id="judge.find", tooltip="find in the judge's text"),
        Binding(
            "ctrl+f", "find_here", "Find", key_display="^f", id="judge.find-here", tooltip="the same from the editor"
        ),
        Binding("E", "editor", "$EDITOR", id="judge.editor", tooltip="edit in your own editor"),
        Binding("ctrl+o", "editor", "$EDITOR", key_display="^o", id="judge.editor-here", tooltip="the same from here"),
        Binding("ctrl+g", "find_next", "Next match", key_display="^g", id="judge.find-next", tooltip="the next match"),
        Binding("plus", "repeats(1)", "Repeats", key_display="+", id="judge.repeats-more", tooltip="ask more often"),
        Binding("minus", "repeats(-1)", "Repeats", key_display="-", id="judge.repeats-fewer", tooltip="less often"),
        Binding("dollar_sign", "cap", "Cap", key_display="$", id="judge.cap", tooltip="how much this session may cost"),
        Binding("z", "zoom", "Zoom", id="judge.zoom", tooltip="the pane one is in over the whole screen, and back"),
    ]

    AUTO_FOCUS = ""

    def __init__(self, desk: JudgeDesk, *, ascii_only: bool = False) -> None:
        super().__init__(desk, ascii_only=ascii_only)
        self._opening = asyncio.Lock()

    def on_mount(self) -> None:
        self.query_one("#rows").focus()
        self.go(self._open())

    def attach(self, run: RunDir | None) -> None:
        if run == self.run and self._latest is not None:
            return
        self.run, self.run_name = run, run.name if run else ""
        if self.is_mounted:
            self.go(self._open())

    async def _open(self) -> None:
        # One after the other: what is opened for no run, before one is in view, must not come after the run's.
        async with self._opening:
            await self._open_now()

    async def _open_now(self) -> None:
        dirty = self._latest is not None and self.unsaved
        opened = await self.desk.open(self.run, fresh=self._latest is None)
        self.run_uses = opened.base.version if self.run and opened.base.origin == "the run's" else ""
        if not dirty:
            self.editor.load_text(opened.base.text)
            # As the editor holds it: line ends and separators may have become newlines.
            self.base = self.old = replace(opened.base, text=self.text)
        if opened.problem:
            self.tell(opened.problem, "warning")
        if opened.draft:
            self.editor.put(opened.draft)
            age = span(opened.draft_age_s)
            self.tell(f"your unsaved text of {age} ago is back; ^z in the editor takes it away, ^s saves it")
        self._latest = self.text
        kind, path = self._wanted or ("run" if self.run else "built-in", "")
        await self._check()
        await self._use(kind, path)
        if not self.bench.rows and kind != "built-in":
            problem = self.bench.problem
            await self._use("built-in")
            if kind == "data":
                self.tell(problem, "warning")
        if self._wanted is None:
            await self.try_offered()

    async def poll(self) -> None:
        if self._latest is None:
            return
        before, what = self.bench.work, self.bench.work.what if self.bench.work else ""
        bench = self.desk.look(
            self.checked.version if self.checked else "",
            self.old.version,
            self.checked.exemplars if self.checked else frozenset(),
        )
        if bench is self.bench:
            return
        if before and bench.work is None and what == "diff":
            changes = [abs(row.change) if row.change is not None else -1.0 for row in bench.rows]
            self._order = sorted(range(len(changes)), key=lambda at: -changes[at])
        self.draw(bench)

    def on_unmount(self) -> None:
        if self._latest is not None and self._settling is not None:
            self.desk.texts.keep_now(self._latest, self.base.text)
        self.desk.close()

    def memory(self) -> dict[str, Any]:
        zoom = "edit" if self.has_class("-zoomed-edit") else "bench" if self.has_class("-zoomed-bench") else ""
        kind, path = self._wanted or ("", "")
        return {"set": kind, "path": path, "repeats": self.bench.repeats, "zoom": zoom}

    def recall(self, memory: dict[str, Any]) -> None:
        kind, path = memory.get("set"), memory.get("path")
        if kind in ("built-in", "run", "data") and isinstance(path, str):
            self._wanted = (kind, path)
        if isinstance(repeats := memory.get("repeats"), int):
            self.desk.set_repeats(repeats)
        if (zoom := memory.get("zoom")) in ("edit", "bench"):
            self.add_class(f"-zoomed-{zoom}")

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        in_field = self.is_mounted and isinstance(self.focused, TextArea | Input)
        match action:
            case "leave_field":
                return in_field
            case "find" | "repeats" | "cap":  # their keys type
                return not in_field
            case "cancel":
                return not in_field and self.bench.work is not None
            case _:
                return True
