"""``judge init``, ``show`` and ``lint``: what they write, what they print, what they refuse."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from core.errors import JudgeError, RlaifError
from core.judge.asking import installation_secret, make_question
from core.judge.builtin import BUILT_IN
from core.judge.spec_file import load_spec, version_of_spec
from core.types import JudgeRequest
from rlaif_tui import cli_judge_files

APP = typer.Typer()
for _command in (cli_judge_files.init, cli_judge_files.show, cli_judge_files.lint):
    APP.command()(_command)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


def judge(*words: str) -> Result:
    return CliRunner().invoke(APP, list(words))


def judge_json(*words: str) -> dict[str, Any]:
    value = json.loads(judge(*words, "--json").stdout)
    assert isinstance(value, dict)
    return value


@pytest.mark.parametrize("name", BUILT_IN)
def test_init_writes_a_judge_that_reads_back_as_the_built_in_one(name: str) -> None:
    said = judge("init", "mine.toml", "--from", name)
    assert said.exit_code == 0, said.output
    assert said.stdout.startswith(f"wrote mine.toml: judge '{name}', backend ")
    assert load_spec(Path("mine.toml")) == BUILT_IN[name]
    assert judge("lint", "mine.toml").exit_code == 0


def test_init_takes_another_back_end_and_says_what_is_left_to_do() -> None:
    said = judge("init", "--provider", "anthropic")
    assert "model claude-haiku-5-5" in said.stdout
    assert load_spec(Path("judge.toml")).parameters.temperature is None
    said = judge("init", "own.toml", "--provider", "compatible", "--base-url", "http://localhost:1/v1")
    assert "to be filled in: model is missing" in said.stdout
    assert load_spec(Path("own.toml")).base_url == "http://localhost:1/v1"
    assert judge("lint", "own.toml").exit_code == 2


def test_init_overwrites_nothing_unless_told_to() -> None:
    Path("judge.toml").write_text("mine")
    said = judge("init")
    assert isinstance(said.exception, RlaifError)
    assert "judge.toml exists already" in str(said.exception)
    assert Path("judge.toml").read_text() == "mine"
    assert judge("init", "--force").exit_code == 0
    assert load_spec(Path("judge.toml")) == BUILT_IN["general"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--from", "generl"), "--from generl: no such judge; did you mean general?"),
        (("--backend", "chat"), "--backend chat is not allowed; it must be: one of decisions, systemone"),
    ],
)
def test_init_refuses_what_there_is_not(words: tuple[str, ...], sentence: str) -> None:
    said = judge("init", *words)
    assert said.exit_code == 2
    assert sentence in said.stderr
    assert not Path("judge.toml").exists()


def test_show_prints_the_exact_messages() -> None:
    sample = JudgeRequest(task="What is 2+2?", response="Four.", reference="4")
    words = ("show", "general", "--task", sample.task, "--response", sample.response, "--reference", "4")
    shown = judge_json(*words)
    question = make_question(BUILT_IN["general"], sample, installation_secret())
    assert shown["sent"]["messages"] == [{"role": m.role, "content": m.content} for m in question.messages]
    assert shown["judge_version"] == version_of_spec(BUILT_IN["general"])
    assert [(c["name"], c["weight"]) for c in shown["criteria"]] == [("correct", 0.4), ("answers", 0.4), ("clear", 0.2)]
    text = judge(*words).stdout
    assert shown["judge_version"] in text
    assert "   40%  correct: " in text
    assert f"--- user\n{question.messages[1].content}\n" in text


def test_show_takes_a_row_of_a_data_file() -> None:
    Path("data.csv").write_text("prompt,chosen,rejected\nfirst?,a,b\nsecond?,c,d\n")
    shown = judge_json("show", "general", "--data", "data.csv", "--row", "2")
    sent = json.loads(shown["sent"]["messages"][1]["content"].splitlines()[0])
    assert (sent["task"], sent["response"]) == ("second?", "c")
    assert "has 2 usable rows" in judge("show", "general", "--data", "data.csv", "--row", "3").stderr
    Path("bare.csv").write_text("prompt\nfirst?\n")
    assert "give one with --response" in judge("show", "general", "--data", "bare.csv").stderr


def test_show_names_question_and_levels_where_no_chat_is_sent() -> None:
    judge("init", "d.toml", "--backend", "decisions")
    sent = judge_json("show", "d.toml")["sent"]
    assert "messages" not in sent
    assert [level["score"] for level in sent["levels"]] == [0, 2, 4, 6, 8, 10]
    assert "--- question" in judge("show", "d.toml").stdout


def test_show_of_the_offline_judge_and_of_pairs() -> None:
    assert judge_json("show", "rubric")["sent"] is None
    assert "nothing is sent anywhere" in judge("show", "rubric").stdout
    assert '"B": ' in judge_json("show", "pairwise")["sent"]["messages"][1]["content"]


def test_hostile_text_reaches_the_terminal_as_visible_marks() -> None:
    said = judge("show", "general", "--task", "x", "--response", "a\x1b]0;owned\x07b\u202ec<|im_end|>")
    assert said.exit_code == 0
    assert not {"\x1b", "\x07", "\u202e"} & set(said.stdout)
    assert "1 special sequences in the sample were made harmless" in said.stdout
    Path("bad.toml").write_text('"a\\u001bb" = 1\n')
    said = judge("lint", "bad.toml")
    assert said.exit_code == 2
    assert "\x1b" not in said.output


def test_lint_ends_with_2_and_names_every_fault() -> None:
    Path("bad.toml").write_text("model = 'm'\n[template]\nuser = '{prompt} {{ response }}'\n")
    said = judge("lint", "bad.toml")
    assert said.exit_code == 2
    assert "error: 'task' does not appear" in said.stderr
    assert "warning: {prompt} is the style of another tool" in said.stdout
    found = judge_json("lint", "bad.toml")
    assert (found["ok"], len(found["errors"]), len(found["warnings"])) == (False, 1, 2)
    assert "bad.toml, line 1" in judge_json("lint", _written("modl = 'x'\n"))["errors"][0]
    assert judge("lint", "general").stdout == "general: nothing to object to\n"


def test_a_judge_that_cannot_be_used_is_not_shown() -> None:
    said = judge("show", _written("[template]\nuser = '{{ task }}'\n"))
    assert isinstance(said.exception, JudgeError)
    assert "model is missing" in str(said.exception)
    assert "together" in judge("show", "general", "--task", "x").stderr


def _written(text: str) -> str:
    Path("bad.toml").write_text(text)
    return "bad.toml"
