"""``chat_json``: a chat model writes a JSON verdict, reasoning before score, or a bare mark (``output = "mark"``).

Three protocols: Chat Completions (OpenAI, Gemini's compatible endpoint, every other server), OpenAI's Responses, and
Anthropic's Messages. The order of the keys in the schema is the order in which they are written.
"""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

from ...types import Message, Usage
from ..parsing import read_json, read_mark
from ..question import Question
from ..reading import Reading, Unreadable
from ..resolve import marked_criteria
from .base import ModelBackend, count, inside


def schema(last: dict[str, Any]) -> dict[str, Any]:
    """A strict JSON schema of a verdict: id, reasoning, and what ``last`` says."""
    properties = {"id": {"type": "string"}, "reasoning": {"type": "string"}, **last}
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def verdict_schema(criteria: Sequence[str]) -> dict[str, Any]:
    """The schema of a verdict, with a mark for each criterion and a word on steering where the prompt asks for them."""
    if not criteria:
        return schema({"score": {"type": "number"}})
    marks = {
        "type": "object",
        "properties": {name: {"type": "number"} for name in criteria},
        "required": list(criteria),
        "additionalProperties": False,
    }
    return schema({"criteria": marks, "steering": {"type": "boolean"}, "score": {"type": "number"}})


COMPARISON = schema({"winner": {"type": "string", "enum": ["A", "B", "tie"]}})


class ChatJson(ModelBackend):
    """What the three protocols have in common: the messages, the re-ask, the reading."""

    name = "chat_json"

    @abstractmethod
    def reply_text(self, body: dict[str, Any]) -> str:
        """All that the model wrote as its answer; empty where it wrote nothing."""

    @abstractmethod
    def refusal(self, body: dict[str, Any]) -> str | None:
        """Why the model or the provider declined, as the API flags it; never guessed from the text."""

    @abstractmethod
    def was_cut(self, body: dict[str, Any]) -> bool:
        """Whether the output limit ended the reply."""

    @abstractmethod
    def format(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """The body's fields that hold the reply to a schema."""

    def read(self, body: dict[str, Any], question: Question) -> Reading | Unreadable:
        if (refused := self.refusal(body)) is not None:
            return Unreadable("refused", f"the judge declined: {refused[:200]}" if refused else "the judge declined")
        finish = "length" if self.was_cut(body) else ""
        text = self.reply_text(body)
        if self.spec.output == "mark":
            return read_mark(text, self.scale, finish=finish)
        return read_json(text, question.id, self.scale, finish=finish)

    @property
    def limit(self) -> int:
        return self.spec.parameters.max_output_tokens

    def content(self, question: Question) -> dict[str, Any]:
        return self.turns(question.messages) | (self.format(COMPARISON) if question.comparing else {})

    @abstractmethod
    def turns(self, messages: Sequence[Message]) -> dict[str, Any]:
        """The body's fields that carry the messages."""

    def shape(self) -> dict[str, Any]:
        """The structure that a verdict is held to; nothing for a bare mark."""
        return {} if self.spec.output == "mark" else self.format(verdict_schema(marked_criteria(self.spec)))


class ChatCompletions(ChatJson):
    """``POST /chat/completions``."""

    path = "/chat/completions"

    def turns(self, messages: Sequence[Message]) -> dict[str, Any]:
        return {"messages": [{"role": m.role, "content": m.content} for m in messages]}

    def format(self, wanted: dict[str, Any]) -> dict[str, Any]:
        named = {"name": "verdict", "strict": True, "schema": wanted}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def parameters(self) -> dict[str, Any]:
        return self.sampling() | self.shape()

    @property
    def limit_name(self) -> str:
        return "max_completion_tokens" if self.spec.provider in {"openai", "openai-chat"} else "max_tokens"

    def sampling(self) -> dict[str, Any]:
        """Temperature, seed and effort, as this provider takes them."""
        given = self.spec.parameters
        sent: dict[str, Any] = {"temperature": given.temperature, "top_p": given.top_p, "seed": given.seed}
        sent["reasoning_effort"] = given.reasoning_effort
        if self.spec.provider == "gemini":
            if given.reasoning_effort in {"none", "minimal"}:
                sent["reasoning_effort"] = "low"  # its thinking cannot be turned off
            if given.temperature == 0.0:
                sent["temperature"] = None  # below its default it is said to loop
        if self.spec.provider == "compatible" and given.reasoning_effort == "none":
            sent["chat_template_kwargs"] = {"enable_thinking": False}  # how vLLM and llama.cpp spell it
        return {name: value for name, value in sent.items() if value is not None}

    def reply_text(self, body: dict[str, Any]) -> str:
        content = inside(body, "choices", 0, "message", "content")
        if isinstance(content, list):  # some servers send parts
            return "".join(t for part in content if isinstance(t := inside(part, "text"), str))
        return content if isinstance(content, str) else ""

    def refusal(self, body: dict[str, Any]) -> str | None:
        said = inside(body, "choices", 0, "message", "refusal")
        if isinstance(said, str) and said:
            return said
        return "" if inside(body, "choices", 0, "finish_reason") == "content_filter" else None

    def was_cut(self, body: dict[str, Any]) -> bool:
        return bool(inside(body, "choices", 0, "finish_reason") == "length")


class Responses(ChatJson):
    """OpenAI's ``POST /responses``, with nothing stored there."""

    path = "/responses"

    def turns(self, messages: Sequence[Message]) -> dict[str, Any]:
        system = "\n\n".join(m.content for m in messages if m.role == "system")
        turns = [{"role": m.role, "content": m.content} for m in messages if m.role != "system"]
        return {"input": turns} | ({"instructions": system} if system else {})

    def content(self, question: Question) -> dict[str, Any]:
        key = hashlib.sha256(question.instructions.encode()).hexdigest()[:16]  # one per judge: the text is static
        return super().content(question) | {"prompt_cache_key": f"judge-{key}"}

    @property
    def limit_name(self) -> str:
        return "max_output_tokens"

    def format(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"text": {"format": {"type": "json_schema", "name": "verdict", "strict": True, "schema": wanted}}}

    def parameters(self) -> dict[str, Any]:
        given = self.spec.parameters
        sent: dict[str, Any] = {"temperature": given.temperature, "top_p": given.top_p, "store": False}
        if given.reasoning_effort is not None:
            sent["reasoning"] = {"effort": given.reasoning_effort}
        return {name: value for name, value in sent.items() if value is not None} | self.shape()

    def reply_text(self, body: dict[str, Any]) -> str:
        return "".join(
            t for p in _parts(body) if p.get("type") == "output_text" and isinstance(t := p.get("text"), str)
        )

    def refusal(self, body: dict[str, Any]) -> str | None:
        said = next((p.get("refusal") for p in _parts(body) if p.get("type") == "refusal"), None)
        if said is not None:
            return said if isinstance(said, str) else ""
        return "" if inside(body, "incomplete_details", "reason") == "content_filter" else None

    def was_cut(self, body: dict[str, Any]) -> bool:
        return bool(inside(body, "incomplete_details", "reason") == "max_output_tokens")


class Messages(ChatJson):
    """Anthropic's ``POST /v1/messages``. It takes no temperature, top_p or seed (API version 2026-10-21)."""

    path = "/v1/messages"

    @property
    def limit_name(self) -> str:
        return "max_tokens"

    def turns(self, messages: Sequence[Message]) -> dict[str, Any]:
        system = [{"type": "text", "text": m.content} for m in messages if m.role == "system"]
        turns = [{"role": m.role, "content": m.content} for m in messages if m.role != "system"]
        return {"messages": turns} | ({"system": system} if system else {})

    def format(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return {"output_config": {"format": {"type": "json_schema", "schema": wanted}} | self._effort()}

    def _effort(self) -> dict[str, Any]:
        effort = self.spec.parameters.reasoning_effort
        return {} if effort in {None, "none"} else {"effort": effort}

    def parameters(self) -> dict[str, Any]:
        sent: dict[str, Any] = {}
        if self.spec.parameters.reasoning_effort == "none":
            sent["thinking"] = {"type": "disabled"}
        if self.spec.output == "mark":
            return sent | ({"output_config": effort} if (effort := self._effort()) else {})
        return sent | self.shape()

    def reply_text(self, body: dict[str, Any]) -> str:
        blocks = body.get("content")
        texts = (
            b.get("text") for b in blocks if isinstance(b, dict) and b.get("type") == "text"
        ) if isinstance(blocks, list) else ()  # fmt: skip
        return "".join(t for t in texts if isinstance(t, str))

    def refusal(self, body: dict[str, Any]) -> str | None:
        return "" if body.get("stop_reason") == "refusal" else None

    def was_cut(self, body: dict[str, Any]) -> bool:
        return body.get("stop_reason") in ("max_tokens", "model_context_window_exceeded")

    def usage_of(self, body: dict[str, Any]) -> Usage | None:
        """Cached input is counted beside the other input here, not among it."""
        found = body.get("usage")
        fresh, written = count(found, "input_tokens"), count(found, "output_tokens")
        if fresh is None or written is None:
            return None
        cached = count(found, "cache_read_input_tokens") or 0
        return Usage(
            input_tokens=fresh + cached + (count(found, "cache_creation_input_tokens") or 0),
            cached_tokens=cached,
            output_tokens=written,
            reasoning_tokens=count(inside(found, "output_tokens_details"), "thinking_tokens") or 0,
        )


def _parts(body: dict[str, Any]) -> list[dict[str, Any]]:
    items = body.get("output")
    messages = (
        [i for i in items if isinstance(i, dict) and i.get("type") == "message"] if isinstance(items, list) else []
    )
    contents = [c for m in messages if isinstance(c := m.get("content"), list)]
    return [part for content in contents for part in content if isinstance(part, dict)]
