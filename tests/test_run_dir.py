"""The run directory: names, owners, and one worker at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from core.errors import RunDirError
from core.run_dir import RunDir, RunLock, create, is_alive, list_runs, lock_owner_pid, open_run, runs_root

HOLDER = """
import sys, time
from pathlib import Path
from core.run_dir import RunDir, RunLock
lock = RunLock(RunDir(Path(sys.argv[1])))
lock.acquire()
print("held", flush=True)
time.sleep(60)
"""


def made(root: Path, name: str, age_s: float = 0.0) -> RunDir:
    run = create(root, name)
    run.config.write_text("")
    then = time.time() - age_s
    os.utime(run.config, (then, then))
    return run


def hold(run: RunDir) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", HOLDER, run.path], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    process.stdout.close()
    return process


def test_a_new_run_is_for_its_owner_only(tmp_path: Path) -> None:
    run = create(tmp_path / "runs", "first-1")
    for path in (run.path, run.checkpoints, run.exports, run.judges, run.rollouts(1).parent):
        assert path.stat().st_mode & 0o777 == 0o700
    assert run.rollouts(12).name == "step_000012.jsonl"
    assert run.checkpoint(12).name == "step_000012"


@pytest.mark.parametrize("name", ["", "-x", "A", "a b", "../x", "a/b", "a" * 65, "x\n", "é", "a.b", "\x00"])
def test_names_that_could_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(RunDirError, match="use 1 to 64"):
        create(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_name_is_used_once(tmp_path: Path) -> None:
    create(tmp_path, "one")
    with pytest.raises(RunDirError, match="'one' exists already"):
        create(tmp_path, "one")


def test_a_root_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirError, match="cannot make run directory"):
        create(tmp_path / "file" / "runs", "one")


def test_runs_are_listed_newest_first_and_only_runs(tmp_path: Path) -> None:
    assert list_runs(tmp_path / "missing") == []
    made(tmp_path, "old", age_s=100)
    made(tmp_path, "new")
    create(tmp_path, "no-config")
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "new")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert [run.name for run in list_runs(tmp_path)] == ["new", "old"]


def test_a_run_is_found_by_name_and_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "runs", "one")
    assert open_run("one", tmp_path / "runs") == run
    assert open_run(str(run.path), tmp_path / "elsewhere") == run
    monkeypatch.chdir(tmp_path)
    assert open_run("runs/one", tmp_path).path.samefile(run.path)
    with pytest.raises(RunDirError, match=r"no run 'two' .* there are: one"):
        open_run("two", tmp_path / "runs")
    with pytest.raises(RunDirError, match="there are none yet"):
        open_run("two", tmp_path / "empty")


def test_a_run_that_others_may_have_changed_is_refused(tmp_path: Path) -> None:
    run = made(tmp_path, "one")
    for bits in (0o720, 0o702):
        run.path.chmod(bits)
        with pytest.raises(RunDirError, match="chmod go-w"):
            open_run("one", tmp_path)
    run.path.chmod(0o700)
    (tmp_path / "link").symlink_to(run.path)
    with pytest.raises(RunDirError, match="symbolic link"):
        open_run("link", tmp_path)


def test_the_root_comes_from_the_option_then_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RLAIF_TUI_RUNS", str(tmp_path))
    assert runs_root() == tmp_path
    assert runs_root(Path("/elsewhere")) == Path("/elsewhere")
    monkeypatch.delenv("RLAIF_TUI_RUNS")
    assert runs_root().parts[-2:] == ("rlaif-tui", "runs")


def test_a_second_worker_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    run = made(tmp_path, "one")
    holder = hold(run)
    try:
        assert is_alive(run)
        assert lock_owner_pid(run) == holder.pid
        with pytest.raises(RunDirError, match=f"already has a live worker: pid {holder.pid} on "):
            RunLock(run).acquire(patience_s=0.1)
        assert lock_owner_pid(run) == holder.pid  # the refused one wrote nothing
    finally:
        holder.kill()
        holder.wait()


def test_the_lock_is_free_at_once_after_kill_9(tmp_path: Path) -> None:
    run = made(tmp_path, "one")
    for _ in range(3):
        holder = hold(run)
        os.kill(holder.pid, signal.SIGKILL)
        holder.wait()
        assert not is_alive(run)
        assert lock_owner_pid(run) is None  # though its pid still stands in the file
        lock = RunLock(run)
        lock.acquire(patience_s=0.0)
        assert lock_owner_pid(run) == os.getpid()
        lock.release()


def test_a_viewer_that_looks_does_not_keep_a_worker_out(tmp_path: Path) -> None:
    import fcntl

    run = made(tmp_path, "one")
    run.lock.touch()
    descriptor = os.open(run.lock, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    timer = threading.Timer(0.2, os.close, [descriptor])
    timer.start()
    lock = RunLock(run)
    lock.acquire(patience_s=5.0)
    timer.join()
    lock.release()


def test_a_run_without_a_lock_file_is_not_alive(tmp_path: Path) -> None:
    assert not is_alive(made(tmp_path, "one"))
    assert not is_alive(RunDir(tmp_path / "missing"))
