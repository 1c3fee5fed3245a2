"""Ways of asking a model for a score: one class per protocol, one function that picks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..capabilities import Capabilities
from ..endpoint import CallError, ModelInfo
from ..keys import Secret
from ..spec import JudgeSpec
from .base import ALTERNATIVES, ModelBackend
from .chat import ChatCompletions, Messages, Responses
from .levels import Decisions, SystemOne
from .logprobs import ChatLogprobs
from .wire import Wire

if TYPE_CHECKING:
    import httpx2

_PROVIDERS: dict[str, dict[str, type[ModelBackend]]] = {
    "openai": {"decisions": Decisions, "chat_logprobs": ChatLogprobs, "chat_json": Responses},
    "openai-chat": {"decisions": Decisions, "chat_logprobs": ChatLogprobs, "chat_json": ChatCompletions},
    "anthropic": {"chat_json": Messages},
    "gemini": {"chat_json": ChatCompletions},
    "compatible": {
        "decisions": Decisions,
        "systemone": SystemOne,
        "chat_logprobs": ChatLogprobs,
        "chat_json": ChatCompletions,
    },
}


def make_backend(
    spec: JudgeSpec, key: Secret | None, capabilities: Capabilities, *, http_client: httpx2.AsyncClient | None = None
) -> ModelBackend:
    """The back end of a judge that is asked over an API. Nothing is sent yet and no SDK is loaded.

    Raises ``CallError`` (``unavailable_mode``) where the provider has no such mode, naming those that it has.
    """
    offered = _PROVIDERS[spec.provider]
    if spec.backend not in offered:
        modes = ", ".join(ALTERNATIVES[name] for name in offered)
        raise CallError("unavailable_mode", f'provider "{spec.provider}" has no backend {spec.backend}; it has {modes}')
    if not spec.model:
        raise CallError("not_found", f"judge '{spec.name}': model is empty; 'rlaif-tui judge models' lists some")
    return offered[spec.backend](spec, Wire(spec, key, http_client), capabilities)


def name_of_mode(spec: JudgeSpec) -> str:
    """How a judge asks, in words: ``chat_json over Responses``."""
    protocols: dict[type[ModelBackend] | None, str] = {
        Responses: "Responses",
        Messages: "Messages",
        ChatCompletions: "Chat Completions",
        ChatLogprobs: "Chat Completions",
    }
    protocol = protocols.get(_PROVIDERS[spec.provider].get(spec.backend))
    return f"{spec.backend} over {protocol}" if protocol else spec.backend


async def list_models(spec: JudgeSpec, key: Secret | None) -> list[ModelInfo]:
    """What the account behind ``spec``'s provider, address and key offers. Raises ``CallError``."""
    wire = Wire(spec, key)
    try:
        return await wire.models()
    finally:
        await wire.close()
