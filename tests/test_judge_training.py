"""What training does with a judge that fails, is away, costs too much, is watched, or is replaced."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import bench
import pytest
import tiny

from core.config import JudgeConfig
from core.events import CanariesScored, Heartbeat, Paused, RefereeScored, Resumed, StepCompleted, ValidationCompleted
from core.figures import StepMetrics
from core.journal import EventLog
from core.judge.pool import JudgePool
from core.recorder import Recorder
from core.rollout_log import RolloutLog, read_rollouts
from core.run_dir import RunDir, create
from core.swap import JudgeSwap
from core.types import (
    JudgedRollout,
    JudgeFailure,
    JudgeRequest,
    JudgeResult,
    RefereeResult,
    Rollout,
    Usage,
    Verdict,
    score_to_reward,
)
from core.watch import ALLOWANCE, CANARIES_NEEDED, Watch


class Scripted(bench.WordJudge):
    """The word judge with a script: ``act(request, result)`` may put another result in the place of its own."""

    def __init__(self, act: Any = None, version: str = "1") -> None:
        super().__init__()
        self.act = act
        self.version = version
        self.link: Any = None
        self.resets = 0

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        results = await super().judge(requests)
        return [await self.act(q, r) if self.act else r for q, r in zip(requests, results, strict=True)]

    def reset(self) -> None:
        self.resets += 1


def failure(**fields: Any) -> JudgeFailure:
    values = {"status": "infra_error", "treatment": "mask", "message": "no", "backend": "b", "judge_version": "1"}
    return JudgeFailure(**(values | fields))


def verdict(score: float, **fields: Any) -> Verdict:
    values = {"reason": "", "backend": "b", "judge_version": "1", "cost_usd": 0.5}
    return Verdict(score=score, reward=score_to_reward(score), **(values | fields))


@pytest.mark.parametrize("fields", [{"fatal": True, "kind": "auth"}, {"status": "budget", "kind": "budget"}])
def test_one_fault_that_a_person_must_mend_pauses_before_anything_is_trained(
    models: dict[str, Path], fields: dict[str, Any]
) -> None:
    left = [1]

    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        if left[0]:
            left[0] -= 1
            return failure(message="mend me", **fields)
        return result

    settings = bench.config(judge={"max_failed_fraction": 0.9})
    judge = Scripted(act)
    trained = bench.trainer(tiny.policy(models["mistral"]), settings, judge=judge)
    before = bench.snapshot(trained)
    first = bench.step(trained)
    assert trained.demand is not None
    assert trained.demand.kind == "pause"
    assert "mend me" in trained.demand.reason
    assert trained.completed == 0
    assert bench.equal(before, bench.snapshot(trained))

    asked = sum(judge.asked.values())
    again = bench.step(trained, first.judged)
    assert trained.demand is None
    assert trained.completed == 1
    assert sum(judge.asked.values()) == asked + 1  # only the one that failed
    assert again.metrics.rows == 4
    assert judge.resets == 2  # a new attempt may meet a mended judge
    trained.close()


def test_three_badly_judged_batches_in_a_row_pause(models: dict[str, Path]) -> None:
    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        mute = failure(status="unparseable", treatment="floor", message="no verdict in the reply")
        return mute if len(asked) % 4 == 0 and len(asked) in broken else result

    asked: list[int] = []

    class Counting(Scripted):
        async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
            asked.append(0)
            return await super().judge(requests)

    broken = set(range(12)) | set(range(13, 40))  # one of four in every batch but the third
    settings = bench.config(judge={"max_failed_fraction": 0.5}, run={"steps": 40})
    trained = bench.trainer(tiny.policy(models["mistral"]), settings, judge=Counting(act))
    demands = []
    for _ in range(6):
        bench.step(trained)
        demands.append(trained.demand)
    assert [d is not None for d in demands] == [False, False, False, False, False, True]
    assert demands[-1] is not None
    assert "no verdict in the reply" in demands[-1].reason
    trained.close()


def test_replies_without_a_verdict_pause_even_where_they_cost_their_responses_the_lowest_reward(
    models: dict[str, Path],
) -> None:
    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return failure(status="unparseable", treatment="floor", kind="injected", message="no id")

    trained = bench.trainer(tiny.policy(models["mistral"]), bench.config(), judge=Scripted(act))
    bench.step(trained)
    assert trained.demand is not None
    assert trained.completed == 0
    trained.close()


def test_an_outage_is_told_as_a_pause_and_its_end_as_a_resumption(models: dict[str, Path]) -> None:
    judge = Scripted()
    release = threading.Event()

    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        while not release.is_set():
            await asyncio.sleep(0.01)
        return result

    judge.act = act
    judge.link = SimpleNamespace(open=True, reason="connection refused")
    trained = bench.trainer(tiny.policy(models["mistral"]), bench.config(), judge=judge)
    outputs = []
    for output in trained.step():
        outputs.append(output)
        if isinstance(output, Paused):
            judge.link = SimpleNamespace(open=False, reason="")
            release.set()
    (paused,) = [o for o in outputs if isinstance(o, Paused)]
    (resumed,) = [o for o in outputs if isinstance(o, Resumed)]
    assert paused.automatic
    assert "connection refused" in paused.reason
    assert paused.step == resumed.step == 0
    assert outputs.index(paused) < outputs.index(resumed)
    assert isinstance(outputs[-1], StepCompleted)
    trained.close()


def test_a_validation_without_verdicts_asks_for_a_pause_and_can_be_repeated(models: dict[str, Path]) -> None:
    broken = [True]

    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return failure(fatal=True, message="key refused") if broken[0] else result

    trained = bench.trainer(
        tiny.policy(models["mistral"]), bench.config(), judge=Scripted(act), validation=tiny.prompts(3, seed=9)
    )
    first = list(trained.validate())
    assert not [o for o in first if isinstance(o, ValidationCompleted)]
    assert trained.demand is not None
    assert "key refused" in trained.demand.reason
    assert trained.validations == []
    broken[0] = False
    second = list(trained.validate())
    (done,) = [o for o in second if isinstance(o, ValidationCompleted)]
    assert (done.n, done.failed) == (3, 0)
    assert len([o for o in second if isinstance(o, JudgedRollout)]) == 3  # kept, so that another judge can score them
    assert trained.demand is None
    trained.close()


def test_calls_cache_hits_tokens_and_queue_are_in_the_figures(models: dict[str, Path]) -> None:
    async def act(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return verdict(5.0, requests=2, cached=True, usage=Usage(input_tokens=10, output_tokens=3))

    trained = bench.trainer(tiny.policy(models["mistral"]), bench.config(), judge=Scripted(act))
    metrics: StepMetrics = bench.step(trained).metrics
    assert (metrics.judge_requests, metrics.judge_cached, metrics.judge_tokens) == (8, 4, 52)  # 4 rows
    assert 1 <= metrics.judge_queue <= 4
    trained.close()


# referee and canaries


def watched(models: dict[str, Path], referee: Any, **judge: Any) -> Any:
    settings = bench.config(judge={"referee_share": 1.0, **judge}, run={"steps": 40})
    trained = bench.trainer(tiny.policy(models["mistral"]), settings)
    pool = JudgePool(referee, 8) if referee else None
    trained.watch = Watch(settings.judge, pool, seed=0)
    return trained


def test_the_referee_scores_a_share_and_changes_nothing_in_training(models: dict[str, Path]) -> None:
    async def low(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return verdict(1.0)

    plain = bench.trainer(tiny.policy(models["mistral"]), bench.config(run={"steps": 40}))
    seen = watched(models, Scripted(low))
    logs = [bench.step(seen) for _ in range(2)]
    for log in logs:
        expected = bench.step(plain)
        assert log.measures == expected.measures
        (told,) = log.of(RefereeScored)
        assert (told.n, told.failed, told.referee_mean) == (4, 0, 1.0)
        assert told.judge_mean == pytest.approx(log.metrics.score_mean)
        assert len(log.of(RefereeResult)) == 4
        assert log.metrics.cost_usd == pytest.approx(4.0)  # 4 at .50 by the judge, 4 at .50 by the referee
    assert bench.equal(bench.snapshot(seen), bench.snapshot(plain))
    plain.close()
    seen.close()


def test_a_share_of_a_quarter_is_about_a_quarter_and_the_same_rows_in_a_second_run() -> None:
    watch = Watch(JudgeConfig(), None, seed=3)
    chosen = [watch.chance("referee", f"r{i}").random() < 0.25 for i in range(2000)]
    assert 0.2 < sum(chosen) / 2000 < 0.3
    other = Watch(JudgeConfig(), None, seed=3)
    assert chosen == [other.chance("referee", f"r{i}").random() < 0.25 for i in range(2000)]


def test_the_alarm_is_a_cusum_over_the_usual_gap() -> None:
    watch = Watch(JudgeConfig(referee_alarm=2.0), None, seed=0)
    assert watch.saw_gaps([1.0] * 8) == 0.0  # the judge is usually a point above the referee
    assert watch.saw_gaps([1.0, 1.0]) == 0.0
    assert watch.saw_gaps([2.5, 2.5]) == pytest.approx(2.5 - 1.0 - ALLOWANCE)
    assert watch.reason == ""
    assert watch.saw_gaps([1.0]) == pytest.approx(1.0 - ALLOWANCE)  # and comes down again
    restored = Watch(JudgeConfig(referee_alarm=2.0), None, seed=0)
    restored.load(watch.state())
    restored.saw_gaps([4.0])  # .5 + 4 - 1 - .5 = 3 > 2
    assert "3.0 points" in restored.reason


def test_divergence_pauses_the_run(models: dict[str, Path]) -> None:
    async def zero(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return verdict(0.0)

    trained = watched(models, Scripted(zero), referee_alarm=1.0)
    trained.watch.saw_gaps([-5.0] * 8)  # usually five points below the referee; now some above
    bench.step(trained)
    assert trained.demand is not None
    assert "referee" in trained.demand.reason
    assert trained.completed == 1  # the step itself is whole
    bench.step(trained)
    trained.close()


def test_known_bad_answers_are_scored_without_weight_and_stop_a_judge_that_is_fooled(models: dict[str, Path]) -> None:
    trained = watched(models, None, canary_share=0.5)
    plain = bench.trainer(tiny.policy(models["mistral"]), bench.config(run={"steps": 40}))
    log, expected = bench.step(trained), bench.step(plain)
    (told,) = log.of(CanariesScored)
    assert 2 <= len(told.scores) <= 3  # half of 4, and one more by chance
    assert told.seen == len([s for s in told.scores if s.score is not None])
    assert log.measures == expected.measures
    watch = trained.watch
    watch.saw_canaries([0.0] * (CANARIES_NEEDED - 1 - told.seen))
    assert watch.reason == ""
    watch.saw_canaries([9.0, 9.0])
    assert "known bad answers" in watch.reason
    trained.close()
    plain.close()


# replacing the judge


def logged(trained: Any, run: RunDir, outputs: Any, path: Path) -> None:
    log = RolloutLog(path)
    for output in outputs:
        if isinstance(output, Rollout | JudgedRollout):
            log.append(output)
    log.close()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path, "one")


def swap_of(trained: Any, run: RunDir, new: Any, **judge: Any) -> JudgeSwap:
    from core.run_judges import keep_version, rubric_spec

    keep_version(run, "0123456789ab", rubric_spec(JudgeConfig()))
    settings = bench.config(judge=judge)
    return JudgeSwap(run, settings, trained, lambda spec: JudgePool(new, 8), Recorder(run, EventLog(run)))


def test_the_new_judge_scores_an_overlap_and_the_held_out_prompts_first(models: dict[str, Path], run: RunDir) -> None:
    old = Scripted()
    trained = bench.trainer(
        tiny.policy(models["mistral"]), bench.config(), judge=old, validation=tiny.prompts(3, seed=9)
    )
    logged(trained, run, trained.validate(), run.validation(0))
    for step in (1, 2):
        logged(trained, run, trained.step(), run.rollouts(step))

    async def half(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        assert isinstance(result, Verdict)
        return verdict(result.score / 2 + 1, judge_version="new")

    new = Scripted(half, version="new")
    event = swap_of(trained, run, new).replace("0123456789ab", lambda: False)
    assert (event.step, event.n, event.failed) == (3, 8, 0)
    assert (event.from_version, event.to_version) == ("1", "new")
    assert event.old_mean is not None
    assert event.new_mean == pytest.approx(event.old_mean / 2 + 1)
    assert event.slope == pytest.approx(0.5)
    assert event.intercept == pytest.approx(1.0)
    assert event.spearman == pytest.approx(1.0)
    assert event.cost_usd == pytest.approx(0.5 * 11)  # 8 rollouts, 3 held out
    # The same policy's held-out answers are compared with what the new judge says of the first ones.
    before = list(trained.validations)
    assert trained.state().values["judge_version"] == "new"
    trained.judge.reset()
    (done,) = [o for o in trained.validate() if isinstance(o, ValidationCompleted)]
    scores = [r.result.score for r in read_rollouts(run.validation(0)).rows() if isinstance(r, JudgedRollout)]
    baseline = sum(s / 2 + 1 for s in scores) / 3
    assert done.mean is not None
    assert done.difference == pytest.approx(done.mean - baseline)
    assert len(before) == 1
    trained.close()


def test_a_new_judge_that_fails_leaves_the_old_one_in_force(models: dict[str, Path], run: RunDir) -> None:
    from core.errors import JudgeError

    async def fails(request: JudgeRequest, result: JudgeResult) -> JudgeResult:
        return failure(message="key refused")

    trained = bench.trainer(tiny.policy(models["mistral"]), bench.config())
    logged(trained, run, trained.step(), run.rollouts(1))
    pool = trained.judge
    with pytest.raises(JudgeError, match="no verdict on 4 of 4 responses \\(key refused\\); the old one stays"):
        swap_of(trained, run, Scripted(fails)).replace("0123456789ab", lambda: False)
    with pytest.raises(JudgeError, match="stopping"):
        swap_of(trained, run, bench.WordJudge(slow=5.0)).replace("0123456789ab", lambda: True)
    assert trained.judge is pool
    bench.step(trained)
    trained.close()


def test_heartbeats_go_on_while_a_validation_waits(models: dict[str, Path]) -> None:
    trained = bench.trainer(
        tiny.policy(models["mistral"]),
        bench.config(),
        judge=bench.WordJudge(slow=1.2),
        validation=tiny.prompts(2, seed=9),
    )
    assert [o for o in trained.validate() if isinstance(o, Heartbeat)]
    trained.close()
