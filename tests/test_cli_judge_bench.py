"""The workbench's commands as they are typed, with the offline judge and with judges that misbehave."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
import typer
from judge_server import JudgeServer, constant
from typed import Said
from typer.testing import CliRunner

from core.judge import open as opening
from core.judge.builtin import built_in_spec
from core.judge.rubric import RubricJudge
from core.judge.spec_file import dump_spec
from core.types import JudgeFailure, JudgeRequest, JudgeResult
from rlaif_tui import cli_judge_bench as bench

GOOD = "Oil keeps the links of the chain from rubbing, so it lasts longer."
ROWS = [f'"Why should I oil the chain of bicycle {n}?","{GOOD}","Bananas."' for n in range(12)]


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    file = tmp_path / "pairs.csv"
    file.write_text("prompt,chosen,rejected\n" + "\n".join(ROWS) + "\n")
    return str(file)


def typed(*words: str) -> Said:
    app = typer.Typer(pretty_exceptions_enable=False)
    for command in (bench.score, bench.compare, bench.calibrate, bench.canaries):
        app.command(command.__name__)(command)
    result = CliRunner().invoke(app, list(words), catch_exceptions=False)
    return Said(result.exit_code, result.stdout, result.stderr)


def wide(said: Said) -> list[str]:
    return [line for line in said.out.splitlines()[1:] if len(line) > 80]


def test_score_has_the_promised_keys_and_fits_80_columns(pairs: str) -> None:
    found = typed("score", "rubric", "--data", pairs, "--n", "8", "--repeats", "2", "--json")
    assert found.code == 0
    report = found.json
    assert {"n", "scored", "failed", "mean", "sd", "requests", "cached", "cost_usd", "judge_version"} <= set(report)
    assert (report["n"], report["scored"], report["failed"], report["requests"], report["cost_usd"]) == (8, 8, 0, 0, 0)
    assert report["judge_version"] == RubricJudge().version
    assert {"id", "score", "reason", "status"} <= set(report["samples"][0])
    assert report["samples"][0]["score"] > report["samples"][1]["score"]
    assert report["forecast"]["judgements"] == [6400, 6400]
    shown = typed("score", "rubric", "--data", pairs)
    assert wide(shown) == []
    assert all(word in shown.out for word in ("not a real judge", "parse rate 100 %", "p50", "p95", "cost", "forecast"))


def test_a_cache_that_cannot_be_written_is_told_beside_the_result(
    pairs: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path / "file"))
    with JudgeServer(constant(6.0)) as server:
        spec = built_in_spec("general", provider="compatible", base_url=server.url, model="small")
        (tmp_path / "judge.toml").write_text(dump_spec(spec))
        found = typed("score", str(tmp_path / "judge.toml"), "--data", pairs, "--n", "2", "--json")
    assert found.json["scored"] == 2
    assert found.err.count("! the judge cache") == 1


def test_the_same_seed_draws_the_same_rows(pairs: str) -> None:
    command = ("score", "rubric", "--data", pairs, "--n", "6", "--json", "--seed")
    ids = [[sample["id"] for sample in typed(*command, seed).json["samples"]] for seed in ("1", "1", "2")]
    assert ids[0] == ids[1] != ids[2]


def test_calibrate_ends_in_a_light(pairs: str, tmp_path: Path) -> None:
    found = typed("calibrate", "rubric", "--data", pairs, "--json").json
    assert {"pairs", "labels", "light", "reasons"} <= set(found)
    assert (found["pairs"]["n"], found["pairs"]["accuracy"], found["labels"]) == (12, 1.0, None)
    assert found["light"] in ("green", "amber", "red")
    assert found["reasons"]
    labels = tmp_path / "labels.csv"
    labels.write_text("id,label\n" + "".join(f"{n}-chosen,{6 + n % 4}\n{n}-rejected,{n % 3}\n" for n in range(2, 12)))
    shown = typed("calibrate", "rubric", "--data", pairs, "--labels", str(labels))
    assert wide(shown) == []
    assert all(word in shown.out for word in ("Spearman", "concordance", "kappa", "same length", "SNR", "canaries"))
    assert any(colour in shown.out for colour in ("GREEN", "AMBER", "RED"))
    labelled = typed("calibrate", "rubric", "--data", pairs, "--labels", str(labels), "--json").json["labels"]
    assert labelled["n"] == 20
    assert labelled["ci95"][0] <= labelled["spearman"] <= labelled["ci95"][1]


def test_calibrate_says_what_it_needs(tmp_path: Path) -> None:
    nothing = typed("calibrate", "rubric")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "--data FILE with chosen and rejected" in nothing.err
    file = tmp_path / "r.csv"
    file.write_text("prompt,response\nWhy?,yes\n")
    without = typed("calibrate", "rubric", "--data", str(file))
    assert (without.code, "give --labels" in without.err) == (2, True)


def test_canaries_report_the_highest_score(pairs: str) -> None:
    found = typed("canaries", "rubric", "--json").json
    assert len(found["canaries"]) >= 14
    assert found["max_score"] == max(canary["score"] for canary in found["canaries"])
    shown = typed("canaries", "rubric", "--data", pairs, "--n", "2")
    assert wide(shown) == []
    assert "2 tasks" in shown.out
    assert "highest" in shown.out


def test_compare_has_the_promised_keys(pairs: str, tmp_path: Path) -> None:
    new = tmp_path / "new.toml"
    new.write_text('name = "new"\nbackend = "rubric"\n[weights]\nanswers = 0.0\n')
    found = typed("compare", "rubric", str(new), "--data", pairs, "--json").json
    assert {"n", "difference", "ci95", "spearman", "cost_usd"} <= set(found)
    assert found["n"] == 20
    assert found["difference"] == pytest.approx(
        sum(sample["new"] - sample["old"] for sample in found["samples"]) / 20, abs=1e-9
    )
    assert wide(typed("compare", "rubric", str(new), "--data", pairs)) == []


class Rude(RubricJudge):
    """Judges a few responses and then does what it is told to."""

    def __init__(self, misbehave: object) -> None:
        super().__init__()
        self._misbehave, self.judged, self.closed = misbehave, 0, False

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        self.judged += 1
        await asyncio.sleep(0.001)
        if self.judged > 5 and isinstance(self._misbehave, JudgeFailure):
            return [self._misbehave]
        if self.judged == 6:
            signal.raise_signal(signal.SIGINT)
        return await super().judge(requests)

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("words", "kept"),
    [(("score", "rubric"), "n"), (("calibrate", "rubric"), "light"), (("canaries", "rubric"), "max_score")],
)
def test_ctrl_c_prints_what_was_judged(
    words: tuple[str, ...], kept: str, pairs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge = Rude(None)
    monkeypatch.setattr(opening, "open_judge", lambda spec, **_: judge)
    monkeypatch.setattr(bench._Bench, "concurrency", 1)
    said = typed(*words, "--data", pairs, *(["--repeats", "1"] if words[0] == "calibrate" else []), "--json")
    assert said.code == 130
    assert "interrupted" in said.err
    assert kept in said.json
    samples = said.json.get("samples", [])
    assert len(samples) in ((0,) if words[0] == "canaries" else (5, 6))
    assert judge.closed


def test_a_fatal_fault_ends_with_its_sentence(pairs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault = JudgeFailure(status="infra_error", treatment="mask", message="the key is wrong; set another", fatal=True,
                         backend="b", judge_version="v")  # fmt: skip
    judge = Rude(fault)
    monkeypatch.setattr(opening, "open_judge", lambda spec, **_: judge)
    said = typed("score", "rubric", "--data", pairs, "--n", "0")
    assert said.code == 1
    assert "the key is wrong; set another" in said.err
    assert judge.judged < 24
