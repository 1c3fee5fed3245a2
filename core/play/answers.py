"""A live worker answers prompts between two steps: what it says goes into a file of the run, line by line."""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Callable
from pathlib import Path

from ..commands import Generate
from ..errors import RlaifError
from ..files import AppendLog
from ..memory import is_out_of_memory, release_memory
from ..policy import Policy
from ..run_dir import RunDir
from .duet import answer
from .protocol import Done, PlayError, Refused, answer_file, encode

FILES_KEPT = 20
_ID = re.compile(r"^[0-9a-zA-Z-]{1,64}$")


class Answers:
    """Uses the policy of the trainer, and leaves it as it was."""

    def __init__(self, run: RunDir, policy: Policy) -> None:
        self._run, self._policy = run, policy

    def answer(self, command: Generate, step: int, cancelled: Callable[[], bool]) -> str:
        """Sample both sides; returns what was done, in words. Raises ``RlaifError``: training must not end for it.

        The reason stands in the file as well, where there is one.
        """
        if not _ID.fullmatch(command.id):
            raise PlayError("the command's id cannot be the name of a file")
        if cancelled():
            raise PlayError("it was cancelled before it began")
        path = answer_file(self._run, command.id)
        try:
            log = AppendLog(path)
        except OSError as error:
            raise PlayError(f"cannot write {path.name}: {error.strerror}") from error
        try:
            return self._write(log, command, step, cancelled)
        except Exception as error:
            reason = _reason(error)
            with contextlib.suppress(OSError):
                log.append(encode(Refused(reason=reason, number=1)))
            raise PlayError(reason) from error
        finally:
            log.close()
            release_memory()
            self._tidy(path.parent)

    def _write(self, log: AppendLog, command: Generate, step: int, cancelled: Callable[[], bool]) -> str:
        tokens = 0
        for said in answer(
            self._policy, command.messages, command.draw, number=1, step=step, cancelled=cancelled,
        ):  # fmt: skip
            log.append(encode(said))
            tokens += said.tokens if isinstance(said, Done) else 0
        return f"{tokens} tokens"

    def _tidy(self, folder: Path) -> None:
        with contextlib.suppress(OSError):
            files = sorted(folder.glob("*.jsonl"), key=lambda path: path.stat().st_mtime)
            for path in files[:-FILES_KEPT]:
                path.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    if isinstance(error, RlaifError):
        return str(error)
    if is_out_of_memory(error):
        return "there is not enough memory beside training to answer this; ask for fewer tokens or a checkpoint"
    if not isinstance(error, OSError):
        traceback.print_exception(error)  # into worker.log
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return f"{type(error).__name__}: {text[:240]}"
