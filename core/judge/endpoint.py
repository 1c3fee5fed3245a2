"""Where a judge answers and what a call to it may end in: the seam between back ends, transport, cache and money."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Protocol

from ..errors import JudgeError
from ..types import FaultKind, Usage
from .question import Question
from .reading import Reading, Unreadable

FATAL_KINDS: frozenset[FaultKind] = frozenset({"auth", "quota", "not_found", "bad_request", "unavailable_mode"})
"""Faults that a person must mend; asking again is useless."""
RETRIED_KINDS: frozenset[FaultKind] = frozenset(
    {"timeout", "connect", "server", "rate_limited", "overloaded", "bad_body"}
)


class CallError(JudgeError):
    """A call that gave no reply. ``str(error)`` is a sentence for the person at the terminal, without secrets."""

    def __init__(
        self,
        kind: FaultKind,
        message: str,
        *,
        http_status: int | None = None,
        code: str = "",
        param: str = "",
        retry_after_s: float | None = None,
        request_id: str = "",
        billed: bool = False,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.http_status = http_status
        self.code = code
        self.param = param
        """The request's field that was refused, where the server names one."""
        self.retry_after_s = retry_after_s
        self.request_id = request_id
        self.billed = billed
        """Whether the provider may charge for it: a timeout or a broken body, not a refused connection or a 429."""
        self.attempts = 1
        """Calls made in all; set by the transport when it gives up."""

    @property
    def fatal(self) -> bool:
        return self.kind in FATAL_KINDS


@dataclass(frozen=True, kw_only=True)
class RawReply:
    """A reply as it came: the whole JSON body, and what can be known of it without understanding the verdict."""

    body: dict[str, Any]
    usage: Usage | None
    """None where the provider does not say."""
    model_returned: str
    provider_cost: Decimal | None = None
    """Dollars, where the provider's reply names them."""
    request_id: str = ""
    flags: tuple[str, ...] = ()
    """Such as ``dropped:temperature``."""


@dataclass(frozen=True)
class ModelInfo:
    """A model that an account offers."""

    id: str
    shutdown: str = ""
    """ISO date on which it stops answering, where the API says so."""
    display: str = ""


@dataclass(frozen=True, kw_only=True)
class Effective:
    """What a back end would send besides the question: part of the cache key."""

    base_url: str
    model: str
    parameters: dict[str, Any] = field(default_factory=dict)


class Backend(Protocol):
    """One way of asking one model. It sends once per call; retries, cache and money are others' business."""

    @property
    def name(self) -> str:
        """``decisions``, ``systemone``, ``chat_logprobs`` or ``chat_json``."""
        ...

    def effective(self) -> Effective:
        """Address, model and parameters as they would be sent now, after dropping what the model rejects."""
        ...

    async def send(self, question: Question, *, timeout_s: float, reask: bool = False) -> RawReply:
        """Ask once. With ``reask`` the prompt gains a line on the format and the output limit is doubled.

        Raises ``CallError``. A parameter that the model rejects is dropped, remembered and the call repeated at once.
        """
        ...

    def read(self, body: dict[str, Any], question: Question) -> Reading | Unreadable:
        """What a reply says; pure, so that a cached body reads the same."""
        ...

    def output_limit(self, *, reask: bool = False) -> int:
        """Most output tokens that a call can be billed for."""
        ...

    async def models(self) -> list[ModelInfo]:
        """What the account offers. Raises ``CallError``."""
        ...

    async def close(self) -> None: ...
