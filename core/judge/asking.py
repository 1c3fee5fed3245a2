"""From a response to the question that is asked about it, and from a comparison's reply to who has won."""

from __future__ import annotations

import functools
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Literal

from ..errors import JudgeError
from ..types import JudgeRequest, Message, UnreadableKind
from .marks import after_thought
from .objects import Found, TooBrokenError, objects_in
from .parsing import MAX_REPLY
from .question import Level, Question
from .reading import Unreadable
from .resolve import (
    FIELD_BACKENDS,
    PAIR_LEVELS,
    exemplars_of,
    instructions_of,
    levels_of,
    pair_template_of,
    rubric_of,
    scale_of,
    template_of,
)
from .spec import JudgeSpec
from .template import LABELS, PAIR_LABELS, JudgeTemplate, render, request_id
from .untrusted import neutralise

__all__ = ["LABELS", "PAIR_LABELS", "installation_secret", "make_pair_question", "make_question", "read_pair"]

SECRET_BYTES = 32
Winner = Literal["A", "B", "tie"]
_WINNERS: dict[str, Winner] = {"a": "A", "b": "B", "c": "tie", "tie": "tie"}


def make_question(spec: JudgeSpec, request: JudgeRequest, secret: bytes) -> Question:
    """Everything that is asked about one response. Raises ``JudgeError`` for a template that cannot be rendered."""
    template = template_of(spec)
    if template.is_pair:
        raise JudgeError(f"judge '{spec.name}' compares two responses and scores none; use another judge for scores")
    clean, count = _harmless(request)
    return _question(spec, template, clean, None, secret, count, levels_of(spec))


def make_pair_question(spec: JudgeSpec, request: JudgeRequest, other_response: str, secret: bytes) -> Question:
    """Which of two responses is better: the request's own is A, the other one B. Raises ``JudgeError``."""
    clean, count = _harmless(request)
    other = neutralise(other_response)
    levels = tuple(Level(float(i), text) for i, text in enumerate(PAIR_LEVELS))
    return _question(spec, pair_template_of(spec), clean, other.text, secret, count + other.count, levels)


def _harmless(request: JudgeRequest) -> tuple[JudgeRequest, int]:
    """The request with its texts neutralised, the system prompt as the first turn of the task, and how many marks."""
    task = request.task
    if request.system:
        first = "" if task.startswith(("user: ", "assistant: ")) else "user: "
        task = f"system: {request.system}\n\n{first}{task}"
    parts = [neutralise(task), neutralise(request.response), neutralise(request.reference or "")]
    reference = None if request.reference is None else parts[2].text
    clean = JudgeRequest(task=parts[0].text, response=parts[1].text, reference=reference, truncated=request.truncated)
    return clean, sum(part.count for part in parts)


def _question(
    spec: JudgeSpec,
    template: JudgeTemplate,
    clean: JudgeRequest,
    other: str | None,
    secret: bytes,
    neutralised: int,
    levels: tuple[Level, ...],
) -> Question:
    name = request_id(secret, clean, other)
    exemplars = tuple(
        replace(e, task=neutralise(e.task).text, response=neutralise(e.response).text) for e in exemplars_of(spec)
    )
    rubric, scale = rubric_of(spec), scale_of(spec)
    named, blank = (
        render(template, rubric, clean, id, scale=scale, exemplars=exemplars, other_response=other) for id in (name, "")
    )
    return Question(
        id=name,
        messages=named,
        canonical=_canonical(spec, blank, clean),
        instructions=instructions_of(spec),
        levels=levels,
        task=clean.task,
        response=clean.response,
        reference=clean.reference,
        truncated=clean.truncated,
        neutralised=neutralised,
        comparing=other is not None,
    )


def _canonical(spec: JudgeSpec, messages: tuple[Message, ...], clean: JudgeRequest) -> str:
    """What the reply may depend on, without the id: the messages, and the fields where those are sent instead."""
    asked: dict[str, object] = {"messages": [[m.role, m.content] for m in messages]}
    if spec.backend in FIELD_BACKENDS:
        asked["fields"] = [clean.task, clean.response, clean.reference, clean.truncated]
    return json.dumps(asked, sort_keys=True, ensure_ascii=True, separators=(",", ":"))


def read_pair(text: str, id: str) -> Winner | Unreadable:
    """Who has won: from the last JSON verdict that echoes ``id``.

    An empty ``id`` asks for none, and then a reply of one letter, A, B or C for a tie, counts as well.
    """
    own = after_thought(text)
    if own is None:
        return Unreadable("truncated", "the judge's reply ends in the middle of its thinking; raise max_output_tokens")
    if not own.strip():
        return Unreadable("empty", "the judge's reply is empty")
    if not id and (letter := _WINNERS.get(own.strip(" \n\t.*\"'").lower())):
        return letter
    try:
        found = list(objects_in(own[-MAX_REPLY:]))
    except TooBrokenError as error:
        return Unreadable("no_verdict", str(error))
    ours = [one for one in found if _is_ours(one, id.strip().lower())]
    if not ours:
        if any(one.cut for one in found):
            return Unreadable("truncated", "the judge's reply was cut off; raise max_output_tokens")
        if any("winner" in one.values for one in found):
            return Unreadable("injected", "the reply holds a verdict, but not with the id that the judge was given")
        return Unreadable("no_verdict", "the reply holds no JSON verdict with a winner")
    if ours[-1].broken:
        kind: UnreadableKind = "truncated" if ours[-1].cut else "no_verdict"
        return Unreadable(kind, "the judge's JSON verdict is cut off, malformed or has a key twice")
    winner = ours[-1].values["winner"]
    said = _WINNERS.get(winner.strip().lower()) if isinstance(winner, str) else None
    return said or Unreadable("no_verdict", "the verdict's winner is not A, B or tie")


def _is_ours(found: Found, wanted: str) -> bool:
    """Whether an object is meant as the verdict asked for. One that cannot be read is, if it names the id."""
    if found.span:
        return f'"{wanted}"' in found.span.lower() if wanted else '"winner' in found.span
    return "winner" in found.values and (not wanted or wanted in found.ids)


def installation_secret() -> bytes:
    """32 random bytes of this user on this machine, made on first use; processes that race agree on one.

    Where no file can be kept the secret lasts as long as the process. That changes no score and no cache key: the id
    it makes only has to be one that a response cannot know.
    """
    import platformdirs

    path = Path(platformdirs.user_data_dir("rlaif-tui")) / "secret"
    try:
        return _kept_secret(path)
    except OSError:
        return _secret_of_process()


def _kept_secret(path: Path) -> bytes:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        beside = path.with_name(f".secret-{os.getpid()}-{os.urandom(4).hex()}")
        try:
            beside.touch(mode=0o600, exist_ok=False)
            beside.write_bytes(os.urandom(SECRET_BYTES))
            os.link(beside, path)  # fails where another process was first: complete or absent, never half
        except FileExistsError:
            pass
        finally:
            beside.unlink(missing_ok=True)
    secret = path.read_bytes()
    if len(secret) != SECRET_BYTES:
        raise OSError(f"{path} holds {len(secret)} bytes")
    return secret


@functools.cache
def _secret_of_process() -> bytes:
    return os.urandom(SECRET_BYTES)
