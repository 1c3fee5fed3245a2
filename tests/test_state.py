from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from core.commands import Pause
from core.events import (
    Advice,
    CheckpointSaved,
    CommandApplied,
    CommandRejected,
    Event,
    Heartbeat,
    JudgeFailed,
    Paused,
    PhaseStarted,
    Resumed,
    RolledBack,
    RunFinished,
    RunStarted,
    StepCompleted,
    StepMetrics,
    ValidationCompleted,
    WorkerReady,
)
from core.run_dir import RunDir
from rlaif_tui import words
from rlaif_tui.history import History
from rlaif_tui.state import RunState, apply_all, ask, summary


def metrics(score: float | None = 5.0) -> StepMetrics:
    known = {
        "score_mean": score, "learning_rate": 1e-5, "kl_coef": 0.05, "rows": 4, "failed": 0, "updates": 1,
        "skipped": 0, "early_stopped": False, "tokens": 10, "cost_usd": 0.0, "seconds": 1.0,
    }  # fmt: skip
    return StepMetrics(
        **{**{f.name: None for f in msgspec.structs.fields(StepMetrics) if f.required}, "phase_seconds": {}, **known}
    )


def begin(at: float = 100.0, resumed_from: int | None = None) -> list[Event]:
    return [
        RunStarted(
            name="r",
            total_steps=10,
            pid=7,
            host="h",
            model="m",
            judge="j",
            data="d",
            resumed_from=resumed_from,
            time=at,
        ),
        WorkerReady(
            device="cpu", parameters=9, trainable=1, train_prompts=8, validation_prompts=2, dropped_prompts=0, time=at
        ),
    ]


def done(step: int, at: float, score: float | None = 5.0) -> StepCompleted:
    return StepCompleted(step=step, metrics=metrics(score), cost_total_usd=0.5 * step, time=at)


def fold(*events: Event) -> RunState:
    return apply_all(RunState(), events)


def test_words_of_a_life() -> None:
    assert RunState().word == "starting"
    assert fold(begin()[0]).word == "starting"
    assert fold(*begin()).word == "running"
    paused = fold(*begin(), done(1, 101.0), Paused(step=1, reason="judge fails", automatic=True, time=102.0))
    assert (paused.word, paused.pause_reason, paused.pause_automatic) == ("paused", "judge fails", True)
    assert apply_all(paused, [Resumed(step=1, time=103.0)]).word == "running"
    for outcome in ("completed", "stopped", "crashed"):
        ended = fold(*begin(), RunFinished(outcome=outcome, step=3, seconds=9.0, cost_usd=1.5, error="boom"))
        assert (ended.word, ended.pid, ended.cost_usd, ended.error) == (outcome, None, 1.5, "boom")


def test_phase_follows_phase_events_and_heartbeats() -> None:
    state = fold(*begin(), PhaseStarted(step=1, phase="judge", total=32))
    assert (state.phase, state.phase_done, state.phase_total) == ("judge", 0, 32)
    state = apply_all(state, [Heartbeat(step=1, phase="judge", done=20, total=32)])
    assert words.phase(state) == "judge 20/32"
    assert words.phase(fold(begin()[0])) == "loading the model…"
    assert words.phase(fold(*begin(), Heartbeat(step=0, phase="validate", done=12, total=64))) == "validating 12/64"


def test_series_keep_gaps() -> None:
    state = fold(*begin(), done(1, 101.0, 4.0), done(2, 102.0, None), done(3, 103.0, 6.0))
    assert state.series("score_mean") == ((1, 4.0), (2, None), (3, 6.0))


def test_scores_before_and_now_are_of_one_kind() -> None:
    first = ValidationCompleted(step=0, n=2, mean=4.0)
    assert words.scores(fold(*begin())) == "— → —"
    assert words.scores(fold(*begin(), first)) == "4.00 → —"
    trained = fold(*begin(), first, done(1, 101.0, 4.5), done(2, 102.0, 6.0))
    assert words.scores(trained) == "4.50 → 6.00"
    assert words.scores(apply_all(trained, [ValidationCompleted(step=2, n=2, mean=5.5)])) == "4.00 → 5.50"


def test_resume_rewinds_to_its_checkpoint() -> None:
    before = [
        *begin(), ValidationCompleted(step=0, n=2, mean=4.0), done(1, 101.0), done(2, 102.0),
        CheckpointSaved(step=2, path="p", size_mb=1.0, seconds=1.0, time=102.5), done(3, 103.0), done(4, 104.0),
        ValidationCompleted(step=4, n=2, mean=5.0, time=105.0),
    ]  # fmt: skip
    state = fold(*before, *begin(200.0, resumed_from=2))
    assert (state.step, state.resumed_from, state.last_checkpoint_step) == (2, 2, 2)
    assert [point for point, _ in state.series("score_mean")] == [1, 2]
    assert [v.step for v in state.validations] == [0]
    assert [(m.step, m.letter) for m in state.markers] == [(2, "C"), (2, "R")]
    again = apply_all(state, [done(3, 201.0, 7.0)])
    assert again.series("score_mean")[-1] == (3, 7.0)
    fresh = fold(*before, *begin(200.0))
    assert (fresh.step, fresh.series("score_mean"), fresh.validations) == (0, (), ())


def test_rollback_rewinds() -> None:
    state = fold(
        *begin(), *(done(k, 100.0 + k) for k in range(1, 6)),
        RolledBack(from_step=5, to_step=2, reason="NaN", learning_rate=5e-6, time=110.0),
    )  # fmt: skip
    assert (state.step, len(state.steps)) == (2, 2)
    assert "NaN" in state.warnings[-1].text


def test_older_states_are_untouched_by_newer_ones() -> None:
    early = fold(*begin(), *(done(k, 100.0 + k) for k in range(1, 600)))
    late = apply_all(early, [done(600, 700.0)])
    other = apply_all(early, [done(600, 700.0, 9.0)])
    assert (len(early.steps), len(late.steps), early.step) == (599, 600, 599)
    assert (late.series("score_mean")[-1], other.series("score_mean")[-1]) == ((600, 5.0), (600, 9.0))


def test_eta_is_a_median_with_checkpoints_in_and_pauses_out() -> None:
    # Steps end 2, 2, 2 s apart; the fourth takes 2 s of work around a pause of 100 s: its duration is 2 s as well.
    times = [done(1, 102.0), done(2, 104.0)]
    assert fold(*begin(), *times).eta_seconds is None
    three = fold(*begin(), *times, done(3, 106.0))
    assert three.eta_seconds == 7 * 2.0
    paused = [Paused(step=3, reason="", time=107.0), Resumed(step=3, time=207.0), done(4, 208.0)]
    four = apply_all(three, paused)
    assert four.durations == (2.0, 2.0, 2.0, 2.0)
    # A checkpoint is work: the fifth step's duration is 9 s, the median of 2, 2, 2, 2, 9 stays 2.
    five = apply_all(four, [CheckpointSaved(step=4, path="p", size_mb=1, seconds=5, time=214.0), done(5, 217.0)])
    assert (five.durations[-1], five.eta_seconds) == (9.0, 5 * 2.0)
    # The time a dead worker lay is no step's.
    assert apply_all(five, begin(9000.0, resumed_from=4)).durations[-1] == 9.0
    assert len(fold(*begin(), *(done(k, 100.0 + k) for k in range(1, 99))).durations) == 20


def test_the_first_validation_is_not_part_of_the_first_step() -> None:
    state = fold(*begin(), ValidationCompleted(step=0, n=2, mean=4.0, time=150.0), done(1, 153.0))
    assert state.durations == (3.0,)


def test_commands_wait_for_their_answer() -> None:
    command = Pause(by="ana@pts/3", time=150.0)
    state = ask(fold(*begin()), command)
    assert words.asking(state) == "pausing… asked by ana@pts/3"
    assert ask(state, command).pending == (command,)
    applied = apply_all(state, [CommandApplied(command_id=command.id, name="pause", step=3)])
    assert applied.pending == ()
    assert ask(applied, command).pending == (), "the command file is read after the answer"
    refused = apply_all(state, [CommandRejected(command_id=command.id, reason="no", name="pause")])
    assert (refused.pending, refused.warnings[-1].text) == ((), "pause refused: no")
    assert apply_all(state, begin(200.0, resumed_from=0)).pending == (), "meant for a worker that is gone"
    assert ask(fold(*begin(200.0)), command).pending == ()


def test_messages_are_bounded_and_graded() -> None:
    failed = JudgeFailed(step=1, rollout_id="x", status="timeout", treatment="mask", message="no answer")
    state = fold(*begin(), *[failed] * 500)
    assert len(state.messages) == 200
    assert state.messages[-1].text == "step 1: no verdict for x (timeout: no answer); left out"
    advice = fold(*begin(), Advice(step=0, code="kl", message="raise β"))
    assert (words.health(advice).severity, words.health(advice).text) == ("warning", "raise β (step 0)")
    later = apply_all(advice, [done(k, 100.0 + k) for k in range(1, 11)])
    assert words.health(later).text.startswith("healthy: KL —")


def test_every_event_kind_folds() -> None:
    from core.events import Event as Union

    example = {str: "x", int: 1, float: 1.0, bool: True, dict: {}, tuple: []}
    for kind in Union.__args__:
        raw = {"kind": kind.__struct_config__.tag}
        for field in msgspec.structs.fields(kind):
            if field.required:
                raw[field.name] = example.get(field.type, _value(field.type))
        state = fold(*begin(), msgspec.convert(raw, kind, strict=False))
        assert isinstance(state, RunState)


def _value(type_: object) -> object:
    text = str(type_)
    if "StepMetrics" in text:
        return msgspec.to_builtins(metrics())
    if "tuple" in text:
        return []
    return "crashed" if "crashed" in text else "judge" if "judge" in text else 1.0


def test_summary_has_the_promised_keys() -> None:
    run = RunDir(Path("runs/calm"))
    running = summary(fold(*begin(), done(1, 101.0)), run)
    assert running == {
        "run": "calm", "state": "running", "step": 1, "total_steps": 10, "last_checkpoint_step": None, "pid": 7,
    }  # fmt: skip
    events = [
        *begin(), ValidationCompleted(step=0, n=64, mean=4.0), done(10, 120.0),
        ValidationCompleted(step=10, n=63, mean=5.5, difference=1.5, ci95=(1.0, 2.0)),
        RunFinished(outcome="completed", step=10, seconds=20.0, cost_usd=0.5, weights_sha256="ab"),
    ]  # fmt: skip
    finished = json.loads(json.dumps(summary(fold(*events), run)))
    assert (finished["state"], finished["pid"], finished["outcome"], finished["steps"]) == (
        "completed", None, "completed", 10,
    )  # fmt: skip
    assert (finished["seconds"], finished["weights_sha256"], finished["cost_usd"]) == (20.0, "ab", 0.5)
    assert finished["validation"] == {"n": 63, "before": 4.0, "after": 5.5, "difference": 1.5, "ci95": [1.0, 2.0]}


def test_a_long_history_is_shared_not_copied() -> None:
    # 5119 steps are 19 chunks of 256 and a rest of 255; the next one fills the twentieth.
    early = fold(*begin(), *(done(k, 100.0 + k) for k in range(1, 5120)))
    late = apply_all(early, [done(5120, 6000.0)])
    assert (len(early.steps.chunks), len(late.steps.chunks)) == (19, 20)
    assert all(old is new for old, new in zip(early.steps.chunks, late.steps.chunks, strict=False))


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 512, 1000])
def test_history_is_the_tuple_it_stands_for(size: int) -> None:
    history: History[int] = History()
    for item in range(size):
        history = history.append(item)
    assert tuple(history) == tuple(range(size))
    assert (len(history), history.last) == (size, size - 1 if size else None)
    assert history == History(tuple(range(size)))
    assert tuple(history.keep(lambda item: item % 2 == 0)) == tuple(range(0, size, 2))
