"""The command line: what it prints, the keys of its JSON, its exit codes."""

from __future__ import annotations

import csv
import json
import os
import sys
import time
from pathlib import Path

import msgspec
import pytest
from typed import BEFORE, FINISHED, READY, RESULT_KEYS, START, STATUS_KEYS, Cli, a_step, make_run

from core.config_file import load_config, to_toml
from core.presets import PRESETS, preset
from rlaif_tui.cli import _hoist
from rlaif_tui.export_files import spreadsheet_safe


@pytest.fixture
def cli(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Cli:
    return Cli(tmp_path, capsys, monkeypatch)


def test_without_a_command_in_a_pipe_the_runs_are_listed(cli: Cli) -> None:
    assert "no runs in" in cli().out
    make_run(cli.root, "first", FINISHED)
    said = cli()
    assert said.code == 0
    assert "first" in said.out
    assert "completed" in said.out


def test_help_names_every_command_and_the_exit_codes(cli: Cli) -> None:
    said = cli("--help")
    assert said.code == 0
    commands = "demo init check train runs status attach logs pause resume stop checkpoint set report export data"
    listed = [line.split()[0] for line in said.out.splitlines() if line.startswith("  ") and line.strip()]
    assert [word for word in listed if word in commands.split()] == commands.split()
    assert "130" in said.out
    assert all(cli(command, "--help").code == 0 for command in commands.split())


def test_runs_come_newest_first_with_the_keys_of_status(cli: Cli) -> None:
    for age, name in ((20, "old"), (10, "new")):
        run = make_run(cli.root, name, FINISHED)
        os.utime(run.config, (time.time() - age, time.time() - age))
    listed = cli("runs", "--json").json["runs"]
    assert [one["run"] for one in listed] == ["new", "old"]
    assert all(set(one) >= STATUS_KEYS | RESULT_KEYS for one in listed)


def test_a_run_that_cannot_be_read_hides_no_other(cli: Cli) -> None:
    make_run(cli.root, "good", FINISHED)
    bad = make_run(cli.root, "bad", [])
    bad.events.unlink(missing_ok=True)
    bad.events.mkdir()
    said = cli("runs", "--json").json
    assert [one["run"] for one in said["runs"]] == ["good"]
    assert [one["run"] for one in said["unreadable"]] == ["bad"]
    assert cli("runs").out.count("unreadable") == 1
    assert cli("status", "bad").code == 1


def test_status_of_a_finished_run_gives_its_result(cli: Cli) -> None:
    run = make_run(cli.root, "r", FINISHED)
    said = cli("status", "r", "--json").json
    assert said["run"] == "r"
    assert (said["state"], said["step"], said["total_steps"]) == ("completed", 2, 2)
    assert (said["last_checkpoint_step"], said["pid"]) == (2, None)
    assert (said["outcome"], said["steps"], said["seconds"], said["cost_usd"]) == ("completed", 2, 12.5, 0.5)
    assert said["weights_sha256"] == "ab" * 32
    assert said["validation"] == {"n": 8, "before": 2.0, "after": 6.0, "difference": 4.0, "ci95": [3.0, 5.0]}
    assert cli("status", str(run.path), "--json").json == said
    assert ": better" in cli("status", "r").out


def test_a_killed_worker_is_a_crash_with_every_key(cli: Cli) -> None:
    make_run(cli.root, "r", [START, READY, BEFORE, a_step(1)])
    said = cli("status", "r", "--json").json
    assert set(said) >= RESULT_KEYS | STATUS_KEYS
    assert (said["state"], said["outcome"], said["steps"], said["seconds"]) == ("crashed", "crashed", 1, None)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["status", "nope"], 3, "no run 'nope'"),
        (["attach", "nope"], 3, "no run 'nope'"),
        (["logs", "nope"], 3, "no run 'nope'"),
        (["train", "nope.toml"], 2, "no such file"),
        (["train", "bad.toml"], 2, "ppo.kl_coeff is not a key; did you mean ppo.kl_coef?"),
        (["train", "good.toml", "--set", "ppo.gama=1"], 2, "did you mean ppo.gamma?"),
        (["train", "good.toml", "--set", "data.path=nope.csv"], 2, "no such file"),
        (["train", "good.toml", "--name", "No Good"], 3, "use 1 to 64 of a-z"),
        (["demo", "--seed", "-1"], 2, "run.seed = -1 is not allowed"),
        (["init", "--preset", "demmo"], 2, "did you mean 'demo'?"),
        (["data", "nope.csv"], 2, "nope.csv"),
        (["export", "r"], 2, "at least one of"),
        (["bogus"], 2, "No such command"),
        (["train"], 2, "Missing argument"),
    ],
)
def test_expected_errors_are_sentences_with_their_code(cli: Cli, words: list[str], code: int, sentence: str) -> None:
    Path("bad.toml").write_text("[ppo]\nkl_coeff = 1\n", encoding="utf-8")
    Path("good.toml").write_text(to_toml(preset("demo")), encoding="utf-8")
    said = cli(*words)
    assert (said.code, said.out) == (code, "")
    assert sentence in said.err
    assert "Traceback" not in said.err


def test_an_unexpected_error_leaves_a_report_without_values(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(cli.root, "r", FINISHED)

    def broken(*_: object, **__: object) -> str:
        canary = "sk-canary-value"
        raise ZeroDivisionError(f"no {len(canary)}")

    with monkeypatch.context() as patch:
        patch.setattr(json, "dumps", broken)
        said = cli("status", "r", "--json")
    assert said.code == 70
    assert said.err.startswith("rlaif-tui: unexpected ZeroDivisionError: no 15; the report is in ")
    report = Path(said.err.rsplit(" ", 1)[1].strip())
    text = report.read_text(encoding="utf-8")
    assert "ZeroDivisionError" in text
    assert "broken" in text
    assert report.stat().st_mode & 0o077 == 0


def test_the_runs_folder_may_be_named_anywhere(cli: Cli, tmp_path: Path) -> None:
    make_run(tmp_path / "other", "there", FINISHED)
    assert "there" in cli("runs", "--runs-dir", str(tmp_path / "other")).out
    assert "there" in cli(f"--runs-dir={tmp_path / 'other'}", "runs").out
    assert _hoist(["set", "r", "--", "--runs-dir", "x"], "--runs-dir") == ["set", "r", "--", "--runs-dir", "x"]
    assert cli("runs", "--runs-dir").code == 2


def test_init_writes_what_train_reads(cli: Cli) -> None:
    for name in PRESETS:
        assert cli("init", f"{name}.toml", "--preset", name).code == 0
        assert load_config(Path(f"{name}.toml")) == preset(name)
    assert load_config(Path("demo.toml")) == preset("demo")
    Path("run.toml").write_text("mine", encoding="utf-8")
    said = cli("init")
    assert said.code == 2
    assert "exists already" in said.err
    assert Path("run.toml").read_text(encoding="utf-8") == "mine"
    assert cli("init", "--force").code == 0
    assert load_config(Path("run.toml")) == preset("demo")


def test_logs_show_the_last_lines_made_safe(cli: Cli) -> None:
    run = make_run(cli.root, "r", FINISHED)
    assert cli("logs", "r").code == 3
    run.log.write_text("".join(f"line {n}\n" for n in range(50)) + "\x1b[2Jend\n", encoding="utf-8")
    assert cli("logs", "r", "-n", "3").out == "line 48\nline 49\n␛[2Jend\n"
    assert len(cli("logs", "r").out.splitlines()) == 40


def test_check_names_what_is_wrong_and_fails(cli: Cli) -> None:
    Path("bad.toml").write_text("[ppo]\nkl_coeff = 1\n", encoding="utf-8")
    said = cli("check", "bad.toml", "--json")
    assert said.code == 1
    checks = said.json["checks"]
    assert all({"name", "ok", "seconds", "evidence", "hint"} <= set(check) for check in checks)
    assert (checks[0]["name"], checks[0]["ok"]) == ("config", False)
    assert "did you mean ppo.kl_coef?" in checks[0]["evidence"]
    assert checks[0]["hint"]
    lines = cli("check", "bad.toml")
    assert lines.code == 1
    assert lines.out.startswith("FAIL config ")


def test_a_check_that_dies_is_said_in_one_sentence(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/bin/false")
        said = cli("check", "run.toml")
    assert said.code == 1
    assert said.err == "rlaif-tui: the preflight ended with code 1 and said nothing\n"


def test_metrics_are_exported_one_row_a_step(cli: Cli) -> None:
    again = msgspec.structs.replace(START, resumed_from=1)
    make_run(cli.root, "r", [START, READY, a_step(1), a_step(2), again, READY, a_step(2)])
    assert cli("export", "r", "--metrics", "m.csv").out == "wrote 2 steps to m.csv\n"
    with Path("m.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["step"] for row in rows] == ["1", "2"]
    assert rows[0]["score_mean"] == "5.5"
    assert rows[0]["entropy"] == ""
    assert rows[1]["cost_total_usd"] == "0.5"
    assert rows[0]["seconds_generate"] == "0.5"
    said = cli("export", "r", "--metrics", "m.csv")
    assert said.code == 2
    assert "exists already" in said.err
    assert cli("export", "r", "--metrics", "m.csv", "--force").code == 0
    assert cli("export", "r", "--rollouts", "r.jsonl").code == 3


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_no_cell_is_taken_for_a_formula(start: str) -> None:
    assert spreadsheet_safe(f"{start}cmd|' /C calc'!A0") == f"'{start}cmd|' /C calc'!A0"
    assert spreadsheet_safe("plain") == "plain"
    assert spreadsheet_safe(-1.5) == -1.5


def test_data_says_what_the_importer_sees(cli: Cli) -> None:
    source = b"\xef\xbb\xbfquestion,answer\r\nWhat is a cup?,A vessel\r\n,none\r\nWhat is a cup?,Again\r\nWhy?\r\n"
    Path("q.csv").write_bytes(source)
    said = cli("data", "q.csv", "--json")
    assert said.code == 0
    report = said.json
    keys = {"rows", "usable", "empty", "duplicates", "columns", "prompt_column", "encoding", "problems"}
    assert keys <= set(report)
    assert (report["rows"], report["empty"], report["duplicates"], report["prompt_column"]) == (4, 1, 1, "question")
    assert report["columns"] == ["question", "answer"]
    assert all(set(problem) == {"row", "what"} for problem in report["problems"])
    assert report["tokens"]["max"] > 0
    text = cli("data", "q.csv", "--prompt-column", "answer").out
    assert "prompt column: answer" in text
    assert Path("q.csv").read_bytes() == source
