"""One light row per response, and the texts of a file packed for searching: what the list of samples is made from.

A run may have 100,000 responses. A row keeps figures and one line of the prompt; texts are kept compressed per file
and unpacked for a search only; token ids are never kept.
"""

from __future__ import annotations

import re
import sys
import zlib
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core.ratings import fingerprint, rating_id
from core.rollout_log import Recorded, read_rollouts
from core.types import JudgeFailure, JudgeResult, Rollout, Verdict, reward_of

FILE = re.compile(r"^(step|validation)_(\d{6,})\.jsonl$")
"""Files that count: those that a rollback has set aside have other names."""
PROMPT_CHARACTERS = 120


class Row(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """A response as the list knows it, or (``problem``) a file that could not be read."""

    key: str
    """Unique in a run: its ``rating_id``."""
    id: str
    file: str
    step: int
    number: int = 0
    held_out: bool = False
    prompt_id: str = ""
    prompt: str = ""
    """The prompt's first words, as they are."""
    score: float | None = None
    reward: float | None = None
    """After the whole pipeline where the step is done, else the judge's."""
    kl: float | None = None
    tokens: int = 0
    cut: bool = False
    failed: str = ""
    """Status of a failed judgement."""
    judged: bool = False
    used: bool | None = None
    flags: tuple[str, ...] = ()
    text: str = ""
    """``fingerprint`` of the response."""
    problem: str = ""


@dataclass(frozen=True)
class Stamp:
    """What tells that a file is as it was."""

    inode: int
    size: int
    changed_ns: int


@dataclass(frozen=True)
class FileRows:
    """The rows of one file."""

    stamp: Stamp
    step: int
    held_out: bool
    rows: tuple[Row, ...]
    packed: bytes = b""

    def texts(self) -> list[str]:
        """Case-folded prompt, response and reason of each row, in the order of ``rows``."""
        return msgspec.msgpack.decode(zlib.decompress(self.packed), type=list[str]) if self.packed else []


def read_file(path: Path, stamp: Stamp) -> FileRows:
    """Rows of ``step_N.jsonl`` or ``validation_N.jsonl``; an unreadable file is one row that says why."""
    match = FILE.match(path.name)
    assert match is not None, path
    held_out, step = match[1] == "validation", int(match[2])
    try:
        recorded = read_rollouts(path)
    except OSError as error:
        return FileRows(
            stamp, step, held_out, (_problem(path, step, held_out, f"cannot be read ({error.strerror or error})"),)
        )
    rollouts = sorted(recorded.rollouts.values(), key=lambda rollout: rollout.row)
    rows = [_row(path.name, held_out, rollout, recorded) for rollout in rollouts]
    texts = [_searched(rollout, recorded.results.get(rollout.id)) for rollout in rollouts]
    if recorded.damaged:
        lines = "1 damaged line was" if recorded.damaged == 1 else f"{recorded.damaged} damaged lines were"
        rows.append(_problem(path, step, held_out, f"{lines} passed over"))
        texts.append("")
    return FileRows(stamp, step, held_out, tuple(rows), zlib.compress(msgspec.msgpack.encode(texts), 1))


def _problem(path: Path, step: int, held_out: bool, why: str) -> Row:
    return Row(
        key=f"file:{path.name}", id="", file=path.name, step=step, number=sys.maxsize, held_out=held_out,
        problem=f"{why}: {path.name}",
    )  # fmt: skip


def first_words(prompt: str) -> str:
    """As much of a prompt as a row keeps."""
    return prompt[: 4 * PROMPT_CHARACTERS].strip()[:PROMPT_CHARACTERS]


def _row(file: str, held_out: bool, rollout: Rollout, recorded: Recorded) -> Row:
    result, measures = recorded.results.get(rollout.id), recorded.measures.get(rollout.id)
    reward = measures.reward if measures else reward_of(result) if result else None
    return Row(
        key=rating_id(rollout.id, held_out=held_out),
        id=rollout.id,
        file=sys.intern(file),
        step=rollout.step,
        number=rollout.row,
        held_out=held_out,
        prompt_id=sys.intern(rollout.prompt.id),
        prompt=sys.intern(first_words(rollout.prompt.text)),
        score=result.score if isinstance(result, Verdict) else None,
        reward=reward,
        kl=measures.kl if measures else None,
        tokens=len(rollout.response_tokens),
        cut=rollout.finish == "length",
        failed=sys.intern(result.status) if isinstance(result, JudgeFailure) else "",
        judged=result is not None,
        used=measures.used if measures else None,
        flags=result.flags if result else (),
        text=fingerprint(rollout.response),
    )


def _searched(rollout: Rollout, result: JudgeResult | None) -> str:
    reason = result.reason if isinstance(result, Verdict) else result.message if result else ""
    text = "\n".join((rollout.prompt.text, rollout.response, reason))
    return text.encode("utf-8", "replace").decode().casefold()
