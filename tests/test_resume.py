"""Killed at random moments and resumed, a run ends with the weights of one that never was."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import tiny
from forks import SLOW_FILES, WORKER, Forks, forks  # noqa: F401  a fixture

from core.commands import Set
from core.config import RunConfig
from core.config_file import from_dict
from core.events import (
    CheckpointRejected,
    CheckpointSaved,
    CommandApplied,
    CommandRejected,
    Event,
    RunFinished,
    RunStarted,
    StepCompleted,
    ValidationCompleted,
    WorkerReady,
)
from core.journal import EventReader, read_events, send
from core.rollout_log import read_rollouts
from core.run_dir import RunDir, is_alive
from rlaif_tui.launch import prepare_run

STEPS = 6
ROWS = 6


def write_data(folder: Path) -> None:
    draw = random.Random(0)
    lines = [" ".join(f"w{draw.randrange(6, 96)}" for _ in range(4)) for _ in range(20)]
    (folder / "prompts.csv").write_text("prompt\n" + "\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model and its prompts, shared by all runs of this file."""
    folder = tmp_path_factory.mktemp("resume")
    tiny.save("mistral", folder / "model")
    write_data(folder)
    return folder


def config(place: Path, **run_settings: Any) -> RunConfig:
    return from_dict(
        {
            "model": {"id": str(place / "model"), "lora_rank": 2, "device": "cpu"},
            "data": {"path": str(place / "prompts.csv"), "validation_fraction": 0.2},
            "rollout": {"batch_size": ROWS, "max_new_tokens": 6},
            "judge": {"noise_sd": 3.0, "delay_s": 0.01},
            "ppo": {
                "mini_batch_size": 3, "epochs": 2, "learning_rate": 1e-3, "critic_warmup_steps": 1,
                "kl_controller": "adaptive", "kl_target": 0.01, "kl_horizon": 20, "reward_normalization": "norm",
            },
            "run": {"steps": STEPS, "checkpoint_every": 2, "keep_checkpoints": 2, "threads": 1, **run_settings},
        }
    )  # fmt: skip


def start(forks: Forks, run: RunDir, *, slow: bool = False) -> int:  # noqa: F811
    resumed = ["--resume"] if run.events.exists() else []
    return forks.start((SLOW_FILES if slow else "") + WORKER, [run.path, *resumed], run.log)


def events(run: RunDir, *kinds: type) -> list[Any]:
    return [event for event in read_events(run.events) if not kinds or isinstance(event, kinds)]


def wait_for(run: RunDir, kind: type, seconds: float = 60.0) -> Event:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := events(run, kind):
            return found[0]  # type: ignore[no-any-return]
        time.sleep(0.01)
    raise AssertionError(f"no {kind.__name__} within {seconds} s: {run.log.read_text()[-2000:]}")


def ending(run: RunDir) -> RunFinished:
    last = events(run)[-1]
    assert isinstance(last, RunFinished), run.log.read_text()[-2000:]
    return last


@pytest.fixture(scope="module")
def whole(place: Path) -> RunDir:
    """A run that nothing disturbed."""
    from forks import _shared

    run = prepare_run(config(place), place / "runs", "whole")
    send(run, Set(id="wish", name="kl_coef", value=0.5))
    child = start(_shared(), run)
    assert _shared().wait(child) == 0, run.log.read_text()[-2000:]
    return run


def test_a_run_nothing_disturbed_is_complete(whole: RunDir) -> None:
    finished = ending(whole)
    assert (finished.outcome, finished.step, finished.error) == ("completed", STEPS, "")
    assert len(finished.weights_sha256) == 64
    assert [event.step for event in events(whole, StepCompleted)] == list(range(1, STEPS + 1))
    assert not is_alive(whole)


@pytest.mark.slow
def test_kills_at_random_moments_change_nothing_in_the_end(place: Path, whole: RunDir, forks: Forks) -> None:  # noqa: F811
    run, draw, kills = prepare_run(config(place), place / "runs", "killed"), random.Random(1), 0
    send(run, Set(id="wish", name="kl_coef", value=0.5))
    for _ in range(20):
        reader = EventReader.at_end(run.events)
        child = start(forks, run, slow=True)
        moment = draw.randrange(2, 20)  # so many events after the launch, and then a little
        seen, deadline = 0, time.monotonic() + 60
        while seen < moment and is_running(child) and time.monotonic() < deadline:
            seen += len(reader.read())
            time.sleep(0.001)
        time.sleep(draw.uniform(0.0, 0.03))
        if kills < 6:
            os.kill(child, signal.SIGKILL)
        if forks.wait(child) == 0:
            break
        kills += 1
    assert kills >= 5
    finished = ending(run)
    assert (finished.outcome, finished.step) == ("completed", STEPS)
    assert finished.weights_sha256 == ending(whole).weights_sha256
    assert last_metrics(run) == last_metrics(whole)
    assert events(run, CheckpointRejected) == []
    reader = EventReader(run.events)
    list(reader.scan())
    assert (reader.damaged, reader.missing) == (0, 0)
    assert [event.command_id for event in events(run, CommandApplied, CommandRejected)] == ["wish"]
    generated = rollout_lines(run)
    assert generated.keys() == rollout_lines(whole).keys()
    assert set(generated.values()) == {1}  # what was on disk was not generated again


def rollout_lines(run: RunDir) -> Counter[str]:
    """How often each rollout was written, by id."""
    lines = [line for path in run.rollouts(1).parent.glob("step_*") for line in path.read_bytes().splitlines()]
    found = [json.loads(line) for line in lines]
    return Counter(line["rollout"]["id"] for line in found if line["kind"] == "rollout")


def is_running(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"


def last_metrics(run: RunDir) -> dict[int, tuple[float | None, ...]]:
    """Of each step, as it was completed last: figures that training decides, not the clock."""
    names = ("score_mean", "reward_mean", "kl_seq", "policy_loss", "value_loss", "learning_rate", "kl_coef", "tokens")
    return {e.step: tuple(getattr(e.metrics, name) for name in names) for e in events(run, StepCompleted)}


def test_term_checkpoints_and_hang_up_is_ignored(place: Path, whole: RunDir, forks: Forks) -> None:  # noqa: F811
    run = prepare_run(config(place, checkpoint_every=1000), place / "runs", "term")
    send(run, Set(id="wish", name="kl_coef", value=0.5))
    child = start(forks, run)
    wait_for(run, WorkerReady)
    os.kill(child, signal.SIGHUP)
    wait_for(run, StepCompleted)
    os.kill(child, signal.SIGSTOP)  # or a quick machine completes the run while the second worker still starts
    second = start(forks, run)
    assert forks.wait(second) == 1
    assert f"already has a live worker: pid {child} on " in run.log.read_text()
    os.kill(child, signal.SIGTERM)
    os.kill(child, signal.SIGCONT)
    assert forks.wait(child) == 128 + signal.SIGTERM
    stopped = ending(run)
    assert stopped.outcome == "stopped"
    assert 1 <= stopped.step < STEPS
    assert events(run, CheckpointSaved)[-1].step == stopped.step
    assert forks.wait(start(forks, run)) == 0
    assert events(run, RunStarted)[-1].resumed_from == stopped.step
    assert ending(run).weights_sha256 == ending(whole).weights_sha256
    assert [event.step for event in events(run, StepCompleted)] == list(range(1, STEPS + 1))
    assert forks.wait(start(forks, run)) == 1
    assert f"is complete after {STEPS} steps" in run.log.read_text()


def test_damage_and_drift_are_told_and_never_trained_on(place: Path, whole: RunDir, forks: Forks) -> None:  # noqa: F811
    run = prepare_run(config(place), place / "runs", "drift")
    send(run, Set(id="wish", name="kl_coef", value=0.5))
    child = start(forks, run)
    while not run.checkpoint(4).exists():
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    forks.wait(child)
    before = run.config.read_text()

    run.config.write_text(before.replace("0.2", "0.3", 1))
    assert forks.wait(start(forks, run)) == 1
    assert "data.validation_fraction was 0.2, is 0.3" in run.log.read_text()
    run.config.write_text(before)

    data = place / "prompts.csv"
    rows = data.read_text()
    data.write_text(rows.replace("w", "w1", 1))
    assert forks.wait(start(forks, run)) == 1
    data.write_text(rows)
    refused = ending(run)
    assert refused.outcome == "crashed"
    assert "the data file changed" in refused.error

    for path in run.checkpoint(4).iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    assert forks.wait(start(forks, run)) == 0
    (rejected,) = events(run, CheckpointRejected)
    assert (rejected.step, Path(rejected.path).name) == (4, ".bad-step_000004")
    assert events(run, RunStarted)[-1].resumed_from == 2
    assert ending(run).weights_sha256 == ending(whole).weights_sha256


def test_a_run_that_lost_every_checkpoint_is_not_begun_anew(place: Path, forks: Forks) -> None:  # noqa: F811
    run = prepare_run(config(place), place / "runs", "lost")
    child = start(forks, run)
    wait_for(run, StepCompleted)
    os.kill(child, signal.SIGTERM)
    forks.wait(child)
    for path in run.checkpoints.glob("step_*/manifest.json"):
        path.write_text("{}")
    assert forks.wait(start(forks, run)) == 1
    assert "no valid checkpoint left" in run.log.read_text()
    assert len(events(run, RunStarted)) == 1
    assert events(run, CheckpointRejected) != []


def test_every_row_of_every_step_is_on_disk(whole: RunDir) -> None:
    for step in range(1, STEPS + 1):
        recorded = read_rollouts(whole.rollouts(step))
        rows = ROWS if step % 3 else 16 - 2 * ROWS  # 16 training prompts: every third batch is what is left of them
        assert [len(table) for table in (recorded.rollouts, recorded.results, recorded.measures)] == [rows] * 3
        assert recorded.damaged == 0
    assert [event.step for event in events(whole, ValidationCompleted)] == [0, STEPS]
