"""The report: nothing is missing in it, and a broken run has one too."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
from report_page import NOW, page_of
from report_runs import STEPS, full_run
from report_runs import compare as keep_comparison
from typed import Cli, make_run

from core.judge.workbench.kept import calibrations, file_in
from core.run_dir import RunDir
from rlaif_tui.export_tables import OutputError
from rlaif_tui.report import make_report, write_report
from rlaif_tui.report.blocks import (
    Charts,
    Listing,
)
from rlaif_tui.report.chart import MOST_POINTS, Series, draw
from rlaif_tui.report.page import render
from rlaif_tui.report.scale import BOTTOM, HEIGHT, TOP


@pytest.fixture(autouse=True)
def _own_calibrations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What other tests calibrated is not known here."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))


@pytest.fixture
def calm(tmp_path: Path) -> RunDir:
    return full_run(tmp_path / "runs", texts=("It is the air.", "The air bends blue light.", "It is painted so."))


def test_a_report_tells_everything(calm: RunDir) -> None:
    html, page = render(make_report(calm, NOW), "html"), page_of(calm)
    said = re.sub(r"\s+", " ", page.text)
    for wanted in (
        "3.00 → 7.00", "95% CI +3.00 to +5.00", "6 of 6", "win rate", "100 %", "B model 1",
        "Not distinguishable", "KL is high", "kl_coef = 0.1", "asked for words", "refused, left out", "ratio words",
        "$1.5000",
        "comparison c1", "ab" * 32, "d" * 64, "rlaif-tui train run.toml", "torch", "2.13.0", "CPU words",
        "1 of 4 known bad answers", "Canaries during the run", "never calibrated", "ratings", "blind votes of", "ana",
        "learning_rate", "2027-01-15 08:00 UTC",
    ):  # fmt: skip
        assert wanted in said, wanted
    assert "<ins>" in html
    plain = render(make_report(calm, NOW), "markdown")
    for wanted in ("4.00", "kl\\_coef = 0.1", "## Best and worst examples", "```toml", "[-", "{+"):
        assert wanted in plain, wanted


def test_a_calibration_is_told_from_the_run_or_from_this_machine(calm: RunDir) -> None:
    from core.judge.spec_file import load_spec, version_of_spec

    version = version_of_spec(load_spec(calm.judges / "judge.toml"))
    file_in(calm.judges, version).write_text('{"time": 5, "light": "green"}', encoding="utf-8")
    assert "makes no sense to this version" in page_of(calm).text
    file_in(calm.judges, version).write_text(
        '{"time": 1e9, "data": "pairs.csv", "light": "red", "reasons": ["worse than a coin"], "labels": null,'
        '"pairs": {"accuracy": 0.37, "ci95": [0.28, 0.47], "n": 100, "length_controlled": {"value": 0.5, "ci95": null},'
        '"longer_wins": {"value": 0.6, "ci95": [0.5, 0.7]}}, "canaries": {"max_score": 4.0, "canaries": '
        '[{"name": "hedge", "score": 4.0}]}}',
        encoding="utf-8",
    )
    said = page_of(calm).text
    for wanted in ("RED. worse than a coin", "0.37 (95% CI 0.28 to 0.47), 100 pairs", "pairs.csv", "hedge"):
        assert wanted in said
    calibrations().mkdir(parents=True, exist_ok=True)
    newer = calibrations() / f"{version}.json"
    newer.write_text('{"time": 2e9, "light": "amber", "reasons": ["few labels"]}', encoding="utf-8")
    assert "AMBER. few labels" in page_of(calm).text


def test_a_calibration_by_the_command_goes_with_every_run_that_uses_the_judge(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.judge.spec import JudgeSpec
    from core.judge.spec_file import version_of_spec
    from core.run_judges import keep_version

    cli = Cli(tmp_path, capsys, monkeypatch)
    Path("pairs.csv").write_text(
        "prompt,chosen,rejected\n" + "".join(f"Why {i}?,Because of the air {i}.,No.\n" for i in range(4)),
        encoding="utf-8",
    )
    assert cli("judge", "calibrate", "rubric", "--data", "pairs.csv").code == 0
    run = make_run(cli.root, "r", [])
    assert "pairs.csv" in page_of(run).text
    spec = JudgeSpec(name="rubric", backend="rubric")
    keep_version(run, version_of_spec(spec), spec)
    (calibrations() / f"{version_of_spec(spec)}.json").unlink()
    said = page_of(run).text
    assert "pairs.csv" in said
    assert "4 pairs" in said
    assert "Because of the air" not in file_in(run.judges, version_of_spec(spec)).read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "damage",
    ["nothing", "no events", "no config", "bad config", "torn", "no rollouts", "bad comparison", "bad judge", "folder"],
)
def test_a_broken_run_has_a_report_that_says_what_is_missing(tmp_path: Path, damage: str) -> None:
    run = make_run(tmp_path, "r", []) if damage == "nothing" else full_run(tmp_path, "r", texts=("a b", "c d", "e f"))
    wanted = "Curves"
    match damage:
        case "nothing":
            wanted = "The event log is empty or missing"
        case "no events":
            run.events.unlink()
            wanted = "The event log is empty or missing"
        case "no config":
            run.config.unlink()
            wanted = "The configuration cannot be read"
        case "bad config":
            run.config.write_text("[ppo\n", encoding="utf-8")
            wanted = "The configuration cannot be used"
        case "torn":
            data = run.events.read_bytes()
            run.events.write_bytes(data[: len(data) // 2] + b"\n{garbage}\n" + data[len(data) // 2 :])
            wanted = "damaged lines of the event log"
        case "no rollouts":
            for path in run.rollouts(0).parent.iterdir():
                path.unlink()
        case "bad comparison":
            next((run.path / "comparisons").glob("c1.jsonl")).write_bytes(b"{}\n")
            wanted = "has no readable beginning"
        case "bad judge":
            (run.judges / "judge.toml").write_text("= 3", encoding="utf-8")
            wanted = "A judge of the run cannot be read"
        case "folder":
            (run.judges / "ledger.jsonl").mkdir()
            wanted = "The ledger cannot be read"
    page = page_of(run)
    assert wanted in page.text
    assert [tag for tag, _ in page.tags].count("section") == 12
    assert render(make_report(run, NOW), "markdown").startswith("# Run r\n")


def test_a_run_at_work_and_one_of_three_models(tmp_path: Path) -> None:
    run = full_run(tmp_path, texts=tuple(f"text {i} of it" for i in range(8)))
    keep_comparison(run, tuple(f"text {i} of it" for i in range(8)), models=3)
    said = page_of(run).text
    assert "Bradley-Terry" in said
    assert "C against B" in said
    assert "C model 2" in said.split("Best and worst examples")[-1]


def test_writing_is_whole_or_not_at_all(calm: RunDir, tmp_path: Path) -> None:
    path = tmp_path / "r.html"
    assert write_report(calm, path, now=NOW) == path
    before = path.read_text(encoding="utf-8")
    assert before.startswith("<!DOCTYPE html>")
    with pytest.raises(OutputError, match="exists already"):
        write_report(calm, path)
    write_report(calm, path, force=True, now=NOW)
    assert path.read_text(encoding="utf-8") == before
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        write_report(calm, tmp_path / "no" / "r.md")
    with pytest.raises(OutputError, match=r"ends in \.html or \.md"):
        write_report(calm, tmp_path / "r.pdf")
    with pytest.raises(OutputError, match="is a folder"):
        write_report(calm, tmp_path, kind="html")
    assert not [each for each in os.listdir(tmp_path) if each.endswith(".part")]
    assert not [each for each in os.listdir(calm.path) if each.endswith(".part")]


def test_the_command_writes_what_the_name_or_the_format_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path, capsys, monkeypatch)
    full_run(cli.root, "gentle")
    assert cli("report", "gentle").out == "wrote the report to gentle-report.html\n"
    assert cli("report", "gentle", "-o", "a.md").code == 0
    assert Path("a.md").read_text(encoding="utf-8").startswith("# Run gentle\n")
    assert cli("report", "gentle", "-o", "b.txt", "--format", "markdown").code == 0
    assert Path("b.txt").read_text(encoding="utf-8").startswith("# Run gentle\n")
    for words, code, sentence in (
        (["-o", "a.md"], 2, "exists already"),
        (["-o", "a.pdf"], 2, "ends in .html or .md"),
        (["--format", "pdf"], 2, "give html or markdown"),
    ):
        said = cli("report", "gentle", *words)
        assert (said.code, said.out) == (code, "")
        assert sentence in said.err
        assert len(said.err.strip().splitlines()) == 1
    assert cli("report", "nope").code == 3


def test_reading_a_run_changes_nothing_in_it(calm: RunDir) -> None:
    def all_of_it() -> dict[str, bytes]:
        return {str(p.relative_to(calm.path)): p.read_bytes() for p in calm.path.rglob("*") if p.is_file()}

    (calm.judges / "ledger.jsonl").write_bytes(b'{"torn')
    before = all_of_it()
    make_report(calm, NOW)
    after = all_of_it()
    after.pop("worker.lock", None)
    before.pop("worker.lock", None)
    assert after == before


def test_the_files_to_reproduce_are_there_letter_by_letter(calm: RunDir) -> None:
    sections = {section.id: section for section in make_report(calm, NOW).sections}
    texts = [block.text for block in sections["configuration"].blocks if isinstance(block, Listing)]
    assert texts == [calm.config.read_text(encoding="utf-8")]
    assert STEPS == 6


def test_charts_have_gaps_marks_intervals_and_words(calm: RunDir) -> None:
    sections = {section.id: section for section in make_report(calm, NOW).sections}
    (charts,) = (block for block in sections["curves"].blocks if isinstance(block, Charts))
    score, kl = charts.charts[:2]
    # Step 2 has no value, and at step 5 another judge begins: three stretches, of which 1 and 3..4 and 5..6.
    assert score.lines[0].path.count("M") == 2
    assert len(score.lines[0].dots) == 1
    assert kl.lines[0].path.count("M") == 1
    assert len(kl.lines[0].dots) == 1
    assert [dot.low is not None for dot in score.dots] == [False, True]
    assert [mark.letter for mark in score.marks] == ["βPR", "!", "J"]
    assert "from 4.50 to 7.00 of 10" in score.description
    assert "1 step without a value" in score.description
    assert ("2", "", "", "") in score.rows
    assert ("6", "7.00", "", "7.00 (6.00 to 8.00)") in score.rows
    page = page_of(calm)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    named = [word for tag, a in page.tags if tag == "svg" for word in (a["aria-labelledby"] or "").split()]
    assert set(named) <= set(ids)
    assert len(ids) == len(set(ids))


def test_a_long_run_stays_small(tmp_path: Path) -> None:
    points = [(step, float(step % 97)) for step in range(20_000)]
    chart = draw("score", "", [Series("score", points)])
    assert chart.lines[0].path.count("L") < MOST_POINTS
    assert chart.lines[0].band
    assert len(chart.rows) <= 20


@pytest.mark.parametrize("values", [[0.0], [5.0, 5.0], [1e-9, 2e-9], [-1e12, 1e12], [0.1, None, 0.3], [None]])
def test_a_chart_of_any_values_has_ticks_within_it(values: list[float | None]) -> None:
    chart = draw("x", "", [Series("x", list(enumerate(values)))])
    assert all(TOP <= tick.at <= HEIGHT - BOTTOM for tick in chart.up)
    assert bool(chart.up) is any(value is not None for value in values)
    texts = [tick.text for tick in chart.up]
    assert len(texts) == len(set(texts))
