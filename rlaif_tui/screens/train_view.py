"""What the Train screen shows, and how it follows a state; what its keys do stands in ``train``."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container, Grid, Horizontal
from textual.content import Content
from textual.widgets import Static

from core.commands import whoami
from core.run_dir import RunDir

from .. import words
from ..background import begin
from ..concerns import notices
from ..desks.checks import ChecksDesk, is_asked
from ..desks.followed import Followed
from ..desks.train import TrainDesk
from ..machine import NOTHING, MachineWatch
from ..machine_words import in_short, told
from ..run_facts import UNKNOWN_FACTS, RunFacts
from ..run_state import RunState
from ..text import one_line
from ..widgets.chart import MetricChart
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.machine_card import MachineCard
from ..widgets.plot import Plot
from ..widgets.sample import SampleCard
from .charts import CHARTS_PER_PAGE, PAGES, Look, pages, plots, reading
from .figures import crash_lines, status_fields
from .overlay import Line, lay_out
from .train_keys import TRAIN_HELP
from .train_samples import pin_of, shown
from .view import View

_SIGNS = {"info": "", "warning": "! ", "error": "✗ "}
CHART_IDS = tuple(f"chart-{index}" for index in range(1, CHARTS_PER_PAGE + 1))
PANES = (*CHART_IDS, "sample")
NO_RUN = "No run in view. 1 lists the runs, 2 sets a new one up."
SAMPLE_S = 2.0
"""A sample stays at least this long: nobody can read one that goes with each step, and on the wire it costs most."""
NO_SAMPLES = "No samples yet: they appear after the first step."


class TrainView(View):
    """Draws a run; only what changed is drawn again."""

    CSS_PATH = "train.tcss"

    def __init__(
        self,
        run_name: str = "",
        *,
        desk: TrainDesk | None = None,
        now: Callable[[], float] = time.time,
        ascii_only: bool = False,
        watch: MachineWatch | None = None,
        checks: ChecksDesk | None = None,
    ) -> None:
        super().__init__()
        self._checks = checks or ChecksDesk()
        self._watch = watch or MachineWatch()
        self._machine = NOTHING
        self.run_name = run_name
        self.state: RunState | None = None
        self.problem = ""
        """Why the run cannot be read, empty if it can."""
        self.facts: RunFacts = UNKNOWN_FACTS
        self.look = Look(ascii_only=ascii_only)
        self.followed: tuple[Followed, ...] = ()
        """Pinned prompts, those of every screen and person."""
        self._desk = desk or TrainDesk()
        self._now = now
        self._me = whoami()
        self._run: RunDir | None = None
        self._index = 0
        self._zoomed = ""
        """Id of the pane that fills the screen."""
        self._held: RunState | None = None
        """While samples fill the screen: the state whose samples are being read."""
        self._drawn: tuple[RunState, RunFacts, Look] | None = None
        """What the charts show."""
        self._box_closed = False
        self._sample_time = 0.0
        self._sample_step = 0
        """When a sample was shown, and of which step."""

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="status")
        yield Sentence(id="health")
        yield Sentence(id="reading")
        yield Sentence(id="asked")
        with Container(id="middle"):
            with Grid(id="charts"):
                for id_, chart in zip(CHART_IDS, PAGES[0], strict=True):
                    yield MetricChart(Plot(chart.title, tone=chart.tone), id=id_, ascii_only=self.look.ascii_only)
            yield Static(id="crash", markup=False)
        with Horizontal(id="lower"):
            yield SampleCard(id="sample")
            yield MachineCard(id="machine")

    def on_mount(self) -> None:
        self.query_one("#health", Sentence).say("reading the log of the run…" if self.run_name else NO_RUN)
        self.query_one("#sample").focus()
        self._learn()

    def attach(self, run: RunDir | None) -> None:
        before, self._run = self.run_name, run
        self.run_name = run.name if run is not None else ""
        if self.run_name != before:
            self.state, self._held, self._drawn, self.problem = None, None, None, ""
            self.facts, self._index, self._box_closed, self._sample_step = UNKNOWN_FACTS, 0, False, 0
            self.followed = ()
            self.look = replace(self.look, cursor=None)
            if self.is_mounted:
                self.query_one("#health", Sentence).say("reading the log of the run…" if run else NO_RUN)
        self._learn()

    def _learn(self) -> None:
        """Read what the events do not tell, beside everything else."""
        run = self._run
        if run is not None and self.is_mounted:
            begin(self, partial(self._read_facts, run), group="facts")

    async def _read_facts(self, run: RunDir) -> None:
        facts = await self._desk.facts(run)
        facts = replace(facts, agreement=self.facts.agreement, asked=self.facts.asked)
        if run is self._run and facts != self.facts:
            self.facts = facts
            self._draw()

    async def poll(self) -> None:
        """Count on how long an answer is awaited, and go on to newer samples; everything else comes by ``show``."""
        if self.state is not None and self.state.pending:
            self._show_status(self.state)
        begin(self, self._check)
        await self._follow()
        self._show_sample(patient=True)
        await self._look_at_machine()

    async def _check(self) -> None:
        """Take up what people have said of the replies, and whether more is wanted. It may take seconds."""
        run, state = self._run, self.state
        if run is None or state is None:
            return
        found = await self._checks.look(run, state.step, state.judge_since or 0)
        asked = found.asked if is_asked(state) else None
        if run is self._run and (found.agreement, asked) != (self.facts.agreement, self.facts.asked):
            self.facts = replace(self.facts, agreement=found.agreement, asked=asked)
            self._draw()
            self.refresh_bindings()

    async def _look_at_machine(self) -> None:
        """What the computer does now, in its pane or, where there is none, in the status line."""
        state = self.state
        if state is None:
            return
        before, self._machine = self._machine, await self._watch.look(state)
        if state is not self.state:
            return
        if not self.has_class("-wide"):
            if before is not self._machine:
                self._show_status(state)
            return
        here, ascii_only = self._watch.is_here(state), self.look.ascii_only
        pane = told(state, self._machine, self._now(), is_here=here, ascii_only=ascii_only)
        self.query_one("#machine", MachineCard).show(pane)

    async def _follow(self) -> None:
        """Take up what was pinned, here or elsewhere, and what more was found of it; the sample shown stays."""
        run = self._run
        followed = await self._desk.follow(run) if run is not None else ()
        if run != self._run or followed == self.followed:
            return
        state = self._held or self.state
        before = shown(state, self.followed, self._index) if state else None
        self.followed = followed
        if state is not None and before is not None:
            pin = pin_of(before.sample)
            at = (shown(state, followed, index) for index in range(before.count + len(followed)))
            same = (s.index for s in at if s and pin.fits(s.sample.prompt_id, s.sample.prompt))
            self._index = next(same, 0)

    def show(self, state: RunState) -> None:
        """Draw this state from now on."""
        before = self.state
        if before is None or before.word != state.word:
            self._box_closed = False
            self._learn()
        self.state, self.problem = state, ""
        self._draw()
        self.refresh_bindings()

    def fail(self, problem: str) -> None:
        """Say that the run cannot be read; what was shown stays."""
        self.problem = problem
        health = self.query_one("#health", Sentence)
        health.say(f"✗ {one_line(problem)}")
        health.add_class("-bad")

    def in_short(self) -> str:
        if self.state is None:
            return ""
        sign = words.glyph(self.state, ascii_only=self.look.ascii_only)
        return f"{sign} {words.word(self.state)} {words.percent(self.state)}"

    def explain(self) -> Sequence[Line]:
        marks = words.marker_help(tuple(self.state.markers)) if self.state else ""
        return (*TRAIN_HELP, *([("chart letters", marks)] if marks else []))

    def _draw(self) -> None:
        """Bring everything up to date with state, facts and look."""
        state = self.state
        if state is None:
            return
        self._show_status(state)
        self._show_health(state)
        self._show_asked()
        self._show_charts(state)
        self._show_sample(patient=True)
        self._show_crash(state)
        self.set_class(state.lost or state.word == "crashed", "-stale")
        self.say_size()

    def _show_status(self, state: RunState) -> None:
        now = self._now() if self._run is not None else None  # without a poll it would not go on counting
        fields = status_fields(
            state, 18 if self.has_class("-wide") else 0, self.facts,
            me=self._me, now=now, ascii_only=self.look.ascii_only,
            machine=("", "") if self.has_class("-wide") else in_short(state, self._machine),
        )  # fmt: skip
        count = len(pages(state, self.facts))
        page = Field(f"charts {self.look.page % count + 1}/{count}", "$foreground 75%")
        self.query_one("#status", FieldLine).show(fields, page)

    def _show_health(self, state: RunState) -> None:
        if self.problem:
            return
        found = notices(state, self.facts)
        worst = found[0] if found else words.health(state)
        more = f"  (+{len(found) - 1} more, w)" if len(found) > 1 else ""
        line = self.query_one("#health", Sentence)
        line.say(_SIGNS[worst.severity] + worst.text + more)
        line.set_class(worst.severity != "info", "-bad")
        cursor = self.look.cursor
        self.query_one("#reading", Sentence).say("" if cursor is None else f"▸ {one_line(reading(state, cursor))}")
        self.set_class(cursor is not None, "-reading")

    def _show_asked(self) -> None:
        asked = self.facts.asked
        self.query_one("#asked", Sentence).say("" if asked is None else f"{asked.words}: 6 then r   (d: not now)")
        self.set_class(asked is not None, "-asked")

    def _show_charts(self, state: RunState) -> None:
        wanted = (state, self.facts, self.look)
        if self._drawn is not None and not _differs(self._drawn, wanted):
            return
        self._drawn = wanted
        for id_, plot in zip(CHART_IDS, plots(state, self.facts, self.look), strict=True):
            self.query_one(f"#{id_}", MetricChart).show(plot)

    def _show_sample(self, *, patient: bool = False) -> None:
        state = self._held or self.state
        if state is None:
            return
        now, step = self._now(), state.samples_step
        if patient and 0 < self._sample_step < step and 0 <= now - self._sample_time < SAMPLE_S:
            return
        if step != self._sample_step:
            self._sample_time, self._sample_step = now, step
        found = shown(state, self.followed, self._index)
        self.query_one("#sample", SampleCard).show(found, "" if found else NO_SAMPLES)

    def _show_crash(self, state: RunState) -> None:
        broken = state.word == "crashed" and not self._box_closed
        self.set_class(broken, "-crashed")
        if broken:
            box = self.query_one("#crash", Static)
            box.border_title = Content(f"crashed at step {state.step}")
            box.border_subtitle = Content("esc closes this")
            width = max(30, min(98, self.size.width - 6))
            rows = [(f"{head:<7}", text) for head, text in crash_lines(state, self.facts, width - 8)]
            box.update(Content(lay_out(rows, width)))

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._draw)


def _differs(old: tuple[RunState, RunFacts, Look], new: tuple[RunState, RunFacts, Look]) -> bool:
    # Histories are new objects whenever something was added to them.
    a, b = old[0], new[0]
    same = all(
        getattr(a, name) is getattr(b, name) for name in ("steps", "markers", "validations", "referee", "canaries")
    )
    return not same or a.total_steps != b.total_steps or a.settings != b.settings or old[1:] != new[1:]
