"""What all back ends share: sending with parameters that the model rejects left out, and what a reply cost."""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, ClassVar

from ...types import Message, Usage
from ..capabilities import DROPPABLE, MAX_DROPS, RENAMED, Capabilities, prune, rejected_by
from ..endpoint import CallError, Effective, ModelInfo, RawReply
from ..question import Question
from ..reading import Reading, Scale, Unreadable
from ..spec import JudgeSpec
from .wire import Wire

ALTERNATIVES = {
    "decisions": "decisions (OpenAI's gpt-6-luna)",
    "systemone": "systemone (vLLM, Ollama or llama.cpp)",
    "chat_logprobs": "chat_logprobs (chat models that give log-probabilities)",
    "chat_json": "chat_json (any chat model)",
}
REASK_LINE = "Your last reply could not be read. Answer in the required format only, with nothing before or behind it."
FIXED = frozenset(
    {
        "model", "messages", "input", "instructions", "system", "questions", "state", "stream", "n", "logprobs",
        "top_logprobs", "max_tokens", "max_completion_tokens", "max_output_tokens",
    }
)  # fmt: skip
"""Fields that ``parameters.extra`` must not touch: with them a score would mean, or cost, something else."""


class ModelBackend(ABC):
    """Asks one model over one protocol. Subclasses give the body and read the reply."""

    name: ClassVar[str]
    path: ClassVar[str]

    def __init__(self, spec: JudgeSpec, wire: Wire, capabilities: Capabilities) -> None:
        self.spec = spec
        self.scale = Scale(spec.scale.low, spec.scale.high)
        self._wire = wire
        self._capabilities = capabilities
        if touched := sorted(FIXED & spec.parameters.extra.keys()):
            raise CallError("bad_request", f"judge '{spec.name}': parameters.extra must not set {touched[0]}")

    @property
    @abstractmethod
    def limit(self) -> int:
        """Most output tokens that a first call can be billed for."""

    @property
    def limit_name(self) -> str:
        """The body's field for the limit; empty where the protocol has none."""
        return ""

    @abstractmethod
    def content(self, question: Question) -> dict[str, Any]:
        """The body's part that is about this question."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """The rest of the body, before anything is dropped."""

    @abstractmethod
    def read(self, body: dict[str, Any], question: Question) -> Reading | Unreadable: ...

    def output_limit(self, *, reask: bool = False) -> int:
        return self.limit * (2 if reask else 1)

    def check(self, body: dict[str, Any]) -> None:  # noqa: B027  most have nothing to check
        """Raise ``CallError`` where the reply shows that the model cannot be asked this way."""

    def unavailable(self, error: CallError) -> CallError | None:  # noqa: ARG002  a chat can always be had
        """The ``unavailable_mode`` that a refusal of the server means, if it means that."""
        return None

    def usage_of(self, body: dict[str, Any]) -> Usage | None:
        """Tokens as the provider counts them, or None where it does not say."""
        return usage_in(body.get("usage"))

    def effective(self) -> Effective:
        parameters = prune(self._parameters(reask=False), self._dropped())
        return Effective(base_url=self._wire.base_url, model=self.spec.model, parameters=parameters)

    async def send(self, question: Question, *, timeout_s: float, reask: bool = False) -> RawReply:
        if reask:
            question = replace(question, messages=(*question.messages, Message("user", REASK_LINE)))
        content = self.content(question)
        parameters = self._parameters(reask=reask)
        self._wire.load()
        deadline = asyncio.get_running_loop().time() + timeout_s
        dropped = self._dropped()
        for spent in range(MAX_DROPS + 1):
            asked = prune(parameters | content, dropped) | {"model": self.spec.model}
            left = max(0.0, deadline - asyncio.get_running_loop().time())
            try:
                body, request_id = await self._wire.post(self.path, asked, left)
                break
            except CallError as error:
                if (unavailable := self.unavailable(error)) is not None:
                    raise unavailable from error
                name = rejected_by(error, asked)
                if name is None or name in dropped or spent == MAX_DROPS:
                    raise
                self._capabilities.remember(self._wire.base_url, self.spec.model, name)
                dropped |= {name}
        self.check(body)
        return self._reply(body, request_id, parameters | content, dropped)

    def load(self) -> None:
        """Import the vendor's SDK, which takes a second: before the first call, whose time is limited."""
        self._wire.load()

    async def models(self) -> list[ModelInfo]:
        return await self._wire.models()

    async def close(self) -> None:
        await self._wire.close()

    def no_such_mode(self, reason: str, error: CallError | None = None) -> CallError:
        """The error for a score mode that this model does not have, with the modes that there are."""
        others = ", ".join(text for name, text in ALTERNATIVES.items() if name != self.name)
        return CallError(
            "unavailable_mode",
            f"{self._wire.what}: {reason}, so backend {self.name} cannot be used; others: {others}",
            http_status=error.http_status if error else None,
            code=error.code if error else "",
            request_id=error.request_id if error else "",
            billed=error is None,
        )

    def _parameters(self, *, reask: bool) -> dict[str, Any]:
        limit = {self.limit_name: self.output_limit(reask=reask)} if self.limit_name else {}
        return self.parameters() | limit | self.spec.parameters.extra

    def _dropped(self) -> frozenset[str]:
        return self._capabilities.dropped(self._wire.base_url, self.spec.model)

    def _reply(self, body: dict[str, Any], request_id: str, whole: dict[str, Any], dropped: frozenset[str]) -> RawReply:
        model = body.get("model")
        return RawReply(
            body=body,
            usage=self.usage_of(body),
            model_returned=model if isinstance(model, str) else "",
            provider_cost=cost_in(body.get("usage")),
            request_id=request_id,
            flags=tuple(sorted(_flag(name) for name in dropped if prune(whole, frozenset({name})) != whole)),
        )


def usage_in(found: Any) -> Usage | None:
    """OpenAI's ``usage`` under either set of names; None where it is missing or not made of counts."""
    if not isinstance(found, Mapping):
        return None
    read, written = count(found, "input_tokens", "prompt_tokens"), count(found, "output_tokens", "completion_tokens")
    if read is None or written is None:
        return None
    return Usage(
        input_tokens=read,
        cached_tokens=min(read, _detail(found, ("input_tokens_details", "prompt_tokens_details"), "cached_tokens")),
        output_tokens=written,
        reasoning_tokens=_detail(found, ("output_tokens_details", "completion_tokens_details"), "reasoning_tokens"),
    )


def count(found: Any, *names: str) -> int | None:
    """The first of these fields that holds a count."""
    if not isinstance(found, Mapping):
        return None
    values = (found.get(name) for name in names)
    return next((v for v in values if isinstance(v, int) and not isinstance(v, bool) and 0 <= v < 2**53), None)


def cost_in(found: Any) -> Decimal | None:
    """Dollars that the provider's reply names (OpenRouter and others: ``usage.cost``)."""
    cost = found.get("cost") if isinstance(found, Mapping) else None
    if isinstance(cost, bool) or not isinstance(cost, int | float) or not 0 <= cost < 1e6:
        return None
    return Decimal(repr(cost))


def number(value: Any) -> float | None:
    """A JSON number, not a bool."""
    try:
        return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
    except OverflowError:
        return None


def inside(value: Any, *path: str | int) -> Any:
    """What stands at a path of a JSON value, or None."""
    for step in path:
        if isinstance(step, str):
            value = value.get(step) if isinstance(value, Mapping) else None
        else:
            value = value[step] if isinstance(value, list) and -len(value) <= step < len(value) else None
    return value


def says(error: CallError, *words: str) -> bool:
    """Whether a refusal names one of these, as its parameter or in its message."""
    pattern = "|".join(re.escape(word) for word in words)
    return bool(re.search(pattern, f"{error.param} {error.code} {error}", re.IGNORECASE))


def _detail(found: Mapping[str, Any], groups: tuple[str, ...], name: str) -> int:
    return next((c for group in groups if (c := count(found.get(group), name)) is not None), 0)


def _flag(name: str) -> str:
    return name if name == RENAMED else f"dropped:{name}" if name in DROPPABLE else name
