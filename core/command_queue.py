"""Requests on their way to a step boundary: read at any time, each answered exactly once over all launches of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from .commands import CancelGenerate, Command, CommandError, ReplaceJudge, Resume, Set, Stop, name_of
from .events import CommandRejected, Event
from .journal import CommandReader, Received
from .run_dir import RunDir

BAD_LINES_TOLD = 20


class CommandQueue:
    """The unanswered lines of ``commands.jsonl``, oldest first.

    ``answered`` are the ids with an answer in the log; ``stale_before`` is the size of the file when this worker took
    the run: a pause or a stop from before that was meant for another worker and is refused, a setting or a judge still
    holds.
    """

    def __init__(
        self,
        run: RunDir,
        write: Callable[[Event], None],
        answered: set[str] | None = None,
        offset: int = 0,
        stale_before: int = 0,
    ) -> None:
        self._reader = CommandReader(run.commands, offset)
        self._write = write
        self.answered = answered if answered is not None else set()
        self._stale_before = stale_before
        self._waiting: list[Received] = []

    @property
    def offset(self) -> int:
        """Every line before this offset of the file has its answer."""
        return self._waiting[0].start if self._waiting else self._reader.offset

    @property
    def stop_asked(self) -> bool:
        """Whether a stop waits for its answer."""
        return any(isinstance(each.command, Stop) and not self._is_stale(each) for each in self._waiting)

    def poll(self) -> None:
        """Look for new lines; writes nothing."""
        for received in self._reader.read():
            if _id_of(received) not in self.answered:
                self._waiting.append(received)

    def take(self) -> Iterator[Command]:
        """Commands to be answered now, each of which must be; lines that are none, or come too late, are refused."""
        bad = 0
        while self._waiting:
            received = self._waiting[0]
            if isinstance(received.command, CommandError):
                bad += 1
                self._refuse_bad(received, bad)
            elif _id_of(received) in self.answered:
                pass
            elif self._is_stale(received):
                self.reject(
                    received.command, "it was sent before this worker started; send it again if you still want it"
                )
            else:
                yield received.command
            self._waiting.pop(0)
        if bad > BAD_LINES_TOLD:
            reason = f"{bad - BAD_LINES_TOLD} more lines are no commands"
            self._write(CommandRejected(command_id="", reason=reason))

    def take_resumes(self) -> Iterator[Resume]:
        """Requests to go on, out of their turn: they are meant for what is waited for in the middle of a step."""
        self.poll()
        for received in list(self._waiting):
            command = received.command
            if isinstance(command, Resume) and not self._is_stale(received) and command.id not in self.answered:
                self._waiting.remove(received)
                yield command

    def take_cancels(self, of: str) -> Iterator[CancelGenerate]:
        """Requests to stop answering the command of this id, out of their turn: it is being answered."""
        for received in list(self._waiting):
            command = received.command
            if isinstance(command, CancelGenerate) and command.command_id == of and command.id not in self.answered:
                self._waiting.remove(received)
                yield command

    def reject(self, command: Command, reason: str) -> None:
        """Refuse a command in words."""
        self._write(CommandRejected(command_id=command.id, reason=reason, name=name_of(command), by=command.by))
        self.answered.add(command.id)

    def reject_all(self, reason: str) -> None:
        """Refuse whatever has no answer yet."""
        self.poll()
        for command in self.take():
            self.reject(command, reason)

    def _refuse_bad(self, received: Received, count: int) -> None:
        if count <= BAD_LINES_TOLD:
            self._write(CommandRejected(command_id=_id_of(received), reason=str(received.command)))
            self.answered.add(_id_of(received))

    def _is_stale(self, received: Received) -> bool:
        return received.start < self._stale_before and not isinstance(received.command, Set | ReplaceJudge)


def _id_of(received: Received) -> str:
    if isinstance(received.command, CommandError):
        return f"line-at-{received.start}"
    return received.command.id
