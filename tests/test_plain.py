"""Plain mode: one line a step, warnings as lines, the verdict in words, and nothing that a terminal could obey."""

from __future__ import annotations

import io
import threading
import unicodedata
from pathlib import Path

import msgspec
import pytest

from core.config import RunConfig
from core.config_file import to_toml
from core.events import (
    Advice,
    CheckpointSaved,
    Event,
    RunFinished,
    RunStarted,
    Sample,
    SamplesShown,
    StepCompleted,
    StepMetrics,
    ValidationCompleted,
    WorkerReady,
)
from core.journal import EventLog
from core.run_dir import RunDir, RunLock, create
from rlaif_tui.plain import Lines, closing, follow, verdict, write
from rlaif_tui.run_state import RunState
from rlaif_tui.state import apply_all

HOSTILE = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\r\x08\u202egpj\u200b [/x] [@click=app.quit]"


def metrics(score: float | None = 5.0, kl: float | None = 2.0, failed: int = 0) -> StepMetrics:
    whole = {"learning_rate": 1e-3, "kl_coef": 0.05, "rows": 32, "failed": failed, "updates": 4, "skipped": 0}
    rest = {"early_stopped": False, "tokens": 900, "cost_usd": 0.0, "seconds": 1.0}
    figures: dict[str, object] = {field.name: None for field in msgspec.structs.fields(StepMetrics) if field.required}
    figures |= {"score_mean": score, "kl_seq": kl, "policy_loss": -0.0123, "value_loss": 0.25, "tokens_per_s": 812.4}
    return msgspec.convert(figures | whole | rest, StepMetrics)


def started(total: int = 40) -> RunStarted:
    return RunStarted(name="r", total_steps=total, pid=1, host="h", model="demo", judge="rubric", data="demo", time=100)


def step(number: int, **figures: float | None) -> StepCompleted:
    return StepCompleted(step=number, metrics=metrics(**figures), cost_total_usd=0.5, time=100.0 + 2 * number)  # type: ignore[arg-type]


def sample(number: int, score: float | None, response: str = "fine", prompt: str = "") -> Sample:
    return Sample(
        rollout_id=f"1-{number}", prompt=prompt or f"prompt {number}", response=response, score=score,
        reason="because", tokens=3, finish="stop",
    )  # fmt: skip


def validation(at: int, mean: float, **more: object) -> ValidationCompleted:
    return ValidationCompleted(step=at, n=64, mean=mean, time=100.0 + at, **more)  # type: ignore[arg-type]


def lines_of(*batches: list[Event]) -> list[str]:
    lines, state, said = Lines(), RunState(name="r"), []
    for batch in batches:
        state = apply_all(state, batch)
        said += list(lines.of(state))
    return said


def test_a_step_is_one_line_with_its_figures() -> None:
    said = lines_of([started()], [step(1)], [step(2, score=5.25, kl=None)])
    steps = [line for line in said if " step " in line]
    assert len(steps) == 2
    expected = "step  2/40  score 5.25  KL —  policy -0.0123  value 0.2500  812 tok/s  ETA —  $0.50"
    assert steps[1].split(" ", 1)[1] == expected


def test_the_time_left_comes_from_the_median_step() -> None:
    # Steps 2 s apart: three durations after step 4, so 36 steps left x 2 s = 72 s.
    said = lines_of([started(), WorkerReady(device="cpu", parameters=1, trainable=1, train_prompts=1,
                                            validation_prompts=1, dropped_prompts=0, time=100)],
                    *([step(n)] for n in range(1, 5)))  # fmt: skip
    assert "ETA 1 min 12 s" in said[-1]


def test_each_thing_is_said_once_and_in_order() -> None:
    warning = Advice(step=1, code="x", message="the judge is slow", time=102.5)
    said = lines_of([started()], [step(1)], [], [warning, step(2)], [])
    assert [line.split(" ", 1)[1].split("  score")[0] for line in said] == [
        "started on h: demo, judge rubric, 40 steps",
        "step  1/40",
        "warning: the judge is slow",
        "step  2/40",
    ]


def test_rows_that_were_not_judged_are_said() -> None:
    assert lines_of([started(), step(1, failed=3)])[-1].endswith("3 of 32 not judged")


def test_a_run_met_late_shows_its_last_steps_only() -> None:
    said = lines_of([started(), *(step(n) for n in range(1, 31))])
    assert [int(line.split()[2].split("/")[0]) for line in said if " step " in line] == list(range(21, 31))


def test_a_resumed_run_is_said_again_from_its_checkpoint() -> None:
    again = msgspec.structs.replace(started(), resumed_from=2, time=130.0)
    said = lines_of([started(), step(1), step(2), step(3)], [again, step(3)])
    assert [line.split()[2] for line in said if "/40" in line] == ["1/40", "2/40", "3/40", "3/40"]
    assert any("resumed on h from step 2" in line for line in said)


def test_samples_come_now_and_then_best_and_worst() -> None:
    def shown(at: int) -> list[Event]:
        return [SamplesShown(step=at, samples=(sample(1, 4.0), sample(2, 9.0), sample(3, 1.0))), step(at)]

    said = lines_of([started()], *(shown(n) for n in range(1, 13)))
    assert [line.strip() for line in said if line.strip().startswith("score")] == [
        *("score    9.0: because", "score    1.0: because"),  # step 1
        *("score    9.0: because", "score    1.0: because"),  # step 11
    ]


@pytest.mark.parametrize(
    ("interval", "words"),
    [((0.4, 1.6), ": better"), ((-1.6, -0.4), ": worse"), ((-0.2, 0.5), ": no difference that 64 prompts can show")],
)
def test_the_verdict_says_what_the_interval_means(interval: tuple[float, float], words: str) -> None:
    both = (validation(0, 2.0), validation(40, 3.0, difference=1.0, ci95=interval))
    (line,) = verdict(both)
    assert line.startswith(
        "held-out judge score (0-10, 64 prompts): 2.00 before, 3.00 after; difference +1.00, 95% CI ["
    )
    assert line.endswith(words)


def test_one_validation_is_no_comparison() -> None:
    (line,) = verdict((validation(0, 2.0),))
    assert "nothing to compare" in line
    assert list(verdict(())) == []


def test_the_end_shows_the_same_prompt_before_and_after(tmp_path: Path) -> None:
    old = validation(0, 2.0, samples=(sample(2, 1.0, "gone", "who?"), sample(1, 2.0, "uh", "why?")))
    new = validation(40, 7.0, difference=5.0, ci95=(4.0, 6.0), samples=(sample(1, 7.0, "Because.", "why?"),))
    end = RunFinished(outcome="completed", step=40, seconds=61.0, cost_usd=0.0, time=200)
    state = apply_all(RunState(name="r"), [started(), old, step(1), new, end])
    said = list(closing(RunDir(tmp_path / "r"), "r", state))
    assert said[:3] == ["    prompt why?", "    before 2.0  uh", "    after  7.0  Because."]
    assert said[-1].startswith("r: completed after 1 of 40 steps in 1 min 01 s")


def test_a_crash_says_why_where_and_what_to_do(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.log.write_text("".join(f"line {n}\n" for n in range(20)), encoding="utf-8")
    end = RunFinished(outcome="crashed", step=3, seconds=1.0, cost_usd=0.0, error="out of paper")
    state = apply_all(RunState(name="r"), [started(), step(3), end])
    said = list(closing(run, "some/where", state))
    assert said[0] == "crashed after step 3: out of paper"
    assert said[1:6] == [f"    line {n}" for n in range(15, 20)]
    assert said[-1] == "begin again: rlaif-tui resume some/where"
    saved = CheckpointSaved(step=2, path="checkpoints/step_000002", size_mb=1.0, seconds=0.1)
    state = apply_all(RunState(name="r"), [started(), saved, step(3), end])
    assert list(closing(run, "r", state))[-1] == "go on from the checkpoint of step 2: rlaif-tui resume r"


def test_hostile_text_reaches_the_stream_only_as_visible_marks(tmp_path: Path) -> None:
    run = create(tmp_path, "r")
    run.config.write_text(to_toml(RunConfig()), encoding="utf-8")
    run.log.write_text(f"{HOSTILE}\n", encoding="utf-8")
    hostile = sample(1, 4.0, f"{HOSTILE}\n\nnew line", f"{HOSTILE} prompt")
    log = EventLog(run)
    events: list[Event] = [
        msgspec.structs.replace(started(), model=HOSTILE, host=HOSTILE),
        validation(0, 2.0, samples=(hostile,)),
        SamplesShown(step=1, samples=(hostile,)),
        step(1),
        Advice(step=1, code="x", message=HOSTILE),
        RunFinished(outcome="crashed", step=1, seconds=1.0, cost_usd=0.0, error=HOSTILE),
    ]
    for event in events:
        log.write(event)
    log.close()
    stream = io.StringIO()
    state = follow(run, "r", stream)
    write(stream, HOSTILE)
    text = stream.getvalue()
    assert state.word == "crashed"
    assert "␛]52;c;" in text
    hidden = {c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Cf"}}
    assert not hidden, f"control characters reached the terminal: {hidden!r}"


def test_follow_ends_when_the_run_does(tmp_path: Path) -> None:
    run = create(tmp_path, "r")
    run.config.write_text(to_toml(RunConfig()), encoding="utf-8")
    lock = RunLock(run)
    lock.acquire()
    log = EventLog(run)
    log.write(started())
    stream, states = io.StringIO(), []
    follower = threading.Thread(target=lambda: states.append(follow(run, "r", stream)), daemon=True)
    follower.start()
    log.write(step(1))
    follower.join(0.6)
    assert follower.is_alive(), "a live run is followed"
    log.write(RunFinished(outcome="stopped", step=1, seconds=2.0, cost_usd=0.0))
    follower.join(5.0)
    assert [state.word for state in states] == ["stopped"]
    assert "go on: rlaif-tui resume r" in stream.getvalue()
    log.close()
    lock.release()
