"""The record of a comparison: JSON lines that one process appends and anybody reads, also while it grows.

One ``Header``, then ``RowDone`` and ``DuelDone`` as they come, at last ``Finished``. In a run they lie in
``comparisons/``. A line that cannot be read is counted and passed over, as in every log of the product.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from ..files import read_lines
from ..judge.workbench.pairwise import Duel, Winner
from ..run_dir import RunDir
from ..types import Finish, JudgeFailure, JudgeRequest, JudgeResult, Verdict

ModelKind = Literal["base", "checkpoint", "adapter", "model"]
SUFFIX = ".jsonl"


class ComparedModel(msgspec.Struct, frozen=True, kw_only=True):
    """One of the models compared."""

    label: str
    """``A``, ``B``, ``C`` … in the order given; ``A`` is what the others are measured against."""
    named: str
    """As the person named it, such as ``my-run@200``."""
    title: str
    """For a person: ``base``, ``my-run step 200``, ``adapter ./dpo``."""
    kind: ModelKind
    source: str
    """Model id or folder of the weights, or of the base below an adapter."""
    step: int | None = None
    fingerprint: str = ""
    """Of the weights compared."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How responses were sampled: the same for all models, with the same random numbers for the same prompt."""

    seed: int
    temperature: float
    top_p: float = 1.0
    top_k: int = 0
    min_new_tokens: int = 0
    max_new_tokens: int
    system_prompt: str = ""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="header"):
    """What is compared, on what and how."""

    id: str
    time: float
    """Seconds since the epoch."""
    models: tuple[ComparedModel, ...]
    settings: Settings
    data: str
    """Path of the prompts, or words such as ``held-out prompts of my-run``."""
    data_fingerprint: str
    rows: int
    """Prompts that will be compared."""
    judge: str
    """Name of the judge for a person."""
    judge_version: str
    pair_judge: str = ""
    """How pairs are asked about, in words; empty if they are not."""
    pair_version: str = ""
    pid: int = 0


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What one model answered to one prompt."""

    text: str
    tokens: int
    finish: Finish
    verdict: Verdict | None = None
    failure: JudgeFailure | None = None
    """Why there is no verdict. One of the two is there once the reply was judged."""

    @property
    def score(self) -> float | None:
        """0 to 10; None where the judge gave none."""
        return None if self.verdict is None else self.verdict.score

    @property
    def result(self) -> JudgeResult | None:
        return self.verdict or self.failure


class RowDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="row"):
    """One prompt with a reply of every model, in the order of ``Header.models``."""

    row: int
    prompt_id: str
    prompt: str
    """As the judge and screens are shown it."""
    prompt_tokens: int
    reference: str | None = None
    system: str | None = None
    source: str = ""
    """Where the prompt comes from, if the data says so."""
    replies: tuple[Reply, ...]


class DuelDone(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="duel"):
    """The replies of two models to one prompt, asked about in both orders."""

    row: int
    left: int
    right: int
    """Positions in ``Header.models``; ``left < right``."""
    first: Winner | None
    """With the left model's reply shown first: ``A`` is left. None where the judge failed."""
    second: Winner | None
    """With the right model's reply shown first: ``A`` is right."""
    failure: str = ""
    cost_usd: float = 0.0

    @property
    def outcome(self) -> Literal["win", "tie", "loss", "error"]:
        """For the right model: a win or a loss only if both orders say so."""
        match self.first, self.second:
            case (None, _) | (_, None):
                return "error"
            case "B", "A":
                return "win"
            case "A", "B":
                return "loss"
            case _:
                return "tie"

    @property
    def inconsistent(self) -> bool:
        """The two orders do not say the same; it counts as a tie."""
        return self.outcome == "tie" and (self.first, self.second) != ("tie", "tie")


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="progress"):
    """What the process is doing; the last one holds."""

    time: float
    what: str
    """Such as ``loading B``, ``A answers``, ``waiting for the run``."""
    done: int = 0
    total: int = 0


class Finished(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="finished"):
    """The last line. Without it the process is at work or was killed."""

    time: float
    cost_usd: float = 0.0
    error: str = ""
    """Why it ended early; what was done until then counts."""


Line = Header | RowDone | DuelDone | Progress | Finished


@dataclass(frozen=True)
class Comparison:
    """A record as far as it goes."""

    path: Path
    header: Header
    rows: tuple[RowDone, ...] = ()
    """By ``row``."""
    duels: tuple[DuelDone, ...] = ()
    progress: Progress | None = None
    finished: Finished | None = None
    damaged: int = 0

    @property
    def id(self) -> str:
        return self.header.id

    @property
    def models(self) -> tuple[ComparedModel, ...]:
        return self.header.models

    def between(self, left: int, right: int) -> tuple[DuelDone, ...]:
        """The duels of these two models, ``left < right``."""
        return tuple(duel for duel in self.duels if (duel.left, duel.right) == (left, right))


def folder_of(run: RunDir) -> Path:
    """Where a run keeps its comparisons."""
    return run.path / "comparisons"


def encode(line: Line) -> bytes:
    """One line of the record, without its end."""
    return msgspec.json.encode(line)


def read(path: Path) -> Comparison | None:
    """The record in a file; None for a file without a header. Raises ``OSError``."""
    return fold(path, (decode(raw) for raw in read_lines(path)))


_decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)


def decode(raw: bytes) -> Line | None:
    """What a line says; None where it cannot be read."""
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return None


def fold(path: Path, lines: Iterable[Line | None]) -> Comparison | None:
    """A comparison from its lines; of two for one row or duel the later one holds."""
    header: Header | None = None
    rows: dict[int, RowDone] = {}
    duels: dict[tuple[int, int, int], DuelDone] = {}
    progress: Progress | None = None
    finished: Finished | None = None
    damaged = 0
    for line in lines:
        match line:
            case Header():
                header = line
            case RowDone():
                rows[line.row] = line
            case DuelDone():
                duels[line.row, line.left, line.right] = line
            case Progress():
                progress, finished = line, None
            case Finished():
                finished = line
            case _:
                damaged += 1
    if header is None:
        return None
    in_order = tuple(rows[row] for row in sorted(rows))
    return Comparison(path, header, in_order, tuple(duels[key] for key in sorted(duels)), progress, finished, damaged)


def comparisons(run: RunDir) -> list[Path]:
    """The records of a run, newest first."""
    try:
        found = [(path.stat().st_mtime, path) for path in folder_of(run).glob(f"*{SUFFIX}")]
    except OSError:
        return []
    return [path for _, path in sorted(found, reverse=True) if not path.name.endswith(f".votes{SUFFIX}")]


def trained(comparison: Comparison) -> int:
    """Which of the models to set beside the first one where only one can be: the furthest trained, else the second."""
    steps = {number: model.step for number, model in enumerate(comparison.models) if number and model.step is not None}
    return max(steps, key=lambda number: (steps[number], -number)) if steps else 1


def request_of(row: RowDone, reply: Reply) -> JudgeRequest:
    """What a judge is shown of a reply."""
    return JudgeRequest(
        task=row.prompt,
        response=reply.text,
        reference=row.reference,
        truncated=reply.finish == "length",
        system=row.system,
    )


def duel_of(row: RowDone, left: int, right: int, duel: Duel) -> DuelDone:
    """A duel of the workbench whose own response is the right model's: its second order showed the left one first."""
    first = None if isinstance(duel.second, JudgeFailure) else duel.second
    second = None if isinstance(duel.first, JudgeFailure) else duel.first
    why = next((said.message for said in (duel.first, duel.second) if isinstance(said, JudgeFailure)), "")
    return DuelDone(
        row=row.row, left=left, right=right, first=first, second=second, failure=why, cost_usd=duel.cost_usd
    )
