"""The command line with a real worker: its result, and that leaving a run never stops it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from typed import RESULT_KEYS, Cli

from core.run_dir import RunDir, is_alive

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)


def command(*words: str) -> list[str]:
    return [sys.executable, "-P", "-m", "rlaif_tui", *words]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


SMALL = [
    word
    for setting in ("rollout.batch_size=4", "ppo.mini_batch_size=4", "data.validation_prompts=4", "run.threads=1")
    for word in ("--set", setting)
]


@pytest.mark.slow
def test_train_prints_one_object_and_lines_apart(cli: Cli) -> None:
    cli("init")
    done = subprocess.run(
        command("train", "run.toml", *SMALL, "--set", "run.steps=2", "--name", "two", "--json"),
        env=environment(), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert set(result) >= RESULT_KEYS
    assert (result["run"], result["outcome"], result["steps"]) == ("two", "completed", 2)
    assert len(result["weights_sha256"]) == 64
    assert result["seconds"] > 0
    assert set(result["validation"]) == {"n", "before", "after", "difference", "ci95"}
    assert [line for line in done.stderr.splitlines() if " step " in line and "/2  score" in line][1:]
    assert "\x1b" not in done.stderr + done.stdout
    assert cli("status", "two", "--json").json["weights_sha256"] == result["weights_sha256"]
    assert cli("export", "two", "--rollouts", "r.jsonl").out == "wrote 8 responses to r.jsonl\n"
    rows = [json.loads(line) for line in Path("r.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["step"], row["row"]) for row in rows] == [(s, r) for s in (1, 2) for r in range(4)]
    assert all(row["score"] is not None and row["used"] and row["messages"] for row in rows)
    exported = cli("export", "two", "--adapter", "adapter")
    assert exported.out.startswith("wrote the adapter of step 2 to ")
    assert Path("adapter/adapter_model.safetensors").stat().st_size > 0
    again = cli("export", "two", "--adapter", "adapter")
    assert (again.code, "exists already" in again.err) == (2, True)
    shown = cli("attach", "two", "--plain")
    assert shown.code == 0
    assert "held-out judge score" in shown.out


def heed_interrupts() -> None:
    """A shell starts what it puts into the background with Ctrl-C ignored, and that would be inherited."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_leaving_a_run_leaves_it_running(cli: Cli) -> None:
    cli("init")
    follower = subprocess.Popen(
        command("train", "run.toml", *SMALL, "--set", "run.steps=100000", "--name", "long", "--plain"),
        env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=heed_interrupts,  # noqa: PLW1509 - no thread of ours runs here
    )  # fmt: skip
    assert follower.stdout is not None
    try:
        assert any("step      1/100000" in line for line in follower.stdout)
        follower.send_signal(signal.SIGINT)
        _, err = follower.communicate(timeout=120)
        assert follower.returncode == 130
        assert "long goes on; rlaif-tui attach long shows it" in err
        assert "Traceback" not in err
        step = cli("status", "long", "--json").json["step"]
        deadline = time.monotonic() + 240
        while cli("status", "long", "--json").json["step"] <= step + 1:
            assert time.monotonic() < deadline, "the run stands still after its follower left"
            time.sleep(0.2)
        assert cli("set", "long", "kl_coef=0.2", "--wait", "60").code == 0
        assert cli("stop", "long", "--wait", "60").code == 0
        while is_alive(RunDir(cli.root / "long")):
            assert time.monotonic() < deadline, "the run does not stop"
            time.sleep(0.2)
        said = cli("status", "long", "--json").json
        assert (said["state"], said["last_checkpoint_step"]) == ("stopped", said["step"])
    finally:
        follower.kill()
        follower.communicate()
        if (pid := cli("status", "long", "--json").json["pid"]) is not None:
            os.kill(pid, signal.SIGKILL)


def test_a_worker_that_cannot_begin_is_a_failure_with_a_result(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    cli("init")
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        said = cli("train", "run.toml", "--name", "bad", "--json")
    assert said.code == 1
    assert set(said.json) >= RESULT_KEYS
    assert (said.json["outcome"], said.json["steps"]) == ("crashed", 0)
    assert "ended with exit code 1 before its first event" in said.err
