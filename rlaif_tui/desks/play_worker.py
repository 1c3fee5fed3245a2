"""A live run's worker as the one that answers: asked by a command, heard through a file of the run."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from core.commands import CancelGenerate, Generate
from core.events import CommandRejected
from core.journal import EventReader, send
from core.play.protocol import Ask, Refused, Told, answer_file, decode_told
from core.run_dir import RunDir


class WorkerLine:
    """One ask of a live worker. Its methods read and write files, so they belong into a background thread."""

    ready = None
    ended = False

    def __init__(self, run: RunDir) -> None:
        self._run = run
        self._number = 0
        self._id = ""
        self._offset = 0
        self._events = EventReader.at_end(run.events)

    def ask(self, ask: Ask) -> None:
        """Raises ``RlaifError`` or ``OSError``, and then nothing was asked."""
        command = Generate(messages=ask.messages, draw=ask.draw)
        send(self._run, command)
        self._number, self._id, self._offset = ask.number, command.id, 0

    def cancel(self, number: int) -> None:
        """Raises like ``ask``."""
        if self._id and number == self._number:
            send(self._run, CancelGenerate(command_id=self._id))

    def read(self) -> list[Told]:
        """What is new, with the number of the ask."""
        rejected = [e for e in self._events.scan() if isinstance(e, CommandRejected) and e.command_id == self._id]
        news = list(self._answers()) if self._id else []
        if rejected and not any(isinstance(told, Refused) for told in news):
            news.append(Refused(reason=rejected[-1].reason, number=self._number))
        return news

    def close(self) -> None:
        """Forget the ask; the worker's answer, if it comes, is read by nobody."""
        self._id = ""

    def _answers(self) -> Iterator[Told]:
        try:
            with answer_file(self._run, self._id).open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        end = data.rfind(b"\n") + 1
        self._offset += end
        for line in data[:end].splitlines():
            try:
                told = decode_told(line)
            except msgspec.DecodeError:
                continue
            if hasattr(told, "number"):
                yield msgspec.structs.replace(told, number=self._number)
