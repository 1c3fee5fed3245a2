"""``rlaif-tui compare``: what is typed, what is printed, and the process behind it."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import tiny
from compare_cases import comparison
from compare_runs import adapter, trained
from typed import Cli

from core.compare import work
from core.compare.job import Activity, Job, cancel, is_at_work, start, training
from core.compare.record import Comparison, comparisons, encode, folder_of, read
from core.errors import RunDirError
from core.events import Paused, Resumed, RunStarted
from core.journal import EventLog
from core.run_dir import RunDir, RunLock
from rlaif_tui import cli_start
from rlaif_tui.compare_text import all_pairs, lines, telling
from rlaif_tui.run_state import RunState

PAIR_KEYS = {"n", "a", "b", "wins", "losses", "ties", "inconsistent", "win_rate", "ci95", "length_controlled_win_rate",
             "mean_a", "mean_b", "difference", "difference_ci95", "verdict"}  # fmt: skip
PATIENCE_S = 120.0


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)


@pytest.fixture
def run(tmp_path: Path, cli: Cli) -> RunDir:
    return trained(tmp_path, tiny.save("qwen2", tmp_path / "model"), steps=1)


def until(what: Callable[[], Any]) -> Any:
    """Waits for a condition, however slow the machine is."""
    deadline = time.monotonic() + PATIENCE_S
    while not (value := what()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def test_three_models_one_of_them_an_adapter_trained_elsewhere(cli: Cli, run: RunDir, tmp_path: Path) -> None:
    folder = adapter(tmp_path / "model", tmp_path / "dpo")
    (tmp_path / "test.csv").write_text("prompt\n" + "\n".join(f"w{i} w{i + 1}" for i in range(10, 30)) + "\n")
    said = cli("compare", "base", "r", "./dpo", "--data", "test.csv", "--n", "8", "--json")
    assert said.code == 0, said.err
    found = said.json
    assert set(found) >= PAIR_KEYS
    assert [model["kind"] for model in found["models"]] == ["base", "checkpoint", "adapter"]
    assert [(pair["a"], pair["b"]) for pair in found["pairs"]] == [("base", "r"), ("base", "./dpo"), ("r", "./dpo")]
    assert all(pair["wins"] + pair["ties"] + pair["losses"] == pair["n"] == 8 for pair in found["pairs"])
    assert {each["model"] for each in found["ranking"]} == {"base", "r", "./dpo"}
    told = [line[9:] for line in said.err.splitlines()]
    assert told[:5] == ["loading", "loading A", "A answers, 8", "loading B", "B answers, 8"]
    assert told[-2:] == ["judging replies, 8", "judging pairs, 24"]
    assert "\x1b" not in said.err + said.out
    assert folder.is_dir()
    (record,) = comparisons(run)
    assert cli("compare", "r", "--list").out.startswith(f"{record.stem}  base model / r step 1 / adapter dpo  ")
    shown = cli("compare", "r", "--show", record.stem)
    assert cli("compare", "r", "--show", "newest").out == shown.out
    assert shown.code == 0
    assert "B over A      " in shown.out
    assert "ranking       1. " in shown.out
    again = cli("compare", "--show", str(record), "--json").json
    assert again["pairs"] == found["pairs"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["base"], 2, "give at least two models"),
        ([], 2, "give at least two models"),
        (["base", "nobody"], 3, "'nobody' is no run in"),
        (["base", "r@9"], 3, "no checkpoint of step 9; there are: 1"),
        (["base", "r", "--data", "gone.csv"], 2, "gone.csv: no such file"),
        (["base", "r", "--judge", "gone.toml"], 2, "gone.toml: no such file"),
        (["base", "r", "--wait", "--now"], 2, "exclude each other"),
        (["base", *"abcdefghijk"], 1, "2 to 10 models, not 12"),
        (["r", "--list"], 3, "has no comparisons yet"),
        (["r", "--show", "../../etc"], 3, "has no comparison '../../etc'"),
        (["--list"], 2, "name one run"),
    ],
)
def test_what_is_wrong_is_one_sentence(words: list[str], code: int, said: str, cli: Cli, run: RunDir) -> None:
    answer = cli("compare", *words)
    assert (answer.code, answer.out) == (code, "")
    assert said in answer.err
    assert len(answer.err.strip().splitlines()) == 1
    assert comparisons(run) == []


def test_a_judge_that_is_nobody_ends_the_record_with_a_sentence(cli: Cli, run: RunDir) -> None:
    answer = cli("compare", "base", "r", "--judge", "nobody")
    assert answer.code == 1
    assert answer.err.strip().splitlines()[-1].startswith("rlaif-tui: no judge 'nobody'")
    found = read(comparisons(run)[0])
    assert found is not None
    assert found.finished is not None
    assert found.finished.error.startswith("no judge 'nobody'")


def test_a_queued_comparison_waits_and_can_be_cancelled(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    try:
        record = start(Job(models=("base", "r"), runs_root=str(run.path.parent), wait=True))
        first = read(record)
        assert first is not None  # it is there at once
        assert [model.title for model in first.models] == ["base model", "r step 1"]
        assert is_at_work(record)
        until(lambda: (known := read(record)) and known.progress and known.progress.what == "waiting for r")
        cancel(record)
        until(lambda: not is_at_work(record))
    finally:
        lock.release()
    found = read(record)
    assert found is not None
    assert found.finished is not None
    assert found.finished.error == "cancelled"
    assert found.header.pid > 0


def test_a_killed_one_is_not_at_work(run: RunDir) -> None:
    lock = RunLock(run)
    lock.acquire()
    try:
        record = start(Job(models=("base", "r"), runs_root=str(run.path.parent), wait=True))
        pid = until(lambda: (known := read(record)) and known.header.pid)
        os.kill(pid, signal.SIGKILL)
        until(lambda: not is_at_work(record))
    finally:
        lock.release()
    found = read(record)
    assert found is not None
    assert found.finished is None
    cancel(record)  # nobody is there to be ended


def test_training_is_told_from_a_pause(run: RunDir) -> None:
    events, activity = EventLog(run), Activity(run)
    assert not activity.is_training()
    lock = RunLock(run)
    lock.acquire()
    events.write(RunStarted(name="r", total_steps=2, pid=os.getpid(), host="h", model="m", judge="rubric", data="d"))
    assert activity.is_training()
    assert training((run,)) == (run,)
    events.write(Paused(step=1, reason=""))
    assert not activity.is_training()
    assert activity.is_training(paused_counts=True)
    events.write(Resumed(step=1))
    assert activity.is_training()
    lock.release()
    assert not activity.is_training(paused_counts=True)
    events.close()


def test_a_run_without_checkpoints_can_be_waited_for(tmp_path: Path, run: RunDir) -> None:
    for path in run.checkpoints.iterdir():
        path.rename(run.path / path.name)
    job = Job(models=("base", "r"), runs_root=str(run.path.parent))
    with pytest.raises(RunDirError, match="has no checkpoint yet"):
        start(job)
    assert comparisons(run) == []


def test_the_demo_ends_on_the_comparison(cli: Cli, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """With training done already, and the comparison made in this process: both have tests of their own."""

    def start_here(job: Job) -> Path:
        folder_of(run).mkdir()
        record = folder_of(run) / "here.jsonl"
        work.Work(msgspec.structs.replace(job, id="here"), record).do()
        return record

    monkeypatch.setattr(work, "_quieten", lambda *_: None)
    monkeypatch.setattr("core.compare.job.start", start_here)
    monkeypatch.setattr(cli_start, "make_run", lambda config, root, name: run)
    monkeypatch.setattr(cli_start, "_start", lambda run: "")
    monkeypatch.setattr(cli_start.plain_mode, "follow", lambda *_: RunState(name="r", word="completed"))
    said = cli("demo", "--json")
    assert said.code == 0, said.err
    found = said.json["comparison"]
    assert set(found) >= PAIR_KEYS
    assert (found["a"], found["models"][1]["title"], found["error"]) == ("base", "r step 1", "")
    assert found["wins"] + found["ties"] + found["losses"] == found["n"] == 12
    assert [str(path) for path in comparisons(run)] == [found["record"]]


def test_a_demo_that_was_stopped_makes_no_comparison(cli: Cli, run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    lock = RunLock(run)
    lock.acquire()
    monkeypatch.setattr(cli_start, "make_run", lambda config, root, name: run)
    monkeypatch.setattr(cli_start, "_start", lambda run: "")
    monkeypatch.setattr(cli_start.plain_mode, "follow", lambda *_: RunState(name="r", word="stopped"))
    said = cli("demo", "--plain")
    assert (said.code, said.out) == (0, "")
    (record,) = comparisons(run)
    until(lambda: not is_at_work(record))
    lock.release()
    found = read(record)
    assert found is not None
    assert found.rows == ()


# what is printed


def printed(found: Comparison) -> str:
    return "\n".join(lines(found, all_pairs(found)))


def test_the_figures_are_printed_in_eighty_columns() -> None:
    scores = [(5.0, 9.0)] * 12 + [(6.0, 6.0)] * 3 + [(8.0, 2.0)] * 5
    found = comparison(["win"] * 12 + ["tie"] * 3 + ["loss"] * 5, scores=scores, sources=["web", "book"] * 10)
    text = printed(found)
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "score         A 5.90, B 6.80; difference +0.90 (95 % CI ",
        "pairs         B wins 12, loses 5, ties 3",
        "win rate      of B: 68 % (95 % CI 47 % to 83 %), a tie as half",
        "by source     book ",
        "verdict       not distinguishable with 20 prompts: B wins 68 %",
    ):
        assert said in text, said


def test_the_examples_are_the_greatest_gain_the_greatest_loss_and_one_between() -> None:
    scores = [(5.0, 5.0 + gap) for gap in (0.0, 3.0, -2.0, 1.0, 4.5)]
    found = comparison(["tie", "win", "loss", "win", "win"], scores=scores)
    assert [row.row for row in telling(found, 0, 1)] == [4, 3, 2]
    same = comparison(["tie"] * 4, texts=[("a", "a")] * 4)
    assert len(telling(same, 0, 1)) == 3
    assert telling(comparison([]), 0, 1) == []


def test_control_characters_of_a_record_reach_no_terminal(cli: Cli, tmp_path: Path) -> None:
    bad = "\x1b]0;title\x07\u202e[bold]\x9b2J"
    found = comparison(["win"] * 3, texts=[(bad, bad + "!")] * 3, scores=[(1.0, 2.0)] * 3, sources=[bad, "x", bad])
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b"".join(encode(line) + b"\n" for line in (found.header, *found.rows, *found.duels)))
    said = cli("compare", "--show", str(path))
    assert not {c for c in said.out + said.err if (ord(c) < 32 and c != "\n") or c in "\x9b\u202e"}
    assert json.loads(cli("compare", "--show", str(path), "--json").out)["wins"] == 3
