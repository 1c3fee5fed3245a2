"""How the test server breaks: refusals before a reply, replies that are spoiled, and connections that fail."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any

RATE_FAULTS = ("429_s", "500", "503", "529", "reset", "reset_body", "html", "cut", "empty")
"""What ``fault_rate`` draws from: faults that another try may mend."""


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class HangError(Exception):
    """Say no more, but keep the connection."""


class ResetError(Exception):
    """Tear the connection down, after ``sent`` of the reply."""

    def __init__(self, sent: bytes = b"") -> None:
        super().__init__()
        self.sent = sent


def render(reply: Reply) -> bytes:
    headers = {
        "content-type": "application/json",
        "content-length": str(len(reply.body)),
        "x-request-id": "req_test",
        "request-id": "req_test",
        **reply.headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode("latin-1") + reply.body


def good(body: dict[str, Any]) -> Reply:
    return Reply(200, json.dumps(body).encode())


def error(
    status: int,
    message: str,
    *,
    code: str | None = None,
    kind: str = "invalid_request_error",
    param: str | None = None,
    headers: dict[str, str] | None = None,
    details: dict[str, str] | None = None,
) -> Reply:
    inner: dict[str, Any] = {"message": message, "type": kind, "param": param, "code": code}
    if details:
        inner["details"] = details
    return Reply(status, json.dumps({"type": "error", "error": inner}).encode(), headers or {})


def limited(**headers: str) -> Callable[[str], Reply]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda key: error(429, "Rate limit reached.", code="rate_limit_exceeded", headers=named)


def status_only(status: int, message: str, kind: str = "api_error") -> Callable[[str], Reply]:
    return lambda key: error(status, message, kind=kind)


def _reset(key: str) -> Reply:
    raise ResetError


def _hang(key: str) -> Reply:
    raise HangError


HTML = b"<!doctype html><html><body><h1>Bad gateway</h1></body></html>"
_TOO_LONG = "This model's maximum context length is 128000 tokens. However, your messages resulted in 200000 tokens."
_SPENT = {"error_code": "enforced_spend_limit_reached"}
EARLY: dict[str, Callable[[str], Reply]] = {
    "400": status_only(400, "Something in the request is wrong.", "invalid_request_error"),
    "400_context": lambda key: error(400, _TOO_LONG, code="context_length_exceeded", param="messages"),
    "400_context_text": status_only(400, "prompt is too long: 210000 tokens > 200000 maximum", "invalid_request_error"),
    "400_parameter": lambda key: error(
        400, "Unsupported value: 'temperature'.", code="unsupported_value", param="temperature"
    ),
    "401": lambda key: error(401, "Incorrect API key provided.", code="invalid_api_key"),
    "402": status_only(402, "Your credit balance is too low.", "billing_error"),
    "403": status_only(403, "This key may not use the model.", "permission_error"),
    "404": lambda key: error(404, "The model `nope` does not exist.", code="model_not_found"),
    "408": status_only(408, "Request timeout."),
    "409": status_only(409, "Conflict."),
    "413": status_only(413, "Request too large.", "request_too_large"),
    "422": status_only(422, "Unprocessable.", "invalid_request_error"),
    "429": limited(),
    "429_s": limited(retry_after="2"),
    "429_ms": limited(retry_after_ms="1500"),
    "429_date": lambda key: error(
        429, "Rate limit reached.", headers={"retry-after": formatdate(time.time() + 20, usegmt=True)}
    ),
    "429_600": limited(retry_after="600"),
    "429_quota": lambda key: error(429, "You exceeded your current quota.", code="insufficient_quota"),
    "429_spend": lambda key: error(429, "Spend limit reached.", kind="rate_limit_error", details=_SPENT),
    "500": status_only(500, "Internal error."),
    "502": lambda key: Reply(502, HTML, {"content-type": "text/html"}),
    "503": status_only(503, "Overloaded."),
    "504": status_only(504, "Gateway timeout."),
    "529": status_only(529, "Overloaded", "overloaded_error"),
    "302": lambda key: Reply(302, b"", {"location": "http://127.0.0.1:9/v1"}),
    "reset": _reset,
    "no_byte": _hang,
    "key_echo": lambda key: error(401, f"Incorrect API key provided: {key}.", code="invalid_api_key"),
}


def spoil(fault: str, body: dict[str, Any]) -> Reply:
    """A good reply with what the fault breaks in it; the tokens are spent all the same."""
    reply = good(body)
    match fault:
        case "html":
            return Reply(200, HTML, {"content-type": "text/html"})
        case "empty":
            return Reply(200, b"")
        case "cut":
            return Reply(200, reply.body[: len(reply.body) // 2])
        case "bad_utf8":
            return Reply(200, reply.body[:-1] + b', "x": "\xff\xfe"}')
        case "wrong_type":
            return Reply(200, reply.body, {"content-type": "text/plain"})
        case "list":
            return Reply(200, b"[1, 2]")
        case "huge":
            return Reply(200, b'{"x": "' + b"a" * (9 << 20) + b'"}')
        case "deep":
            return Reply(200, b"[" * 200_000)
        case "reset_body":
            raise ResetError(render(reply)[:-20])
    return reply


async def _stall(writer: asyncio.StreamWriter, data: bytes) -> None:
    writer.write(data[:-20])
    await writer.drain()
    raise HangError


async def _drip(writer: asyncio.StreamWriter, data: bytes) -> None:
    for byte in data:
        writer.write(bytes([byte]))
        await writer.drain()
        await asyncio.sleep(0.05)


SLOW = {"stall": _stall, "drip": _drip}
FAULTS = (
    *EARLY, *SLOW, "html", "empty", "cut", "bad_utf8", "wrong_type", "list", "huge", "deep", "reset_body",
    "no_choices", "null_content", "tool_call", "length", "reasoning_only", "refusal", "no_usage", "null_usage",
    "other_model", "no_logprobs", "logprobs_5", "low_mass", "nan", "eleven", "wrong_id", "two_verdicts",
)  # fmt: skip
"""Every fault that has a name."""
