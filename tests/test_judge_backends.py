"""Every back end against a server that speaks its protocol: result, usage, headers, refusals, and what breaks."""

from __future__ import annotations

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest
from judge_calls import (
    ALL,
    CHATS,
    ID,
    KEY,
    RESPONSE,
    SCORE,
    TASK,
    ask,
    backend_for,
    fails,
    question,
    spec_for,
)
from judge_server import LABEL_MASS, JudgeServer, always_a, constant, scripted, tokens

from core.judge.backends import list_models, make_backend, name_of_mode
from core.judge.capabilities import Capabilities
from core.judge.endpoint import CallError
from core.judge.keys import Secret
from core.judge.question import Question
from core.judge.reading import Reading, Unreadable
from core.judge.spec import JudgeSpec, ParametersSpec
from core.types import Message, Usage

# -- what comes back


@pytest.mark.parametrize(("provider", "backend"), ALL)
async def test_the_score_and_the_bill_are_exact(provider: str, backend: str) -> None:
    with JudgeServer(key=KEY, cached_tokens=3, reasoning_tokens=2) as server:
        reply, reading = await ask(spec_for(server, provider, backend))
        assert isinstance(reading, Reading)
        assert reading.score == pytest.approx(SCORE, abs=1e-12)
        read, written = server.billed
        assert reply.usage == Usage(
            input_tokens=read + (3 if provider == "anthropic" else 0),  # there, cached input stands beside the rest
            cached_tokens=3,
            output_tokens=written,
            reasoning_tokens=2,
        )
        assert read > 0
        assert reply.model_returned == "judge-small"
        assert (reply.provider_cost, reply.request_id, reply.flags) == (None, "req_test", ())
        assert len(server.requests) == 1


async def test_chat_usage_by_hand() -> None:
    with JudgeServer() as server:
        asked = question()
        reply, _ = await ask(spec_for(server), asked)
        text = f'{{"id": "{ID}", "reasoning": "Judged by rule.", "score": 7.5}}'
        wanted = tokens(asked.messages[0].content + asked.messages[1].content)
        assert reply.usage == Usage(input_tokens=wanted, output_tokens=tokens(text))


@pytest.mark.parametrize("backend", ["decisions", "systemone", "chat_logprobs"])
async def test_a_distribution_is_read_whole(backend: str) -> None:
    with JudgeServer(steering=lambda response: 0.9) as server:
        _, reading = await ask(spec_for(server, backend=backend))
    assert isinstance(reading, Reading)
    assert reading.distribution is not None
    # 7.5 lies three quarters of the way from 6 to 8
    assert reading.distribution == pytest.approx([(0, 0), (2, 0), (4, 0), (6, 0.25), (8, 0.75), (10, 0)])
    assert reading.label_mass == pytest.approx(1.0 if backend == "decisions" else LABEL_MASS)
    assert reading.steering_p == (None if backend == "chat_logprobs" else 0.9)


async def test_the_providers_own_cost_is_kept() -> None:
    with JudgeServer(cost=0.00001197) as server:
        reply, _ = await ask(spec_for(server, backend="systemone"))
    assert reply.provider_cost == Decimal("0.00001197")


@pytest.mark.parametrize(("provider", "backend"), CHATS)
async def test_a_bare_mark(provider: str, backend: str) -> None:
    with JudgeServer() as server:
        asked = question()
        said = Message("user", asked.messages[1].content.replace("Grade the", "Reply with the mark only. Grade the"))
        marked = Question(**{**asked.__dict__, "messages": (asked.messages[0], said)})
        _, reading = await ask(spec_for(server, provider, backend, output="mark"), marked)
        assert isinstance(reading, Reading)
        assert reading.score == SCORE
        body = server.requests[0].body
        assert not {"response_format", "text", "output_config"} & set(body), "a bare mark is not held to a schema"


@pytest.mark.parametrize(("provider", "backend"), CHATS)
async def test_a_mark_that_was_cut_is_none(provider: str, backend: str) -> None:
    """The first digit of "10" is a mark of its own; only the API knows that the reply was cut."""
    spec = JudgeSpec.model_validate(
        {"provider": provider, "backend": backend, "model": "m", "output": "mark", "base_url": "http://127.0.0.1:1/v1"}
    )
    made = make_backend(spec, None, Capabilities())
    part = {"type": "message", "content": [{"type": "output_text", "text": "1"}]}
    cut: dict[str, Any] = {
        "choices": [{"finish_reason": "length", "message": {"content": "1"}}],
        "output": [part],
        "incomplete_details": {"reason": "max_output_tokens"},
        "content": [{"type": "text", "text": "1"}],
        "stop_reason": "max_tokens",
    }
    whole = cut | {"incomplete_details": None, "stop_reason": "end_turn"}
    whole["choices"] = [{"finish_reason": "stop", "message": {"content": "1"}}]
    assert made.read(whole, question()) == Reading(score=1.0)
    reading = made.read(cut, question())
    assert isinstance(reading, Unreadable)
    assert reading.kind == "truncated"


@pytest.mark.parametrize(("provider", "backend"), CHATS)
async def test_a_pair_goes_through_the_same_call(provider: str, backend: str) -> None:
    system = 'Compare. Answer with JSON alone: {"id": ..., "reasoning": ..., "winner": "A", "B" or "tie"}.'
    data = {"id": ID, "task": TASK, "reference": None, "A": "no", "B": RESPONSE}
    asked = Question(
        **{
            **question().__dict__,
            "messages": (Message("system", system), Message("user", json.dumps(data))),
            "comparing": True,
        }
    )
    for pick, winner in ((None, "B"), (always_a, "A")):
        with JudgeServer(pick=pick) as server:
            async with backend_for(spec_for(server, provider, backend)) as made:
                reply = await made.send(asked, timeout_s=5)
                said = json.loads(made.reply_text(reply.body))  # type: ignore[attr-defined]
                assert (said["id"], said["winner"]) == (ID, winner)
            assert '"winner"' in json.dumps(server.requests[0].body)
            assert '"score"' not in json.dumps({k: v for k, v in server.requests[0].body.items() if k != "messages"})


# -- what is sent


async def test_openai_responses_request() -> None:
    with JudgeServer() as server:
        await ask(spec_for(server, "openai"))
        (sent,) = server.requests
    assert (sent.method, sent.path) == ("POST", "/v1/responses")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in sent.headers
    assert sent.body["instructions"].startswith("Grade it.")
    assert [turn["role"] for turn in sent.body["input"]] == ["user"]
    assert sent.body["reasoning"] == {"effort": "none"}
    assert (sent.body["max_output_tokens"], sent.body["store"], sent.body["temperature"]) == (400, False, 0.0)
    form = sent.body["text"]["format"]
    assert (form["type"], form["strict"]) == ("json_schema", True)
    assert list(form["schema"]["properties"]) == ["id", "reasoning", "score"], "reasoning is written before the score"
    assert form["schema"]["additionalProperties"] is False


async def test_anthropic_messages_request() -> None:
    with JudgeServer() as server:
        await ask(spec_for(server, "anthropic"))
        (sent,) = server.requests
    assert (sent.method, sent.path) == ("POST", "/v1/messages")
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["anthropic-version"] == "2026-10-21"
    assert not {"temperature", "top_p", "seed"} & set(sent.body), "this API refuses them"
    assert sent.body["thinking"] == {"type": "disabled"}
    assert sent.body["max_tokens"] == 400
    assert sent.body["system"][0]["type"] == "text"
    assert sent.body["output_config"]["format"]["type"] == "json_schema"
    assert "effort" not in sent.body["output_config"]


async def test_chat_requests_differ_by_provider() -> None:
    bodies = {}
    for provider in ("openai-chat", "gemini", "compatible"):
        with JudgeServer() as server:
            await ask(spec_for(server, provider))
            bodies[provider] = server.requests[0].body
            assert server.requests[0].path == "/v1/chat/completions"
    assert bodies["openai-chat"]["max_completion_tokens"] == 400
    assert bodies["openai-chat"]["reasoning_effort"] == "none"
    assert bodies["gemini"]["reasoning_effort"] == "low"
    assert "temperature" not in bodies["gemini"]
    assert bodies["gemini"]["max_tokens"] == 400
    assert bodies["compatible"]["chat_template_kwargs"] == {"enable_thinking": False}
    assert bodies["compatible"]["response_format"]["json_schema"]["strict"] is True


async def test_logprobs_request_asks_for_one_token() -> None:
    with JudgeServer() as server:
        await ask(spec_for(server, "openai-chat", "chat_logprobs"))
        body = server.requests[0].body
    assert (body["logprobs"], body["top_logprobs"], body["max_completion_tokens"]) == (True, 20, 1)
    assert "response_format" not in body


async def test_decisions_request_keeps_the_response_a_field() -> None:
    with JudgeServer() as server:
        await ask(spec_for(server, "openai", "decisions"))
        body = server.requests[0].body
    part = body["input"][0]["content"][0]
    assert part["type"] == "input_json"
    assert part["data"]["response"] == RESPONSE
    quality, steer = body["questions"]
    assert [level["label"] for level in quality["levels"]] == ["0", "2", "4", "6", "8", "10"]
    assert (steer["type"], steer["name"]) == ("predicate", "steer")


async def test_extra_fields_are_sent_and_ours_are_not_theirs_to_set() -> None:
    with JudgeServer() as server:
        extra = ParametersSpec(extra={"provider": {"order": ["x"]}, "temperature": 0.5})
        await ask(spec_for(server, parameters=extra))
        assert server.requests[0].body["provider"] == {"order": ["x"]}
        assert server.requests[0].body["temperature"] == 0.5
        for name in ("model", "n", "stream", "max_tokens", "logprobs"):
            with pytest.raises(CallError, match=f"must not set {name}"):
                make_backend(spec_for(server, parameters=ParametersSpec(extra={name: 1})), None, Capabilities())


async def test_a_reask_adds_a_line_and_doubles_the_limit() -> None:
    with JudgeServer() as server:
        spec = spec_for(server)
        _, reading = await ask(spec, reask=True)
        assert isinstance(reading, Reading)
        body = server.requests[0].body
        assert body["max_tokens"] == 800
        assert "required format" in body["messages"][-1]["content"]
        async with backend_for(spec) as backend:
            assert (backend.output_limit(), backend.output_limit(reask=True)) == (400, 800)


async def test_without_a_key_none_is_sent_and_no_organisation(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_ORG_ID", "OPENAI_PROJECT_ID"):
        monkeypatch.setenv(name, "secret-of-the-environment")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    with JudgeServer() as server:
        backend = make_backend(spec_for(server), None, Capabilities())
        await backend.send(question(), timeout_s=5)
        await backend.close()
        sent = server.requests[0]
    assert sent.headers["authorization"] == "Bearer none"
    assert "secret-of-the-environment" not in json.dumps(sent.headers)


@pytest.mark.parametrize(
    ("provider", "host", "path"),
    [
        ("openai", "api.openai.com", "/v1/responses"),
        ("openai-chat", "api.openai.com", "/v1/chat/completions"),
        ("anthropic", "api.anthropic.com", "/v1/messages"),
        ("gemini", "generativelanguage.googleapis.com", "/v1beta/openai/chat/completions"),
    ],
)
async def test_vendors_are_found_without_an_address(
    provider: str, host: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9")
    seen: list[httpx2.Request] = []

    def handler(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(200, json={"model": "m"})

    spec = JudgeSpec.model_validate({"provider": provider, "model": "m"})
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(handler)) as client:
        backend = make_backend(spec, Secret(KEY), Capabilities(), http_client=client)
        await backend.send(question(), timeout_s=5)
        await backend.close()
    assert [(r.url.host, r.url.path, r.url.scheme) for r in seen] == [(host, path, "https")]


# -- what a model rejects


@pytest.mark.parametrize("terse", [False, True])
async def test_rejected_parameters_are_dropped_once_and_remembered(terse: bool, tmp_path: Path) -> None:
    path = tmp_path / "caps.json"
    rejects = ("temperature", "reasoning_effort", "chat_template_kwargs", "max_tokens")
    with JudgeServer(rejects=rejects, terse=terse) as server:
        spec = spec_for(server)
        async with backend_for(spec, Capabilities(path)) as backend:
            assert "temperature" in backend.effective().parameters
            reply = await backend.send(question(), timeout_s=5)
            assert len(server.requests) == 5
            assert reply.flags == ("dropped:effort", "dropped:temperature", "dropped:thinking", "renamed:output_limit")
            assert backend.effective().parameters["max_completion_tokens"] == 400
            assert not set(rejects) & set(backend.effective().parameters)
        async with backend_for(spec, Capabilities(path)) as later:
            again = await later.send(question(), timeout_s=5)
            assert again.flags == reply.flags
        assert len(server.requests) == 6, "the second process asks right at once"


async def test_at_most_four_parameters_are_dropped() -> None:
    rejects = ("temperature", "reasoning_effort", "chat_template_kwargs", "max_tokens", "response_format")
    with JudgeServer(rejects=rejects) as server:
        error = await fails(spec_for(server))
        assert (error.kind, error.param) == ("bad_request", "response_format")
        assert len(server.requests) == 5


@pytest.mark.parametrize(
    ("provider", "rejects", "flag"),
    [
        ("openai", ("reasoning",), "dropped:effort"),
        ("openai", ("text",), "dropped:response_format"),
        ("openai", ("prompt_cache_key",), "dropped:prompt_cache_key"),
        ("openai", ("store",), "dropped:store"),
        ("anthropic", ("thinking",), "dropped:thinking"),
        ("anthropic", ("output_config",), "dropped:response_format"),
    ],
)
async def test_other_protocols_drop_theirs(provider: str, rejects: tuple[str, ...], flag: str) -> None:
    with JudgeServer(rejects=rejects) as server:
        reply, reading = await ask(spec_for(server, provider))
        assert isinstance(reading, Reading)
        assert reply.flags == (flag,)
        assert len(server.requests) == 2


async def test_a_score_mode_that_is_not_there_is_an_error_with_alternatives() -> None:
    for terse in (False, True):
        with JudgeServer(rejects=("logprobs",), terse=terse) as server:
            error = await fails(spec_for(server, backend="chat_logprobs"))
            assert (error.kind, error.fatal, len(server.requests)) == ("unavailable_mode", True, 1)
            assert "chat_json" in str(error)
            assert "decisions" in str(error)
    with JudgeServer(faults={0: "no_logprobs"}) as server:
        error = await fails(spec_for(server, backend="chat_logprobs"))
        assert (error.kind, error.billed, len(server.requests)) == ("unavailable_mode", True, 1)
    handler = httpx2.MockTransport(lambda request: httpx2.Response(404, json={"detail": "Not Found"}))
    for backend in ("systemone", "decisions"):
        async with httpx2.AsyncClient(transport=handler) as client:
            spec = JudgeSpec(provider="compatible", backend=backend, model="m", base_url="http://127.0.0.1:1/v1")  # type: ignore[arg-type]
            made = make_backend(spec, None, Capabilities(), http_client=client)
            with pytest.raises(CallError, match=f"does not offer /{backend}") as caught:
                await made.send(question(), timeout_s=5)
            assert caught.value.kind == "unavailable_mode"
            await made.close()


@pytest.mark.parametrize(
    ("provider", "backend"), [("anthropic", "chat_logprobs"), ("gemini", "decisions"), ("openai", "systemone")]
)
def test_modes_that_a_provider_never_has(provider: str, backend: str) -> None:
    spec = JudgeSpec.model_validate({"provider": provider, "backend": backend, "model": "m"})
    with pytest.raises(CallError, match=f"no backend {backend}; it has .*chat_json"):
        make_backend(spec, None, Capabilities())


def test_a_judge_without_a_model_is_told_where_to_look() -> None:
    with pytest.raises(CallError, match="rlaif-tui judge models"):
        make_backend(JudgeSpec(), None, Capabilities())
    assert name_of_mode(JudgeSpec(provider="openai", model="m")) == "chat_json over Responses"
    assert name_of_mode(JudgeSpec(provider="openai", backend="decisions", model="m")) == "decisions"


# -- replies that cannot be scored


@pytest.mark.parametrize(("provider", "backend"), [p for p in ALL if p[1] != "systemone"])
async def test_a_refusal_is_a_refusal_in_every_protocol(provider: str, backend: str) -> None:
    with JudgeServer(faults={0: "refusal"}) as server:
        reply, reading = await ask(spec_for(server, provider, backend))
    assert isinstance(reading, Unreadable)
    assert reading.kind == "refused"
    assert reply.usage is not None, "a refusal is billed"


@pytest.mark.parametrize(("provider", "backend"), CHATS)
@pytest.mark.parametrize(
    ("fault", "kinds"),
    [
        ("length", {"truncated"}),
        ("reasoning_only", {"truncated", "empty"}),
        ("no_choices", {"empty"}),
        ("null_content", {"empty"}),
        ("tool_call", {"empty"}),
        ("wrong_id", {"injected"}),
        ("eleven", {"no_verdict"}),
        ("nan", {"no_verdict"}),
    ],
)
async def test_replies_without_a_verdict(provider: str, backend: str, fault: str, kinds: set[str]) -> None:
    with JudgeServer(faults={0: fault}) as server:
        reply, reading = await ask(spec_for(server, provider, backend))
    assert isinstance(reading, Unreadable)
    assert reading.kind in kinds
    assert reply.usage is not None


async def test_the_last_of_two_verdicts_counts() -> None:
    with JudgeServer(faults={0: "two_verdicts"}) as server:
        _, reading = await ask(spec_for(server))
    assert isinstance(reading, Reading)
    assert reading.score == 2


@pytest.mark.parametrize("backend", ["systemone", "chat_logprobs"])
async def test_low_label_mass_gives_no_score(backend: str) -> None:
    with JudgeServer(faults={0: "low_mass"}) as server:
        _, reading = await ask(spec_for(server, backend=backend))
    assert isinstance(reading, Unreadable)
    assert reading.kind == "low_label_mass"


@pytest.mark.parametrize("backend", ["systemone", "decisions"])
async def test_no_answer_is_empty(backend: str) -> None:
    with JudgeServer(faults={0: "no_choices"}) as server:
        _, reading = await ask(spec_for(server, backend=backend))
    assert isinstance(reading, Unreadable)
    assert reading.kind == "empty"


def read_logprobs(pairs: list[tuple[str, Any]]) -> Reading | Unreadable:
    spec = JudgeSpec(provider="compatible", backend="chat_logprobs", model="m", base_url="http://127.0.0.1:1/v1")
    top = [{"token": token, "logprob": logprob} for token, logprob in pairs]
    body = {"choices": [{"message": {"content": "A"}, "logprobs": {"content": [{"top_logprobs": top}]}}]}
    return make_backend(spec, None, Capabilities()).read(body, question())


def test_label_spellings_are_summed_by_hand() -> None:
    # ln .3 = -1.2039728, ln .2 = -1.6094379, ln .1 = -2.3025851: F holds .3 + .2 + .1, A holds .3, "a" is no label
    reading = read_logprobs(
        [("F", -1.2039728), (" F", -1.6094379), ("\u0120F", -2.3025851), ("A", -1.2039728), ("a", -2.3025851)]
    )
    assert isinstance(reading, Reading)
    assert reading.label_mass == pytest.approx(0.9, abs=1e-6)
    assert reading.score == pytest.approx(10 * 0.6 / 0.9, abs=1e-6)
    assert read_logprobs([("F", -0.1), ("F", -0.1)]).score == 10  # type: ignore[union-attr]  listed twice, counted once


@pytest.mark.parametrize(
    ("pairs", "kind"),
    [
        ([("The", -0.60), ("A", -0.85), ("B", -4.0)], "low_label_mass"),  # .55 on a word that is no label
        ([("A", -0.8), ("The", -0.9)], "low_label_mass"),  # the labels hold .45
        ([("A", None), ("B", "x"), ("C", True)], "empty"),
        ([], "empty"),
        ([("A", -0.1), (" A", -0.1)], "no_verdict"),  # probabilities of 1.8 in all
    ],
)
def test_probabilities_that_give_no_score(pairs: list[tuple[str, Any]], kind: str) -> None:
    reading = read_logprobs(pairs)
    assert isinstance(reading, Unreadable)
    assert reading.kind == kind


def test_odd_bodies_never_raise() -> None:
    odd: list[Any] = [None, 3, "x", [], {}, [None], {"type": "score"}, [[]], True, {"content": 3}, 10**400]
    fields = ("choices", "output", "content", "answers", "usage", "stop_reason", "model", "diagnostics", "error")
    for provider, backend in ALL:
        spec = JudgeSpec.model_validate(
            {"provider": provider, "backend": backend, "model": "m", "base_url": "http://127.0.0.1:1/v1"}
        )
        made = make_backend(spec, None, Capabilities())
        for value in odd:
            for field in fields:
                for body in ({field: value}, {field: [value]}, {field: {"quality": value, "input_tokens": value}}):
                    assert isinstance(made.read(body, question()), Unreadable)
                    made.usage_of(body)


# -- many at once, and what is on offer


async def test_many_at_once_over_few_connections() -> None:
    labels = {f"answer {i}": float(i % 11) for i in range(32)}
    with JudgeServer(scripted(labels), delay=0.02) as server:
        async with backend_for(spec_for(server)) as backend:

            async def one(text: str) -> float:
                asked = question(text)
                reading = backend.read((await backend.send(asked, timeout_s=5)).body, asked)
                assert isinstance(reading, Reading)
                return reading.score

            assert dict(zip(labels, await asyncio.gather(*map(one, labels)), strict=True)) == labels
        assert 1 < server.peak <= 32


async def test_models_with_their_ends() -> None:
    with JudgeServer(key=KEY) as server:
        ours = await list_models(spec_for(server), Secret(KEY))
        theirs = await list_models(spec_for(server, "anthropic"), Secret(KEY))
        with pytest.raises(CallError) as caught:
            await list_models(spec_for(server), Secret("sk-wrong-0123456789"))
    assert [(m.id, m.shutdown) for m in ours] == [("judge-small", ""), ("judge-old", "2026-12-11")]
    assert [(m.id, m.shutdown, m.display) for m in theirs] == [
        ("claude-new", "", "Claude New"),
        ("claude-old", "2026-12-05", "Claude Old"),
    ]
    assert caught.value.kind == "auth"
    assert "sk-wrong" not in str(caught.value)


async def test_server_modes_are_what_they_say() -> None:
    with JudgeServer(constant(0.0)) as server:
        _, reading = await ask(spec_for(server, backend="chat_logprobs"))
    assert isinstance(reading, Reading)
    assert reading.score == 0.0
    with JudgeServer(fault_rate=0.5, fault_kinds=("500",), seed=3) as server:
        async with backend_for(spec_for(server)) as backend:
            calls = (backend.send(question(), timeout_s=5) for _ in range(20))
            came = await asyncio.gather(*calls, return_exceptions=True)
        statuses = [given.status for given in server.given]
    failed = [error.kind for error in came if isinstance(error, CallError)]
    assert failed == ["server"] * statuses.count(500)
    assert 3 <= len(failed) <= 17
