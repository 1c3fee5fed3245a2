"""Advice in the event log: when it begins and when it ends, the same after a resume, never at a run's cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rigged_runs import run, started
from typed import Cli

from core import advice as advice_module
from core.advice import AdviceWriter
from core.advisor import Limits
from core.events import Advice, Event, StepCompleted
from core.history import read_history
from core.journal import EventLog, read_events
from core.ratings import Origin, rate
from core.recorder import Recorder
from core.run_dir import RunDir, RunLock, create
from rlaif_tui.concerns import findings, notices
from rlaif_tui.run_facts import UNKNOWN_FACTS
from rlaif_tui.state import RunState, apply_all

LIMITS = Limits(kl_pause=50.0)


def clipped(number: int) -> dict[str, Any]:
    return {"clip_fraction": 0.6 if 20 <= number < 30 else 0.1}


def write(directory: RunDir, events: Sequence[Event]) -> list[Advice]:
    """Record events as a worker does that takes the run up; returns all advice in its log."""
    history = read_history(directory)
    log = EventLog(directory, history.last_seq)
    recorder = Recorder(directory, log, advice=AdviceWriter(directory, LIMITS, history.told))
    for event in events:
        recorder.write(event)
    recorder.close()
    log.close()
    return [event for event in read_events(directory.events) if isinstance(event, Advice)]


def test_it_is_written_when_it_begins_and_when_it_ends(tmp_path: Path) -> None:
    begun, ended = write(create(tmp_path, "whole"), run(60, clipped))
    assert (begun.code, begun.severity, begun.ended) == ("clipped", "warning", False)
    assert 20 < begun.step < 30 < ended.step
    assert begun.message.startswith("clip fraction 0.")
    assert begun.command == "rlaif-tui set gentle learning_rate=5e-06"
    assert begun.evidence
    assert (ended.code, ended.severity, ended.ended, ended.what) == ("clipped", "info", True, begun.what)


@pytest.mark.parametrize("at", [15, 25, 32, 50])
def test_a_run_that_was_killed_and_resumed_says_the_same_once(tmp_path: Path, at: int) -> None:
    events = run(60, clipped)
    whole = write(create(tmp_path, "whole"), events)
    cut = create(tmp_path, "cut")
    first = [event for event in events if getattr(event, "step", 0) <= at]
    write(cut, first)
    rest = [event for event in events if getattr(event, "step", 0) > at]
    again = write(cut, [started(resumed_from=at), *rest])
    plain = [replace_time(advice) for advice in whole]
    assert [replace_time(advice) for advice in again] == plain


def replace_time(advice: Advice) -> tuple[int, str, bool, str]:
    return advice.step, advice.code, advice.ended, advice.message


def test_a_fault_of_the_advisor_is_told_once_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> tuple[()]:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr(advice_module, "advise", broken)
    directory = create(tmp_path, "broken")
    assert write(directory, run(10)) == []
    assert sum(isinstance(event, StepCompleted) for event in read_events(directory.events)) == 10
    assert capsys.readouterr().err.count("ZeroDivisionError: planted") == 1


def test_ratings_that_leave_the_judge_are_told_by_the_worker(tmp_path: Path) -> None:
    directory = create(tmp_path, "rated")
    for n in range(24):
        origin = Origin(judge=float(n % 10), step=n, prompt_id=f"p{n}")
        rate(directory, f"play:{n}", float(9 - n % 10), "ana", origin=origin)
    (said,) = write(directory, run(25))
    assert (said.code, said.step) == ("person_disagrees", 1)
    assert "judge and person agree at ρ -1.00 only" in said.message


def test_the_app_says_what_stands_once(tmp_path: Path) -> None:
    directory = create(tmp_path, "whole")
    write(directory, run(28, clipped))
    state = apply_all(RunState(name="whole"), read_events(directory.events))
    texts = [notice.text for notice in notices(state, UNKNOWN_FACTS)]
    assert len(texts) == 1
    assert texts[0].startswith("clip fraction 0.60: updates are too large. t: halve the learning rate")
    assert [finding.rule for finding in findings(state, UNKNOWN_FACTS)] == ["clipped"]
    assert [message.advice for message in state.warnings] == ["clipped"]
    over = apply_all(state, [event for event in run(60, clipped) if getattr(event, "step", 0) > 28])
    assert not notices(over, replace(UNKNOWN_FACTS, limits=LIMITS))


def test_status_tells_what_stands(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cli = Cli(tmp_path, capsys, monkeypatch)
    directory = create(cli.root, "whole")
    directory.config.write_text("")
    write(directory, run(28, clipped))
    lock = RunLock(directory)
    lock.acquire()
    (advice,) = cli("status", "whole", "--json").json["advice"]
    assert (advice["rule"], advice["key"], advice["step"]) == ("clipped", "t", 28)
    assert advice["command"] == "rlaif-tui set gentle learning_rate=5e-06"
    text = cli("status", "whole").out
    assert "advice, warning: clip fraction 0.60: updates are too large\n    seen: mean of 5 steps, over 0.3\n" in text
    assert "    do: halve the learning rate to 5e-06 (rlaif-tui set gentle learning_rate=5e-06)\n" in text
    assert text.count("clip fraction") == 1
    lock.release()
    ended = cli("status", "whole", "--json").json["advice"]
    assert [(one["rule"], one["key"], one["command"]) for one in ended] == [("clipped", "", "")], "nobody would answer"
