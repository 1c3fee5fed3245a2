"""What the playground says and is told: one JSON object per line, to and from a process, or in a file of answers.

To the process: ``Ask`` after ``Ask``, and ``Cancel``. From it: ``Loading`` while it loads, one ``Ready``, then for each
ask ``Begun``, ``Chunk`` after ``Chunk`` of either side, and one ``Done`` per side; or ``Refused`` instead of what is
left. A live worker writes the same lines from ``Begun`` on into ``answer_file``. No torch here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from ..commands import Draw
from ..errors import RlaifError
from ..run_dir import RunDir
from ..types import Message

Side = Literal["base", "trained"]
SIDES: tuple[Side, ...] = ("base", "trained")
Ending = Literal["stop", "length", "cancelled"]


class PlayError(RlaifError):
    """A prompt that cannot be answered: too long, no checkpoint, no memory."""


class _Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    pass


class Ask(_Line, frozen=True, kw_only=True, tag="ask"):
    """Answer this chat on both sides."""

    number: int
    """From 1 on; what is told of this ask carries it."""
    messages: tuple[Message, ...]
    draw: Draw
    step: int | None = None
    """Checkpoint of the trained side; None: the newest there is by then."""


class Cancel(_Line, frozen=True, kw_only=True, tag="cancel"):
    """Stop the answer of this number."""

    number: int


class Loading(_Line, frozen=True, kw_only=True, tag="loading"):
    """Where loading is."""

    what: str
    seconds: float
    memory_mb: float
    """Resident memory of the process, MiB."""


class Ready(_Line, frozen=True, kw_only=True, tag="ready"):
    """Both models can be asked."""

    step: int
    device: str


class Begun(_Line, frozen=True, kw_only=True, tag="begun"):
    """The first tokens are on their way."""

    number: int
    step: int
    """PPO steps that the trained side has behind it."""
    prompt_tokens: int


class Chunk(_Line, frozen=True, kw_only=True, tag="chunk"):
    """More of a reply."""

    number: int
    side: Side
    text: str
    """What the reply grew by; never half a character."""
    tokens: int
    """Sampled so far, the end token among them."""


class Done(_Line, frozen=True, kw_only=True, tag="done"):
    """A reply is complete, or was stopped."""

    number: int
    side: Side
    text: str
    """The whole reply, in place of all its chunks."""
    tokens: int
    finish: Ending
    kl: float | None = None
    """Of the trained side: sum of trained minus base log-prob of the reply at the run's own temperature, nats."""


class Refused(_Line, frozen=True, kw_only=True, tag="refused"):
    """Nothing more comes of the ask of this number; 0: of any, and the process ends."""

    reason: str
    number: int = 0


Asked = Ask | Cancel
Told = Loading | Ready | Begun | Chunk | Done | Refused
Said = Begun | Chunk | Done | Refused
"""What is told of one ask."""

encode = msgspec.json.Encoder().encode
decode_asked = msgspec.json.Decoder(Asked).decode
decode_told = msgspec.json.Decoder(Told).decode


def answer_file(run: RunDir, command_id: str) -> Path:
    """Where a live worker answers the ``Generate`` of this id."""
    return run.path / "play" / f"{command_id}.jsonl"


def checkpoint_steps(run: RunDir) -> list[int]:
    """Steps that have a checkpoint, oldest first; whether each is whole is found when it is read."""
    names = (path.name.removeprefix("step_") for path in run.checkpoints.glob("step_*"))
    return sorted(int(name) for name in names if name.isdecimal())
