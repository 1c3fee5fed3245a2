"""What the test server says: the reply bodies of every protocol that carry what its rule gives."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

from judge_minds import Asked, Pick, Score, label_count, tokens

LETTERS = "ABCDEFGHIJ"
LABEL_MASS = 0.98
"""Share of the probability that the labels get together, unless a fault says otherwise."""


MODELS = [
    {"id": "judge-small", "object": "model", "created": 1, "owned_by": "test", "shutdown_date": None},
    {"id": "judge-old", "object": "model", "created": 1, "owned_by": "test", "shutdown_date": "2026-12-11"},
]
CLAUDES = [
    {"id": "claude-new", "type": "model", "display_name": "Claude New", "created_at": "2026-01-01T00:00:00Z",
     "lifecycle": "active", "retires_at": None},
    {"id": "claude-old", "type": "model", "display_name": "Claude Old", "created_at": "2025-01-01T00:00:00Z",
     "lifecycle": "deprecated", "retires_at": "2026-12-05T00:00:00Z"},
]  # fmt: skip


class Replies:
    """A judge's mind: its rule, and the bodies of every protocol that carry what the rule says."""

    def __init__(
        self,
        score: Score,
        pick: Pick | None,
        steering: Callable[[str], float],
        cost: float | None,
        cached_tokens: int,
        reasoning_tokens: int,
    ) -> None:
        self.score, self.pick, self.steering = score, pick, steering
        self.cost, self.cached_tokens, self.reasoning_tokens = cost, cached_tokens, reasoning_tokens

    def verdict_text(self, asked: Asked, fault: str) -> str:
        """What a chat model would write."""
        if asked.other is not None:
            return json.dumps({"id": asked.id, "reasoning": "Compared.", "winner": self._winner(asked)})
        score = self.score(asked.task, asked.response)
        if not asked.json:
            return f"{score:g}"
        verdict: dict[str, Any] = {"id": asked.id, "reasoning": "Judged by rule."}
        if asked.criteria:
            verdict["criteria"] = dict.fromkeys(asked.criteria, score)
            verdict["steering"] = self.steering(asked.response) > 0.5
        verdict["score"] = score
        match fault:
            case "nan":
                verdict["score"] = float("nan")
            case "eleven":
                verdict["score"] = 11
            case "wrong_id":
                verdict["id"] = "00000000"
            case "two_verdicts":
                return json.dumps(verdict | {"score": 9}) + "\n" + json.dumps(verdict | {"score": 2})
            case "length":
                return json.dumps(verdict)[:-8]
        return json.dumps(verdict)

    def _winner(self, asked: Asked) -> str:
        assert asked.other is not None
        if self.pick is not None:
            return self.pick(asked.task, asked.response, asked.other)
        first, second = (self.score(asked.task, text) for text in (asked.response, asked.other))
        return "tie" if first == second else "A" if first > second else "B"

    def levels(self, asked: Asked, count: int) -> list[float]:
        """Probabilities of ``count`` levels whose mean is exactly the score: all on its two neighbours."""
        place = self.score(asked.task, asked.response) / 10.0 * (count - 1)
        low = min(int(place), count - 2)
        share = place - low
        return [1 - share if i == low else share if i == low + 1 else 0.0 for i in range(count)]

    # -- the protocols

    def usage(self, asked: Asked, text: str, fault: str, *, chat: bool) -> dict[str, Any]:
        """``usage`` and, where asked for, its absence; chat completions name the fields differently."""
        if fault == "no_usage":
            return {}
        if fault == "null_usage":
            return {"usage": None}
        read, written = tokens(asked.text), tokens(text) + self.reasoning_tokens
        names = ("prompt", "completion") if chat else ("input", "output")
        usage: dict[str, Any] = {
            f"{names[0]}_tokens": read,
            f"{names[1]}_tokens": written,
            f"{names[0]}_tokens_details": {"cached_tokens": self.cached_tokens},
            f"{names[1]}_tokens_details": {"reasoning_tokens": self.reasoning_tokens},
            "total_tokens": read + written,
        }
        return {"usage": usage if self.cost is None else usage | {"cost": self.cost}}

    def chat(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any]:
        model = "another-model" if fault == "other_model" else body.get("model", "")
        message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
        choice: dict[str, Any] = {"index": 0, "finish_reason": "stop", "message": message, "logprobs": None}
        text = ""
        match fault:
            case "refusal":
                text = message["refusal"] = "I cannot grade this."
            case "null_content":
                pass
            case "tool_call":
                call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
                message["tool_calls"], choice["finish_reason"] = [call], "tool_calls"
            case "reasoning_only":
                message["content"], message["reasoning_content"] = "", "Let me think."
                choice["finish_reason"] = "length"
            case _ if body.get("logprobs"):
                choice["logprobs"] = self._logprobs(body, asked, fault)
                text = choice["logprobs"]["content"][0]["token"] if choice["logprobs"] else "C"
                choice["finish_reason"] = "length"
            case _:
                text = self.verdict_text(asked, fault)
                choice["finish_reason"] = "length" if fault == "length" else "stop"
        if fault not in {"refusal", "null_content", "tool_call", "reasoning_only"}:
            message["content"] = text
        choices = [] if fault == "no_choices" else [choice]
        top = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": model, "choices": choices}
        return top | self.usage(asked, text, fault, chat=True)

    def _logprobs(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any] | None:
        if fault == "no_logprobs":
            return None
        count = label_count(body, asked.text)
        mass = 0.1 if fault == "low_mass" else LABEL_MASS
        if asked.other is not None:
            letter = {"A": "A", "B": "B"}.get(self._winner(asked), "C")
            return {"content": [{"token": letter, "logprob": 0.0, "top_logprobs": [{"token": letter, "logprob": 0.0}]}]}
        shares = self.levels(asked, count)
        found: list[tuple[str, float]] = []
        for letter, share in zip(LETTERS, shares, strict=False):
            found += [(letter, 0.75 * share * mass), (f" {letter}", 0.25 * share * mass)]  # both spellings count
        found += [("The", (1 - mass) * 0.8), ("I", (1 - mass) * 0.2)]
        kept = sorted(((t, p) for t, p in found if p > 0), key=lambda pair: -pair[1])
        kept = kept[: 5 if fault == "logprobs_5" else body.get("top_logprobs", 0)]
        top = [{"token": t, "logprob": math.log(p), "bytes": list(t.encode())} for t, p in kept]
        return {"content": [{**top[0], "top_logprobs": top}]}

    def responses(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any]:
        text = "" if fault in {"null_content", "reasoning_only", "tool_call"} else self.verdict_text(asked, fault)
        part: dict[str, Any] = {"type": "output_text", "text": text, "annotations": []}
        if fault == "refusal":
            part = {"type": "refusal", "refusal": "I cannot grade this."}
        message = {"type": "message", "role": "assistant", "status": "completed", "content": [part]}
        output: list[dict[str, Any]] = [{"type": "reasoning", "summary": []}, message]
        if fault == "tool_call":
            output = [{"type": "function_call", "name": "f", "arguments": "{}", "call_id": "c1"}]
        if fault in {"no_choices", "reasoning_only", "null_content"}:
            output = output[:1] if fault == "reasoning_only" else []
        cut = fault in {"length", "reasoning_only"}
        top = {
            "id": "resp_1",
            "object": "response",
            "model": "another-model" if fault == "other_model" else body.get("model", ""),
            "status": "incomplete" if cut else "completed",
            "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
            "output": output,
        }
        return top | self.usage(asked, text, fault, chat=False)

    def messages(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any]:
        text = "" if fault in {"null_content", "reasoning_only", "refusal"} else self.verdict_text(asked, fault)
        content: list[dict[str, Any]] = [{"type": "text", "text": text}] if text else []
        stop = {"length": "max_tokens", "reasoning_only": "max_tokens", "refusal": "refusal"}.get(fault, "end_turn")
        if fault == "reasoning_only":
            content = [{"type": "thinking", "thinking": "Let me think.", "signature": "s"}]
        if fault == "tool_call":
            content, stop = [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}], "tool_use"
        if fault == "no_choices":
            content = []
        top: dict[str, Any] = {
            "id": "msg_1",
            "type": "message",
            "role": "assistant",
            "model": "another-model" if fault == "other_model" else body.get("model", ""),
            "content": content,
            "stop_reason": stop,
            "stop_sequence": None,
        }
        if fault in {"no_usage", "null_usage"}:
            return top | ({"usage": None} if fault == "null_usage" else {})
        usage: dict[str, Any] = {
            "input_tokens": tokens(asked.text) - self.cached_tokens,  # Anthropic counts cached input beside, not among
            "cache_read_input_tokens": self.cached_tokens,
            "cache_creation_input_tokens": 0,
            "output_tokens": tokens(text) + self.reasoning_tokens,
        }
        if self.reasoning_tokens:
            usage["output_tokens_details"] = {"thinking_tokens": self.reasoning_tokens}
        return top | {"usage": usage}

    def decisions(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any]:
        answers: list[dict[str, Any]] = []
        for question in body["questions"]:
            name = question.get("name")
            if question["type"] == "predicate":
                answers.append({"type": "predicate", "name": name, "probability": self.steering(asked.response)})
                continue
            if fault == "refusal":
                answers.append({"type": "refusal", "name": name})
                continue
            shares = self.levels(asked, len(question["levels"]))
            found = [
                {"label": level["label"], "value": i, "probability": p}
                for i, (level, p) in enumerate(zip(question["levels"], shares, strict=True))
            ]
            mean = sum(i * p for i, p in enumerate(shares))
            answers.append(
                {"type": "score", "name": name, "score": mean, "confidence": max(shares), "probabilities": found}
            )
        top = {"answers": [] if fault == "no_choices" else answers, "model": body.get("model", "")}
        return top | self.usage(asked, "", fault, chat=False)

    def systemone(self, body: dict[str, Any], asked: Asked, fault: str) -> dict[str, Any]:
        answers: dict[str, Any] = {}
        reads: dict[str, Any] = {}
        for name, question in body["questions"].items():
            mass = 0.1 if fault == "low_mass" else LABEL_MASS
            reads[name] = {"label_mass": mass, "argmax_is_label": mass > 0.5}
            if question["type"] == "noul":
                answers[name] = {"type": "noul", "noul": self.steering(asked.response)}
                continue
            shares = self.levels(asked, len(question["criteria"]))
            answers[name] = {
                "type": "score",
                "score": sum(i * p for i, p in enumerate(shares)),
                "probabilities": {str(i): p for i, p in enumerate(shares)},
                "legend": {str(i): text for i, text in enumerate(question["criteria"])},
                "confidence": max(shares),
            }
        top = {"id": "decision-1", "model": body.get("model", ""), "answers": answers, "diagnostics": reads}
        if fault == "no_choices":
            top["answers"] = {}
        return top | self.usage(asked, "", fault, chat=False)
