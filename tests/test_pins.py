"""Pins: kept in the run, shared by everybody who looks at it, never half written."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from core.errors import RunDirError
from core.run_dir import RunDir, create
from rlaif_tui.pins import MOST_PINS, TEXT_CHARACTERS, Pin, is_pinned, load, pins_file, toggle


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return create(tmp_path / "runs", "a")


def test_a_prompt_is_pinned_and_let_go_of(run: RunDir) -> None:
    assert load(run) == ()
    assert toggle(run, Pin("p1", "one")) is True
    assert toggle(run, Pin("p2", "two \ud800 \x1b[31m")) is True
    assert load(run) == (Pin("p1", "one"), Pin("p2", "two \ud800 \x1b[31m"))
    assert toggle(run, Pin("p1", "")) is False
    assert load(run) == (Pin("p2", "two \ud800 \x1b[31m"),)


def test_a_prompt_is_known_by_its_id_or_else_by_what_is_shown_of_it(run: RunDir) -> None:
    long = "w" * (TEXT_CHARACTERS + 500)
    toggle(run, Pin("p1", long))
    pins = load(run)
    assert is_pinned(pins, "p1", "anything")
    assert not is_pinned(pins, "p2", long), "another row of the data with the same text"
    assert is_pinned(pins, "", long)
    assert is_pinned(pins, "", long[:TEXT_CHARACTERS])
    assert not is_pinned(pins, "", "w")


def test_a_damaged_file_has_no_pins_and_is_set_aside_by_the_next_one(run: RunDir) -> None:
    for rubbish in (
        b"{",
        b"[]",
        b'{"pins": [3]}',
        b'{"pins": [{"prompt_id": 1, "text": "a"}]}',
        b"\xff\x00",
        b"[" * 9999,
    ):
        pins_file(run).write_bytes(rubbish)
        assert load(run) == ()
    assert toggle(run, Pin("p1", "one"))
    assert load(run) == (Pin("p1", "one"),)
    assert pins_file(run).with_name("pins.json.broken").read_bytes() == b"[" * 9999


def test_there_is_a_limit_and_it_is_told(run: RunDir) -> None:
    values = [{"prompt_id": str(n), "text": ""} for n in range(MOST_PINS)]
    pins_file(run).write_text(json.dumps({"pins": values}))
    with pytest.raises(RunDirError, match="32 prompts are pinned already; let go of one first"):
        toggle(run, Pin("new", "new"))
    assert toggle(run, Pin("3", "")) is False
    assert toggle(run, Pin("new", "new")) is True


def test_a_run_that_is_gone_is_one_sentence(run: RunDir) -> None:
    gone = RunDir(run.path.with_name("gone"))
    assert load(gone) == ()
    with pytest.raises(RunDirError, match=r"pins cannot be kept in .*: No such file or directory"):
        toggle(gone, Pin("p1", "one"))


def test_two_who_pin_at_once_do_not_undo_each_other(run: RunDir) -> None:
    def pin(person: int) -> None:
        for n in range(8):
            toggle(run, Pin(f"{person}-{n}", ""))

    people = [threading.Thread(target=pin, args=(person,)) for person in range(4)]
    for thread in people:
        thread.start()
    for thread in people:
        thread.join()
    assert {pin.prompt_id for pin in load(run)} == {f"{person}-{n}" for person in range(4) for n in range(8)}
