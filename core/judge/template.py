"""Judge prompts: a rubric is data, a template is Jinja2 in a sandbox, and what is graded goes in as JSON, once.

The static system text carries role, rubric, caps and output contract; the user text carries the graded material and
nothing else. Values are never rendered a second time, so text in a response cannot become template.
"""

from __future__ import annotations

import difflib
import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import JudgeError
from ..types import JudgeRequest, Message
from .reading import Scale
from .sandbox import names_in, run, sentence_of

LABELS = ("A", "B", "C", "D", "E", "F")
"""What a judge answers that is asked for one letter: the six anchors, lowest first."""
PAIR_LABELS = ("A", "B", "C")
"""The first response is better, the second, neither."""
SHARED = ("rubric", "criteria", "exemplars", "scale", "labels", "truncated", "id")
VARIABLES = ("task", "response", "reference", *SHARED)
PAIR_VARIABLES = ("task", "response_a", "response_b", "reference", *SHARED)
Contract = Literal["json", "mark", "letter"]
"""How a judge is told to answer."""


@dataclass(frozen=True)
class Criterion:
    """One question about a response, with a sentence one can observe for each of the scores 0, 2, 4, 6, 8, 10."""

    name: str
    weight: float
    question: str
    levels: tuple[str, ...]
    """Six sentences, or none."""


@dataclass(frozen=True)
class Exemplar:
    """A response with the mark it deserves, on the judge's scale, shown to the judge beforehand."""

    task: str
    response: str
    score: float
    reason: str = ""
    reference: str | None = None


@dataclass(frozen=True)
class Rubric:
    """What a judge is asked to weigh. The total is the weighted mean of the criteria, held down by the caps."""

    criteria: tuple[Criterion, ...]
    caps: tuple[str, ...]


@dataclass(frozen=True)
class JudgeTemplate:
    """System and user text of a judge's prompt. ``system`` may be empty."""

    name: str
    system: str
    user: str

    @property
    def is_pair(self) -> bool:
        """Whether it shows two responses; a text that cannot be parsed is none."""
        try:
            return "response_b" in names_in(self.user) | names_in(self.system)
        except Exception:  # noqa: BLE001 whoever renders it says what is wrong
            return False


def render(
    template: JudgeTemplate,
    rubric: Rubric,
    request: JudgeRequest,
    request_id: str,
    *,
    scale: Scale = Scale(),  # noqa: B008 frozen
    exemplars: Sequence[Exemplar] = (),
    other_response: str | None = None,
) -> tuple[Message, ...]:
    """The exact messages that would be sent. Raises ``JudgeError`` for a template that cannot be rendered.

    With ``other_response`` the request's own response is ``response_a`` and the other one ``response_b``.
    """
    values: dict[str, Any] = {
        "task": request.task,
        "reference": request.reference,
        "truncated": request.truncated,
        "id": request_id,
        **_static(rubric, scale, exemplars),
    }
    if other_response is None:
        values["response"] = request.response
    else:
        values |= {"response_a": request.response, "response_b": other_response}
    texts = []
    for part, source in (("system", template.system), ("user", template.user)):
        try:
            texts.append(run(source, values))
        except JudgeError as error:
            raise JudgeError(f"judge template '{template.name}': {part} text, {error}") from error
    system, user = texts
    return (Message("system", system), Message("user", user)) if system else (Message("user", user),)


def _static(rubric: Rubric, scale: Scale, exemplars: Sequence[Exemplar]) -> dict[str, Any]:
    """The values that are the same for every response."""
    anchors = anchor_scores(scale)
    criteria = [{**asdict(c), "anchors": list(zip(anchors, c.levels, strict=False))} for c in rubric.criteria]
    return {
        "rubric": {"criteria": criteria, "caps": rubric.caps},
        "criteria": criteria,
        "scale": Marks(_short(scale.low), _short(scale.high)),
        "labels": list(zip(LABELS, anchors, strict=True)),
        "exemplars": [
            {**asdict(e), "score": _short(e.score), "label": LABELS[_nearest_anchor(e.score, scale)]} for e in exemplars
        ],
    }


@dataclass(frozen=True)
class Marks:
    """``{{ scale }}`` in a template: ``0 to 10``; ``{{ scale.low }}`` and ``{{ scale.high }}`` are its ends."""

    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}"


def anchor_scores(scale: Scale) -> tuple[float, ...]:
    """The six marks that levels are written for, evenly over the scale: 0, 2, 4, 6, 8, 10 for 0-10."""
    steps = len(LABELS) - 1
    return tuple(_short(scale.low + i * (scale.high - scale.low) / steps) for i in range(steps + 1))


def _nearest_anchor(score: float, scale: Scale) -> int:
    anchors = anchor_scores(scale)
    return min(range(len(anchors)), key=lambda i: abs(anchors[i] - score))


def _short(score: float) -> float:
    """``10`` rather than ``10.0``, and no 0.6000000000000001."""
    rounded = round(score, 9)
    return int(rounded) if rounded == int(rounded) else rounded


def lint(template: JudgeTemplate) -> list[str]:
    """What is wrong with a template, a sentence each; an empty list if nothing is."""
    found, problems = set[str](), []
    for part, source in (("system", template.system), ("user", template.user)):
        try:
            found |= names_in(source)
        except Exception as error:  # noqa: BLE001 the parser may run out of stack
            problems.append(f"{part} text, {sentence_of(error)}")
    if problems:
        return problems
    is_pair = "response_b" in found
    known = PAIR_VARIABLES if is_pair else VARIABLES
    for name in sorted(found - set(known)):
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)[0]
        problems.append(f"'{name}' is not a variable; did you mean '{near}'?")
    needed = ("task", "response_a", "response_b") if is_pair else ("task", "response")
    problems.extend(f"'{name}' does not appear: the judge would not see it" for name in needed if name not in found)
    return problems


def request_id(secret: bytes, request: JudgeRequest, other_response: str | None = None) -> str:
    """8 hex digits that a verdict must echo: text in a response cannot know them (HMAC-SHA256, RFC 2104)."""
    texts = [request.task, request.response, *([] if other_response is None else [other_response])]
    return hmac.new(secret, json.dumps(texts, ensure_ascii=True).encode(), hashlib.sha256).hexdigest()[:8]


def version_of(**parts: object) -> str:
    """12 hex digits over the canonical JSON of everything that can change a score."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: object) -> Mapping[str, object]:
    if isinstance(value, Rubric | JudgeTemplate | Exemplar | Scale):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} has no place in a judge's version")
