"""The file of one step's rollouts: what is in it is never generated or judged again."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.rollout_log import RolloutLog, read_rollouts, supersede_after
from core.run_dir import create
from core.types import JudgedRollout, JudgeFailure, Message, Prompt, Rollout, RolloutMeasures, Verdict


def rollout(row: int, response: str = "yes") -> Rollout:
    prompt = Prompt(id=f"p{row}", messages=(Message("user", "Is it \u2028 so?\n"),))
    return Rollout(
        id=f"000003-{row:04d}", step=3, row=row, prompt=prompt, prompt_tokens=(1, 2, row), response_tokens=(7, 2),
        response=response, finish="stop",
    )  # fmt: skip


def verdict(score: float = 5.0) -> Verdict:
    return Verdict(score=score, reward=score / 5 - 1, reason="fair", backend="rubric", judge_version="v", cost_usd=0.1)


FAILURE = JudgeFailure(status="infra_error", treatment="mask", message="timed out", backend="x", judge_version="v")


def written(path: Path, *outputs: Rollout | JudgedRollout | RolloutMeasures) -> bytes:
    log = RolloutLog(path)
    for output in outputs:
        log.append(output)
    log.sync()
    log.close()
    return path.read_bytes()


def test_rows_come_back_in_order_with_the_results_they_have(tmp_path: Path) -> None:
    path = tmp_path / "step.jsonl"
    judged, failed = (
        JudgedRollout(rollout=rollout(2), result=verdict()),
        JudgedRollout(rollout=rollout(0), result=FAILURE),
    )
    measures = RolloutMeasures(rollout_id=rollout(2).id, reward=0.0, kl=0.5, kl_tokens=(0.25, 0.25), used=True)
    written(path, rollout(2), judged, rollout(1), failed, measures)
    recorded = read_rollouts(path)
    assert recorded.rows() == [failed, rollout(1), judged]
    assert recorded.measures == {rollout(2).id: measures}
    assert recorded.damaged == 0
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_written_twice_and_a_new_verdict_replaces_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "step.jsonl"
    failed = JudgedRollout(rollout=rollout(0), result=FAILURE)
    first = written(path, rollout(0), failed)
    assert written(path, rollout(0), failed) == first
    judged = JudgedRollout(rollout=rollout(0), result=verdict())
    second = written(path, judged)
    assert second.startswith(first)
    assert second.count(b"\n") == 3  # rollout, failure, verdict
    assert read_rollouts(path).rows() == [judged]


def test_another_response_does_not_inherit_the_verdict(tmp_path: Path) -> None:
    path = tmp_path / "step.jsonl"
    written(path, JudgedRollout(rollout=rollout(0, "yes"), result=verdict()), rollout(0, "no"))
    assert read_rollouts(path).rows() == [rollout(0, "no")]


def test_every_cut_leaves_whole_rows_and_the_next_attempt_goes_on(tmp_path: Path) -> None:
    path, whole = tmp_path / "step.jsonl", tmp_path / "whole.jsonl"
    rows = [JudgedRollout(rollout=rollout(i), result=verdict(float(i))) for i in range(3)]
    data = written(whole, *rows)
    for cut in range(0, len(data), 7):
        path.write_bytes(data[:cut])
        recorded = read_rollouts(path)
        complete = data[:cut].count(b"\n")
        assert len(recorded.rollouts) + len(recorded.results) == complete
        assert recorded.damaged == 0
        assert written(path, *rows) == data, cut


def test_a_flipped_byte_costs_its_line_and_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "step.jsonl"
    judged = JudgedRollout(rollout=rollout(0), result=verdict())
    data = written(path, judged, rollout(1))
    starts = [0, data.index(b"\n") + 1]
    expected = [[rollout(1)], [rollout(0), rollout(1)]]  # a verdict without its rollout is of no use
    for start, rows in zip(starts, expected, strict=True):
        for position in range(start, start + 60):
            flipped = bytearray(data)
            flipped[position] ^= 4
            path.write_bytes(flipped)
            recorded = read_rollouts(path)
            assert (recorded.rows(), recorded.damaged) == (rows, 1), position


def test_a_missing_file_has_no_rows_and_none_is_made_without_need(tmp_path: Path) -> None:
    path = tmp_path / "rollouts" / "step.jsonl"
    log = RolloutLog(path)
    log.sync()
    log.close()
    assert read_rollouts(path).rows() == []
    assert not path.parent.exists()


@pytest.mark.parametrize("times", [1, 2])
def test_later_steps_are_set_aside_and_kept(tmp_path: Path, times: int) -> None:
    run = create(tmp_path, "one")
    for _ in range(times):
        for step in (3, 4, 5):
            written(run.rollouts(step), rollout(0))
        moved = supersede_after(run, 3)
    assert [path.name for path in moved] == [f"superseded-step_00000{step}-{times}.jsonl" for step in (4, 5)]
    assert run.rollouts(3).exists()
    assert not run.rollouts(4).exists()
    assert len(list(run.rollouts(3).parent.iterdir())) == 1 + 2 * times
