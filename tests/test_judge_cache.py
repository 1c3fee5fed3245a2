"""Paid answers come back as they were, whatever happens to the file they are kept in."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from core.judge import cache_file
from core.judge.cache import CachedReply, CacheMiss, JudgeCache, cache_key, default_cache_path
from core.judge.endpoint import Effective
from core.types import Usage
from rlaif_tui.cli_judge_cache import cache as cache_command

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "judge.sqlite"


@pytest.fixture
def kept(path: Path) -> Iterator[JudgeCache]:
    opened = JudgeCache(path)
    yield opened
    opened.close()


def reply(number: int = 1, **changes: Any) -> CachedReply:
    values: dict[str, Any] = {
        "body": {"n": number, "text": "x" * random.Random(number).randrange(10, 2000)},
        "usage": Usage(input_tokens=700, cached_tokens=10, output_tokens=120),
        "model_returned": "m-1",
        "cost_micros": 150,
        "cost_source": "table",
        "question_id": "0a1b2c3d",
        "created": 1_700_000_000.0 + number,
    }
    return CachedReply(**(values | changes))


async def test_a_reply_comes_back_as_it_was(kept: JudgeCache) -> None:
    body = {"a": [1, 2.5, None, True], "lone": "\ud800", "nul": "\x00", "big": 10**30, "text": "é\u2028", "": {}}
    plain = reply(body=body, usage=None, cost_micros=None, cost_source="unknown")
    await kept.put("one", plain)
    await kept.put("two", reply(2))
    assert await kept.get("one") == plain
    assert await kept.get("two") == reply(2)
    assert await kept.get("three") is None
    await kept.put("two", reply(3))
    assert await kept.get("two") == reply(3)
    await kept.put("nan", reply(body={"p": float("nan")}))
    found = await kept.get("nan")
    assert found is not None
    assert math.isnan(found.body["p"])
    assert kept.warnings == []


async def test_a_reply_that_is_no_json_is_not_kept_and_breaks_nothing(kept: JudgeCache) -> None:
    await kept.put("odd", reply(body={"x": object()}))
    assert await kept.get("odd") is None
    assert len(kept.warnings) == 1


async def test_replies_outlive_their_process_and_other_modes_leave_the_file_alone(path: Path) -> None:
    first = JudgeCache(path)
    await first.put("one", reply())
    first.close()
    before = path.read_bytes()
    replay, off = JudgeCache(path, "replay"), JudgeCache(path, "off")
    await replay.put("two", reply(2))
    await off.put("two", reply(2))
    assert await replay.get("one") == reply()
    assert await off.get("one") is None
    with pytest.raises(CacheMiss, match="not in the judge cache"):
        await replay.get("two")
    replay.close()
    off.close()
    assert path.read_bytes() == before
    assert await replay.get("one") is None  # closed


async def test_replay_of_a_missing_or_damaged_file_is_a_miss_that_says_why(path: Path) -> None:
    replay = JudgeCache(path, "replay")
    with pytest.raises(CacheMiss, match="No such file"):
        await replay.get("one")
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(b"no database" * 500)
    replay = JudgeCache(path, "replay")
    with pytest.raises(CacheMiss, match="not a database"):
        await replay.get("one")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_the_file_is_the_users_own_and_holds_no_pickle(kept: JudgeCache, path: Path) -> None:
    asyncio.run(kept.put("one", reply()))
    assert path.stat().st_mode & 0o077 == 0
    with sqlite3.connect(path) as connection:
        (value,) = connection.execute("SELECT value FROM replies").fetchone()
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()
    assert json.loads(value)["body"] == reply().body


async def test_two_hundred_flipped_bytes_no_crash_and_no_wrong_reply(path: Path) -> None:
    kept = JudgeCache(path)
    for number in range(40):
        await kept.put(f"k{number}", reply(number))
    kept.close()
    good, rng, lost, said = path.read_bytes(), random.Random(3), 0, 0
    for turn in range(200):
        flipped = bytearray(good)
        place = rng.randrange(120) if turn % 4 == 0 else rng.randrange(len(good))  # the header is worth more tries
        flipped[place] ^= rng.randrange(1, 256)
        path.write_bytes(flipped)
        kept = JudgeCache(path)
        for number in rng.sample(range(40), 8):
            found = await kept.get(f"k{number}")
            assert found in (None, reply(number))
            lost += found is None
        await kept.put("new", reply(99))
        assert await kept.get("new") == reply(99) or kept.warnings
        assert kept.stats().entries >= 0
        said += bool(kept.warnings)
        kept.close()
    assert lost > 20, "the flips must hit"
    assert said > 20


async def test_a_damaged_file_is_set_aside_by_name_and_a_new_one_begun(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    kept = JudgeCache(path)
    assert await kept.get("one") is None
    (aside,) = path.parent.glob("judge.sqlite.corrupt-*")
    assert aside.read_bytes() == b"garbage" * 1000
    (warning,) = kept.warnings
    assert aside.name in warning
    assert "paid for again" in warning
    await kept.put("one", reply())
    assert await kept.get("one") == reply()
    assert len(kept.warnings) == 1
    kept.close()


async def test_a_file_of_another_layout_is_set_aside(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE other (x)")
    connection.close()
    kept = JudgeCache(path)
    await kept.put("one", reply())
    assert await kept.get("one") == reply()
    assert "its layout is 0" in kept.warnings[0]
    kept.close()


async def test_a_changed_row_is_dropped_alone(kept: JudgeCache, path: Path) -> None:
    await kept.put("one", reply(1))
    await kept.put("two", reply(2))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE replies SET value = CAST(replace(value, 'm-1', 'm-2') AS BLOB) WHERE key = 'one'")
        connection.execute("UPDATE replies SET key = 'three' WHERE key = 'two'")  # another question's answer
    connection.close()
    assert await kept.get("one") is None
    assert await kept.get("three") is None
    assert kept.stats().entries == 0
    assert len(kept.warnings) == 1
    assert not list(path.parent.glob("*.corrupt-*"))


async def test_a_file_replaced_under_a_live_cache_is_noticed(kept: JudgeCache, path: Path) -> None:
    await kept.put("one", reply(1))
    path.rename(path.with_name("away"))
    assert await kept.get("one") is None
    await kept.put("two", reply(2))
    assert await kept.get("two") == reply(2)
    assert path.exists()
    path.unlink()
    await kept.put("three", reply(3))
    assert await kept.get("three") == reply(3)


WRITER = """
import asyncio, sys, time
from pathlib import Path
from core.judge.cache import CachedReply, JudgeCache
async def main():
    kept = JudgeCache(Path(sys.argv[1]))
    for number in range(int(sys.argv[3])):
        key = f"{sys.argv[2]}-{number}"
        body = {"key": key, "text": "y" * 5000}
        await kept.put(key, CachedReply(body=body, usage=None, model_returned="", cost_micros=1, cost_source="table",
                                        question_id="", created=1.0))
        print(key, flush=True)
    assert not kept.warnings, kept.warnings
asyncio.run(main())
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


async def test_two_processes_share_a_file(kept: JudgeCache, path: Path) -> None:
    both = [writer(path, name, 60) for name in ("a", "b")]
    said = [process.communicate(timeout=60)[0].split() for process in both]
    assert [process.returncode for process in both] == [0, 0]
    assert [len(keys) for keys in said] == [60, 60]
    for key in said[0] + said[1]:
        found = await kept.get(key)
        assert found is not None
        assert found.body["key"] == key
    assert kept.warnings == []


async def test_what_was_put_survives_a_kill(kept: JudgeCache, path: Path) -> None:
    process = writer(path, "a", 1_000_000)
    assert process.stdout is not None
    said = [process.stdout.readline().strip() for _ in range(25)]
    process.send_signal(signal.SIGKILL)
    said += process.communicate(timeout=60)[0].split("\n")[:-1]
    assert len(said) >= 25
    for key in said:
        assert await kept.get(key) is not None
    assert kept.warnings == []


async def test_a_full_disk_costs_answers_and_says_so_once(kept: JudgeCache, path: Path) -> None:
    await kept.put("one", reply())
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size, hard))
    try:
        for number in range(3):
            await kept.put(f"big{number}", reply(body={"text": "z" * 100_000}))
        assert await kept.get("one") == reply()  # it can still be read
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    (warning,) = kept.warnings
    assert warning.endswith("judging goes on, and answers are not kept")
    assert not list(path.parent.glob("*.corrupt-*"))


async def test_a_folder_that_cannot_be_written_costs_answers_and_says_so_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept = JudgeCache(tmp_path / "file" / "judge.sqlite")
    for _ in range(3):
        assert await kept.get("one") is None
        await kept.put("one", reply())
    (warning,) = kept.warnings
    assert "cannot be used" in warning
    kept.close()


async def test_a_program_that_holds_the_file_costs_one_wait(
    kept: JudgeCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache_file, "_BUSY_S", 0.5)
    await kept.put("one", reply())
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    began = time.perf_counter()
    for number in range(40):
        await kept.put(f"n{number}", reply())
        assert await kept.get("one") is None
    assert time.perf_counter() - began < 30.0  # and not 80 waits of 0.5 s
    holder.close()
    assert all("locked" in warning for warning in kept.warnings)
    kept._file._rest_until = {True: 0.0, False: 0.0}
    assert await kept.get("one") == reply()


async def test_the_loop_is_not_held_up(kept: JudgeCache, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()
    monkeypatch.setattr(kept._file, "read", lambda key: gate.wait(10) and None)
    waiting = asyncio.create_task(kept.get("one"))
    for _ in range(3):
        await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    assert await waiting is None


async def test_hits_add_up_to_money_saved(path: Path) -> None:
    kept = JudgeCache(path)
    await kept.put("one", reply(1))
    await kept.put("two", reply(2, cost_micros=None, cost_source="unknown"))
    for key in ("one", "two", "one", "none"):
        await kept.get(key)
    stats = kept.stats()
    assert (stats.entries, stats.hits, stats.saved_usd) == (2, 3, 0.0003)
    assert (stats.oldest, stats.newest) == (1_700_000_001.0, 1_700_000_002.0)
    assert stats.bytes == path.stat().st_size > 0
    await kept.get("one")
    kept.close()
    again = JudgeCache(path)
    assert again.stats().saved_usd == 0.00045
    again.close()


async def test_clearing_by_age(kept: JudgeCache) -> None:
    await kept.put("old", reply(1, created=time.time() - 10.5 * 86_400))
    await kept.put("new", reply(2, created=time.time() - 9.5 * 86_400))
    assert kept.clear(10) == 1
    assert await kept.get("old") is None
    assert await kept.get("new") is not None
    assert kept.clear() == 1
    assert kept.stats().entries == 0


async def test_a_cache_that_nobody_closed_notes_what_it_saved(path: Path) -> None:
    kept = JudgeCache(path)
    await kept.put("one", reply())
    await kept.get("one")
    thread = kept._threads
    del kept
    gc.collect()
    assert thread._shutdown
    again = JudgeCache(path)
    assert again.stats().hits == 1
    again.close()


EFFECTIVE = Effective(
    base_url="https://h/v1", model="m", parameters={"temperature": 0, "b": [1], "a": {"y": 1, "x": 2}}
)


def test_the_key_depends_on_all_that_can_change_a_score() -> None:
    base: dict[str, Any] = {
        "backend": "chat_json", "effective": EFFECTIVE, "canonical": "[]", "judge_version": "v", "repeat": 0,
    }  # fmt: skip
    changes: list[dict[str, Any]] = [
        {},
        {"backend": "systemone"},
        {"effective": replace(EFFECTIVE, base_url="https://i/v1")},
        {"effective": replace(EFFECTIVE, model="n")},
        {"effective": replace(EFFECTIVE, parameters={})},
        {"effective": replace(EFFECTIVE, parameters={**EFFECTIVE.parameters, "temperature": 0.5})},
        {"canonical": "[ ]"},
        {"judge_version": "w"},
        {"repeat": 1},
    ]
    keys = [cache_key(**(base | change)) for change in changes]
    assert len(set(keys)) == len(keys)
    assert all(len(key) == 64 for key in keys)
    turned = replace(EFFECTIVE, parameters=dict(reversed(EFFECTIVE.parameters.items())))
    assert cache_key(**(base | {"effective": turned})) == keys[0]
    cache_key(**(base | {"canonical": "\ud800"}))


def test_the_default_place(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RLAIF_TUI_CACHE", str(tmp_path))
    assert default_cache_path() == tmp_path / "judge.sqlite"
    monkeypatch.delenv("RLAIF_TUI_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    assert default_cache_path() == tmp_path / "user" / "rlaif-tui" / "judge.sqlite"


class Typed:
    """Types ``judge cache`` with the cache in ``path``."""

    def __init__(self, path: Path) -> None:
        self._app = typer.Typer()
        self._app.command()(cache_command)
        self._environment = {"RLAIF_TUI_CACHE": str(path.parent)}

    def __call__(self, *words: str, code: int = 0) -> tuple[str, str]:
        done = CliRunner().invoke(self._app, words, env=self._environment)
        assert done.exit_code == code, done.output
        return done.stdout, done.stderr


@pytest.fixture
def typed(path: Path) -> Typed:
    return Typed(path)


def fill(path: Path) -> None:
    async def main() -> None:
        kept = JudgeCache(path)
        await kept.put("old", reply(created=time.time() - 100 * 86_400, cost_micros=2_500_000))
        await kept.put("new", reply(created=time.time()))
        await kept.get("old")
        kept.close()

    asyncio.run(main())


def test_the_command_shows_what_is_kept(typed: Typed, path: Path) -> None:
    out, _ = typed()
    assert "no judgements are kept yet" in out
    assert not path.exists()
    fill(path)
    out, _ = typed()
    assert "2 judgements, " in out
    assert "used 1 times, which saved $2.50" in out
    said = json.loads(typed("--json")[0])
    assert (said["entries"], said["hits"], said["saved_usd"], said["cleared"]) == (2, 1, 2.5, 0)
    assert said["bytes"] == path.stat().st_size
    assert said["oldest"] < said["newest"]


def test_the_command_clears_only_when_told_to(typed: Typed, path: Path) -> None:
    fill(path)
    assert "--yes" in typed("--clear", code=2)[1]
    assert "--clear" in typed("--older-than", "3", code=2)[1]
    typed("--clear", "--older-than", "-1", code=2)
    assert json.loads(typed("--json")[0])["entries"] == 2
    assert "1 of 2 judgements cleared" in typed("--clear", "--older-than", "30", "--yes")[0]
    assert json.loads(typed("--clear", "--yes", "--json")[0]) == json.loads(typed("--json")[0]) | {"cleared": 1}
    assert json.loads(typed("--json")[0])["entries"] == 0


@pytest.mark.parametrize(("answer", "left"), [(True, 0), (False, 2)])
def test_the_command_asks_a_person(
    typed: Typed, path: Path, answer: bool, left: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(path)
    asked: list[str] = []
    monkeypatch.setattr("rlaif_tui.cli_judge_cache._at_terminal", lambda: True)
    monkeypatch.setattr(typer, "confirm", lambda text, err: asked.append(text) or answer)
    typed("--clear")
    assert len(asked) == 1
    assert "all 2 judgements" in asked[0]
    assert json.loads(typed("--json")[0])["entries"] == left


def test_the_command_says_that_a_file_is_damaged(typed: Typed, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"garbage" * 1000)
    out, err = typed()
    assert "no judgements" in out
    assert "not a database" in err
    assert path.read_bytes() == b"garbage" * 1000
    typed("--clear", "--yes")
    assert list(path.parent.glob("*.corrupt-*"))
