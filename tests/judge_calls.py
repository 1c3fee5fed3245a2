"""What the tests of the back ends share: a question, a back end on the test server, one call."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from judge_server import LETTERS, JudgeServer

from core.judge.backends import make_backend
from core.judge.backends.base import ModelBackend
from core.judge.capabilities import Capabilities
from core.judge.endpoint import CallError, RawReply
from core.judge.keys import Secret
from core.judge.question import Level, Question
from core.judge.reading import Reading, Unreadable
from core.judge.spec import JudgeSpec
from core.types import Message

KEY = "sk-test-0123456789abcdef"
ID = "0badcafe"
TASK, RESPONSE = "name two red fruits", "two red fruits are apples and cherries"
SCORE = 7.5  # three of the four words of the task: 10 * 3 / 4
LEVELS = tuple(Level(float(s), f"level {s}") for s in (0, 2, 4, 6, 8, 10))
LETTER_LINE = "The letters stand for marks: " + ", ".join(f"{LETTERS[i]} is {2 * i}" for i in range(6)) + "."
CHATS = [("openai", "chat_json"), ("openai-chat", "chat_json"), ("anthropic", "chat_json"), ("gemini", "chat_json"),
         ("compatible", "chat_json")]  # fmt: skip
ALL = [*CHATS, ("openai", "decisions"), ("compatible", "systemone"), ("compatible", "chat_logprobs")]


def question(response: str = RESPONSE, *, system: str = "Grade it. " + LETTER_LINE) -> Question:
    data = {"id": ID, "task": TASK, "reference": None, "response": response, "meta": {"truncated": False}}
    messages = (Message("system", system), Message("user", json.dumps(data) + "\nGrade the response above."))
    return Question(
        id=ID, messages=messages, canonical="", instructions="Grade it.", levels=LEVELS, task=TASK,
        response=response, reference=None, truncated=False, neutralised=0,
    )  # fmt: skip


def spec_for(server: JudgeServer, provider: str = "compatible", backend: str = "chat_json", **more: Any) -> JudgeSpec:
    url = server.root if provider == "anthropic" else server.url
    own = {"system": "Grade it.", "user": "{{ id }} {{ task | data }} {{ response | data }}"}  # asks for no criteria
    fields = {
        "provider": provider,
        "backend": backend,
        "model": "judge-small",
        "base_url": url,
        "template": own,
        **more,
    }
    return JudgeSpec.model_validate(fields)


@asynccontextmanager
async def backend_for(spec: JudgeSpec, capabilities: Capabilities | None = None) -> AsyncIterator[ModelBackend]:
    backend = make_backend(spec, Secret(KEY), capabilities or Capabilities())
    try:
        yield backend
    finally:
        await backend.close()


async def ask(
    spec: JudgeSpec, asked: Question | None = None, *, timeout_s: float = 5.0, reask: bool = False
) -> tuple[RawReply, Reading | Unreadable]:
    asked = asked or question()
    async with backend_for(spec) as backend:
        reply = await backend.send(asked, timeout_s=timeout_s, reask=reask)
        return reply, backend.read(json.loads(json.dumps(reply.body)), asked)  # as it comes back from a cache


async def fails(spec: JudgeSpec, *, timeout_s: float = 5.0) -> CallError:
    with pytest.raises(CallError) as caught:
        await ask(spec, timeout_s=timeout_s)
    assert KEY not in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value
