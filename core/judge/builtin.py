"""The judges that come with the product. Each is a judge file that ``rlaif-tui judge init --from NAME`` writes out."""

from __future__ import annotations

from typing import Any

from .spec import CriterionSpec, JudgeSpec, ParametersSpec, TemplateSpec
from .stock_templates import GENERAL, REFERENCE
from .template import Rubric

USUAL_MODEL = {
    "openai": "gpt-6-luna",
    "openai-chat": "gpt-6-luna",
    "anthropic": "claude-haiku-5-5",
    "gemini": "gemini-3.8-flash",
    "compatible": "",
}
"""Small, cheap and able to judge; empty where only the user knows what the server has."""
MEANINGS = {
    "general": "how good an answer is, by three criteria with a sentence for every level",
    "classic-0-10": "one mark from 0 to 10 for a question and its answer, in the shortest of prompts",
    "reference": "whether an answer agrees with the known right one; the data needs a reference column",
    "pairwise": "which of two answers is better; for before and after, not for training",
    "rubric": "fixed rules on this machine, free; for demos and tests, not a real judge",
}


def parameters_for(provider: str, output_tokens: int) -> ParametersSpec:
    """What a provider's models take: Claude rejects a temperature, Gemini wants its own and some thinking."""
    if provider == "anthropic":
        return ParametersSpec(temperature=None, max_output_tokens=output_tokens)
    if provider == "gemini":
        return ParametersSpec(temperature=None, reasoning_effort="low", max_output_tokens=max(1000, output_tokens))
    return ParametersSpec(max_output_tokens=output_tokens)


def _judge(name: str, template: str, rubric: Rubric | None = None, **more: Any) -> JudgeSpec:
    criteria = tuple(
        CriterionSpec(name=c.name, weight=c.weight, question=c.question, levels=c.levels)
        for c in (rubric.criteria if rubric else ())
    )
    return JudgeSpec(
        name=name,
        model=USUAL_MODEL["openai"],
        template=TemplateSpec(built_in=template),
        criteria=criteria,
        caps=rubric.caps if rubric else (),
        **more,
    )


BUILT_IN: dict[str, JudgeSpec] = {
    "general": _judge("general", "anchored", GENERAL),
    "classic-0-10": _judge("classic-0-10", "classic-0-10", output="mark", parameters=parameters_for("openai", 16)),
    "reference": _judge("reference", "reference", REFERENCE),
    "pairwise": _judge("pairwise", "pairwise", GENERAL),
    "rubric": JudgeSpec(name="rubric", backend="rubric"),
}


def built_in_spec(
    name: str, *, backend: str = "", provider: str = "", model: str = "", base_url: str = ""
) -> JudgeSpec:
    """A built-in judge for another back end, provider or model. Raises ``ValueError`` for what is not allowed."""
    spec = BUILT_IN[name]
    changes: dict[str, Any] = {}
    if provider and provider != spec.provider:
        limit = spec.parameters.max_output_tokens
        changes = {"model": USUAL_MODEL.get(provider, ""), "parameters": parameters_for(provider, limit)}
    if backend in ("systemone", "local", "self") or base_url:
        changes["model"] = ""  # the servers and machines of a user have models of their own
    if backend == "systemone" and not provider:
        changes["provider"] = "compatible"
    given = {"backend": backend, "provider": provider, "model": model, "base_url": base_url}
    changes |= {key: value for key, value in given.items() if value}
    return JudgeSpec.model_validate({**{key: getattr(spec, key) for key in spec.model_fields_set}, **changes})
