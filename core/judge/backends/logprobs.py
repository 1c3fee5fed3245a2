"""``chat_logprobs``: the probabilities of single-letter labels as the reply's first token.

Letters and not numbers: where "10" is two tokens, a model that is torn between 9 and 10 would be read as 1. Every
spelling of a letter counts (``A`` and `` A``); what is no label counts against the label mass.
"""

from __future__ import annotations

import math
import string
from typing import Any

from ..endpoint import CallError
from ..question import Question
from ..reading import Reading, Unreadable, expected
from .base import inside, number, says
from .chat import ChatCompletions

TOP = 20
_AROUND = " \u2581\u0120\u010a\n\t"
"""How tokenizers write the blank or line break that belongs to a token."""


class ChatLogprobs(ChatCompletions):
    """One output token, and the twenty likeliest ones in its place."""

    name = "chat_logprobs"

    def parameters(self) -> dict[str, Any]:
        return self.sampling() | {"logprobs": True, "top_logprobs": TOP}

    @property
    def limit(self) -> int:
        return 1

    def content(self, question: Question) -> dict[str, Any]:
        return self.turns(question.messages)

    def unavailable(self, error: CallError) -> CallError | None:
        if error.kind == "bad_request" and says(error, "logprobs", "logprob"):
            return self.no_such_mode("it refuses to give log-probabilities", error)
        return None

    def check(self, body: dict[str, Any]) -> None:
        answered = isinstance(inside(body, "choices", 0, "message"), dict)
        if answered and self.refusal(body) is None and not _top(body):
            raise self.no_such_mode("its reply holds no log-probabilities")

    def read(self, body: dict[str, Any], question: Question) -> Reading | Unreadable:
        if (refused := self.refusal(body)) is not None:
            return Unreadable("refused", f"the judge declined: {refused[:200]}" if refused else "the judge declined")
        found = _top(body)
        if not found:
            return Unreadable("empty", "the reply holds no log-probabilities")
        labels = dict(zip(string.ascii_uppercase, (level.score for level in question.levels), strict=False))
        raw = dict.fromkeys(labels.values(), 0.0)
        for token, probability in found.items():
            if (label := token.strip(_AROUND)) in labels:
                raw[labels[label]] += probability
        likeliest = max(found, key=lambda token: found[token])
        if likeliest.strip(_AROUND) not in labels:
            return Unreadable("low_label_mass", f"the judge was about to say {likeliest[:20]!r}, which is no label")
        return expected(raw)


def _top(body: dict[str, Any]) -> dict[str, float]:
    """Token -> probability at the first place of the reply; a token that is listed twice counts once."""
    entries = inside(body, "choices", 0, "logprobs", "content", 0, "top_logprobs")
    found: dict[str, float] = {}
    for entry in entries if isinstance(entries, list) else ():
        token, logprob = inside(entry, "token"), number(inside(entry, "logprob"))
        if isinstance(token, str) and logprob is not None and logprob <= 1e-3:
            found[token] = max(found.get(token, 0.0), math.exp(min(0.0, logprob)))
    return found
