"""Checkpoints: complete or absent, every damage noticed, one valid one at every instant."""

from __future__ import annotations

import errno
import json
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
import torch
from forks import SLOW_FILES, Forks, forks  # noqa: F401  a fixture

from core import checkpoint
from core.errors import RunDirError
from core.events import CheckpointRejected
from core.run_dir import RunDir, create

FILES = ("tensors.safetensors", "values.json", "manifest.json")
VALUES = {"completed": 3, "seconds": 0.1 + 0.2, "list": [1, None, "é\n"], "infinite": float("inf")}


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path, "one")


def tensors(step: int = 0) -> dict[str, torch.Tensor]:
    weight = torch.arange(6.0).reshape(2, 3) + step
    return {"w": weight, "w.transposed": weight.T, "half": torch.ones(3, dtype=torch.bfloat16), "n": torch.tensor(step)}


def save(run: RunDir, *steps: int) -> None:
    for step in steps:
        checkpoint.save(run, step, tensors(step), {**VALUES, "completed": step}, "hash")


def latest(run: RunDir) -> tuple[int | None, list[CheckpointRejected]]:
    rejected: list[CheckpointRejected] = []
    found = checkpoint.find_latest(run, rejected.append)
    return (found.step if found else None), rejected


def names(run: RunDir) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def test_what_was_saved_comes_back_exactly(run: RunDir) -> None:
    event = checkpoint.save(run, 3, tensors(3), VALUES, "hash")
    assert (event.step, event.path) == (3, str(run.checkpoint(3)))
    size = sum(path.stat().st_size for path in run.checkpoint(3).iterdir())
    assert event.size_mb == pytest.approx(size / 1e6)
    snapshot = checkpoint.load_latest(run, pytest.fail)
    assert (snapshot.step, snapshot.config_hash, snapshot.values) == (3, "hash", VALUES)
    assert snapshot.tensors.keys() == tensors().keys()
    for name, tensor in tensors(3).items():
        assert snapshot.tensors[name].dtype == tensor.dtype
        assert torch.equal(snapshot.tensors[name], tensor)
    assert sorted(path.name for path in run.checkpoint(3).iterdir()) == sorted(FILES)
    assert names(run) == ["step_000003"]
    assert {path.stat().st_mode & 0o777 for path in run.checkpoint(3).iterdir()} == {0o600}


def test_the_newest_is_the_highest_step_not_the_last_name(run: RunDir) -> None:
    save(run, 2, 999_999, 1_000_000)
    assert latest(run) == (1_000_000, [])


def test_a_step_is_saved_once(run: RunDir) -> None:
    save(run, 2)
    with pytest.raises(RunDirError, match="exists already"):
        save(run, 2)


@pytest.mark.parametrize("name", FILES)
def test_every_flip_and_cut_is_noticed_and_the_one_before_is_used(run: RunDir, name: str) -> None:
    save(run, 1, 2)
    path = run.checkpoint(2) / name
    intact = path.read_bytes()
    positions = sorted({i * (len(intact) - 1) // 39 for i in range(40)})
    damaged = [intact[:i] + bytes([intact[i] ^ (1 << i % 8)]) + intact[i + 1 :] for i in positions]
    damaged += [intact[:i] for i in positions] + [intact + b"\n"]
    for data in damaged:
        path.write_bytes(data)
        step, rejected = latest(run)
        assert step == 1
        (event,) = rejected
        assert event.step == 2
        assert name in event.reason
        assert Path(event.path).name == ".bad-step_000002"
        shutil.move(event.path, run.checkpoint(2))
    path.write_bytes(intact)
    assert latest(run) == (2, [])


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_or_a_folder_in_its_place_is_noticed(run: RunDir, name: str) -> None:
    save(run, 1, 2)
    (run.checkpoint(2) / name).unlink()
    step, rejected = latest(run)
    assert (step, [name in event.reason for event in rejected]) == (1, [True])
    save(run, 2)
    (run.checkpoint(2) / name).unlink()
    (run.checkpoint(2) / name).mkdir()
    step, rejected = latest(run)
    assert (step, [Path(event.path).name for event in rejected]) == (1, [".bad-step_000002-2"])  # the first is kept


def test_files_of_another_step_are_not_taken_for_this_one(run: RunDir) -> None:
    save(run, 1)
    shutil.copytree(run.checkpoint(1), run.checkpoint(9))
    step, rejected = latest(run)
    assert (step, [event.reason for event in rejected]) == (1, ["manifest.json is that of step 1"])


def test_none_valid_is_said_so(run: RunDir) -> None:
    with pytest.raises(RunDirError, match="no valid checkpoint"):
        checkpoint.load_latest(run, pytest.fail)
    save(run, 1)
    (run.checkpoint(1) / "values.json").write_text("{}")
    rejected: list[CheckpointRejected] = []
    with pytest.raises(RunDirError, match="no valid checkpoint"):
        checkpoint.load_latest(run, rejected.append)
    assert [event.step for event in rejected] == [1]


def test_a_checkpoint_of_a_newer_version_is_not_called_damaged(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "SCHEMA_VERSION", 2)
    save(run, 1)
    monkeypatch.undo()
    with pytest.raises(RunDirError, match=r"newer version \(format 2\)"):
        latest(run)
    assert names(run) == ["step_000001"]


def test_rotation_keeps_the_newest_and_the_protected(run: RunDir) -> None:
    save(run, 1, 2, 3, 4, 5)
    (run.checkpoints / ".bad-step_000000").mkdir()
    checkpoint.retain(run, keep=2, protected=[2])
    assert names(run) == [".bad-step_000000", "step_000002", "step_000004", "step_000005"]
    checkpoint.retain(run, keep=2)
    assert names(run) == [".bad-step_000000", "step_000004", "step_000005"]


def test_leftovers_are_removed_and_nothing_else(run: RunDir) -> None:
    save(run, 1)
    for name in (".tmp-step_000002-77", ".del-step_000000-77", ".bad-step_000003"):
        (run.checkpoints / name).mkdir()
        (run.checkpoints / name / "manifest.json").write_text("{}")
    checkpoint.clean(run)
    assert names(run) == [".bad-step_000003", "step_000001"]


def test_too_little_room_is_a_full_disk_before_anything_is_touched(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run, 1)
    free = shutil.disk_usage(run.path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: free)
    with pytest.raises(OSError, match=r"MB free, there are 0\.0 MB") as caught:
        save(run, 2)
    assert caught.value.errno == errno.ENOSPC
    assert names(run) == ["step_000001"]


def test_a_write_that_fails_leaves_no_trace(run: RunDir) -> None:
    import resource

    save(run, 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, before[1]))
    try:
        with pytest.raises(OSError, match="large"):
            save(run, 2)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert names(run) == ["step_000001"]
    assert latest(run) == (1, [])


SAVER = """
from pathlib import Path
import torch
from core import checkpoint
from core.run_dir import RunDir
run, first = RunDir(Path(argv[0])), int(argv[1])
checkpoint.clean(run)
for step in range(first, first + 1000):
    checkpoint.save(run, step, {"w": torch.full((1000,), float(step))}, {"completed": step}, "hash")
    print(step, flush=True)
    checkpoint.retain(run, keep=2)
"""


def test_kill_9_in_the_middle_of_saving_and_rotating_always_leaves_a_valid_one(
    run: RunDir,
    forks: Forks,  # noqa: F811
    tmp_path: Path,
) -> None:
    draw, saved, left_over = random.Random(0), 0, set()
    for round_ in range(12):
        output = tmp_path / f"said-{round_}"
        saver = forks.start(SLOW_FILES + SAVER, [run.path, saved + 1], output)
        enough = 1 if saved else 3  # from the third on there is something to rotate
        while not (output.exists() and output.read_text().count("\n") >= enough):
            time.sleep(0.005)
        time.sleep(draw.uniform(0.0, 0.06))  # one save and its rotation take about 0.04 s
        os.kill(saver, signal.SIGKILL)
        assert forks.wait(saver) == -signal.SIGKILL
        acknowledged = int(output.read_text().splitlines()[-1])
        left_over |= {re.sub(r"_.*", "", name) for name in names(run)}
        for path in run.checkpoints.glob("step_*"):  # an old one is whole until it is gone
            assert sorted(os.listdir(path)) == sorted(FILES)
        step, rejected = latest(run)
        assert step in (acknowledged, acknowledged + 1)
        assert rejected == []
        assert checkpoint.load_latest(run, pytest.fail).tensors["w"][0] == step
        saved = step or 0
    assert {"step", ".tmp-step"} <= left_over  # kills did fall into a save


def test_nothing_is_pickled(run: RunDir) -> None:
    save(run, 1)
    for path in run.checkpoint(1).iterdir():
        if path.suffix == ".json":
            json.loads(path.read_bytes())
        else:
            header = int.from_bytes(path.read_bytes()[:8], "little")
            assert json.loads(path.read_bytes()[8 : 8 + header])["w"]["dtype"] == "F32"
    assert os.listdir(run.checkpoint(1)) != []
