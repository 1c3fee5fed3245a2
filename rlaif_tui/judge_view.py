"""What a judge is and what it would send, as one object and as lines. Late imports keep the first paint fast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from core.errors import JudgeError
from core.types import JudgeRequest

from .cli_common import say
from .text import one_line

if TYPE_CHECKING:
    from core.judge.question import Question
    from core.judge.spec import JudgeSpec


def judge_object(spec: JudgeSpec, sample: JudgeRequest) -> dict[str, Any]:
    """What ``judge show --json`` says. Raises ``JudgeError`` for a judge with an error in it."""
    from core.judge.resolve import FIELD_BACKENDS, rubric_of, template_of
    from core.judge.spec_file import lint_spec, version_of_spec

    found = lint_spec(spec)
    if found.errors:
        raise JudgeError(f"judge '{spec.name}': {found.errors[0]}")
    rules = spec.backend == "rubric"
    question = None if rules else _question(spec, sample)
    return {
        "name": spec.name,
        "judge_version": version_of_spec(spec),
        "backend": spec.backend,
        "provider": "" if rules else spec.provider,
        "model": spec.model,
        "base_url": spec.base_url,
        "template": "" if rules else template_of(spec).name,
        "scale": {"low": spec.scale.low, "high": spec.scale.high},
        "repeats": spec.repeats,
        "parameters": {} if rules else spec.parameters.model_dump(exclude_none=True),
        "criteria": [] if rules else [_criterion(c) for c in rubric_of(spec).criteria],
        "caps": [] if rules else list(rubric_of(spec).caps),
        "warnings": list(found.warnings),
        "neutralised": question.neutralised if question else 0,
        "sent": _sent(question, fields=spec.backend in FIELD_BACKENDS) if question else None,
    }


def _criterion(criterion: Any) -> dict[str, Any]:
    return {
        "name": criterion.name,
        "weight": criterion.weight,
        "question": criterion.question,
        "levels": list(criterion.levels),
    }


def _question(spec: JudgeSpec, sample: JudgeRequest) -> Question:
    from core.judge.asking import installation_secret, make_pair_question, make_question
    from core.judge.resolve import template_of

    if template_of(spec).is_pair:
        return make_pair_question(spec, sample, "I do not know.", installation_secret())
    return make_question(spec, sample, installation_secret())


def _sent(question: Question, *, fields: bool) -> dict[str, Any]:
    """The messages of a chat; or question, levels and fields where those are sent instead."""
    if not fields:
        return {"messages": [{"role": m.role, "content": m.content} for m in question.messages]}
    return {
        "instructions": question.instructions,
        "levels": [{"score": level.score, "description": level.description} for level in question.levels],
        "task": question.task,
        "response": question.response,
        "reference": question.reference,
    }


def say_judge(shown: dict[str, Any]) -> None:
    """The judge in a few lines."""
    where = ", ".join(one_line(shown[key]) for key in ("provider", "model", "base_url") if shown[key])
    say(f"judge {one_line(shown['name'])}, version {shown['judge_version']}")
    say(f"backend {shown['backend']}{f' ({where})' if where else ''}")
    if shown["backend"] == "rubric":
        say("fixed rules on this machine: nothing is sent anywhere")
    else:
        scale, times = shown["scale"], shown["repeats"]
        say(f"scale {scale['low']:g} to {scale['high']:g}, {times} judgement{'s' * (times > 1)} per response, "
            f"template {one_line(shown['template'])}")  # fmt: skip
        total = sum(c["weight"] for c in shown["criteria"])
        for one in shown["criteria"]:
            say(f"  {100 * one['weight'] / total:3.0f}%  {one_line(one['name'])}: {one_line(one['question'])}")
        for cap in shown["caps"]:
            say(f"   cap  {one_line(cap)}")
    for warning in shown["warnings"]:
        say(f"warning: {warning}")


def say_sent(shown: dict[str, Any]) -> None:
    """The whole of what is sent, text by text."""
    sent = shown["sent"]
    if sent is None:
        return
    if shown["neutralised"]:
        say(f"{shown['neutralised']} special sequences in the sample were made harmless")
    for message in sent.get("messages", ()):
        say(f"\n--- {message['role']}")
        say(message["content"])
    if "instructions" in sent:
        say("\n--- question")
        say(sent["instructions"])
        for level in sent["levels"]:
            say(f"{level['score']:g}: {level['description']}")
        for field in ("task", "response", "reference"):
            if sent[field] is not None:
                say(f"\n--- {field}")
                say(sent[field])
