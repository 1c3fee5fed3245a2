"""The part of the compare screen that chooses models and comparisons, begins one and ends it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from core.compare.job import Job
from core.compare.record import Comparison

from ..desks.compare_models import forecast, usual
from ..desks.compare_state import Look, Wish
from ..run_state import RunState
from .compare_asking import AskingView
from .compare_pick import ModelPicker, RecordPicker
from .compare_start import StartDialog, StartWish, when_dialog
from .compare_table import table_lines
from .overlay import Overlay


class RunningView(AskingView):
    """Has the models that the next comparison takes, and asks for it."""

    def show_look(self, look: Look) -> None:
        """Draw this from now on."""

    async def reload(self) -> None:
        """Look anew, at once."""

    def look_at(self, wish: Wish) -> None:
        """Show this comparison and pair from now on."""
        self.wish = wish
        self.do(self.reload, "look")

    def action_choose(self) -> None:
        self.do(self._choose, "choose")

    async def _choose(self) -> None:
        found = await self.desk.candidates()
        chosen = self._named() or usual(found)
        self.app.push_screen(ModelPicker(found, chosen, self.desk.check, ascii_only=self.ascii_only), self._take_models)

    async def _take_models(self, names: tuple[str, ...] | None) -> None:
        if names is None:
            return
        self.chosen = names
        others = await self.desk.others()
        known = next((one for one in others if tuple(model.named for model in one.models) == names), None)
        if known is None:
            self.action_run()
        else:
            self.look_at(Wish(known.path.name))
            self.tell("These are compared already; R compares them anew.")

    def _named(self) -> tuple[str, ...]:
        """Models as chosen, else those of the comparison in view."""
        comparison = self.look.comparison
        return self.chosen or (tuple(model.named for model in comparison.models) if comparison else ())

    def action_run(self) -> None:
        if self.look.working:
            self.tell("A comparison is at work; X ends it, what was done counts.")
        elif self.desk.run is not None:
            self.do(self._ask_start, "choose")

    async def _ask_start(self) -> None:
        names = self._named() or usual(await self.desk.candidates())
        if not names:
            self.tell("This run has no checkpoint yet, so there is nothing to compare; c chooses other models.")
            return
        state, before = await self.desk.state(), await self.desk.others()
        held_out = state.ready.validation_prompts if state and state.ready else None
        dialog = StartDialog(names, held_out, lambda n: forecast(n, len(names), before, state))
        self.app.push_screen(dialog, partial(self._take_start, names, state))

    def _take_start(self, names: tuple[str, ...], state: RunState | None, wish: StartWish | None) -> None:
        run = self.desk.run
        if wish is None or run is None:
            return
        data = str(Path(wish.data).expanduser()) if wish.data.startswith("~") else wish.data
        job = Job(
            models=names, runs_root=str(self.desk.runs.root.absolute()), run=str(run.path.absolute()), data=data,
            n=wish.n, judge=wish.judge, pairs=wish.pairs, cap_usd=wish.cap_usd,
        )  # fmt: skip
        if state is not None and state.pid is not None and state.word in ("starting", "running"):
            self.app.push_screen(when_dialog(run.name), partial(self._take_when, job))
        else:
            self.do(partial(self._start, job), "start")

    def _take_when(self, job: Job, when: str | None) -> None:
        if when is not None:
            waiting = Job(
                **{name: getattr(job, name) for name in job.__struct_fields__}
                | {"wait": when != "now", "until_ended": when == "end"}
            )
            self.do(partial(self._start, waiting), "start")

    async def _start(self, job: Job) -> None:
        record = await self.desk.start(job)
        self.wish = Wish(record.name)
        self.chosen = ()
        await self.reload()

    def action_cancel(self) -> None:
        if self.look.working and self.look.comparison is not None:
            self.do(partial(self._cancel, self.look.comparison), "start")

    async def _cancel(self, comparison: Comparison) -> None:
        await self.desk.cancel(comparison)
        self.tell("Asked to end; what was done until then counts.")

    def action_other(self) -> None:
        self.do(self._pick_other, "choose")

    async def _pick_other(self) -> None:
        found = await self.desk.others()
        current = self.look.comparison.path.name if self.look.comparison else ""
        self.app.push_screen(RecordPicker(found, current, ascii_only=self.ascii_only), self._take_other)

    def _take_other(self, name: str | None) -> None:
        if name is not None:
            self.look_at(Wish(name))

    def action_pair(self) -> None:
        comparison = self.look.comparison
        if comparison is not None:
            models = range(len(comparison.models))
            pairs = [(left, right) for left in models for right in models if left < right]
            at = pairs.index((self.look.left, self.look.right))
            self.look_at(Wish(comparison.path.name, *pairs[(at + 1) % len(pairs)]))

    def action_table(self) -> None:
        if self.look.comparison is not None:
            self.do(partial(self._show_table, self.look.comparison), "table")

    async def _show_table(self, comparison: Comparison) -> None:
        if len(comparison.models) > 2:
            self.tell("Computing every pair…")
        pairs, ranking = await self.desk.all_pairs(comparison)
        shown = (self.look.left, self.look.right)
        self.app.push_screen(Overlay("all figures", table_lines(comparison, pairs, ranking, shown)))
