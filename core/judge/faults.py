"""What an exception of an SDK means: one ``CallError`` with a sentence for the person at the terminal.

Vendors word their errors differently and change the words; statuses and codes decide, and words only where a vendor
gives nothing else. The reply's text is read here and not by the SDKs, which understand their own vendor's alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ..types import FaultKind
from .endpoint import CallError
from .keys import mask

_LONGEST_QUOTE = 300
_LONGEST_NAME = 120
_QUOTA_CODES = frozenset(
    {
        "insufficient_quota",
        "billing_hard_limit_reached",
        "billing_not_active",
        "billing_error",
        "contract_spend_limit_reached",
        "enforced_spend_limit_reached",
        "linked_organization_spend_limit_reached",
    }
)
_QUOTA_WORDS = re.compile(r"credit balance is too low|insufficient (?:credits|balance|quota)", re.IGNORECASE)
_KEY_CODES = frozenset({"invalid_api_key", "api_key_invalid", "authentication_error"})
_KEY_WORDS = re.compile(r"api key not valid|invalid api key|incorrect api key", re.IGNORECASE)
_LONG_CODES = frozenset({"context_length_exceeded", "request_too_large", "string_above_max_length"})
_LONG_WORDS = re.compile(
    r"maximum context length|prompt is too long|context window|context length|exceeds? the (?:available )?context"
    r"|input token count .{0,60}exceeds|too many tokens|longer than the maximum model length|input is too long",
    re.IGNORECASE,
)
_MODEL_CODES = frozenset({"model_not_found", "not_found_error"})
_STATUS_KINDS: dict[int, FaultKind] = {
    401: "auth",
    402: "quota",
    403: "auth",
    404: "not_found",
    408: "timeout",
    409: "server",
    413: "too_long",
    429: "rate_limited",
    504: "timeout",
    524: "timeout",
    529: "overloaded",
}
_MAYBE_BILLED = frozenset({504, 524})
"""A gateway that gave up waiting: the model behind it may have worked."""


class BodyTooLargeError(Exception):
    """A reply that is longer than any verdict; raised while it is read."""


@dataclass(frozen=True)
class Complaint:
    """What a server's error reply says, whatever its shape."""

    message: str = ""
    codes: frozenset[str] = frozenset()
    code: str = ""
    param: str = ""


def call_error_from(error: BaseException, *, what: str, key_name: str = "") -> CallError:
    """The ``CallError`` for an exception raised by a call. ``what`` names the judge, such as ``m at api.openai.com``.

    ``key_name`` is the environment variable of the key. An exception that is none of the known ones is of the
    kind ``exception`` and names its type.
    """
    if isinstance(error, CallError):
        return error
    if isinstance(error, asyncio.CancelledError):
        return CallError("cancelled", f"{what}: the call was cancelled", billed=True)
    response = getattr(error, "response", None)
    if response is not None and isinstance(getattr(response, "status_code", None), int):
        return _from_response(response, what, key_name)
    chain = {parent.__name__ for e in _causes(error) for parent in type(e).__mro__}
    if chain & {"BodyTooLargeError"}:
        return CallError("bad_body", f"{what}: the reply is too large to be a verdict", billed=True)
    if chain & {"ConnectTimeout", "ConnectError", "ConnectionRefusedError", "gaierror", "ProxyError", "PoolTimeout"}:
        detail = _quoted(str(list(_causes(error))[-1]))
        return CallError("connect", f"{what}: no connection{detail}; is the server running, is base_url right?")
    if chain & {"TimeoutError", "TimeoutException", "ReadTimeout", "WriteTimeout", "APITimeoutError"}:
        return CallError("timeout", f"{what}: no whole reply in time", billed=True)
    if chain & {"JSONDecodeError", "UnicodeDecodeError", "APIResponseValidationError", "DecodingError"}:
        return CallError("bad_body", f"{what}: the reply is not the JSON that was expected", billed=True)
    if chain & {"APIConnectionError", "RequestError", "ReadError", "WriteError", "RemoteProtocolError", "EndOfStream"}:
        return CallError("connect", f"{what}: the connection broke before the reply was whole", billed=True)
    return CallError("exception", f"{what}: {type(error).__name__}{_quoted(str(error))}", billed=True)


def complaint_of(text: str) -> Complaint:
    """Read an error body: OpenAI's, Anthropic's, Google's (in a list), FastAPI's (``detail``) or a plain string."""
    found: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        found = json.loads(text)
    if isinstance(found, list) and found:
        found = found[0]
    if not isinstance(found, Mapping):
        return Complaint(message="" if text.lstrip().startswith("<") else text)
    inner = found.get("error", found)
    if not isinstance(inner, Mapping):
        return Complaint(message=str(inner))
    details = inner.get("details")
    named = [inner.get("code"), inner.get("type"), inner.get("status")]
    if isinstance(details, Mapping):
        named.append(details.get("error_code"))
    elif isinstance(details, list):
        named += [d.get("reason") for d in details if isinstance(d, Mapping)]
    codes = [str(n) for n in named if isinstance(n, str) and n]
    message = inner.get("message", inner.get("detail", ""))
    param = inner.get("param")
    return Complaint(
        message=message if isinstance(message, str) else json.dumps(message, default=str),
        codes=frozenset(code.lower() for code in codes),
        code=next((c for c in reversed(codes) if c.lower() in _QUOTA_CODES), codes[0] if codes else ""),
        param=param if isinstance(param, str) else "",
    )


def retry_after_of(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait: ``retry-after-ms``, or ``retry-after`` in seconds or as an HTTP date."""
    for name, unit in (("retry-after-ms", 1e-3), ("retry-after", 1.0)):
        with contextlib.suppress(ValueError):
            seconds = float(headers.get(name, "")) * unit
            if 0.0 <= seconds < float("inf"):
                return seconds
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        moment = email.utils.parsedate_to_datetime(headers.get("retry-after", ""))
        return max(0.0, moment.timestamp() - time.time())
    return None


def _from_response(response: Any, what: str, key_name: str) -> CallError:
    status: int = response.status_code
    try:
        complaint = complaint_of(response.text)
    except Exception:  # noqa: BLE001  a body that was not read or cannot be decoded says nothing
        complaint = Complaint()
    kind = _kind_of(status, complaint)
    return CallError(
        kind,
        f"{what}: {_sentence(kind, status, complaint, key_name)}",
        http_status=status,
        code=mask(complaint.code)[:_LONGEST_NAME],
        param=mask(complaint.param)[:_LONGEST_NAME],
        retry_after_s=retry_after_of(response.headers),
        request_id=(response.headers.get("x-request-id") or response.headers.get("request-id") or "")[:_LONGEST_NAME],
        billed=status in _MAYBE_BILLED or status < 300,
    )


def _kind_of(status: int, complaint: Complaint) -> FaultKind:
    said = complaint.message
    if status < 300:
        return "bad_body"
    if status < 400:
        return "not_found"
    if complaint.codes & _QUOTA_CODES or (status < 500 and _QUOTA_WORDS.search(said)):
        return "quota"
    if "overloaded_error" in complaint.codes:
        return "overloaded"
    if status in (400, 413, 422) and (complaint.codes & _LONG_CODES or _LONG_WORDS.search(said)):
        return "too_long"
    if status == 400 and (complaint.codes & _KEY_CODES or _KEY_WORDS.search(said)):
        return "auth"
    if status in (400, 422) and complaint.codes & _MODEL_CODES:
        return "not_found"
    return _STATUS_KINDS.get(status) or ("server" if status >= 500 else "bad_request")


def _sentence(kind: FaultKind, status: int, complaint: Complaint, key_name: str) -> str:
    said = _quoted(complaint.message)
    match kind:
        case "auth":
            where = f"the key in {key_name}" if key_name else "the missing key (name its variable in api_key_env)"
            verb = "may not do this" if status == 403 else "was refused"
            return f"{where} {verb}{said}; check {key_name or 'the key'} and what the account may use"
        case "quota":
            return f"the account's quota or credit is used up{said}; see the provider's billing and limits pages"
        case "not_found" if status < 400:
            return "the address answers with a redirect; put the address it leads to in base_url"
        case "not_found":
            return f"model or address unknown{said}; 'rlaif-tui judge models' lists what the account offers"
        case "too_long":
            return f"the prompt is longer than the model takes{said}"
        case "rate_limited":
            return f"too many requests for the account's rate limit{said}"
        case "overloaded":
            return f"the provider is overloaded{said}"
        case "timeout":
            return f"the server gave up waiting (HTTP {status}){said}"
        case "bad_request":
            return f"the request was refused (HTTP {status}){said}; check the judge's parameters"
        case _:
            return f"the server failed (HTTP {status}){said}"


def _quoted(text: str) -> str:
    """The server's words in one line, masked, with a colon before them; nothing where it said nothing."""
    line = " ".join(mask(text).split())
    line = "".join(c for c in line if c.isprintable())
    if len(line) > _LONGEST_QUOTE:
        line = line[:_LONGEST_QUOTE] + "..."
    return f": {line.rstrip('.')}" if line else ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, the outermost first."""
    seen: BaseException | None = error
    for _ in range(8):
        if seen is None:
            return
        yield seen
        seen = seen.__cause__ or seen.__context__
