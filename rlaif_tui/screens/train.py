"""One run, live: is it healthy, how far is it, what does the model write?"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from textual.binding import BindingType
from textual.message import Message

from core.commands import SETTINGS, CheckpointNow, Command, Pause, Resume, Set, Stop, name_of
from core.errors import RunDirError
from core.run_dir import RunDir
from core.spot_checks import Asked as Ratings

from .. import words
from ..background import begin
from ..concerns import explained, notices
from ..pins import Pin
from ..run_facts import setting
from ..text import one_line
from ..widgets.chart import MetricChart
from ..widgets.sample import SampleCard
from .charts import SMOOTHINGS, pages
from .dialogs import AskChoice, AskText, Choice
from .overlay import Line, Overlay
from .run_export import export
from .train_keys import TRAIN_KEYS
from .train_samples import pin_of, shown
from .train_view import CHART_IDS, PANES, TrainView
from .tune import TuneDialog, Wish


class TrainScreen(TrainView):
    """Follows one run; asks for things by messages."""

    BINDINGS: ClassVar[list[BindingType]] = TRAIN_KEYS

    class Asked(Message):
        """The person wants something of the worker."""

        def __init__(self, command: Command) -> None:
            super().__init__()
            self.command = command

        @property
        def what(self) -> str:
            """The command in a word."""
            return name_of(self.command)

    class JudgeAsked(Message):
        """The person wants another judge: a built-in one, or that in a file. It has not been looked at yet."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class RestartAsked(Message):
        """The person wants a dead run to go on from its last checkpoint."""

    def memory(self) -> dict[str, Any]:
        return {"page": self.look.page, "log": self.look.log, "smoothing": self.look.smoothing}

    def recall(self, memory: dict[str, Any]) -> None:
        page, log, smoothing = (memory.get(name) for name in ("page", "log", "smoothing"))
        if isinstance(page, int) and 0 <= page < len(pages(None)) + 2:
            self.look = replace(self.look, page=page)
        if isinstance(smoothing, int) and 0 <= smoothing < len(SMOOTHINGS):
            self.look = replace(self.look, smoothing=int(smoothing))
        self.look = replace(self.look, log=log is True)
        if self.is_mounted:
            self._draw()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002
        word = self.state.word if self.state else "starting"
        live = self.state is not None and word in ("starting", "running", "paused")
        match action:
            case "pause":
                return live and word != "paused"
            case "go_on":
                return word == "paused"
            case "checkpoint" | "stop" | "tune" | "judge":
                return live
            case "not_now":
                return self.facts.asked is not None
            case "restart":
                return word in ("crashed", "stopped")
            case "export":
                return self.state is not None and self._run is not None
            case _:
                return True

    def action_pause(self) -> None:
        self.post_message(self.Asked(Pause()))

    def action_go_on(self) -> None:
        self.post_message(self.Asked(Resume()))

    def action_checkpoint(self) -> None:
        self.post_message(self.Asked(CheckpointNow()))

    def action_restart(self) -> None:
        self.post_message(self.RestartAsked())

    def action_stop(self) -> None:
        text = "The step under way is finished, a checkpoint is saved, and the worker ends. r goes on from there."
        choices = (Choice("x", "stop", "save and stop"),)
        self.app.push_screen(AskChoice(f"stop {self.run_name}?", text, choices), self._stop)

    def _stop(self, answer: str | None) -> None:
        if answer == "stop":
            self.post_message(self.Asked(Stop()))

    def action_tune(self) -> None:
        if self.state is not None:
            now = {name: setting(self.state, self.facts, name) for name in SETTINGS}
            self.app.push_screen(TuneDialog(self.run_name, now), self._tune)

    def _tune(self, wishes: tuple[Wish, ...] | None) -> None:
        for name, value in wishes or ():
            self.post_message(self.Asked(Set(name=name, value=value)))

    def action_export(self) -> None:
        run = self._run
        if run is not None:
            begin(self, lambda: export(self, run, self._now()), group="export")

    def action_judge(self) -> None:
        text = (
            "Judge file, or name of a built-in judge. It scores recent and held-out responses first, so that the jump "
            "can be read; scores before and after are not one series."
        )
        self.app.push_screen(AskText(f"another judge for {self.run_name}", text), self._judge)

    def _judge(self, path: str | None) -> None:
        if path:
            self.post_message(self.JudgeAsked(path))

    def action_page(self) -> None:
        self._look(page=(self.look.page + 1) % len(pages(self.state, self.facts)))

    def action_not_now(self) -> None:
        if self._run is not None and self.facts.asked is not None:
            begin(self, partial(self._not_now, self._run, self.facts.asked), group="not-now")

    async def _not_now(self, run: RunDir, asked: Ratings) -> None:
        try:
            await self._checks.not_now(run, asked)
        except RunDirError as error:
            self.app.notify(one_line(str(error)), severity="error", markup=False)
        await self._check()

    def action_log_scale(self) -> None:
        self._look(log=not self.look.log)

    def action_smoothing(self, by: int) -> None:
        self._look(smoothing=min(len(SMOOTHINGS) - 1, max(0, self.look.smoothing + by)))

    def action_cursor(self, by: int) -> None:
        if self.state is None or not self.state.step:
            return
        at = self.look.cursor
        self._look(cursor=self.state.step if at is None else min(self._last_step(), max(0, at + by)))

    def _last_step(self) -> int:
        """The last step of which anything is known; what was changed may hold from the next one on."""
        if self.state is None:
            return 0
        return max(self.state.step, *(mark.step for mark in self.state.markers), 0)

    def action_event(self, by: int) -> None:
        """Read the next step at which something happened."""
        if self.state is None:
            return
        at = self.look.cursor
        steps = sorted({mark.step for mark in self.state.markers})
        here = at if at is not None else self._last_step() + 1
        beyond = [step for step in steps if (step - here) * by > 0]
        if beyond:
            self._look(cursor=beyond[0] if by > 0 else beyond[-1])

    def _look(self, **changes: Any) -> None:
        self.look = replace(self.look, **changes)
        self._draw()

    def action_sample(self, by: int) -> None:
        self._index += by
        self._show_sample()

    def action_pin(self) -> None:
        state = self._held or self.state
        found = shown(state, self.followed, self._index) if state else None
        if found is not None and self._run is not None:
            begin(self, partial(self._pin, self._run, pin_of(found.sample)), group="pin")

    async def _pin(self, run: RunDir, pin: Pin) -> None:
        try:
            await self._desk.toggle(run, pin)
        except RunDirError as error:
            self.app.notify(one_line(str(error)), severity="error", markup=False)
        await self._follow()
        self._show_sample()

    def action_pane(self, by: int) -> None:
        focused = self.focused.id if self.focused is not None else None
        at = PANES.index(focused) if focused in PANES else -1
        target = PANES[(at + by) % len(PANES)]
        if self._zoomed:
            self._zoom(target)
        self.query_one(f"#{target}").focus()

    def action_zoom(self) -> None:
        if self._zoomed:
            self._zoom("")
            return
        focused = self.focused.id if self.focused is not None else None
        self._zoom(focused if focused in PANES else "sample")

    def _zoom(self, pane: str) -> None:
        self._zoomed = pane
        samples = pane == "sample"
        self.set_class(samples, "-zoomed-sample")
        self.set_class(bool(pane) and not samples, "-zoomed-chart")
        for id_ in CHART_IDS:
            self.query_one(f"#{id_}", MetricChart).set_class(id_ == pane, "-big")
        self._held = self.state if samples else None
        self.query_one("#sample", SampleCard).zoom(samples)
        self._show_sample()

    def action_warnings(self) -> None:
        if self.state is None:
            return
        now: list[Line] = []
        more = explained(self.state, self.facts)
        for notice in notices(self.state, self.facts):
            now.append(({"error": "✗ ", "warning": "! ", "info": "  "}[notice.severity], notice.text))
            now += [("  ", f"  {text}") for text in more.get(notice.text, [])]
        lines: list[Line] = [("Now", ""), *(now or [("  ", "nothing: " + words.health(self.state).text)])]
        told = [words.log_line(message) for message in self.state.warnings]
        if told:
            lines += [("", ""), ("So far", ""), *told]
        self.app.push_screen(Overlay(f"warnings: {self.run_name}", lines))

    def action_back(self) -> None:
        if self.look.cursor is not None:
            self._look(cursor=None)
        elif self._zoomed:
            self._zoom("")
        elif self.has_class("-crashed"):
            self._box_closed = True
            self._draw()
        else:
            self.post_message(self.GoAsked("runs"))
