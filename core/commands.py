"""What the world may ask of the worker. A command is a request: it counts once the worker has answered it."""

from __future__ import annotations

import getpass
import os
import time
import uuid
from typing import Annotated, Literal

import msgspec

from .errors import RlaifError
from .types import Message

MAX_LINE_BYTES = 64 * 1024
Setting = Literal["kl_coef", "learning_rate", "critic_learning_rate", "judge_cap_usd"]
SETTINGS: tuple[Setting, ...] = ("kl_coef", "learning_rate", "critic_learning_rate", "judge_cap_usd")


class _Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex[:12])
    by: str = msgspec.field(default_factory=lambda: whoami())
    time: float = msgspec.field(default_factory=time.time)


class Pause(_Command, frozen=True, kw_only=True, tag="pause"):
    """Wait after the current step."""


class Resume(_Command, frozen=True, kw_only=True, tag="resume"):
    """Go on after a pause."""


class Stop(_Command, frozen=True, kw_only=True, tag="stop"):
    """Finish the current step, save a checkpoint and end the worker."""


class CheckpointNow(_Command, frozen=True, kw_only=True, tag="checkpoint"):
    """Save a checkpoint after the current step."""


class Set(_Command, frozen=True, kw_only=True, tag="set"):
    """Change a live setting from the next step on."""

    name: Setting
    value: float


class ReplaceJudge(_Command, frozen=True, kw_only=True, tag="replace_judge"):
    """Score with another judge from the next step on. Its file must be in the run's ``judge`` folder."""

    version: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
    """Name of that file without its ending: the judge's version."""


class Draw(msgspec.Struct, frozen=True, kw_only=True):
    """How replies to one prompt are drawn: the same for every model that is asked."""

    seed: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)] = 0
    temperature: Annotated[float, msgspec.Meta(ge=0.0, le=10.0)] = 1.0
    """0: the likeliest token each time."""
    top_p: Annotated[float, msgspec.Meta(gt=0.0, le=1.0)] = 1.0
    top_k: Annotated[int, msgspec.Meta(ge=0, le=10_000_000)] = 0
    """0: off."""
    max_new_tokens: Annotated[int, msgspec.Meta(ge=1, le=131_072)] = 256


class Generate(_Command, frozen=True, kw_only=True, tag="generate"):
    """Answer a chat between two steps, as the model is and as it was; the texts go into a file of the run."""

    messages: tuple[Message, ...]
    draw: Draw


class CancelGenerate(_Command, frozen=True, kw_only=True, tag="cancel_generate"):
    """Stop the answer to a ``Generate``, or do not begin it."""

    command_id: str


Command = Pause | Resume | Stop | CheckpointNow | Set | ReplaceJudge | Generate | CancelGenerate

_decoder: msgspec.json.Decoder[Command] = msgspec.json.Decoder(Command)


class CommandError(RlaifError):
    """A line of the command file is not a command."""


def decode(line: bytes) -> Command:
    """Read one command. Raises ``CommandError`` for anything outside the closed list, or a line over 64 KiB."""
    if len(line) > MAX_LINE_BYTES:
        raise CommandError(f"command of {len(line)} bytes; at most {MAX_LINE_BYTES} are read")
    try:
        return _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CommandError(f"not a command: {error}") from error


def name_of(command: Command) -> str:
    """The word a person types for it."""
    return type(command).__struct_config__.tag  # type: ignore[return-value]


def whoami() -> str:
    """``user@terminal`` of this process, for the log of who asked."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = str(os.getuid())
    for descriptor in (0, 1, 2):
        try:
            return f"{user}@{os.ttyname(descriptor).removeprefix('/dev/')}"
        except OSError:
            continue
    return f"{user}@-"
