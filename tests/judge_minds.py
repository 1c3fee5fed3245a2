"""How the test server judges: finding task and response in a request of any protocol, and rules to score them by."""

from __future__ import annotations

import contextlib
import json
import random
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

Score = Callable[[str, str], float]
Pick = Callable[[str, str, str], str]


def tokens(text: str) -> int:
    """What this server counts for a text: a token per four characters begun."""
    return (len(text) + 3) // 4


def overlap(task: str, response: str) -> float:
    """The known rule: 10 times the share of the task's words that the response has."""
    wanted = set(re.findall(r"\w+", task.lower()))
    return 10.0 * len(wanted & set(re.findall(r"\w+", response.lower()))) / len(wanted) if wanted else 0.0


def length_lover(task: str, response: str) -> float:
    """A point per 50 characters, 10 at most."""
    return min(10.0, len(response) / 50.0)


def obeys(task: str, response: str) -> float:
    """Gives what the response claims (``Score: 10``, ``"score": 10``), else the known rule's score."""
    claims = re.findall(r"score\W{1,6}(\d+(?:\.\d+)?)", response, re.IGNORECASE)
    return min(10.0, float(claims[-1])) if claims else overlap(task, response)


def noise(sd: float, seed: int = 0, rule: Score = overlap) -> Score:
    """The rule's score with Gaussian noise that differs between repeats and is the same in every run of a test."""
    asked: dict[tuple[str, str], int] = {}

    def score(task: str, response: str) -> float:
        count = asked[task, response] = asked.get((task, response), -1) + 1
        shift = random.Random(f"{seed}|{task}|{response}|{count}").gauss(0.0, sd)
        return min(10.0, max(0.0, rule(task, response) + shift))

    return score


def scripted(labels: Mapping[str, float], otherwise: float = 5.0) -> Score:
    """The score that is written down for a response."""
    return lambda task, response: labels.get(response, otherwise)


def constant(value: float) -> Score:
    return lambda task, response: value


def always_a(task: str, first: str, second: str) -> str:
    """A pairwise judge that looks at the order only."""
    return "A"


@dataclass(frozen=True)
class Asked:
    """What a request is about, whatever the protocol."""

    text: str
    """All input text: what input tokens are counted from."""
    task: str = ""
    response: str = ""
    other: str | None = None
    """The second response of a pair."""
    id: str | None = None
    json: bool = True
    """Whether a JSON verdict is wanted; else a bare mark."""
    criteria: tuple[str, ...] = ()
    """Criteria that the schema of the reply wants marks for."""


def understand(body: dict[str, Any]) -> Asked:
    """Find task, response and id in a request of any protocol."""
    if "state" in body:
        return from_data(body["state"], json.dumps(body["state"]) + json.dumps(body["questions"]))
    if "questions" in body:
        data = next((p["data"] for m in body["input"] for p in m["content"] if p["type"] == "input_json"), {})
        return from_data(data, json.dumps(data) + json.dumps(body["questions"]))
    turns = body.get("messages") or body.get("input") or ""
    turns = [{"role": "user", "content": turns}] if isinstance(turns, str) else turns
    system = body.get("system") or body.get("instructions") or ""
    texts = [plain(system), *(plain(turn["content"]) for turn in turns)]
    users = "\n".join(plain(turn["content"]) for turn in turns if turn["role"] == "user")
    return replace(from_text(users, "".join(texts)), criteria=wanted_criteria(body))


def wanted_criteria(body: dict[str, Any]) -> tuple[str, ...]:
    """The criteria in the reply's schema, wherever the protocol puts it."""
    response_format = body.get("response_format") or {}
    places = [
        (response_format.get("json_schema") or {}).get("schema"),
        ((body.get("text") or {}).get("format") or {}).get("schema"),
        ((body.get("output_config") or {}).get("format") or {}).get("schema"),
    ]
    schema: dict[str, Any] = next((place for place in places if place), {})
    return tuple(schema.get("properties", {}).get("criteria", {}).get("properties", {}))


def from_text(user: str, everything: str) -> Asked:
    decoder = json.JSONDecoder()
    for start in (m.start() for m in re.finditer(r"\{", user)):
        with contextlib.suppress(json.JSONDecodeError):
            found, _ = decoder.raw_decode(user, start)
            if isinstance(found, dict) and {"response", "A"} & set(found):
                wants_mark = "with the mark only" in user[start:]
                return replace(from_data(found, everything), json=not wants_mark)
    strings = {}
    for name in ("Question", "Answer"):
        if match := re.search(rf"{name}:\s*(?=\")", user):
            strings[name] = str(decoder.raw_decode(user, match.end())[0])
    named = re.search(r'"id": "([0-9a-f]{8})"', user)
    return Asked(
        everything,
        strings.get("Question", ""),
        strings.get("Answer", user),
        id=named[1] if named else None,
        json=named is not None or not strings,
    )


def from_data(data: Any, everything: str) -> Asked:
    data = data if isinstance(data, dict) else {}
    first = str(data.get("response", data.get("A", "")))
    other = str(data["B"]) if "B" in data else None
    return Asked(everything, str(data.get("task", "")), first, other, data.get("id"))


def plain(content: Any) -> str:
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def label_count(body: dict[str, Any], text: str) -> int:
    """How many labels a request has: the server's own constraint says it, or the prompt (``A is 0, B is 2``)."""
    choice = body.get("structured_outputs", {}).get("choice")
    named = set(re.findall(r"\b([A-J]) is -?\d", text))
    return len(choice) if choice else max(2, len(named) or 6)


def has(body: dict[str, Any], dotted: str) -> bool:
    place: Any = body
    for name in dotted.split("."):
        if not isinstance(place, dict) or name not in place:
            return False
        place = place[name]
    return True
