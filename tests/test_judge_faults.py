"""Every way in which a call can fail has its kind, its facts and a sentence that says what to do, without the key."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import httpx2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judge_calls import ALL, KEY, ask, backend_for, fails, question, spec_for
from judge_server import JudgeServer

from core.judge.backends import make_backend
from core.judge.capabilities import Capabilities
from core.judge.endpoint import CallError
from core.judge.faults import call_error_from, complaint_of, retry_after_of
from core.judge.reading import Reading
from core.judge.spec import JudgeSpec

FAULTS: list[tuple[str, str, dict[str, Any]]] = [
    ("400", "bad_request", {"http_status": 400}),
    ("400_context", "too_long", {"http_status": 400}),
    ("400_context_text", "too_long", {}),
    ("401", "auth", {"http_status": 401, "fatal": True}),
    ("402", "quota", {"fatal": True}),
    ("403", "auth", {"fatal": True}),
    ("404", "not_found", {"fatal": True, "code": "model_not_found"}),
    ("408", "timeout", {"billed": False}),
    ("409", "server", {}),
    ("413", "too_long", {"fatal": False}),
    ("422", "bad_request", {"fatal": True}),
    ("429", "rate_limited", {"retry_after_s": None, "fatal": False, "billed": False}),
    ("429_s", "rate_limited", {"retry_after_s": 2.0}),
    ("429_ms", "rate_limited", {"retry_after_s": 1.5}),
    ("429_600", "rate_limited", {"retry_after_s": 600.0}),
    ("429_quota", "quota", {"fatal": True, "code": "insufficient_quota"}),
    ("429_spend", "quota", {"fatal": True, "code": "enforced_spend_limit_reached"}),
    ("500", "server", {"fatal": False, "billed": False}),
    ("502", "server", {}),
    ("503", "server", {}),
    ("504", "timeout", {"billed": True}),
    ("529", "overloaded", {"billed": False}),
    ("302", "not_found", {}),
    ("reset", "connect", {"billed": True}),
    ("reset_body", "connect", {"billed": True}),
    ("html", "bad_body", {"billed": True}),
    ("empty", "bad_body", {"billed": True}),
    ("cut", "bad_body", {"billed": True}),
    ("bad_utf8", "bad_body", {"billed": True}),
    ("list", "bad_body", {"billed": True}),
    ("deep", "bad_body", {"billed": True}),
    ("huge", "bad_body", {"billed": True}),
    ("key_echo", "auth", {}),
]


@pytest.mark.parametrize("provider", ["compatible", "anthropic"])
@pytest.mark.parametrize(("fault", "kind", "facts"), FAULTS)
async def test_every_fault_has_its_kind(provider: str, fault: str, kind: str, facts: dict[str, Any]) -> None:
    with JudgeServer(faults={0: fault}) as server:
        error = await fails(spec_for(server, provider))
        assert len(server.requests) == 1, "the SDK must not try again"
    assert error.kind == kind
    assert {name: getattr(error, name) for name in facts} == facts
    assert f"judge-small at 127.0.0.1:{server.port}: " in str(error)


@pytest.mark.parametrize("provider", ["compatible", "anthropic"])
@pytest.mark.parametrize("fault", ["no_byte", "stall", "drip"])
async def test_a_server_that_keeps_us_waiting_is_left_in_time(provider: str, fault: str) -> None:
    with JudgeServer(faults={0: fault}) as server:
        began = time.monotonic()
        error = await fails(spec_for(server, provider), timeout_s=0.3)
        assert 0.2 < time.monotonic() - began < 60.0  # the server would keep us for an hour
    assert (error.kind, error.billed) == ("timeout", True)


async def test_a_retry_date_is_turned_into_seconds() -> None:
    with JudgeServer(faults={0: "429_date"}) as server:
        error = await fails(spec_for(server))
    assert error.retry_after_s is not None
    assert 15 < error.retry_after_s <= 20


async def test_nobody_listens() -> None:
    with JudgeServer() as server:
        spec = spec_for(server)
    error = await fails(spec)
    assert (error.kind, error.billed) == ("connect", False)
    assert "is the server running" in str(error)


async def test_a_cancelled_call_stays_cancelled() -> None:
    with JudgeServer(delay=5) as server:
        async with backend_for(spec_for(server)) as backend:
            call = asyncio.ensure_future(backend.send(question(), timeout_s=5))
            await asyncio.sleep(0.2)
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call


async def test_sentences_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_JUDGE_KEY", KEY)
    with JudgeServer(faults=dict(enumerate(["401", "404", "429_quota", "key_echo"]))) as server:
        spec = spec_for(server, api_key_env="MY_JUDGE_KEY")
        async with backend_for(spec) as backend:
            for wanted in ("MY_JUDGE_KEY", "rlaif-tui judge models", "billing", "\\*\\*\\*"):
                with pytest.raises(CallError, match=wanted) as caught:
                    await backend.send(question(), timeout_s=5)
                assert KEY not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize("fault", ["no_usage", "null_usage", "wrong_type", "other_model"])
async def test_replies_that_are_only_odd_are_read(fault: str) -> None:
    for provider, backend in ALL[:5]:
        with JudgeServer(faults={0: fault}) as server:
            reply, reading = await ask(spec_for(server, provider, backend))
        assert isinstance(reading, Reading)
        assert (reply.usage is None) == (fault in {"no_usage", "null_usage"})
        assert reply.model_returned == ("another-model" if fault == "other_model" else "judge-small")


async def test_half_a_character_does_not_get_in() -> None:
    body = '{"model": "m", "choices": [{"message": {"content": "\\ud800 x \\ud83d\\ude00"}}], "\\udc00": 1}'
    handler = httpx2.MockTransport(lambda request: httpx2.Response(200, content=body.encode()))
    async with httpx2.AsyncClient(transport=handler) as client:
        spec = JudgeSpec(provider="compatible", model="m", base_url="http://127.0.0.1:1/v1")
        made = make_backend(spec, None, Capabilities(), http_client=client)
        reply = await made.send(question(), timeout_s=5)
        await made.close()
    json.dumps(reply.body, ensure_ascii=False).encode()
    assert made.reply_text(reply.body) == "\ufffd x \U0001f600"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("text", "message", "codes"),
    [
        ('{"error": {"message": "m", "type": "t", "code": "c"}}', "m", {"t", "c"}),
        ('{"type": "error", "error": {"type": "t", "message": "m", "details": {"error_code": "e"}}}', "m", {"t", "e"}),
        ('[{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT"}}]', "m", {"invalid_argument"}),
        ('{"error": {"message": "m", "details": [{"reason": "API_KEY_INVALID"}, 3]}}', "m", {"api_key_invalid"}),
        ('{"error": "model not loaded"}', "model not loaded", set()),
        ('{"detail": "Not Found"}', "Not Found", set()),
        ('{"object": "error", "message": "m", "type": "BadRequestError", "code": 400}', "m", {"badrequesterror"}),
        ("<html><h1>Bad gateway</h1></html>", "", set()),
        ("plain words", "plain words", set()),
        ("", "", set()),
        ("[]", "[]", set()),
        ("3", "3", set()),
    ],
)
def test_error_bodies_of_all_shapes(text: str, message: str, codes: set[str]) -> None:
    found = complaint_of(text)
    assert (found.message, set(found.codes)) == (message, codes)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_of(headers) == seconds


@settings(max_examples=300, deadline=None)
@given(status=st.sampled_from([200, 301, 400, 401, 404, 418, 429, 500, 529, 599]), body=st.binary(max_size=80))
def test_no_reply_of_a_server_breaks_the_classifier(status: int, body: bytes) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1:1/v1/chat/completions")
    response = httpx2.Response(status, content=body, request=request)
    error = call_error_from(httpx2.HTTPStatusError("x", request=request, response=response), what="m")
    assert error.http_status == status
    assert all(character.isprintable() for character in str(error))


def test_what_nobody_foresaw_is_named() -> None:
    error = call_error_from(TypeError("datetime is not JSON serializable"), what="m")
    assert (error.kind, error.fatal) == ("exception", False)
    assert "TypeError: datetime is not JSON serializable" in str(error)
    assert call_error_from(error, what="other") is error
    assert call_error_from(asyncio.CancelledError(), what="m").kind == "cancelled"
