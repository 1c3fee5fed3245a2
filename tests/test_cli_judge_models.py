"""``rlaif-tui judge models``: what an account offers, when it ends, and a warning where the judge's own model does."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pytest
import typer
from judge_server import JudgeServer
from typer.testing import CliRunner

from core.errors import JudgeError
from core.judge.endpoint import CallError, ModelInfo
from core.judge.lifecycle import end_of, ending_soon
from rlaif_tui import cli_judge_models

OPENAI = "https://api.openai.com/v1"
ELSEWHERE = "https://other.example/v1"
TODAY = dt.date(2026, 11, 22)
KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def typed(*words: str) -> tuple[int, str, str]:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command("models")(cli_judge_models.models)
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return result.exit_code, result.stdout, result.stderr


def judge_file(folder: Path, server: JudgeServer, model: str) -> str:
    path = folder / "judge.toml"
    path.write_text(
        f'backend = "chat_json"\nprovider = "compatible"\nmodel = "{model}"\n'
        f'base_url = "{server.url}"\napi_key_env = "MY_KEY"\n'
    )
    return str(path)


@pytest.fixture
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Clock:
            return cls(TODAY.year, TODAY.month, TODAY.day, tzinfo=tz)

    monkeypatch.setattr(cli_judge_models.dt, "datetime", Clock)


def test_a_table_with_the_judges_model_marked(tmp_path: Path, today: None) -> None:
    with JudgeServer(key=KEY) as server:
        code, out, err = typed(judge_file(tmp_path, server, "judge-small"))
        assert server.requests[0].path == "/v1/models"
    assert (code, err) == (0, "")
    assert out.splitlines() == ["  MODEL        ENDS", "  judge-old    2026-12-11", "* judge-small"]


def test_a_judge_that_ends_soon_is_a_warning(tmp_path: Path, today: None) -> None:
    with JudgeServer(key=KEY) as server:
        code, out, err = typed(judge_file(tmp_path, server, "judge-old"), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["models"][0] == {"id": "judge-old", "display": "", "shutdown": "2026-12-11", "source": "api"}
    assert found["models"][1]["source"] is None
    assert found["judge"] == "judge-old"
    assert "in 19 days" in found["warning"]  # 22 November to 11 December
    assert err.startswith("warning: the judge's model judge-old ends on 2026-12-11")


def test_a_model_that_is_not_listed_is_said(tmp_path: Path) -> None:
    with JudgeServer(key=KEY) as server:
        _, _, err = typed(judge_file(tmp_path, server, "judge-typo"))
    assert "does not list the judge's model judge-typo" in err


def test_options_alone_are_enough() -> None:
    with JudgeServer(key=KEY) as server:
        code, out, _ = typed("--base-url", server.url, "--api-key-env", "MY_KEY")
        assert (code, "judge-old" in out) == (0, True)
        code, out, _ = typed("--provider", "anthropic", "--base-url", server.root, "--api-key-env", "MY_KEY", "--json")
        assert [m["shutdown"] for m in json.loads(out)["models"]] == [None, "2026-12-05"]
        assert server.requests[-1].headers["anthropic-version"]


def test_what_cannot_be_asked_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert typed("--provider", "nonsense")[0] == 2
    with pytest.raises(JudgeError, match="asks no server"):
        typed("rubric")
    with pytest.raises(JudgeError, match="OPENAI_API_KEY"):
        typed()
    with JudgeServer(key="another-key-0123456789") as server:
        with pytest.raises(CallError, match="MY_KEY") as caught:
            typed(judge_file(tmp_path, server, "judge-small"))
        assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    ("model", "shutdown", "base_url", "day", "announced"),
    [
        ("x", "2027-03-01", ELSEWHERE, "2027-03-01", False),
        ("gpt-4o", "2027-03-01", OPENAI, "2027-03-01", False),  # what the API says comes first
        ("gpt-4o", "", OPENAI, "2027-01-14", True),
        ("gpt-4o-2024-08-06", "", OPENAI, "2027-01-14", True),
        ("gpt-4-0613", "", OPENAI, "2026-10-23", True),
        ("gpt-4o-mini", "", OPENAI, None, None),
        ("gpt-4.1-nano", "", OPENAI, None, None),
        ("gpt-4o", "", ELSEWHERE, None, None),
        ("gpt-4o", "soon", ELSEWHERE, None, None),
    ],
)
def test_where_an_end_comes_from(
    model: str, shutdown: str, base_url: str, day: str | None, announced: bool | None
) -> None:
    end = end_of(ModelInfo(model, shutdown), base_url)
    assert (None if end is None else (end.day.isoformat(), end.announced)) == (day and (day, announced))


def test_when_a_warning_is_due() -> None:
    models = [ModelInfo("a", "2026-12-22"), ModelInfo("b", "2026-12-23"), ModelInfo("c", "2026-11-22")]
    assert "in 30 days" in (ending_soon("a", models, ELSEWHERE, TODAY) or "")
    assert ending_soon("b", models, ELSEWHERE, TODAY) is None
    assert "in 31 days" in (ending_soon("b", models, ELSEWHERE, TODAY, days=31) or "")
    assert "ends today" in (ending_soon("c", models, ELSEWHERE, TODAY) or "")
    assert "ended on 2026-10-23 (as announced)" in (ending_soon("o1", [], OPENAI, TODAY) or "")
    assert ending_soon("unheard-of", models, OPENAI, TODAY) is None
