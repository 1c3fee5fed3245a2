"""Handing a judge that was written in the app to a run that is under way."""

from __future__ import annotations

from pathlib import Path

from core.run_dir import RunDir

from ..background import in_background


async def adopt(run: RunDir, spec_text: str) -> str:
    """Keep this judge in the run and ask its worker for it; returns the judge's version.

    Raises ``JudgeError`` in one sentence, or ``OSError``.
    """
    return await in_background(_adopt, run, spec_text)


def _adopt(run: RunDir, spec_text: str) -> str:
    from core.journal import send
    from core.judge.spec_file import parse_spec
    from core.run_judges import offer_judge

    command = offer_judge(run, parse_spec(spec_text, "the judge", Path.cwd()), "the judge has a fault")
    send(run, command)
    return command.version
