"""Asking a run for something from the command line: what is sent, what is answered, what is refused."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from typed import FINISHED, READY, START, Cli, Said, a_step, make_run

from core.commands import Set
from core.events import CommandApplied, CommandRejected
from core.journal import CommandReader, EventLog
from core.run_dir import RunDir, RunLock, is_alive


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)


@pytest.fixture
def live(cli: Cli) -> Iterator[RunDir]:
    """A run whose worker is a thread of this test: it holds the lock and answers each command."""
    run = make_run(cli.root, "live", [START, READY, a_step(1)])
    lock, log, over = RunLock(run), EventLog(run), threading.Event()
    lock.acquire()
    commands = CommandReader(run.commands)

    def answer() -> None:
        while not over.wait(0.02):
            for command in (received.command for received in commands.read()):
                log.write(CommandApplied(command_id="of another", name="pause", step=99))
                if isinstance(command, Set) and command.name == "learning_rate":
                    log.write(CommandRejected(command_id=command.id, name="set", reason="not now"))
                elif not isinstance(command, Exception):
                    name = type(command).__struct_config__.tag
                    log.write(CommandApplied(command_id=command.id, name=str(name), step=2, detail="as asked"))

    worker = threading.Thread(target=answer, daemon=True)
    worker.start()
    yield run
    over.set()
    worker.join()
    log.close()
    lock.release()


def test_a_live_run_has_a_pid_and_no_outcome(cli: Cli, live: RunDir) -> None:
    said = cli("status", "live", "--json").json
    assert (said["state"], said["pid"]) == ("running", os.getpid())
    assert "outcome" not in said


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (["pause", "live"], "live: pause, effective with step 2 (as asked)"),
        (["stop", "live"], "live: stop, effective with step 2 (as asked)"),
        (["checkpoint", "live"], "live: checkpoint, effective with step 2 (as asked)"),
        (["set", "live", "kl_coef=0.1"], "live: set, effective with step 2 (as asked)"),
        (["set", "live", "ppo.kl_coef=0.1"], "live: set, effective with step 2 (as asked)"),
        (["pause", "live", "--wait", "0"], "asked live to pause; it takes effect at the next step boundary"),
        (["resume", "live"], "live is running, not paused; there is nothing to resume"),
    ],
)
def test_what_was_asked_is_answered(cli: Cli, live: RunDir, words: list[str], answer: str) -> None:
    assert cli(*words) == Said(0, f"{answer}\n", "")


def test_a_refusal_is_said_with_its_reason(cli: Cli, live: RunDir) -> None:
    said = cli("set", "live", "learning_rate=1e-5")
    assert (said.code, said.err) == (1, "rlaif-tui: live refused: not now\n")


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("kl_coeff=0.1", "did you mean kl_coef?"),
        ("kl_coef", "NAME=VALUE"),
        ("kl_coef=much", "must be a number"),
        ("kl_coef=-1", "number, 0 to 100"),
        ("learning_rate=nan", "finite"),
        ("gamma=0.9", "kl_coef, learning_rate, critic_learning_rate"),
    ],
)
def test_a_bad_setting_is_refused_before_it_is_sent(cli: Cli, live: RunDir, setting: str, words: str) -> None:
    said = cli("set", "live", setting)
    assert said.code == 2
    assert words in said.err
    assert not live.commands.exists()


@pytest.mark.parametrize("command", [["pause"], ["stop"], ["checkpoint"], ["set", "kl_coef=0.1"]])
def test_a_run_without_a_worker_cannot_be_asked(cli: Cli, command: list[str]) -> None:
    make_run(cli.root, "r", [START, READY, a_step(1)])
    said = cli(command[0], "r", *command[1:])
    assert said.code == 3
    assert said.err == "rlaif-tui: r is crashed, so no worker is there to answer; rlaif-tui resume r starts it again\n"


def test_a_completed_run_is_not_resumed(cli: Cli) -> None:
    run = make_run(cli.root, "r", FINISHED)
    assert cli("resume", "r") == Said(0, "r has completed all 2 steps; there is nothing to resume\n", "")
    assert not is_alive(run)
