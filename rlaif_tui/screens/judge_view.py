"""How the judge's screen looks: an editor with its check line, and a bench of scored responses."""

from __future__ import annotations

from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.message import Message
from textual.widgets import Input, Static

from core.errors import RlaifError

from ..desks.judge import JudgeDesk
from ..desks.judge_state import Bench, Checked, Row, Version
from ..text import one_line, wrap_at_most
from ..widgets.judge_editor import JudgeEditor
from ..widgets.line import Field, FieldLine, Sentence
from ..widgets.rows import RowList
from . import judge_text
from .overlay import Line
from .view import TellsFaults, View

NOTHING = Version(text="", version="", name="judge", origin="")
_HELP: tuple[Line, ...] = (
    ("old, new", "score from 0 to 10 under the version compared with, and under the text in the editor"),
    ("Δ", "new minus old; two points and more are marked"),
    ("±", "deviation of repeated judgements, or of the judge's probabilities; + and - change the repeats"),
    ("✗", "no verdict: the reason stands beside it; it is never a score"),
    (
        "you",
        "the mark you gave blind; where you and the judge differ by 3 or more the row says so, and x shows it "
        "to the judge as an exemplar",
    ),
    ("h", "behind the number: of the third that is kept for measuring; it is never shown to the judge"),
    ("ρ", "rank agreement with your marks, with its 95 % interval: 20 marks leave about ±0.25"),
    ("canaries", "answers that deserve nothing; one that scores 6 or more is a judge that a policy will fool"),
    ("green, amber, red", "agreement, canaries and noise together; t says why"),
    ("saving", "what is typed is on disk within a second; ctrl+s makes it a version that can be compared with"),
)


class JudgeView(View):
    """Draws; what keys do is its subclass's."""

    CSS_PATH = "judge.tcss"

    class AdoptAsked(Message, namespace="judge_screen"):
        """The person wants this judge to score the run in view from its next step on."""

        def __init__(self, spec_text: str) -> None:
            super().__init__()
            self.spec_text = spec_text

    def __init__(self, desk: JudgeDesk, *, ascii_only: bool = False) -> None:
        super().__init__()
        self.desk = desk
        self._ascii = ascii_only
        self.base = NOTHING
        """What counts as saved."""
        self.old = NOTHING
        """What the new version is compared with."""
        self.checked: Checked | None = None
        self.bench = Bench()
        self.run_name = ""
        self.run_uses = ""
        self._columns = judge_text.columns(())
        self._order: list[int] | None = None
        """Rows by how much they changed; None: as the set has them."""

    def compose_body(self) -> ComposeResult:
        yield FieldLine(id="head")
        with Container(id="panes"):
            with Vertical(id="edit"):
                yield JudgeEditor(id="text")
                yield Input(id="find", placeholder="find", compact=True)
                yield Sentence("reading the judge…", id="check")
            with Vertical(id="bench"):
                yield FieldLine(id="work")
                yield RowList(judge_text.columns(()), id="rows", ascii_only=self._ascii)
                yield Sentence(id="empty")
                yield Sentence(id="sums")
                yield Static(id="detail", markup=False)

    def explain(self) -> Sequence[Line]:
        return _HELP

    def in_short(self) -> str:
        return judge_text.work_words(self.bench.work)

    @property
    def editor(self) -> JudgeEditor:
        return self.query_one("#text", JudgeEditor)

    @property
    def text(self) -> str:
        """The judge as it stands in the editor."""
        return self.editor.text

    @property
    def unsaved(self) -> bool:
        return self.text != self.base.text

    @property
    def now(self) -> Version:
        """The text in the editor as a version."""
        known = self.checked if self.checked and self.checked.text == self.text else None
        return Version(
            text=self.text,
            version=known.version if known else "",
            name=known.name if known else self.base.name,
            origin="in the editor",
            folder=self.base.folder,
            path=self.base.path,
        )

    @property
    def row(self) -> Row | None:
        """The response under the cursor."""
        at = self.query_one("#rows", RowList).cursor
        return None if at is None else self._row(at)

    def _row(self, at: int) -> Row:
        return self.bench.rows[self._order[at] if self._order and at < len(self._order) else at]

    def draw(self, bench: Bench) -> None:
        """Show this bench from now on."""
        before, self.bench = self.bench, bench
        if before.set is not bench.set:
            self._order = None
        rows = self.query_one("#rows", RowList)
        columns = judge_text.columns(bench.rows)
        if columns != self._columns:
            self._columns = columns
            rows.set_columns(columns)
        rows.show(len(bench.rows), lambda at: judge_text.cells(self._row(at), self._place(at), columns))
        if bool(before.rows) != bool(bench.rows):
            self.call_after_refresh(self._lay_out_again)
        self.set_class(not bench.rows, "-empty")
        self.set_class(bench.work is not None, "-working")
        self.query_one("#work", FieldLine).show([Field(judge_text.work_words(bench.work))])
        self.query_one("#empty", Sentence).say(
            f"✗ {one_line(bench.problem)}" if bench.problem
            else "No responses yet: o opens a file, s takes others." if bench.set.title
            else "reading the responses…"
        )  # fmt: skip
        self._draw_head()
        self._draw_sums()
        self._draw_detail()
        if (before.work is None) != (bench.work is None):
            self.refresh_bindings()
        self.say_size()

    def _place(self, at: int) -> int:
        return (self._order[at] if self._order and at < len(self._order) else at) + 1

    def _draw_head(self) -> None:
        checked = self.checked or Checked()
        fields = judge_text.head_fields(
            checked, self.base, self.bench, unsaved=self.unsaved, run_uses=self.run_uses
        )  # fmt: skip
        self.query_one("#head", FieldLine).show(fields)
        mark = "*" if self.unsaved else ""
        edit = self.query_one("#edit")
        edit.border_title = Content(one_line(f"{checked.name or self.base.name}{mark}   {self.base.origin}"))
        bench = self.query_one("#bench")
        bench.border_title = Content(one_line(judge_text.title(self.bench, self.old.version, checked.version)))
        bench.border_subtitle = Content.styled(self.bench.light, judge_text.LIGHTS.get(self.bench.light, ""))

    def _draw_check(self) -> None:
        words, kind = judge_text.check_words(self.checked)
        line = self.query_one("#check", Sentence)
        line.say(words)
        for name in ("warning", "error"):
            line.set_class(kind == name, f"-{name}")

    def _draw_sums(self) -> None:
        sums = self.query_one("#sums", Sentence)
        width = max(20, self.query_one("#bench").content_size.width - 2)  # while it is hidden it has no size itself
        room = 5 if self.has_class("-tall") else 2
        words = [self.bench.problem] if self.bench.problem and self.bench.rows else []
        words += [f"! {warning}" for warning in self.bench.warnings]
        lines = [line for text in (*words, *self.bench.sums) for line in wrap_at_most(one_line(text), width, room)]
        sums.set_class(bool(words), "-bad")
        sums.display = bool(lines)
        sums.say("\n".join(lines[:room]))

    def _draw_detail(self) -> None:
        place = self.query_one("#detail", Static)
        width, height = place.content_size
        row = self.row if self.bench.rows else None
        drawn = (row, width, height)
        if drawn != getattr(self, "_detail_drawn", None):
            self._detail_drawn = drawn
            place.update(judge_text.detail(row, width, height))

    def on_resize(self) -> None:
        super().on_resize()
        self.call_after_refresh(self._lay_out_again)

    def _lay_out_again(self) -> None:
        if self.is_mounted:
            self._draw_sums()
            self._draw_detail()

    def on_row_list_highlighted(self) -> None:
        self._draw_detail()

    async def put_version(self, version: Version) -> None:
        """Bring a version into the editor."""
        raise NotImplementedError

    def go(self, work: Coroutine[Any, Any, None], group: str = "judge") -> None:
        """Let this happen while keys go on; what goes wrong is said."""
        self.run_worker(self._guarded(work), group=group, exit_on_error=False)

    async def _guarded(self, work: Awaitable[None]) -> None:
        try:
            await work
        except (RlaifError, OSError) as error:
            self.tell(str(error), "error")
        except Exception as error:
            if not isinstance(self.app, TellsFaults):
                raise
            self.app.tell_fault(error)
