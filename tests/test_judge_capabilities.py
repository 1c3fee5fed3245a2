"""What a model rejects is found once, kept for a week, shared, and never costs the score its meaning."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest

from core.judge.capabilities import KEEP_S, RENAMED, Capabilities, prune, rejected_by
from core.judge.endpoint import CallError

HERE = "http://127.0.0.1:1/v1"
CHAT: dict[str, Any] = {
    "model": "m", "messages": [], "temperature": 0, "seed": 1, "reasoning_effort": "none", "max_tokens": 5,
    "logprobs": True, "top_logprobs": 20, "response_format": {"type": "json_schema"},
}  # fmt: skip


def refusal(message: str, *, code: str = "", param: str = "", status: int = 400) -> CallError:
    return CallError("bad_request", f"m at host: {message}", http_status=status, code=code, param=param)


@pytest.mark.parametrize(
    ("error", "name"),
    [
        (refusal("no", code="unsupported_parameter", param="temperature"), "temperature"),
        (refusal("no", code="unsupported_value", param="reasoning_effort"), "effort"),
        (refusal("no", code="unsupported_parameter", param="max_tokens"), RENAMED),
        (refusal("no", code="unsupported_parameter", param="response_format.json_schema"), "response_format"),
        (refusal("temperature: Extra inputs are not permitted", status=422), "temperature"),
        (refusal("Unknown field 'seed'"), "seed"),
        (refusal("'max_tokens' is not supported with this model, use 'max_completion_tokens'"), RENAMED),
        (refusal("no", code="unsupported_parameter", param="logprobs"), None),
        (refusal("logprobs are not supported by this model"), None),
        (refusal("top_p is not supported"), None),  # was not sent
        (refusal("temperature must be at most 2"), None),  # a bad value of ours, not a rejected parameter
        (refusal("no", code="invalid_value", param="temperature"), None),
        (refusal("temperature is not supported", status=401), None),
        (CallError("too_long", "max_tokens and prompt exceed the context", http_status=400), None),
    ],
)
def test_which_parameter_a_refusal_is_about(error: CallError, name: str | None) -> None:
    assert rejected_by(error, CHAT) == name


def test_pruning_keeps_what_gives_the_score_its_meaning() -> None:
    left = prune(CHAT, frozenset({"temperature", "effort", "seed", "response_format", RENAMED}))
    assert left == {
        "model": "m", "messages": [], "max_completion_tokens": 5, "logprobs": True, "top_logprobs": 20,
    }  # fmt: skip
    assert CHAT["temperature"] == 0, "the body itself must stay as it was"
    claude = {"output_config": {"effort": "low", "format": {"type": "json_schema"}}}
    assert prune(claude, frozenset({"effort"})) == {"output_config": {"format": {"type": "json_schema"}}}
    assert prune(claude, frozenset({"effort", "response_format"})) == {}


def test_remembered_for_a_week_and_by_address_and_model(tmp_path: Path) -> None:
    now = [1e9]
    path = tmp_path / "cache" / "caps.json"
    Capabilities(path, now=lambda: now[0]).remember(HERE, "m", "temperature")
    other = Capabilities(path, now=lambda: now[0])
    assert other.dropped(HERE, "m") == {"temperature"}
    assert other.dropped(HERE + "/", "m") == {"temperature"}
    assert other.dropped(HERE, "n") == frozenset()
    assert other.dropped("http://elsewhere/v1", "m") == frozenset()
    now[0] += KEEP_S - 1
    assert other.dropped(HERE, "m") == {"temperature"}
    now[0] += 2
    assert other.dropped(HERE, "m") == frozenset()
    other.remember(HERE, "n", "seed")
    assert list(json.loads(path.read_bytes())["models"]) == [f"{HERE} n"], "what is over a week old goes"


def test_two_open_tables_see_each_other(tmp_path: Path) -> None:
    first, second = Capabilities(tmp_path / "c.json"), Capabilities(tmp_path / "c.json")
    first.remember(HERE, "m", "temperature")
    second.remember(HERE, "m", "seed")
    first.remember(HERE, "n", "store")
    assert first.dropped(HERE, "m") == second.dropped(HERE, "m") == {"temperature", "seed"}
    assert second.dropped(HERE, "n") == {"store"}


def _remember_many(path: Path, name: str) -> None:
    for i in range(20):
        Capabilities(path).remember(HERE, f"m{i}", name)


def test_two_processes_leave_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    spawn = multiprocessing.get_context("spawn")
    workers = [spawn.Process(target=_remember_many, args=(path, name)) for name in ("temperature", "seed")]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert Capabilities(path).dropped(HERE, "m19"), "the last write of one of them is there"
    assert not list(tmp_path.glob("*damaged*"))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b'{"version": 1}', b'{"version": 9, "models": {}}', b"\xff\xfe", b"[" * 99999]
)
def test_a_damaged_file_is_set_aside(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(data)
    table = Capabilities(path)
    assert table.dropped(HERE, "m") == frozenset()
    assert [p.read_bytes() for p in tmp_path.glob("*damaged*")] == [data]
    table.remember(HERE, "m", "seed")
    assert Capabilities(path).dropped(HERE, "m") == {"seed"}


def test_odd_entries_of_a_file_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "c.json"
    entries = {"logprobs": 9e9, "seed": "x", "temperature": 9e8, "store": 1e300}
    path.write_text(json.dumps({"version": 1, "models": {f"{HERE} m": entries, "x": 3}}))
    assert Capabilities(path, now=lambda: 9e8 + 5).dropped(HERE, "m") == {"temperature"}


def test_a_folder_that_cannot_be_written_costs_nothing_but_the_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    table = Capabilities(tmp_path / "file" / "c.json")
    table.remember(HERE, "m", "seed")
    assert table.dropped(HERE, "m") == {"seed"}
