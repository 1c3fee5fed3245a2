"""The judge as a text: what the editor begins with, drafts, versions, what would be sent, files for new runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RlaifError
from core.run_dir import RunDir

from ..background import in_background
from . import judge_files
from .judge_draft import Drafts
from .judge_state import Checked, Opened, Version

if TYPE_CHECKING:
    from core.judge.workbench.items import Item


class JudgeTexts:
    """Async methods do their work in the background."""

    def __init__(self, state_dir: Path, data_dir: Path, now: Callable[[], float]) -> None:
        self._saved = data_dir / "judges"
        self._drafts = Drafts(state_dir / "judge-drafts")
        self._now = now
        self._keeping = asyncio.Lock()
        self._run: RunDir | None = None

    async def open(self, run: RunDir | None, *, fresh: bool = True) -> Opened:
        """The judge of the run, else the built-in one; if ``fresh`` also what an earlier terminal left unsaved."""
        self._run, problem = run, ""
        try:
            base = await in_background(judge_files.of_run, run) if run else None
        except (RlaifError, OSError) as error:
            base, problem = None, f"the run's judge cannot be read: {error}"
        if base is None:
            base = await in_background(judge_files.built_in, judge_files.FIRST)
        left = [d for d in await in_background(self._drafts.left_behind) if not d.aside] if fresh else []
        if not left or left[0].text == base.text:
            return Opened(base=base, problem=problem)
        await in_background(self._drafts.take_over, left[0], self._now())
        age = max(0.0, self._now() - left[0].time)
        return Opened(base=base, draft=left[0].text, draft_age_s=age, problem=problem)

    async def check(self, text: str, folder: Path) -> Checked:
        """What the text amounts to."""
        return await in_background(judge_files.check, text, folder)

    async def keep_draft(self, text: str, saved: str) -> None:
        """Bring what was typed to disk. Raises ``OSError``."""
        async with self._keeping:
            await in_background(self._keep, text, saved)

    def keep_now(self, text: str, saved: str) -> None:
        """The same, blocking, for the last moment."""
        self._keep(text, saved)

    def _keep(self, text: str, saved: str) -> None:
        if text == saved:
            self._drafts.drop()
        else:
            self._drafts.keep(text, self._now())

    async def set_aside(self, text: str) -> None:
        """Keep an unsaved text that makes room for another one. Raises ``OSError``."""
        await in_background(self._drafts.set_aside, text, self._now())

    async def save(self, text: str, beside: Path) -> Version:
        """Keep the text as a version. Raises ``JudgeError``, ``OSError``."""
        version = await in_background(judge_files.save, self._saved, text, beside)
        await self.keep_draft(text, text)
        return version

    async def versions(self, base: Version) -> tuple[Version, ...]:
        """Everything there is to go back to or compare with."""
        from core.judge.builtin import BUILT_IN

        found = [base]
        if self._run is not None:
            with contextlib.suppress(RlaifError, OSError):
                found.append(await in_background(judge_files.of_run, self._run))
        found += await in_background(judge_files.saved, self._saved)
        for draft in await in_background(self._drafts.left_behind):
            age = time.strftime("%Y-%m-%d %H:%M", time.localtime(draft.time))
            found.append(Version(text=draft.text, version="", name="draft", origin=f"unsaved, {age}"))
        for name in BUILT_IN:
            found.append(await in_background(judge_files.built_in, name))
        return tuple({(v.origin, v.name, v.version): v for v in found}.values())

    async def open_file(self, path: str) -> Version:
        """Raises ``JudgeError``."""
        return await in_background(judge_files.of_file, path)

    async def preview(self, text: str, folder: Path, item: Item) -> list[tuple[str, str]]:
        """Exactly what would be sent about this response. Raises ``JudgeError``."""
        return await in_background(judge_files.preview, text, folder, item.request)

    async def portable(self, text: str, folder: Path) -> str:
        """The text without files beside it. Raises ``JudgeError``."""
        return await in_background(judge_files.portable, text, folder)

    async def write(self, text: str, folder: Path, path: str, *, replace_it: bool) -> Path:
        """A judge file for a new run. Raises ``OutputError``, ``JudgeError``."""
        return await in_background(judge_files.write_for_new_run, text, folder, path, replace=replace_it)
