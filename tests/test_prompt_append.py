"""A prompt is added to a data file as the file is written, or the file stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core import prompt_append
from core.errors import DataError
from core.prompt_append import append_row, make_row
from core.prompts import Columns, load_prompts
from core.types import Message

NASTY = 'Say "hi", please;\nthen\tstop | 世界 = +1'


def user(text: str) -> tuple[Message, ...]:
    return (Message("user", text),)


def added(path: Path, text: str = NASTY, **more: str) -> tuple[Message, ...]:
    """The last prompt of the file after this one was added."""
    count = append_row(make_row(str(path), Columns(), user(text), **more))
    read = load_prompts(str(path))
    assert count == read.report.rows
    assert read.report.problem_count == 0
    return read.prompts[-1].messages


@pytest.mark.parametrize(
    ("name", "before", "encoding", "line"),
    [
        ("a.csv", "id,prompt,note\n1,one,\n", "utf-8", ',"Say ""hi"", please;\nthen\tstop | 世界 = +1",\n'),
        ("no-end.csv", "prompt\none", "utf-8", '\n"Say ""hi"", please;\nthen\tstop | 世界 = +1"\n'),
        ("all.csv", '"id","prompt"\n"1","one"\n', "utf-8", '"","Say ""hi"", please;\nthen\tstop | 世界 = +1"\n'),
        ("dos.csv", "prompt,x\r\none,2\r\n", "utf-8-sig", '"Say ""hi"", please;\nthen\tstop | 世界 = +1",\r\n'),
        ("a.tsv", "prompt\tx\none\t2\n", "utf-16", '"Say ""hi"", please;\nthen\tstop | 世界 = +1"\t\n'),
        ("semi.csv", "prompt;x\none;2\ntwo;3\n", "utf-8", '"Say ""hi"", please;\nthen\tstop | 世界 = +1";\n'),
        ("a.jsonl", '{"prompt": "one", "id": 7}\n', "utf-8", json.dumps({"prompt": NASTY}, ensure_ascii=False) + "\n"),
    ],
)
def test_a_row_is_written_as_the_file_is(tmp_path: Path, name: str, before: str, encoding: str, line: str) -> None:
    path = tmp_path / name
    path.write_bytes(before.encode(encoding))
    assert added(path) == user(NASTY)
    assert path.read_bytes().decode(encoding) == before + line
    assert added(path, "plain") == user("plain")


def test_columns_for_system_and_split_are_filled(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt,system,split,answer\none,be short,train,1\ntwo,be long,test,2\n")
    messages = (Message("system", "be kind"), *user("three"))
    append_row(make_row(str(path), Columns(), messages))
    read = load_prompts(str(path))
    assert read.prompts[-1].messages == messages
    assert path.read_text().endswith("three,be kind,train,\n")
    assert read.split_labels is not None


def test_a_system_prompt_without_a_column_is_told_unless_it_is_everybodys(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt\none\n")
    messages = (Message("system", "be kind"), *user("two"))
    assert make_row(str(path), Columns(), messages, "be kind").notes == ()
    row = make_row(str(path), Columns(), messages, "be brief")
    assert row.notes == ("the system prompt is left out: the file has no column for it",)
    append_row(row)
    last = load_prompts(str(path), system_prompt="be brief").prompts[-1]
    assert last.messages == (Message("system", "be brief"), *user("two"))


@pytest.mark.parametrize("inner", ["role", "from"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_chats_are_added_to_chats(tmp_path: Path, name: str, inner: str) -> None:
    path = tmp_path / name
    first = [{"role": "user", "content": "one"}] if inner == "role" else [{"from": "human", "value": "one"}]
    if name == "a.jsonl":
        path.write_text(json.dumps({"messages": first}) + "\n")
    else:
        path.write_text('messages\n"' + json.dumps(first).replace('"', '""') + '"\n')
    chat = (Message("system", "s"), *user("one"), Message("assistant", 'two "2"'), *user(NASTY))
    append_row(make_row(str(path), Columns(), chat))
    assert load_prompts(str(path)).prompts[-1].messages == chat
    assert f'"{inner}' in path.read_text().splitlines()[-1].replace('""', '"')


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("hf://datasets/a/b/c.csv", None, "is on the Hub, where nothing is written"),
        ("a.parquet", b"PAR1", "a Parquet file cannot be appended to"),
        ("a.json", b'[{"prompt": "a"}]', "a JSON list cannot be appended to"),
        ("a.csv", "prompt\ncaf\u00e9 \u2013 bar\n".encode("cp1252"), "which has no sign for '世'"),
        ("h.csv", b'prompt\n"\n\nHuman: hi\n\nAssistant: "\n', "its prompts are transcripts"),
        ("missing.csv", None, "does not exist"),
    ],
)
def test_what_cannot_be_added_is_one_sentence(tmp_path: Path, name: str, content: bytes | None, words: str) -> None:
    path = name if name.startswith("hf:") else str(tmp_path / name)
    if content is not None:
        Path(path).write_bytes(content)
    with pytest.raises(DataError, match=words):
        make_row(path, Columns(), user(NASTY))


def test_a_chat_of_several_turns_is_no_single_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt\none\n")
    with pytest.raises(DataError, match="this chat has 3 turns"):
        make_row(str(path), Columns(), (*user("a"), Message("assistant", "b"), *user("c")))


def test_a_row_that_would_be_read_as_something_else_is_taken_out_again(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt\none\n")
    before = path.read_bytes()
    for text in ('[{"role": "user", "content": "sly"}]', "Human: a\n\nAssistant: b", "nul \0 byte"):
        with pytest.raises(DataError, match="would not be read as it was meant"):
            append_row(make_row(str(path), Columns(), user(text)))
        assert path.read_bytes() == before


def test_a_file_that_changed_or_a_full_disk_leaves_everything_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("prompt\none\n")
    row = make_row(str(path), Columns(), user("two"))

    def full(descriptor: int, data: bytes) -> None:
        import os

        os.write(descriptor, data[:2])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(prompt_append, "write_all", full)
        with pytest.raises(DataError, match="No space left on device; it is as it was"):
            append_row(row)
    assert path.read_text() == "prompt\none\n"
    path.write_text("prompt\none\nmore\n")
    with pytest.raises(DataError, match="was changed meanwhile"):
        append_row(row)
    path.unlink()
    with pytest.raises(DataError, match="cannot be written"):
        append_row(row)
