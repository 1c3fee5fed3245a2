"""``rollouts/step_N.jsonl``: what one step generated, what the judge said of it and what training made of it.

One JSON object a line, ``{"crc":C,"kind":...}``, where C is the CRC-32 of the object without that key. The kinds:

- ``rollout``: a ``Rollout`` whole, token ids included, so that it never has to be generated again;
- ``verdict``, ``failure``: the judge's result for ``rollout_id``, so that it is never paid for again;
- ``referee``: what a second judge said of ``rollout_id``;
- ``measures``: a ``RolloutMeasures``, written when the step's update is done.

Of several lines for one rollout the last one holds. A rollout that changed has no verdict until it gets a new one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from .events import encode
from .files import AppendLog, read_lines
from .run_dir import RunDir
from .types import JudgedRollout, JudgeFailure, JudgeResult, RefereeResult, Rollout, RolloutMeasures, Verdict

Row = Rollout | JudgedRollout
_PREFIX = re.compile(rb'^\{"crc":(\d{1,10}),')
_FILE = re.compile(r"^step_(\d{6,})\.jsonl$")


class _Line(msgspec.Struct, frozen=True, tag_field="kind"):
    pass


class _RolloutLine(_Line, frozen=True, tag="rollout"):
    rollout: Rollout


class _VerdictLine(_Line, frozen=True, tag="verdict"):
    rollout_id: str
    verdict: Verdict


class _FailureLine(_Line, frozen=True, tag="failure"):
    rollout_id: str
    failure: JudgeFailure


class _MeasuresLine(_Line, frozen=True, tag="measures"):
    measures: RolloutMeasures


class _RefereeLine(_Line, frozen=True, tag="referee"):
    rollout_id: str
    verdict: Verdict | None = None
    failure: JudgeFailure | None = None
    """One of the two."""


_AnyLine = _RolloutLine | _VerdictLine | _FailureLine | _MeasuresLine | _RefereeLine
_decoder: msgspec.json.Decoder[_AnyLine] = msgspec.json.Decoder(_AnyLine)


@dataclass
class Recorded:
    """The folded content of one file, keyed by rollout id."""

    rollouts: dict[str, Rollout] = field(default_factory=dict)
    results: dict[str, JudgeResult] = field(default_factory=dict)
    measures: dict[str, RolloutMeasures] = field(default_factory=dict)
    referee: dict[str, JudgeResult] = field(default_factory=dict)
    damaged: int = 0
    """Lines that could not be read; what they said is as if never written."""

    def rows(self) -> list[Row]:
        """Every rollout in the order of its row, with its result where there is one: input of ``Trainer.step``."""
        ordered = sorted(self.rollouts.values(), key=lambda rollout: rollout.row)
        return [
            JudgedRollout(rollout=rollout, result=self.results[rollout.id]) if rollout.id in self.results else rollout
            for rollout in ordered
        ]

    def knows(self, line: _AnyLine) -> bool:
        """Whether the line says nothing new."""
        match line:
            case _RolloutLine(rollout=rollout):
                return self.rollouts.get(rollout.id) == rollout
            case _VerdictLine(rollout_id=id_, verdict=result) | _FailureLine(rollout_id=id_, failure=result):
                return self.results.get(id_) == result
            case _MeasuresLine(measures=measures):
                return self.measures.get(measures.rollout_id) == measures
            case _RefereeLine(rollout_id=id_):
                return self.referee.get(id_) == (line.verdict or line.failure)

    def add(self, line: _AnyLine) -> None:
        """Fold one line in."""
        match line:
            case _RolloutLine(rollout=rollout):
                if not self.knows(line):
                    self.results.pop(rollout.id, None)
                    self.measures.pop(rollout.id, None)
                    self.referee.pop(rollout.id, None)
                self.rollouts[rollout.id] = rollout
            case _VerdictLine(rollout_id=id_, verdict=result) | _FailureLine(rollout_id=id_, failure=result):
                self.results[id_] = result
            case _MeasuresLine(measures=measures):
                self.measures[measures.rollout_id] = measures
            case _RefereeLine(rollout_id=id_):
                said = line.verdict or line.failure
                if said is not None:
                    self.referee[id_] = said


class RolloutLog:
    """The writer of one step's file, made with its first line. What an earlier attempt left in it is read at once."""

    def __init__(self, path: Path) -> None:
        self.recorded = read_rollouts(path)
        self._path = path
        self._log: AppendLog | None = None

    def append(self, output: Row | RolloutMeasures | RefereeResult) -> None:
        """Write what is new in ``output``; what is recorded already is not repeated. Raises ``OSError``."""
        for line in _lines_of(output):
            if not self.recorded.knows(line):
                if self._log is None:
                    self._log = AppendLog(self._path)
                self._log.append(_encode(line))
                self.recorded.add(line)

    def sync(self) -> None:
        """Make all that was appended durable."""
        if self._log is not None:
            self._log.sync()

    def close(self) -> None:
        if self._log is not None:
            self._log.close()


def read_rollouts(path: Path) -> Recorded:
    """Everything recorded in a file; nothing for a missing one. A torn last line is left out, a damaged one counted."""
    recorded = Recorded()
    for raw in read_lines(path):
        line = _decode(raw)
        if line is None:
            recorded.damaged += 1
        else:
            recorded.add(line)
    recorded.results = {id_: result for id_, result in recorded.results.items() if id_ in recorded.rollouts}
    return recorded


def supersede_after(run: RunDir, step: int) -> list[Path]:
    """Set aside the files of steps after ``step``, whose policy no longer exists; returns their new paths."""
    moved = []
    for path in sorted(run.rollouts(0).parent.glob("step_*.jsonl")):
        match = _FILE.match(path.name)
        if match and int(match[1]) > step:
            number = 1
            while (aside := path.with_name(f"superseded-{path.stem}-{number}.jsonl")).exists():
                number += 1
            moved.append(path.rename(aside))
    return moved


def _lines_of(output: Row | RolloutMeasures | RefereeResult) -> Iterable[_AnyLine]:
    match output:
        case Rollout():
            yield _RolloutLine(output)
        case RolloutMeasures():
            yield _MeasuresLine(output)
        case RefereeResult(rollout_id=id_, result=Verdict() as verdict):
            yield _RefereeLine(id_, verdict=verdict)
        case RefereeResult(rollout_id=id_, result=JudgeFailure() as failure):
            yield _RefereeLine(id_, failure=failure)
        case JudgedRollout(rollout=rollout, result=Verdict() as verdict):
            yield _RolloutLine(rollout)
            yield _VerdictLine(rollout.id, verdict)
        case JudgedRollout(rollout=rollout, result=JudgeFailure() as failure):
            yield _RolloutLine(rollout)
            yield _FailureLine(rollout.id, failure)


def _encode(line: _AnyLine) -> bytes:
    body = encode(line)[1:]
    return b'{"crc":%d,' % zlib.crc32(body) + body


def _decode(raw: bytes) -> _AnyLine | None:
    match = _PREFIX.match(raw)
    if match is None or zlib.crc32(raw[match.end() :]) != int(match[1]):
        return None
    try:
        return _decoder.decode(b"{" + raw[match.end() :])
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None
