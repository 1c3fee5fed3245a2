"""The keys that choose what a judge is tried on, and that show it one of these responses as an exemplar."""

from __future__ import annotations

from functools import partial

from core.errors import JudgeError
from core.run_dir import RunDir

from ..desks.judge_exemplar import Exemplar, with_exemplar
from ..desks.judge_state import Row, SetKind
from ..text import clip
from .judge_ask import AskScreen
from .judge_view import JudgeView

_SETS: tuple[SetKind, ...] = ("built-in", "run", "data")
AGREED = 1.0
"""Points between a person's mark and the judge's score that are no disagreement."""


class ResponseKeys(JudgeView):
    """What keys do with the set of responses."""

    run: RunDir | None = None
    _wanted: tuple[SetKind, str] | None = None
    """The set that was chosen, and the file of responses that is known; None: nothing was chosen."""
    _offered = ""
    """A file that 3 Data set down for use."""

    @property
    def _file(self) -> str:
        """The file whose responses can be tried; empty if none is known."""
        return (self._wanted[1] if self._wanted else "") or self._offered

    def use_data(self, path: str) -> None:
        """Offer the responses of this file, and try the judge on them if it holds any."""
        self._offered = path
        if self._wanted is not None:
            self._wanted = self._wanted[0], path
        if self.is_mounted and self.checked is not None:
            self.go(self.try_offered(), group="set")

    async def try_offered(self) -> None:
        """Take the offered file as the set; one of prompts only is left alone."""
        path = self._offered
        if path and not await self.desk.use("data", path, quiet=True):
            self._wanted = ("data", path)
            await self.poll()

    async def _use(self, kind: SetKind, path: str = "") -> None:
        await self.desk.use(kind, path)
        await self.poll()

    def action_next_set(self) -> None:
        known = [kind for kind in _SETS if self._available(kind)]
        at = known.index(self.bench.set.kind) if self.bench.set.kind in known else -1
        kind = known[(at + 1) % len(known)]
        path = self._file if kind == "data" else ""
        if kind == self.bench.set.kind and kind != "run":
            self.tell("these are the only responses there are: o opens a data file")
            return
        self._wanted = kind, self._file
        self.go(self._use(kind, path), group="set")

    def _available(self, kind: SetKind) -> bool:
        if kind == "run":
            return self.run is not None
        return kind == "built-in" or bool(self._file)

    def action_open_data(self) -> None:
        words = "A file with a response column, or with chosen and rejected answers: CSV, JSON lines or Parquet."
        self.app.push_screen(AskScreen("open responses", words, self._file, self._open_data))

    async def _open_data(self, path: str, again: bool) -> str:  # noqa: ARG002
        problem = await self.desk.use("data", path)
        await self.poll()
        if not problem:
            self._wanted = ("data", path)
        return problem

    def action_exemplar(self) -> None:
        row = self.row if self.bench.rows else None
        problem = "there is no response here: o opens a file, s takes others" if row is None else self._unfit(row)
        if problem or row is None:
            self.tell(problem, "warning")
            return
        shown = row.shown
        judged = "no score" if shown is None or shown.score is None else f"{shown.score:.1f}"
        width = max(20, min(90, self.size.width - 24))
        words = (
            "It goes to the end of the text in the editor, where ^z takes it back. The judge is shown it from then on, "
            f"and it is no longer scored.\n\ntask      {clip(row.item.request.task, width)}\n"
            f"response  {clip(row.item.request.response or '(empty)', width)}\n"
            f"score     {row.mine:g} of 10 from you; the judge gave {judged}\n\nWhy it deserves that, for the judge:"
        )
        self.app.push_screen(AskScreen("show it to the judge", words, "graded by a person", partial(self._show, row)))

    def _unfit(self, row: Row) -> str:
        """Why a response is no use as an exemplar."""
        if row.exemplar:
            return "the judge is shown this one already"
        if row.mine is None:
            return "this response has no mark of yours: r gives marks"
        if row.held:
            return "this one is kept for measuring (h): what the judge was shown would only flatter it"
        if row.shown is not None and row.shown.score is not None and abs(row.shown.score - row.mine) < AGREED:
            return f"you and the judge agree on it ({row.mine:g} and {row.shown.score:.1f}): it would teach nothing"
        if self.checked is None or self.checked.errors:
            return "the text in the editor is no judge yet: see the line below it"
        if self.checked.backend == "rubric":
            return "fixed rules cannot be shown anything"
        if not self.checked.takes_exemplars:
            return "this judge's prompt has no place for exemplars; add a loop over {{ exemplars }} to it"
        return ""

    async def _show(self, row: Row, reason: str, again: bool) -> str:  # noqa: ARG002
        assert row.mine is not None
        low, high = self.checked.scale if self.checked else (0.0, 10.0)
        request = row.item.request
        exemplar = Exemplar(
            task=request.task,
            response=request.response,
            reference=request.reference or "",
            score=low + row.mine / 10 * (high - low),
            reason=reason,
        )
        try:
            text = with_exemplar(self.text, exemplar)
        except JudgeError as error:
            return str(error)
        self.editor.put(text)
        self.tell("the judge is shown it from now on; ^z in the editor takes that back, ^r scores the others anew")
        return ""
