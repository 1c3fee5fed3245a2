"""Those who answer the playground as they are: the process, and a live worker's file; and pictures of the screen."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from judge_server import JudgeServer
from play_host import Alone, Answerer, look, play_run
from samples_runs import empty_run
from tui_logs import T0

from core.commands import CancelGenerate, Draw, Generate
from core.errors import RlaifError
from core.events import CommandRejected
from core.journal import CommandReader, EventLog
from core.judge.builtin import built_in_spec
from core.judge.spec_file import dump_spec
from core.play.protocol import Ask, Begun, Chunk, Refused, Told, answer_file, encode
from core.run_dir import RunDir
from core.types import Message
from rlaif_tui.desks.play_judge import LEDGER, Scorer
from rlaif_tui.desks.play_process import PlayProcess
from rlaif_tui.desks.play_state import Exchange, Reply
from rlaif_tui.desks.play_worker import WorkerLine

CHAT = (Message("user", "Why is the sky blue?"),)
Compare = Callable[..., bool]


def heard(line: PlayProcess | WorkerLine, wanted: type[Told]) -> list[Told]:
    """What it says until something of this kind comes."""
    news: list[Told] = []
    while not any(isinstance(told, wanted) for told in news):
        news += line.read()
        time.sleep(0.02)
    return news


def test_a_process_that_cannot_load_says_why_and_ends(root: Path) -> None:
    process = PlayProcess(play_run(root, steps=()))
    process.ask(Ask(number=1, messages=CHAT, draw=Draw()))
    [refused] = [told for told in heard(process, Refused) if isinstance(told, Refused)]
    assert refused.reason == "run 'calm' has no checkpoint yet; 'rlaif-tui checkpoint calm' makes one"
    assert refused.number == 0
    process.close()
    assert process.ended
    process.ask(Ask(number=2, messages=CHAT, draw=Draw()))
    process.cancel(2)
    process.close()
    assert process.read() == []


def test_a_process_that_is_killed_is_told_of(root: Path) -> None:
    import os
    import signal

    process = PlayProcess(play_run(root, steps=()))
    os.kill(process.pid, signal.SIGKILL)
    [refused] = [told for told in heard(process, Refused) if isinstance(told, Refused)]
    assert "was killed by signal 9" in refused.reason or "has no checkpoint" in refused.reason
    process.close()


def test_a_worker_is_asked_by_a_command_and_heard_through_its_file(root: Path) -> None:
    run = empty_run(root)
    line = WorkerLine(run)
    assert line.read() == []
    line.ask(Ask(number=5, messages=CHAT, draw=Draw(seed=3)))
    [command] = [received.command for received in CommandReader(run.commands).read()]
    assert isinstance(command, Generate)
    assert (command.messages, command.draw) == (CHAT, Draw(seed=3))
    path = answer_file(run, command.id)
    path.parent.mkdir()
    first = encode(Begun(number=1, step=4, prompt_tokens=3)) + b"\n"
    second = encode(Chunk(number=1, side="base", text="It", tokens=1)) + b"\n"
    path.write_bytes(first + b"rubbish\n" + second[:10])
    assert line.read() == [Begun(number=5, step=4, prompt_tokens=3)], "a torn line is held back, a damaged one skipped"
    with path.open("ab") as file:
        file.write(second[10:])
    assert line.read() == [Chunk(number=5, side="base", text="It", tokens=1)]
    line.cancel(4)
    line.cancel(5)
    sent = [received.command for received in CommandReader(run.commands).read()]
    assert [c.command_id for c in sent if isinstance(c, CancelGenerate)] == [command.id]
    log = EventLog(run)
    log.write(CommandRejected(command_id="of another", reason="no"))
    log.write(CommandRejected(command_id=command.id, reason="the worker is stopping"))
    log.close()
    assert line.read() == [Refused(reason="the worker is stopping", number=5)]
    line.close()
    with path.open("ab") as file:
        file.write(second)
    assert line.read() == []


def done_exchange() -> Exchange:
    replies = {side: Reply(text=f"{side} says so", tokens=3, finish="stop") for side in ("base", "trained")}
    return Exchange(time=T0, messages=(Message("system", "Be kind."), *CHAT), draw=Draw(), step=4, **replies)


def test_scores_are_paid_from_what_the_run_has_left(root: Path) -> None:
    run = empty_run(root)
    with JudgeServer() as server:
        spec = built_in_spec("classic-0-10", provider="compatible", base_url=server.url, model="small")
        price = spec.price.model_copy(update={"input": 1000.0, "output": 1000.0})
        (run.judges / "judge.toml").write_text(dump_spec(spec.model_copy(update={"price": price})))
        scored = Scorer().score(run, done_exchange(), 1.0, 50.0)
        assert scored.base.score is not None
        assert scored.trained.score is not None
        assert scored.judge.startswith("classic-0-10 ")
        assert (run.judges / LEDGER).exists()
        assert not (run.judges / "ledger.jsonl").exists(), "the worker alone writes the run's own account"
        before = len(server.requests)
        other = msgspec.structs.replace(done_exchange(), messages=(Message("user", "Something else?"),))
        refused = Scorer().score(run, other, 49.9999, 50.0)
        assert refused.base.score is None
        assert "cap" in refused.base.reason
        assert len(server.requests) == before, "nothing was sent"


def test_an_answer_under_way_is_not_scored(root: Path) -> None:
    growing = msgspec.structs.replace(done_exchange(), base=Reply(text="It"))
    with pytest.raises(RlaifError, match="not complete yet"):
        Scorer().score(empty_run(root), growing, 0.0, None)


# pictures


async def type_and_send(pilot: Any) -> Answerer:
    app = pilot.app
    app.view.put("Give two uses of a paper clip.")
    app.view.action_send()
    await look(pilot)
    answerer: Answerer = app.process
    answerer.begins()
    return answerer


async def empty(pilot: Any) -> None:
    await look(pilot)


async def answered(pilot: Any) -> None:
    (await type_and_send(pilot)).ends()
    await look(pilot)
    exchange = pilot.app.desk._look.exchange
    for side, score, reason in (("base", 5.0, "short, one use is odd"), ("trained", 8.0, "clear and right")):
        reply = msgspec.structs.replace(exchange.reply(side), score=score, reason=reason)
        exchange = exchange.having(side, reply)
    pilot.app.desk.show(exchange)
    await look(pilot)
    await pilot.pause()


async def growing(pilot: Any) -> None:
    await type_and_send(pilot)
    await look(pilot)
    await pilot.pause()


@pytest.mark.parametrize("size", [(120, 36), (80, 24)], ids=["wide", "narrow"])
@pytest.mark.parametrize("state", [empty, growing, answered], ids=lambda state: state.__name__)
def test_looks(root: Path, tmp_path: Path, snap_compare: Compare, size: tuple[int, int], state: Any) -> None:
    run: RunDir = play_run(root)
    assert snap_compare(Alone(tmp_path, run), terminal_size=size, run_before=state)
