"""Ratings of replies of a comparison: which of them say something of this run's policy and judge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from core.agreement import AgreementReader
from core.compare.rated import origin_of, prefix_of, rate_reply, rated_id
from core.compare.record import ComparedModel, Comparison, Header, Reply, RowDone, Settings
from core.ratings import Origin, fingerprint, load_ratings
from core.run_dir import RunDir, create
from core.types import JudgeFailure, Verdict


def compared(run: RunDir, **model: Any) -> Comparison:
    """The base and one other model on one prompt, scored 3 and 8 by the judge ``v1``."""
    base = ComparedModel(label="A", named="base", title="base tiny", kind="base", source="m")
    known: dict[str, Any] = {
        "named": f"{run.name}@40",
        "title": f"{run.name} step 40",
        "kind": "checkpoint",
        "step": 40,
    }
    other = ComparedModel(label="B", source="m", **{**known, **model})
    settings = Settings(seed=1, temperature=1.0, max_new_tokens=8)
    header = Header(
        id="20261123-c1", time=0.0, models=(base, other), settings=settings, data="held out", data_fingerprint="d",
        rows=1, judge="rubric", judge_version="v1",
    )  # fmt: skip
    verdicts = [Verdict(score=score, reward=0.0, reason="", backend="x", judge_version="v1") for score in (3.0, 8.0)]
    replies = tuple(Reply(text=f"said {v.score:g}", tokens=2, finish="stop", verdict=v) for v in verdicts)
    row = RowDone(row=4, prompt_id="p4", prompt="?", prompt_tokens=1, replies=replies)
    return Comparison(run.path / "comparisons" / "c1.jsonl", header, (row,))


def test_both_replies_count_where_the_runs_own_judge_scored_the_runs_own_policy(tmp_path: Path) -> None:
    run = create(tmp_path, "calm")
    one = compared(run)
    [row] = one.rows
    assert origin_of(run, one, row, 0, "v1") == Origin(judge=3.0, step=0, prompt_id="p4", judge_version="v1")
    assert origin_of(run, one, row, 1, "v1") == Origin(judge=8.0, step=40, prompt_id="p4", judge_version="v1")
    for model, score in ((0, 2.0), (1, 9.0)):
        rate_reply(run, one, row, model, score, "v1")
    standing = load_ratings(run).newest()
    assert list(standing) == ["compare:20261123-c1/4/0", "compare:20261123-c1/4/1"]
    assert all(id_.startswith(prefix_of(one)) for id_ in standing)
    assert standing[rated_id(one, row, 1)].text == fingerprint("said 8")
    found = AgreementReader(run).read()
    assert found.rated == 2
    assert found.newest is not None
    assert (found.newest.first_step, found.newest.step) == (0, 40)
    rate_reply(run, one, row, 1, None, "v1")
    assert AgreementReader(run).read().rated == 1


@pytest.mark.parametrize(
    "model",
    [
        {"named": "other@40", "title": "other step 40"},
        {"named": "./dpo", "title": "adapter dpo", "kind": "adapter", "step": None},
        {"named": "org/m", "title": "model org/m", "kind": "model", "step": None},
    ],
    ids=["another run", "adapter", "model"],
)
def test_what_another_model_wrote_is_kept_but_says_nothing_of_this_run(tmp_path: Path, model: dict[str, Any]) -> None:
    run = create(tmp_path, "calm")
    one = compared(run, **model)
    rate_reply(run, one, one.rows[0], 1, 9.0, "v1")
    assert len(load_ratings(run).standing) == 1
    assert AgreementReader(run).read().rated == 0


def test_what_another_judge_gave_or_none_is_left_out(tmp_path: Path) -> None:
    run = create(tmp_path, "calm")
    one = compared(run)
    [row] = one.rows
    assert origin_of(run, one, row, 1, "v2") == Origin(judge=None, step=40, prompt_id="p4")
    failure = JudgeFailure(status="unparseable", treatment="mask", message="?", backend="x", judge_version="v1")
    silent = msgspec.structs.replace(row.replies[1], verdict=None, failure=failure)
    failed = msgspec.structs.replace(row, replies=(row.replies[0], silent))
    assert origin_of(run, one, failed, 1, "v1").judge is None
    rate_reply(run, one, row, 1, 9.0, "v2")
    rate_reply(run, one, failed, 0, 9.0, "v1")
    assert AgreementReader(run).read().rated == 1
