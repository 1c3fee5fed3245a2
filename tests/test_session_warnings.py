"""What a judge says of its own troubles reaches the log of the run, each thing once."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from core.events import Advice
from core.session import Session


def test_a_warning_of_the_judge_is_noted_once() -> None:
    written: list[Any] = []
    judge = SimpleNamespace(warnings=("the judge cache cannot be written",))
    trainer = SimpleNamespace(completed=3, judge=SimpleNamespace(judge=judge))
    recorder = SimpleNamespace(write=written.append)
    timeline = SimpleNamespace(judge_before=lambda _: "")
    around = SimpleNamespace(
        run=None, recorder=recorder, commands=None, saver=None, history=SimpleNamespace(timeline=timeline)
    )
    session = Session(cast("Any", trainer), cast("Any", around))
    session._tell_warnings()
    session._tell_warnings()
    assert written == [Advice(step=3, code="judge_cache", message="the judge cache cannot be written")]
    judge.warnings = (*judge.warnings, "a reply was damaged")
    session._tell_warnings()
    assert [event.message for event in written[1:]] == ["a reply was damaged"]
    del judge.warnings  # other judges have no cache
    session._tell_warnings()
    assert len(written) == 2
