"""The keys of the bench: scoring, comparing, rating, versions, sets, money, and taking a judge into use."""

from __future__ import annotations

import math
import statistics
from dataclasses import replace

from core.errors import JudgeError, RlaifError

from ..desks.judge_state import Checked, Row, Version, What
from ..text import one_line
from ..widgets.rows import Column
from .judge_ask import AskScreen, PickScreen
from .judge_rate import RateScreen, blind_order
from .judge_responses import ResponseKeys

_VERSION_COLUMNS = (Column("name"), Column("version", 12), Column("from", 24))


class BenchKeys(ResponseKeys):
    """What keys do to the right of the editor."""

    def action_score(self) -> None:
        self.go(self._start("score"))

    def action_diff(self) -> None:
        self.go(self._start("diff"))

    def action_canaries(self) -> None:
        self.go(self._start("canaries"))

    def action_trust(self) -> None:
        self.go(self._start("trust"))

    def action_cancel(self) -> None:
        self.desk.cancel()

    async def _sound(self) -> Checked:
        """The text in the editor as a judge that can be asked. Raises ``JudgeError``."""
        found = self.checked
        if found is None or found.text != self.text:
            found = self.checked = await self.desk.texts.check(self.text, self.base.folder)
            self._draw_check()
        if found.errors:
            raise JudgeError(found.errors[0])
        return found

    async def _start(self, what: What) -> None:
        await self._sound()
        if what == "diff" and self.now.version == self.old.version:
            raise JudgeError("both versions score alike: edit the text, or choose another version with v")
        if what in ("score", "diff") and not self.bench.set.items:
            raise JudgeError("there are no responses to score: o opens a file, s takes others")
        self._order = None
        await self.desk.start(what, self.now, self.old)
        await self.poll()

    def action_repeats(self, by: int) -> None:
        self.desk.set_repeats(self.bench.repeats + by)
        self.go(self.poll())

    def action_cap(self) -> None:
        cap = self.bench.cap_usd
        words = "Nothing is sent that could pass this many dollars in this session; 'none' for no cap."
        self.app.push_screen(AskScreen("cap", words, "none" if cap is None else f"{cap:g}", self._set_cap))

    async def _set_cap(self, text: str, again: bool) -> str:  # noqa: ARG002
        try:
            cap = None if text.casefold() == "none" else float(text.lstrip("$"))
            if cap is not None and not (math.isfinite(cap) and cap >= 0):
                raise ValueError
        except ValueError:
            return f"'{text}' is no amount: write dollars such as 5 or 0.50, or none"
        self.desk.set_cap(cap)
        await self.poll()
        return ""

    def action_rate(self) -> None:
        queue = blind_order(self.bench.rows)
        if not queue:
            none = "there are no responses to rate" if not self.bench.rows else "every response here has your mark"
            self.tell(none)
            return

        def ended(given: int | None) -> None:
            if given:
                self.go(self._rated(given))

        self.app.push_screen(RateScreen(queue, self._keep_mark), ended)

    async def _keep_mark(self, row: Row, mark: float | None) -> str:
        try:
            await self.desk.rate(row.item, mark)
        except (RlaifError, OSError) as error:
            return str(error)
        return ""

    async def _rated(self, given: int) -> None:
        self.tell(f"{given} mark{'s' * (given > 1)} kept in {self.desk.labels}; t calibrates with them")
        if self.checked and self.checked.version:
            await self.desk.agree(self.checked.version)
        await self.poll()

    def action_versions(self) -> None:
        self.go(self._versions())

    async def _versions(self) -> None:
        found = await self.desk.texts.versions(self.base)
        rows = [(v.name, v.version, v.origin) for v in found]

        def chosen(index: int | None) -> None:
            if index is not None and index >= 0:
                self._what_with(found[index])

        words = "Compare with it, or bring it into the editor."
        self.app.push_screen(
            PickScreen("versions", words, _VERSION_COLUMNS, rows, ascii_only=self._ascii), chosen
        )  # fmt: skip

    def _what_with(self, version: Version) -> None:
        def chosen(index: int | None) -> None:
            if index == 0:
                self.go(self._compare_with(version))
            elif index == 1:
                self.go(self.put_version(version))

        ways = [("compare the text in the editor with it",), ("bring it into the editor; undo brings yours back",)]
        name = f"{version.name} {version.version or version.origin}"
        self.app.push_screen(PickScreen(name, "", (Column("choose"),), ways, ascii_only=self._ascii), chosen)

    async def _compare_with(self, version: Version) -> None:
        found = await self.desk.texts.check(version.text, version.folder)
        if found.errors:
            raise JudgeError(f"{version.name} cannot be compared with: {found.errors[0]}")
        self.old = replace(version, version=found.version)
        await self.poll()
        self._draw_head()
        self.tell(f"compared with {version.name} {found.version}; d scores both")

    def action_open_judge(self) -> None:
        words = "A judge file of yours; rlaif-tui judge init writes one."
        value = str(self.base.path or "judge.toml")
        self.app.push_screen(AskScreen("open a judge file", words, value, self._open_judge))

    async def _open_judge(self, path: str, again: bool) -> str:  # noqa: ARG002
        try:
            version = await self.desk.texts.open_file(path)
            await self.put_version(version)
        except (RlaifError, OSError) as error:
            return str(error)
        self.old = version
        await self.poll()
        return ""

    def action_adopt(self) -> None:
        self.go(self._adopt())

    async def _adopt(self) -> None:
        await self._sound()
        ways = [("a new run: write a judge file",)]
        if self.run is not None:
            ways.insert(0, (f"the run {self.run.name}: from its next step on",))

        def chosen(index: int | None) -> None:
            if index is None or index < 0:
                return
            if index == len(ways) - 1:
                self._ask_where()
            else:
                self.go(self._for_the_run())

        self.app.push_screen(
            PickScreen("use it for", self._change(), (Column("choose"),), ways, ascii_only=self._ascii), chosen
        )

    def _change(self) -> str:
        """What is known of the judge's worth and of what would change."""
        changes = [row.change for row in self.bench.rows if row.change is not None]
        parts = [f"{self.now.name} {self.now.version}"]
        if changes:
            mean = statistics.fmean(changes)
            parts.append(f"{mean:+.2f} on average against {self.old.version} on {len(changes)} responses")
        else:
            parts.append("not compared with another version yet (d)")
        canaries = self.bench.canaries or {}
        top = canaries.get(self.now.version)
        parts.append("canaries not tried (c)" if top is None else f"highest canary {top:.1f}")
        return "; ".join(parts)

    async def _for_the_run(self) -> None:
        text = await self.desk.texts.portable(self.text, self.base.folder)
        self.post_message(self.AdoptAsked(text))

    def _ask_where(self) -> None:
        value = str(self.base.path or "judge.toml")
        words = "Where to write it; name the file under judge in a new run's setup."
        self.app.push_screen(AskScreen("write a judge file", words, value, self._write))

    async def _write(self, path: str, again: bool) -> str:
        try:
            file = await self.desk.texts.write(self.text, self.base.folder, path, replace_it=again)
        except (RlaifError, OSError) as error:
            return str(error)
        self.tell(f"{one_line(str(file))} is written; a new run takes it as its judge")
        return ""
