"""The importer: nasty files load or give one sentence, columns are guessed and told, splits keep repeats together."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from core.errors import DataError
from core.prompts import (
    Columns,
    Dataset,
    drop_overlong,
    load_prompts,
    permutation,
    read_table,
    split,
    token_lengths,
)
from core.types import Message, Prompt


def _write(folder: Path, name: str, content: str | bytes) -> str:
    file = folder / name
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(file)


def _texts(data: Dataset) -> list[str]:
    return [prompt.messages[-1].content for prompt in data.prompts]


def _load(folder: Path, content: str | bytes, name: str = "data.csv") -> Dataset:
    return load_prompts(_write(folder, name, content))


def _error(folder: Path, content: str | bytes, name: str = "data.csv") -> str:
    path = _write(folder, name, content)
    with pytest.raises(DataError) as caught:
        load_prompts(path)
    message = str(caught.value)
    assert message.startswith(path)
    assert "\n" not in message
    return message.removeprefix(path)


def _rows(data: Dataset) -> list[int]:
    return [problem.row for problem in data.report.problems]


PLAIN = "prompt,chosen\nWhat is a café?,A place.\nWhy is the sky blue?,Scattering.\n"


@pytest.mark.parametrize(
    ("codec", "prefix", "reported"),
    [
        ("utf-8", b"", "utf-8"),
        ("utf-8", b"\xef\xbb\xbf", "utf-8-sig"),
        ("utf-16-le", b"\xff\xfe", "utf-16-le"),
        ("utf-16-be", b"\xfe\xff", "utf-16-be"),
        ("utf-16-le", b"", "utf-16-le"),
        ("utf-16-be", b"", "utf-16-be"),
        ("utf-32-le", b"\xff\xfe\x00\x00", "utf-32-le"),
        ("latin-1", b"", "latin-1"),
    ],
)
@pytest.mark.parametrize("name", ["data.csv", "data.jsonl"])
def test_encodings_are_found(tmp_path: Path, codec: str, prefix: bytes, reported: str, name: str) -> None:
    text = PLAIN if name == "data.csv" else '{"prompt": "What is a café?"}\n{"prompt": "Why is the sky blue?"}\n'
    data = _load(tmp_path, prefix + text.encode(codec), name)
    assert _texts(data) == ["What is a café?", "Why is the sky blue?"]
    assert data.report.encoding == reported
    assert bool(data.report.notes) == (reported == "latin-1")  # a guess is told, a fact is not


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp1252", "It’s 20° – isn’t that “hot”? It costs £5 or €6…"),
        ("cp1252", "Où êtes-vous né, et à quel âge ? Quelle est la différence ? C’est l’été."),
        ("cp1251", "Какая самая большая река в России? Объясни, почему небо голубое."),
        ("koi8_r", "Какая самая большая река в России? Объясни, почему небо голубое."),
        ("cp932", "日本で一番高い山は何ですか。空が青い理由を説明してください。"),
        ("gb18030", "中国最长的河流是什么？请解释为什么天空是蓝色的。"),
        ("cp1250", "Jaka jest największa rzeka w Polsce? Wyjaśnij krótko, dlaczego niebo jest błękitne."),
    ],
)
def test_legacy_encodings_are_guessed(tmp_path: Path, codec: str, text: str) -> None:
    data = _load(tmp_path, f"prompt;n\n{text};1\n".encode(codec))
    assert _texts(data) == [text]
    assert data.report.encoding == codec
    assert "guessed" in data.report.notes[0]


def test_damaged_utf8_costs_its_row_not_the_whole_file(tmp_path: Path) -> None:
    rows = b"prompt\n" + "Où est le café?\nÀ bientôt!\n".encode() + b"bad \xff byte\nlast\n"
    data = _load(tmp_path, rows)
    assert _texts(data) == ["Où est le café?", "À bientôt!", "last"]
    assert _rows(data) == [4]
    assert "no valid text" in data.report.problems[0].what


def test_line_ends_quotes_and_line_breaks_in_cells(tmp_path: Path) -> None:
    content = 'prompt,chosen\r\n"one, ""two""\r\nthree",a\r\nplain 5" pipe, "b, c" \r\n\r\n"last",d'
    data = _load(tmp_path, content)
    assert _texts(data) == ['one, "two"\nthree', 'plain 5" pipe', "last"]
    assert [prompt.chosen for prompt in data.prompts] == ["a", "b, c", "d"]
    # header 1; the first row is on lines 2-3, the second on 4, line 5 is blank, the last on 6
    assert read_table(str(tmp_path / "data.csv")).frame.index.tolist() == [2, 4, 6]
    assert data.report.problem_count == 0
    assert _texts(_load(tmp_path, "prompt,n\rold Mac,1\rfile,2\r")) == ["old Mac", "file"]


def test_a_cell_of_a_megabyte(tmp_path: Path) -> None:
    big = ('He said ""hi"",\n' * 70_000).rstrip("\n")
    assert len(big) > 1_000_000
    data = _load(tmp_path, f'prompt,chosen\n"{big}",yes\nsmall,no\n')
    assert _texts(data) == [big.replace('""', '"'), "small"]


def test_cells_are_never_converted(tmp_path: Path) -> None:
    values = ["NA", "null", "None", "007", "1.0", "1e5", "TRUE", "2020-01-01", "nan", " padded "]
    content = "prompt,answer\n" + "".join(f"{value},{value}\n" for value in values)
    data = _load(tmp_path, content)
    assert _texts(data) == values
    assert [prompt.reference for prompt in data.prompts] == values


@pytest.mark.parametrize(
    ("content", "name", "delimiter"),
    [
        ("prompt\tchosen\na, b\tc\n", "data.tsv", "\t"),
        ("prompt;chosen\na, b;c\n", "data.csv", ";"),
        ('prompt;"chosen, best"\na, b;c\n', "data.csv", ";"),
        ("prompt|chosen\na, b|c\n", "data.csv", "|"),
        ("sep=;\nprompt;chosen\na, b;c\n", "data.csv", ";"),
        ('prompt; why,chosen\n"a, b",c\n', "data.csv", ","),
    ],
)
def test_delimiters(tmp_path: Path, content: str, name: str, delimiter: str) -> None:
    table = read_table(_write(tmp_path, name, content))
    assert table.delimiter == delimiter
    assert table.frame.iloc[0].tolist() == ["a, b", "c"]


def test_ragged_rows_become_problems_and_the_rest_loads(tmp_path: Path) -> None:
    data = _load(tmp_path, 'prompt,chosen\na,1\nb\nc,2,3\nd,4,,\n"e" f,5\ng,6\n')
    assert _texts(data) == ["a", "d", "g"]  # empty cells at the end of a row are no harm
    assert _rows(data) == [3, 4, 6]
    assert "has 1 cell where the header has 2" in data.report.problems[0].what
    assert "has 3 cells where the header has 2" in data.report.problems[1].what
    assert "closing quote" in data.report.problems[2].what
    assert (data.report.rows, data.report.usable, data.report.empty) == (6, 3, 0)


def test_empty_prompts_and_nul_bytes_become_problems(tmp_path: Path) -> None:
    data = _load(tmp_path, "prompt,chosen\na,1\n  ,2\n,3\nhel\0lo,4\nb,5\n")
    assert _texts(data) == ["a", "b"]
    assert (data.report.rows, data.report.usable, data.report.empty) == (5, 2, 2)
    assert _rows(data) == [3, 4, 5]
    assert "NUL" in data.report.problems[2].what


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ('prompt,chosen\na,b\nc,"never closed\nd,e\nf,g\n', 3),
        ('prompt,chosen\na,b\nc,"swallows\n"d","e"\nf,g\n', 3),
        ('prompt,chosen\na,b\n"c\nd,e\nf,"g"\n', 3),
        ('prompt,chosen\n"x\ny",b\n"c,d\ne,f\n', 4),
        # the quote of line 3 closes at a cell that ends in one: a full row stands inside it
        ('prompt,chosen,n\na,b,1\n"c,d,2\ne,f,3\ng,h 5"\ni,j,4\n', 3),
        ('"prompt,chosen\na,b\n', 1),
    ],
)
def test_an_unclosed_quote_names_the_line_it_opened_on(tmp_path: Path, content: str, line: int) -> None:
    message = _error(tmp_path, content)
    assert message.startswith(f", line {line}: the quote")


def test_headers_that_repeat_or_are_blank(tmp_path: Path) -> None:
    data = _load(tmp_path, " Prompt ,prompt,,chosen\na,b,c,d\n")
    assert data.report.columns == ("Prompt", "prompt", "column 3", "chosen")
    data = _load(tmp_path, "prompt,prompt,,x,\na,b,c,d,\n")
    assert data.report.columns == ("prompt", "prompt (2)", "column 3", "x")  # the last one is blank all the way down
    assert _texts(data) == ["a"]
    assert _rows(data) == [1, 1]
    assert data.report.rows == 1
    assert "names 'prompt' twice" in data.report.problems[0].what


@pytest.mark.parametrize(
    ("content", "name", "says"),
    [
        (b"", "data.csv", "is empty (0 bytes)"),
        (b"\xef\xbb\xbf", "data.csv", "only blank lines"),
        (b"\n \n", "data.jsonl", "only blank lines"),
        (b"prompt,chosen\n", "data.csv", "has a header and no rows"),
        (b",,\na,b,c\n", "data.csv", "line 1: the header names no column"),
        (b"PK\x03\x04" + bytes(100), "data.csv", "Excel workbook"),
        (b"PAR1" + bytes(100), "data.csv", "give it the ending .parquet"),
        (bytes(range(256)) * 8, "data.csv", "binary file"),
        (b"\x1f\x8b\x08" + bytes(50), "data.jsonl", "unpack it first"),
        (b"prompt,chosen\na,b\n", "data.parquet", "no readable Parquet file"),
        (b"prompt,chosen\na,b\n", "data.txt", "the ending '.txt'"),
        (b"\xff\xfep\x00r\x00\n\x00x\x00\x00\xd8", "data.csv", "line 2: the UTF-16-LE text is damaged"),
        (b"title,n\na,1\n", "data.csv", "no column looks like the prompt; it has 'title', 'n'"),
        (b"prompt,n\n,1\n ,2\n", "data.csv", "row 2: the prompt is empty"),
        (b'{"prompt": "a"', "data.json", "line 1, column 15: not JSON"),
        (b"[]", "data.json", "empty list"),
        (b"3", "data.json", "holds only a number"),
        (b"[" * 100_000, "data.json", "not usable JSON"),
        (b'{"prompt": ["a", "b"], "n": [1]}', "data.json", "differ in length ('prompt' 2, 'n' 1)"),
        (b"nonsense\n{also}\n", "data.jsonl", "line 1: is not JSON"),
    ],
)
def test_bad_files_give_one_sentence(tmp_path: Path, content: bytes, name: str, says: str) -> None:
    assert says in _error(tmp_path, content, name)


def test_missing_file_folder_and_pipe(tmp_path: Path) -> None:
    _write(tmp_path, "prompts.csv", PLAIN)
    with pytest.raises(DataError, match=r"does not exist; did you mean 'prompts\.csv'"):
        read_table(str(tmp_path / "promts.csv"))
    with pytest.raises(DataError, match="is a folder"):
        read_table(str(tmp_path))
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(DataError, match="not an ordinary file"):
        read_table(str(tmp_path / "pipe.csv"))
    for path in ("nul\0byte.csv", "x" * 5000 + ".csv", "~nobody-at-all/data.csv"):
        with pytest.raises(DataError, match=r"does not exist|cannot be read"):
            read_table(path)


def test_the_file_is_only_read(tmp_path: Path) -> None:
    path = Path(_write(tmp_path, "data.csv", PLAIN))
    path.chmod(0o444)
    before = path.stat()
    data = load_prompts(str(path))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    assert [entry.name for entry in tmp_path.iterdir()] == ["data.csv"]
    assert data.fingerprint == hashlib.sha256(PLAIN.encode()).hexdigest()


def test_json_layouts(tmp_path: Path) -> None:
    rows = [{"question": "q1", "answer": 18}, {"question": "q2", "answer": 1.5}, {"question": "q3"}]
    columns: dict[str, list[object]] = {"question": ["q1", "q2", "q3"], "answer": [18, 1.5, None]}
    by_row = {key: {str(i): cell for i, cell in enumerate(column)} for key, column in columns.items()}
    lines = "\n".join(map(json.dumps, rows))
    for value, name in [
        (json.dumps(rows), "a.json"),
        (json.dumps({"data": rows, "version": 1}), "b.json"),
        (json.dumps(columns), "c.json"),
        (json.dumps(by_row), "d.json"),
        (lines, "e.json"),
        (json.dumps(rows, indent=1), "f.jsonl"),
    ]:
        data = _load(tmp_path, value, name)
        assert _texts(data) == ["q1", "q2", "q3"]
        assert [prompt.reference for prompt in data.prompts] == ["18", "1.5", None]


def test_bad_json_lines_become_problems(tmp_path: Path) -> None:
    lines = ['{"prompt": "a\u2028b"}', "", "{oops}", "[1]", '{"prompt": 5}', '{"prompt": null}', '{"x": 1}']
    data = _load(tmp_path, "\n".join([*lines, '{"prompt": "\\ud800"}', '{"prompt": "end"}']), "data.jsonl")
    assert _texts(data) == ["a\u2028b", "end"]  # U+2028 is no line end in JSONL
    assert _rows(data) == [3, 4, 5, 6, 7, 8]
    assert [p.what.split(";")[0].split(" (")[0] for p in data.report.problems[:3]] == [
        "is not JSON",
        "is a list, not an object with named fields",
        "the prompt is a number, not text or a list of messages",
    ]
    assert (data.report.rows, data.report.usable, data.report.empty) == (8, 2, 2)


def test_parquet_keeps_what_is_in_it(tmp_path: Path) -> None:
    chat = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]
    frame = pd.DataFrame({"messages": [chat, chat[:1]], "answer": pd.array([7, None], dtype="Int64")})
    frame.to_parquet(tmp_path / "data.parquet")
    data = load_prompts(str(tmp_path / "data.parquet"))
    assert _texts(data) == ["hi", "hi"]
    assert [prompt.reference for prompt in data.prompts] == ["7", None]  # not 7.0
    assert data.report.encoding == "parquet"
    assert "dropped (in 1 of 2 prompts)" in data.report.notes[0]
    assert data.report.duplicates == 1


def test_chat_layouts(tmp_path: Path) -> None:
    turns = [("system", "Be kind."), ("human", "hi"), ("gpt", "hello"), ("human", "why?"), ("gpt", "so")]
    sharegpt = [{"from": who, "value": said} for who, said in turns]
    parts = [{"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}]
    tool = [{"role": "user", "content": "x"}, {"role": "tool", "content": "y"}]
    late = [{"role": "user", "content": "x"}, {"role": "system", "content": "y"}, {"role": "user", "content": "z"}]
    image = [{"role": "user", "content": [{"type": "image", "url": "u"}]}]
    rows = [sharegpt, parts, tool, late, image, [{"role": "assistant", "content": "x"}], [], json.dumps(parts)]
    path = _write(tmp_path, "data.json", json.dumps([{"conversations": row} for row in rows]))
    data = load_prompts(path, system_prompt="Default.")
    assert data.prompts[0].messages == (
        Message(role="system", content="Be kind."),
        Message(role="user", content="hi"),
        Message(role="assistant", content="hello"),
        Message(role="user", content="why?"),
    )
    assert data.prompts[1].messages == (Message(role="system", content="Default."), Message(role="user", content="ab"))
    assert data.prompts[2].id == data.prompts[1].id + "-8"
    assert _rows(data) == [3, 4, 5, 6, 7]
    assert "role 'tool'" in data.report.problems[0].what


def test_preference_layouts(tmp_path: Path) -> None:
    chosen = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}]
    rejected = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "bad"}]
    ultra = _load(tmp_path, json.dumps([{"prompt": "q", "chosen": chosen, "rejected": rejected}]), "ultra.json")
    bare = _load(tmp_path, json.dumps([{"chosen": chosen, "rejected": rejected}]), "bare.json")
    head = "\n\nHuman: first\n\nAssistant: reply\n\nHuman: q\n\nAssistant:"
    hh = _load(tmp_path, json.dumps([{"chosen": f"{head} good", "rejected": f"{head} bad"}]), "hh.json")
    for data in (ultra, bare, hh):
        prompt = data.prompts[0]
        assert (prompt.messages[-1].content, prompt.chosen, prompt.rejected) == ("q", "good", "bad")
    assert [message.role for message in hh.prompts[0].messages] == ["user", "assistant", "user"]
    assert hh.report.prompt_column == "chosen"
    assert "no prompt column" in "".join(hh.report.guessed)
    assert hh.report.notes == ()


def test_alpaca_input_is_joined_and_every_guess_is_told(tmp_path: Path) -> None:
    rows = [
        {"instruction": "Add.", "input": "1 and 2", "output": "3", "system": "Be short."},
        {"instruction": "Sing.", "input": "", "output": "la", "system": ""},
    ]
    data = _load(tmp_path, json.dumps(rows), "alpaca.json")
    assert _texts(data) == ["Add.\n\n1 and 2", "Sing."]
    assert data.prompts[0].messages[0] == Message(role="system", content="Be short.")
    assert len(data.prompts[1].messages) == 1
    assert [prompt.reference for prompt in data.prompts] == ["3", "la"]
    assert len(data.report.guessed) == 4
    for name in ("instruction", "input", "output", "system"):
        assert any(f"'{name}'" in sentence for sentence in data.report.guessed)


def test_explicit_columns(tmp_path: Path) -> None:
    path = _write(tmp_path, "data.csv", "prompt,Better Question,gold\na,b,c\n")
    data = load_prompts(path, columns=Columns(prompt="better_question", reference="gold"))
    assert (_texts(data), data.prompts[0].reference) == (["b"], "c")
    assert data.report.guessed == ()
    gsm = _write(tmp_path, "gsm.csv", "question,answer\na,b\n")
    swapped = load_prompts(gsm, columns=Columns(prompt="answer"))
    assert (_texts(swapped), swapped.prompts[0].reference) == (["b"], None)  # no column has two roles
    with pytest.raises(DataError, match=r"no column 'promt'; it has 'prompt', 'Better Question', 'gold'; .*'prompt'\?"):
        load_prompts(path, columns=Columns(prompt="promt"))
    with pytest.raises(DataError, match=r"no column 'zzz'; it has .*'gold'\.$"):
        load_prompts(path, columns=Columns(system="zzz"))


def test_an_optional_column_with_the_wrong_cells_is_not_guessed(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "answer": {"x": 1}, "target": "t"}, {"prompt": "b", "answer": [1], "target": "u"}]
    data = _load(tmp_path, json.dumps(rows), "data.json")
    assert data.report.mapping.reference == "target"


def test_report_ids_and_duplicates(tmp_path: Path) -> None:
    path = _write(tmp_path, "data.csv", "prompt\nHello  there\nhello there\nHello  there\nbye\n\n")
    data = load_prompts(path)
    first = hashlib.sha256(b'[["user", "Hello  there"]]').hexdigest()[:12]
    ids = [prompt.id for prompt in data.prompts]
    assert ids[0] == first
    assert ids[2] == f"{first}-4"
    assert len(set(ids)) == 4
    report = json.loads(json.dumps(data.report.to_json()))
    assert {key: report[key] for key in ("rows", "usable", "empty", "duplicates", "columns", "prompt_column")} == {
        "rows": 4,
        "usable": 4,
        "empty": 0,
        "duplicates": 2,
        "columns": ["prompt"],
        "prompt_column": "prompt",
    }
    assert report["encoding"] == "utf-8"
    assert report["problems"] == []
    assert report["tokens"] is None


def test_problems_are_capped_but_counted_and_max_rows_stops_early(tmp_path: Path) -> None:
    path = _write(tmp_path, "data.csv", "prompt,n\nfirst,1\n" + ",2\n" * 1500 + "x\nlast,3\n")
    report = load_prompts(path).report
    assert (report.problem_count, len(report.problems), report.empty, report.rows) == (1501, 1000, 1500, 1503)
    assert load_prompts(path).prompts[-1].messages[0].content == "last"
    few = load_prompts(path, max_rows=3)
    assert (few.report.rows, few.report.usable, few.report.problem_count) == (3, 1, 2)
    assert "first 3 rows" in few.report.notes[0]


def _prompts(texts: list[str]) -> list[Prompt]:
    return [Prompt(id=f"p{i}", messages=(Message(role="user", content=text),)) for i, text in enumerate(texts)]


def test_split_is_seeded_and_keeps_repeats_on_one_side() -> None:
    prompts = _prompts([f"Question {i % 80}" if i % 2 else f"question   {i % 80} " for i in range(100)])
    sides = split(prompts, validation_fraction=0.2, seed=1)
    assert len(sides.validation) == 20
    assert sorted(p.id for p in (*sides.train, *sides.validation)) == sorted(p.id for p in prompts)

    def keys(side: tuple[Prompt, ...]) -> set[str]:
        return {" ".join(p.text.split()).casefold() for p in side}

    assert not keys(sides.train) & keys(sides.validation)
    backwards = split(prompts[::-1], validation_fraction=0.2, seed=1)
    assert {p.id for p in backwards.validation} == {p.id for p in sides.validation}
    assert {p.id for p in split(prompts, validation_fraction=0.2, seed=2).validation} != {
        p.id for p in sides.validation
    }
    assert len(split(prompts, validation_fraction=0.5, validation_rows=7, seed=1).validation) == 7


def test_split_fills_both_sides_or_says_why() -> None:
    lopsided = _prompts(["same"] * 99 + ["other"])
    for seed in range(5):
        sides = split(lopsided, validation_fraction=0.01, seed=seed)
        assert [p.text for p in sides.validation] == ["other"]
    pair = split(_prompts(["a", "b"]), validation_fraction=0.9, seed=0)
    assert (len(pair.train), len(pair.validation)) == (1, 1)
    both = split(
        _prompts(["a", "a", "b", "b"]), validation_fraction=0.1, seed=0
    )  # one row is wanted, groups are of two
    assert (len(both.train), len(both.validation)) == (2, 2)
    assert split(lopsided, validation_fraction=0.0, seed=0).validation == ()
    for prompts, fraction, rows, says in [
        ([], 0.1, None, "no prompt to split"),
        (_prompts(["a", "A "]), 0.1, None, "one distinct prompt"),
        (_prompts(["a", "b"]), 1.0, None, "outside 0..1"),
        (_prompts(["a", "b"]), float("nan"), None, "outside 0..1"),
        (_prompts(["a", "b"]), 0.1, 2, "leaves one side empty"),
        (_prompts(["a", "b"]), 0.1, 0, "leaves one side empty"),
    ]:
        with pytest.raises(DataError, match=says):
            split(prompts, validation_fraction=fraction, validation_rows=rows, seed=0)


def test_a_split_column_decides_where_it_is_complete(tmp_path: Path) -> None:
    data = _load(tmp_path, "prompt,split\na,train\nb,Test\nc,val\nB,train\nd,train\n")
    assert data.split_labels is not None
    assert "says which rows train" in data.report.notes[0]
    sides = split(data.prompts, validation_fraction=0.1, seed=0, labels=data.split_labels)
    # "B" repeats the held-out "b", so it may not be trained on
    assert [p.text for p in sides.train] == ["a", "d"]
    assert [p.text for p in sides.validation] == ["b", "c", "B"]
    assert sides.moved == 1
    for second in ("", "other"):
        partial = _load(tmp_path, f"prompt,split\na,train\nb,{second}\nc,test\n")
        assert partial.split_labels is None
        assert "1 of 3 rows name no side" in partial.report.notes[0]
    half = _load(tmp_path, "prompt,split\na,train\nb,\n")
    assert half.split_labels is None
    lonely = _load(tmp_path, "prompt,split\na,train\nA,test\n")
    with pytest.raises(DataError, match="leaves nothing for training"):
        split(lonely.prompts, validation_fraction=0.1, seed=0, labels=lonely.split_labels)


def test_permutation_is_fixed_for_ever() -> None:
    # Random("epoch:7:0") draws KEYS
    assert permutation(5, 7, 0) == [1, 3, 0, 4, 2]
    assert sorted(permutation(1000, 1, 3)) == list(range(1000))
    orders = {tuple(permutation(50, seed, epoch)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert permutation(0, 1, 1) == []


def _tokenizer(folder: Path) -> str:
    from tokenizers import Tokenizer, models, pre_tokenizers

    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.enable_truncation(4)
    tokenizer.enable_padding(length=3)
    tokenizer.save(str(folder / "tokenizer.json"))
    return str(folder)


def test_token_lengths_and_overlong_prompts(tmp_path: Path) -> None:
    prompts = _prompts([" ".join("w" * n) for n in range(1, 21)])  # prompt i has i + 1 words: 1..20
    measured = token_lengths(prompts, _tokenizer(tmp_path), limit=18)
    assert measured.lengths == tuple(range(1, 21))  # neither cut at 4 nor padded to 3
    # nearest rank of 20: the 10th and the 19th
    assert measured.to_json() == {"p50": 10, "p95": 19, "max": 20, "limit": 18, "over_limit": 2}
    kept, dropped = drop_overlong(prompts, measured.lengths, 18)
    assert (kept, dropped) == (prompts[:18], 2)
    with pytest.raises(DataError, match="the shortest has 1"):
        drop_overlong(prompts, measured.lengths, 0)
    report = _load(tmp_path, PLAIN).report.with_tokens(measured)
    assert report.to_json()["tokens"]["max"] == 20
    with pytest.raises(DataError, match=r"no tokenizer\.json"):
        token_lengths(prompts, str(Path(_write(tmp_path, "x", "")).parent.parent), limit=5)
    broken = _write(tmp_path, "broken.json", "{}")
    with pytest.raises(DataError, match="cannot be loaded"):
        token_lengths(prompts, broken, limit=5)


def test_import_is_light_and_the_hub_offline_is_one_sentence() -> None:
    code = (
        "import sys, core.prompts as p\n"
        "print(sorted({'pandas', 'torch', 'tokenizers', 'pyarrow', 'huggingface_hub'} & set(sys.modules)))\n"
        "for path in sys.argv[1:]:\n"
        "    try:\n        p.read_table(path)\n"
        "    except p.DataError as error:\n        print(error)\n"
        "print('torch' in sys.modules)\n"
    )
    names = ["hf://datasets/owner/name/data.csv", "hf://datasets/owner"]
    done = subprocess.run(
        [sys.executable, "-c", code, *names],
        capture_output=True,
        text=True,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
        cwd=Path(__file__).parents[1],
        timeout=60,
    )
    lines = done.stdout.splitlines()
    assert done.stderr == ""
    assert lines[0] == "[]"
    assert lines[1].startswith("hf://datasets/owner/name/data.csv: HF_HUB_OFFLINE is set")
    assert "is written hf://datasets/owner/name/file.parquet" in lines[2]
    assert lines[3:] == ["False"]


SEEDS = {
    "data.csv": (
        'prompt,chosen,split\r\n"What is, exactly, a ""café""?",A place.,train\r\n'
        'Why?,"Because\r\nof the sun.",test\r\nHow many?,7,train\r\n' * 3
    ),
    "data.jsonl": (
        '{"prompt": "What is a café?", "answer": 3}\n'
        '{"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "x"}]}\n'
        '{"prompt": "a\\u00e9", "chosen": "b", "rejected": null}\n' * 3
    ),
}
TOKENS = [b'"', b",", b"\n", b"\r", b"\0", b"\xff", b"\xef\xbb\xbf", b"{", b"]", b"[", b"\\", b"\xc3", b"\t;", b"e999"]


def _mutate(data: bytes, rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        at, to = sorted(rng.randrange(len(data) + 1) for _ in range(2))
        match rng.randrange(5):
            case 0:
                data = data[:at] + rng.choice(TOKENS) + data[at:]
            case 1:
                data = data[:at] + data[min(to, at + rng.randint(1, 20)) :]
            case 2:
                data = data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]
            case 3:
                data = data[:to] + data[at:to] + data[to:]
            case _:
                data = data[:to] if rng.random() < 0.3 else data[:at] + rng.choice(TOKENS) * 20 + data[at:]
    return data


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_mutated_files_load_or_give_one_sentence(tmp_path: Path, name: str) -> None:
    rng = random.Random(name)
    loaded = 0
    sentences: list[str] = []
    for _ in range(300):
        path = _write(tmp_path, name, _mutate(SEEDS[name].encode(), rng))
        try:
            data = load_prompts(path)
        except DataError as error:
            sentences.append(str(error).removeprefix(path))
            continue
        loaded += 1
        report = data.report
        assert 0 < report.usable == len(data.prompts) == len({prompt.id for prompt in data.prompts})
        assert report.usable + report.empty <= report.rows
        assert report.usable + report.problem_count >= report.rows
        json.dumps(report.to_json())
        assert all(prompt.messages[-1].role == "user" and prompt.text.encode() for prompt in data.prompts)
    assert 30 < loaded < 300  # both ends are reached
    assert not any("\n" in sentence or sentence.startswith(str(tmp_path)) for sentence in sentences)
