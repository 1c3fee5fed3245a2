"""Figures, responses and comparisons as CSV, JSON lines, Parquet and TensorBoard event files."""

from __future__ import annotations

import csv
import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from report_runs import HOSTILE, STEPS, full_run
from typed import Cli, make_run

from core.errors import RunDirError
from core.run_dir import RunDir
from rlaif_tui import export_tables
from rlaif_tui.export_files import export_comparison, export_metrics, export_rollouts
from rlaif_tui.export_tables import Column, OutputError, write_table
from rlaif_tui.export_tensorboard import export_tensorboard

ENDINGS = ["csv", "jsonl", "parquet"]


def read(path: Path) -> list[dict[str, Any]]:
    """The rows of a table, as their format has them."""
    match path.suffix:
        case ".csv":
            with path.open(newline="", encoding="utf-8") as file:
                return list(csv.DictReader(file))
        case ".jsonl":
            return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        case _:
            rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
            return rows


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return full_run(tmp_path / "runs", texts=HOSTILE)


@pytest.mark.parametrize("ending", ENDINGS)
def test_metrics_are_the_same_in_every_format(run: RunDir, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"m.{ending}"
    assert export_metrics(run, path, force=False) == STEPS
    rows = read(path)
    assert [int(row["step"]) for row in rows] == list(range(1, STEPS + 1))
    assert math.isclose(float(rows[0]["policy_loss"]), -0.01)
    assert rows[1]["score_mean"] in (None, "")
    assert float(rows[0]["seconds_generate"]) == 0.5
    if ending == "parquet":
        kinds = {field.name: str(field.type) for field in pq.read_schema(path)}
        assert [kinds[name] for name in ("step", "rows", "policy_loss", "warmup", "judge_tokens", "early_stopped")] == [
            "int64", "int64", "double", "bool", "int64", "bool",
        ]  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_rollouts_keep_their_texts(run: RunDir, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"r.{ending}"
    assert export_rollouts(run, path, force=False) == len(HOSTILE)
    rows = read(path)
    for row, text in zip(rows, HOSTILE, strict=True):
        safe = f"'{text}" if ending == "csv" and text[0] in "=+-@" else text
        assert row["response"] == safe
        assert row["reason"] == safe
        messages = json.loads(row["messages"]) if ending == "csv" else row["messages"]
        assert messages == [{"role": "user", "content": text}]
    assert float(rows[0]["kl"]) == 0.5


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_comparison_has_a_row_per_prompt_and_model(run: RunDir, tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"c.{ending}"
    assert export_comparison(run, "c1", path, force=False) == 2 * len(HOSTILE)
    assert export_comparison(run, "newest", path, force=True) == 2 * len(HOSTILE)
    rows = read(path)
    assert [row["model"] for row in rows[:2]] == ["A", "B"]
    assert [row["against_first"] for row in rows[:2]] in ([None, "win"], ["", "win"])
    assert float(rows[1]["score"]) == 5.0
    assert {row["source"].strip() for row in rows} == {"s0", "s1"}


def test_no_cell_of_a_csv_begins_a_formula(tmp_path: Path) -> None:
    starts = ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"]
    texts = [f"{start}cmd|' /C calc'!A0" for start in starts]
    columns = [Column("@name"), Column("figure", "number"), Column("any", "json")]
    path = tmp_path / "t.csv"
    write_table(path, columns, ({"@name": text, "figure": -1.5, "any": [text]} for text in texts), force=False)
    with path.open(newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    assert head[0] == "'@name"
    for row, text in zip(rows, texts, strict=True):
        assert row[0] == f"'{text}"
        assert row[1] == "-1.5"
        assert not row[2].startswith(tuple(starts))
        assert json.loads(row[2]) == [text]


def test_a_text_that_utf_8_cannot_carry_is_written(tmp_path: Path) -> None:
    for ending in ENDINGS:
        path = tmp_path / f"t.{ending}"
        row = {"a": "x\ud800y", "m": [{"role": "user", "content": "\udfff"}], "j": {"k": "\ud800"}}
        write_table(path, [Column("a"), Column("m", "messages"), Column("j", "json")], [row], force=False)
        assert len(read(path)) == 1


def test_rows_are_written_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(export_tables, "ROW_GROUP", 10)
    path, alive, most = tmp_path / "t.parquet", 0, 0

    class Counted(dict[str, Any]):
        """A row that knows how many of its kind are held."""

        def __init__(self, number: int) -> None:
            nonlocal alive, most
            super().__init__(a=number)
            alive += 1
            most = max(most, alive)

        def __del__(self) -> None:
            nonlocal alive
            alive -= 1

    assert write_table(path, [Column("a", "whole")], (Counted(i) for i in range(95)), force=False) == 95
    assert most <= 22  # a group, the one before it, and the row under way
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 10
    assert file.read()["a"].to_pylist() == list(range(95))


def test_what_cannot_be_exported_is_said_in_one_sentence(run: RunDir, tmp_path: Path) -> None:
    empty = make_run(tmp_path / "others", "empty", [])
    with pytest.raises(OutputError, match=r"must end in \.csv, \.jsonl or \.parquet"):
        export_metrics(run, tmp_path / "m.xlsx", force=False)
    with pytest.raises(RunDirError, match="completed no step"):
        export_metrics(empty, tmp_path / "m.csv", force=False)
    with pytest.raises(RunDirError, match="recorded no rollout"):
        export_rollouts(empty, tmp_path / "r.csv", force=False)
    with pytest.raises(RunDirError, match="no comparison yet"):
        export_comparison(empty, "c1", tmp_path / "c.csv", force=False)
    with pytest.raises(RunDirError, match="no comparison 'c9'; there are: c1"):
        export_comparison(run, "c9", tmp_path / "c.csv", force=False)
    with pytest.raises(OutputError, match="cannot be written: No such file"):
        export_rollouts(run, tmp_path / "no" / "r.parquet", force=False)
    (tmp_path / "kept.csv").write_text("mine", encoding="utf-8")
    with pytest.raises(OutputError, match="exists already"):
        export_metrics(run, tmp_path / "kept.csv", force=False)
    assert (tmp_path / "kept.csv").read_text(encoding="utf-8") == "mine"
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["kept.csv"]


def test_a_write_that_fails_half_way_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old", encoding="utf-8")

    def rows() -> Any:
        yield {"a": 1}
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        write_table(path, [Column("a", "whole")], rows(), force=True)
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_tensorboard_reads_what_it_is_given(run: RunDir, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / "logs" / "gentle"
    count = export_tensorboard(run, folder, force=False)
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    seen = EventAccumulator(str(folder))
    seen.Reload()
    tags = seen.Tags()["scalars"]
    assert sum(len(seen.Scalars(tag)) for tag in tags) == count
    scores = seen.Scalars("train/score_mean")
    assert [event.step for event in scores] == [1, 3, 4, 5, 6]
    assert [event.value for event in scores] == [4.5, 5.5, 6.0, 6.5, 7.0]
    assert [event.value for event in seen.Scalars("validation/score")] == [3.0, 7.0]
    assert [(event.step, event.value) for event in seen.Scalars("validation/low")] == [(STEPS, 3.0)]
    assert seen.Scalars("referee/referee_mean")[0].value == 5.0
    assert seen.Scalars("seconds/generate")[0].value == 0.5
    with pytest.raises(OutputError, match="holds event files already"):
        export_tensorboard(run, folder, force=False)
    assert export_tensorboard(run, folder, force=True) == count
    assert len(list(folder.glob("events.out.tfevents.*"))) == 1
    assert sorted(path.suffix for path in folder.iterdir() if not path.name.startswith("events")) == [".txt"]
    with pytest.raises(RunDirError, match="completed no step"):
        export_tensorboard(make_run(tmp_path / "others", "empty", []), tmp_path / "e", force=False)
    with pytest.raises(OutputError, match="is a file"):
        export_tensorboard(run, folder / "notes.txt", force=False)


def test_without_the_extra_one_sentence_says_how_to_get_it(
    run: RunDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorboard"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(OutputError, match="pip install tensorboard"):
        export_tensorboard(run, tmp_path / "logs", force=False)
    assert not (tmp_path / "logs").exists()


def test_the_writer_brings_neither_torch_nor_tensorflow(run: RunDir, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from core.run_dir import RunDir\n"
        "from rlaif_tui.export_tensorboard import export_tensorboard\n"
        f"export_tensorboard(RunDir(Path({str(run.path)!r})), Path({str(tmp_path / 'logs')!r}), False)\n"
        "print({'torch', 'tensorflow', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "set()\n"), done.stderr


def test_the_command_exports_all_of_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path, capsys, monkeypatch)
    full_run(cli.root, "gentle", texts=HOSTILE)
    said = cli("export", "gentle", "--metrics", "m.parquet", "--rollouts", "r.csv", "--comparison", "newest", "c.jsonl",
               "--tensorboard", "logs")  # fmt: skip
    assert said.code == 0
    assert [line.split()[0] for line in said.out.splitlines()] == ["wrote"] * 4
    assert all(Path(name).exists() for name in ("m.parquet", "r.csv", "c.jsonl", "logs"))
    for words, code in ((["--comparison", "c9", "x.csv"], 3), (["--metrics", "x.xlsx"], 2), ([], 2)):
        assert cli("export", "gentle", *words).code == code
