"""The judge's screen as pictures at both sizes, and what others write on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from judge_app import Alone, opened
from shell_pilot import both_sizes, read_until, until
from test_safety import HOSTILE, assert_plain
from textual.pilot import Pilot
from tui_logs import screen_text

from core.errors import DataError, JudgeError
from core.judge.workbench.items import Item
from core.judge.workbench.samples import ScoredSample
from core.types import JudgeRequest
from rlaif_tui.desks.judge_files import edit_outside
from rlaif_tui.desks.judge_labels import keep_mark, read_marks
from rlaif_tui.desks.judge_state import Bench, Row, SampleSet, Version, Work

Compare = Callable[..., bool]


def sample(at: int, score: float | None, **more: Any) -> ScoredSample:
    known: dict[str, Any] = {
        "id": str(at), "prompt": "Why is the sky blue?", "response": f"answer {at}", "role": "response",
        "score": score, "reward": None if score is None else score / 5 - 1, "spread": 0.4,
        "reason": f"reason {at}: right, but one step is missing", "status": "ok", "latency_s": 0.8, "requests": 1,
        "cost_usd": 0.0004, "cost_source": "table",
    }  # fmt: skip
    return ScoredSample(**(known | more))


def rows(judged: int) -> tuple[Row, ...]:
    """24 responses, of which so many have been judged anew; the fourth got no verdict."""
    found = []
    for at in range(24):
        old = sample(at, 3.0 + at % 6)
        new = sample(at, min(10.0, 4.0 + 2.1 * (at % 4)), cached=at % 5 == 2) if at < judged else None
        if at == 3:
            new = sample(at, None, status="unparseable", reason="the judge's reply is empty", spread=None)
        request = JudgeRequest(task="Why is the sky blue?", response=f"answer {at}: air bends blue light the most")
        item = Item(id=str(at), prompt=request.task, request=request)
        found.append(Row(item=item, mine=float(at % 11) if at % 3 == 0 else None, old=old, new=new))
    return tuple(found)


def scoring(bench: Bench, version: str) -> Bench:
    items = tuple(row.item for row in rows(9))
    return replace(
        bench,
        set=SampleSet(kind="data", title="24 of 7,473 responses of pairs.csv", items=items),
        rows=rows(9),
        work=Work(what="score", done=9, total=24, seconds=12.0),
        spent_usd=0.41,
        canaries={version: 2.0},
    )


def calibrated(bench: Bench, version: str) -> Bench:
    reasons = (
        "AMBER: ranks as the labels do with rho 0.62 (95 % CI 0.31 to 0.82): for green the lower end must reach 0.5",
        "no canary gets more than 2.0",
    )
    return replace(scoring(bench, version), rows=rows(24), work=None, sums=reasons, light="amber")


def broken(bench: Bench, version: str) -> Bench:
    problem = "stopped after 9 of 24: 127.0.0.1 refused the key (401): set the environment variable OPENAI_API_KEY"
    return replace(scoring(bench, version), work=None, problem=problem)


def empty(bench: Bench, version: str) -> Bench:
    return Bench(cap_usd=5.0, set=SampleSet(kind="data", title="0 of 0 responses of answers.csv"))


@both_sizes
@pytest.mark.parametrize("state", [None, scoring, calibrated, broken, empty], ids=lambda state: getattr(
    state, "__name__", "opened"))  # fmt: skip
def test_looks(tmp_path: Path, snap_compare: Compare, size: tuple[int, int], state: Any) -> None:
    async def settle(pilot: Pilot[None]) -> None:
        view = pilot.app.view  # type: ignore[attr-defined]
        await until(pilot, lambda: bool(view.bench.rows) and view.query_one("#rows").has_focus)
        await read_until(pilot, "✓ nothing to object to")
        if state is not None:
            view.old = Version(text="", version="a1b2c3d4e5f6", name="general", origin="")
            view.draw(state(view.bench, view.checked.version))
        for _ in range(4):
            await pilot.pause()

    assert snap_compare(Alone(tmp_path), terminal_size=size, run_before=settle)


@both_sizes
async def test_what_others_write_is_shown_and_never_obeyed(tmp_path: Path, size: tuple[int, int]) -> None:
    request = JudgeRequest(task=HOSTILE, response=HOSTILE, reference=HOSTILE, system=HOSTILE)
    item = Item(id=HOSTILE, prompt=HOSTILE, request=request)
    said = sample(0, 5.0, prompt=HOSTILE, response=HOSTILE, reason=HOSTILE, flags=(HOSTILE,))
    failed = sample(1, None, reason=HOSTILE, status="infra_error")
    app = Alone(tmp_path)
    async with opened(app, size) as pilot:
        both = (Row(item=item, mine=1.0, old=failed, new=said), Row(item=item, new=failed))
        chosen = SampleSet(title=HOSTILE, items=(item,))
        app.view.old = Version(text=HOSTILE, version=HOSTILE, name=HOSTILE, origin=HOSTILE)
        app.view.draw(replace(app.view.bench, set=chosen, rows=both, sums=(HOSTILE,), report=(HOSTILE,)))
        await pilot.pause()
        seen = screen_text(app)
        assert "[/] [bold]loud" in seen, "markup is text"
        for keys in (["j"], ["enter"], ["G"], ["escape", "w"], ["escape", "r"], ["escape"]):
            await pilot.press(*keys)
            await pilot.pause()
            seen += screen_text(app)
        app.view.editor.load_text(HOSTILE)
        app.view.draw(replace(app.view.bench, problem=HOSTILE))
        await read_until(pilot, "✗ judge.toml, line 1")
        seen += screen_text(app)
        app.view.tell(HOSTILE)
        await pilot.pause()
        assert_plain(seen + screen_text(app))


def test_marks_are_kept_whole_and_a_broken_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "labels.csv"
    strange = ('a,"b"\r\n=1+1 \ud800', "\x1b[31m\n")
    keep_mark(path, ("task", "response"), 7.0)
    keep_mark(path, strange, 10.0)
    assert keep_mark(path, ("task", "response"), 2.5) == {strange: 10.0, ("task", "response"): 2.5}
    assert keep_mark(path, strange, None) == read_marks(path) == {("task", "response"): 2.5}
    path.write_text("label,prompt,response\nmany,task,response\n")
    with pytest.raises(DataError, match="row 1"):
        keep_mark(path, ("task", "other"), 1.0)
    assert "many" in path.read_text()


def test_an_editor_of_ones_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "edit.sh"
    program.write_text('#!/bin/sh\nsed -i "s/old/new/" "$2"\n')
    program.chmod(0o700)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"{program} -w")
    assert edit_outside("the old text\n") == "the new text\n"
    monkeypatch.setenv("EDITOR", "false")
    with pytest.raises(JudgeError, match="the text is as it was"):
        edit_outside("x")
    monkeypatch.setenv("EDITOR", os.fspath(tmp_path / "nothing"))
    with pytest.raises(JudgeError, match="cannot be started"):
        edit_outside("x")
