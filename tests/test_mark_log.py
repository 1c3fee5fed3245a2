"""Marks of many people in one file: whole lines, checked, each costing only itself."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
import pytest

from core import mark_log
from core.errors import RunDirError


class Said(msgspec.Struct, frozen=True, kw_only=True):
    word: str
    times: int = 0


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    assert mark_log.read(path, Said) == []
    for number in range(3):
        mark_log.append(path, Said(word=f"\n\x00{number}", times=number), "word")
    assert mark_log.read(path, Said) == [Said(word=f"\n\x00{number}", times=number) for number in range(3)]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("line", [b"", b"null", b'{"word":"a"}', b'{"crc":1,"word":"a"}', b'{"crc":99999999999,"x":1}'])
def test_a_line_that_no_writer_of_ours_wrote_is_none(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "said.jsonl"
    mark_log.append(path, Said(word="a"), "word")
    path.write_bytes(path.read_bytes() + line + b"\n")
    mark_log.append(path, Said(word="b"), "word")
    assert mark_log.read(path, Said) == [Said(word="a"), *([None] if line else []), Said(word="b")]


def test_a_torn_line_is_closed_by_the_next_writer(tmp_path: Path) -> None:
    path = tmp_path / "said.jsonl"
    mark_log.append(path, Said(word="a"), "word")
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:9])
    assert mark_log.read(path, Said) == [Said(word="a")], "not yet complete, so not yet damaged"
    mark_log.append(path, Said(word="b"), "word")
    assert mark_log.read(path, Said) == [Said(word="a"), None, Said(word="b")]


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "said.jsonl"
    mark_log.append(path, Said(word="a"), "word")
    before = path.read_bytes()
    with pytest.raises(RunDirError, match=r"^word of \d+ bytes; at most 65536 can be kept: shorten the note$"):
        mark_log.append(path, Said(word="w" * 70_000), "word")
    written = os.write
    monkeypatch.setattr(mark_log.os, "write", lambda file, data: written(file, data[:5]))
    with pytest.raises(RunDirError, match=r"No space left on device; the word is not kept$"):
        mark_log.append(path, Said(word="b"), "word")
    assert path.read_bytes() == before
