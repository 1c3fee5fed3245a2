"""Entry of the process that judges with a model of its own: ``python -P -m core.judge_host``; see ``judge.hosted``."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from typing import IO

import msgspec

from .errors import RlaifError
from .judge.hosted import Asked, Ready, Told
from .judge.spec import JudgeSpec
from .types import Verdict

Inbox = queue.SimpleQueue[Asked | None]
PREFETCH = 4
"""Micro-batches taken together, so that rows of like length can be put side by side."""


def main() -> int:
    """Judge until standard input ends. Returns the exit code."""
    # Libraries may print to standard output; the parent reads only what we say on the real one.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    # Ctrl-C at a terminal reaches the whole group, and it is the parent that decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    spec = JudgeSpec.model_validate_json(sys.stdin.buffer.readline())
    # Questions are taken from the pipe while the model loads, or whoever asks would stand still once it is full.
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, inbox), name="questions", daemon=True).start()
    try:
        from .local_judge import LocalJudge

        judge = LocalJudge.load(spec)
    except RlaifError as error:
        _say(answers, [Ready(str(error))])
        return 1
    _say(answers, [Ready()])
    for asked in _batches(inbox, PREFETCH * spec.batch_size):
        results = judge.judge_batch([a.request for a in asked])
        _say(
            answers,
            [
                Told(a.number, verdict=r) if isinstance(r, Verdict) else Told(a.number, failure=r)
                for a, r in zip(asked, results, strict=True)
            ],
        )
    return 0


def _read(stream: IO[bytes], inbox: Inbox) -> None:
    try:
        for line in stream:
            inbox.put(msgspec.json.decode(line, type=Asked))
    finally:
        inbox.put(None)


def _batches(inbox: Inbox, limit: int) -> Iterator[list[Asked]]:
    """What has been asked by now, at most ``limit`` at a time; waits while there is nothing."""
    while (first := inbox.get()) is not None:
        batch = [first]
        while len(batch) < limit and not inbox.empty():
            following = inbox.get()
            if following is None:
                yield batch
                return
            batch.append(following)
        yield batch


def _say(answers: IO[bytes], values: list[Ready] | list[Told]) -> None:
    answers.write(b"".join(msgspec.json.encode(value) + b"\n" for value in values))
    answers.flush()


if __name__ == "__main__":
    sys.exit(main())
