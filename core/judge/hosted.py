"""A judge that is a model, for a process that may not import torch: it runs in a child, ``core.judge_host``.

One JSON value per line. To the child: the judge file, then ``Asked`` after ``Asked``. From it: one ``Ready``, then
``Told`` after ``Told``, in any order. The child ends when its standard input does, so it never outlives its parent.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import threading
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import msgspec

from ..errors import JudgeError
from ..types import JudgeFailure, JudgeRequest, JudgeResult, Verdict
from .outcome import failure
from .spec import JudgeSpec
from .spec_file import version_of_spec

CLOSE_PATIENCE_S = 3.0
LAST_WORDS_BYTES = 8192


class Asked(msgspec.Struct, frozen=True):
    """One response to be judged."""

    number: int
    request: JudgeRequest


class Ready(msgspec.Struct, frozen=True):
    """The child's first line: that it can judge, or why it cannot."""

    error: str = ""


class Told(msgspec.Struct, frozen=True):
    """What came of one response; exactly one of the two is there."""

    number: int
    verdict: Verdict | None = None
    failure: JudgeFailure | None = None


def name_of(spec: JudgeSpec) -> str:
    """``backend:model``, such as ``local:zephyr-7b-beta``; of a local folder its name alone."""
    model = Path(spec.model).name if spec.model.startswith(("/", "./", "../", "~")) else spec.model
    return f"{spec.backend}:{model}" if model else spec.backend


@dataclass(frozen=True)
class Ended:
    """In place of an answer: the child is no more."""

    words: str
    hopeless: bool
    """It never gave a verdict, so another one would end the same way."""


class HostedJudge:
    """The judge of ``spec`` in a process of its own, which the first request starts.

    A child that dies takes the requests it had with it, as failures with its last words. It is started again if it had
    answered anything; if not, every request fails the same way until ``reset``.
    """

    def __init__(self, spec: JudgeSpec) -> None:
        if not spec.model:
            raise JudgeError(
                f"judge '{spec.name}': backend = '{spec.backend}' needs a model outside training, an id or a folder"
            )
        self.spec = spec
        self._version = version_of_spec(spec)
        self._child: _Child | None = None
        self._numbers = itertools.count()

    @property
    def name(self) -> str:
        return name_of(self.spec)

    @property
    def version(self) -> str:
        return self._version

    @property
    def pid(self) -> int | None:
        """Of the child, while there is one."""
        return None if self._child is None or self._child.ended else self._child.pid

    async def judge(self, requests: list[JudgeRequest]) -> list[JudgeResult]:
        """One result per request, in order; the child judges together what comes together."""
        try:
            futures = self._submit(requests)
        except (OSError, UnicodeError) as error:  # a text may hold half a character
            message = f"the judge's process cannot be started or asked: {error}"
            return [failure(self, "infra_error", message, kind="exception") for _ in requests]
        answers = await asyncio.gather(*(asyncio.wrap_future(future) for future in futures))
        return [self._result(answer) for answer in answers]

    def _result(self, answer: Told | Ended) -> JudgeResult:
        if isinstance(answer, Ended):
            message = f"the judge's process ended: {answer.words}"
            return failure(self, "infra_error", message, kind="exception", fatal=answer.hopeless)
        result = answer.failure if answer.verdict is None else answer.verdict
        return result or failure(self, "infra_error", "the judge's process answered nothing", kind="bad_body")

    def reset(self) -> None:
        """Somebody may have mended what was wrong: let the next request start a new child."""
        if self._child is not None and self._child.ended:
            self._child = None

    async def close(self) -> None:
        """End the child; what it was asked and has not answered fails."""
        child, self._child = self._child, None
        if child is not None:
            await asyncio.to_thread(child.close)

    def _submit(self, requests: list[JudgeRequest]) -> list[Future[Told | Ended]]:
        if self._child is None or (self._child.ended and self._child.answered):
            self._child = _Child(self.spec)
        return self._child.ask([Asked(next(self._numbers), request) for request in requests])


class _Child:
    """The process, its pipes and the thread that reads its answers. No event loop, so that any may use it."""

    def __init__(self, spec: JudgeSpec) -> None:
        self.ended = False
        self.answered = False
        """Whether it ever gave a verdict."""
        self._last = Ended("", False)
        self._lock = threading.Lock()
        self._pending: dict[int, Future[Told | Ended]] = {}
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed when the child has ended
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "core.judge_host"],
            env=_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.pid = self._process.pid
        self._write(spec.model_dump_json().encode() + b"\n")
        self._reader = threading.Thread(target=self._read, name="judge-host", daemon=True)
        self._reader.start()

    def ask(self, questions: list[Asked]) -> list[Future[Told | Ended]]:
        """Futures that are resolved whatever happens, with ``Ended`` if the child ends."""
        data = b"".join(msgspec.json.encode(question) + b"\n" for question in questions)
        futures: list[Future[Told | Ended]] = []
        with self._lock:
            for question in questions:
                future: Future[Told | Ended] = Future()
                futures.append(future)
                if self.ended:
                    future.set_result(self._last)
                else:
                    self._pending[question.number] = future
        self._write(data)
        return futures

    def close(self) -> None:
        """End the process, by force if it takes long."""
        self._hang_up()
        try:
            self._process.wait(CLOSE_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._reader.join(CLOSE_PATIENCE_S)

    def _write(self, data: bytes) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError, ValueError):  # it has ended, or is closed: the reader tells why
            self._process.stdin.write(data)
            self._process.stdin.flush()

    def _hang_up(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        reason = ""
        with self._process.stdout as lines:
            for number, line in enumerate(lines):
                try:
                    if number == 0:
                        reason = msgspec.json.decode(line, type=Ready).error
                        continue
                    told = msgspec.json.decode(line, type=Told)
                except msgspec.DecodeError as error:
                    reason = f"it answered with something else than a verdict: {error}"
                    self._process.kill()
                    break
                self._resolve(told)
        self._end(reason)

    def _resolve(self, told: Told) -> None:
        self.answered = self.answered or told.verdict is not None
        with self._lock:
            future = self._pending.pop(told.number, None)
        if future is not None and future.set_running_or_notify_cancel():
            future.set_result(told)

    def _end(self, reason: str) -> None:
        code = self._process.wait()
        ended = f"it was killed by signal {-code}" if code < 0 else f"it ended with exit code {code}"
        words = reason or f"{ended}: {self._last_words() or 'it said nothing'}"
        self._errors.close()
        self._hang_up()
        with self._lock:
            self._last = Ended(words, hopeless=not self.answered)
            self.ended = True
            pending, self._pending = self._pending, {}
        for future in pending.values():
            if future.set_running_or_notify_cancel():
                future.set_result(self._last)

    def _last_words(self) -> str:
        size = self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, size - LAST_WORDS_BYTES))
        lines = self._errors.read().decode("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return "".join(c if c.isprintable() else "�" for c in last)


def _environment() -> dict[str, str]:
    """Ours, so that the child's ``core`` is the one that this process uses, whatever else is called so."""
    ours = str(Path(__file__).resolve().parent.parent.parent)
    others = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path and path != ours]
    return {**os.environ, "PYTHONPATH": os.pathsep.join([ours, *others]), "PYTHONIOENCODING": "utf-8"}
