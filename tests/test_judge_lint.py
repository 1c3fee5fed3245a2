"""The lint of a judge and its version: what stops it, what a person should weigh, what makes it another judge."""

from __future__ import annotations

from typing import Any

import pytest

from core.judge.builtin import BUILT_IN
from core.judge.rubric import RubricJudge
from core.judge.spec import (
    CriterionSpec,
    ExemplarSpec,
    JudgeSpec,
    LimitsSpec,
    ParametersSpec,
    PriceSpec,
    ScaleSpec,
    TemplateSpec,
)
from core.judge.spec_file import lint_spec, version_of_spec

OWN = 'Grade {{ response | data }} to {{ task | data }}. Reply in JSON: {"id": "{{ id }}", "score": 0 to 10}'


def spec_of(**more: Any) -> JudgeSpec:
    return JudgeSpec(**{"model": "m", **more})


def with_user(user: str, **more: Any) -> JudgeSpec:
    return spec_of(template=TemplateSpec(user=user), **more)


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        (with_user("{{ response | data }}"), "'task' does not appear: the judge would not see it"),
        (with_user("{{ task }}"), "'response' does not appear: the judge would not see it"),
        (with_user("{{ prompt }}{{ response }}{{ task }}"), "'prompt' is not a variable; did you mean 'task'?"),
        (with_user("{{ task }}{{ response }}{{ refrence }}"), "'refrence' is not a variable; did you mean 'reference'"),
        (with_user("{{ task }}\n{{ response"), "user text, line 2"),
        (with_user("{{ task }}{{ response }}\n{{ criteria[0].nme }}"), "judge template 'judge': user text, line 2: "
         "'dict object' has no attribute 'nme'"),
        (with_user("{{ task }}{{ response }}{{ reference | upper ~ reference.x }}"), "judge template 'judge'"),
        (with_user("{{ task }}{% if truncated %}{{ response }}{% endif %}"), "'response' is used but does not always "
         "reach the prompt"),
        (with_user("{{ task }}{{ response }}"), "no output contract: backend 'chat_json'"),
        (with_user("{{ task }}{{ response }} reply in JSON with a score"), "no output contract"),  # no id
        (with_user("{{ task }}{{ response }} Tell me."), "no output contract"),
        (with_user("{{ task }}{{ response }} Give a mark.", output="mark"), "no output contract"),  # no scale
        (with_user(OWN, backend="chat_logprobs"), "no output contract: backend 'chat_logprobs'"),
        (with_user("{{ task }}{{ response }} One letter, A to D.", backend="local"), "no output contract"),
        (spec_of(template=TemplateSpec(system="x")), "template.user is missing"),
        (spec_of(template=TemplateSpec(built_in="ancored")), "template.built_in = 'ancored' is not a built-in "
         "template; did you mean 'anchored'?"),
        (spec_of(exemplars=(ExemplarSpec(task="t", response="r", score=11),)), "exemplar 1: score 11 is outside "
         "0 to 10"),
        (spec_of(criteria=(CriterionSpec(name="c", question="q", levels=("a", "b")),)), "criterion 'c' has 2 levels"),
        (spec_of(weights={"answers": 1.0}), "weights belong to backend 'rubric'"),
        (spec_of(backend="rubric", weights={"answrs": 1.0}), 'judge weights: there is no criterion "answrs"'),
        (spec_of(model=""), "model is missing: backend 'chat_json'"),
        (spec_of(model="", backend="local"), "model is missing: backend 'local'"),
        (spec_of(provider="compatible"), "base_url is missing"),
        (spec_of(backend="systemone"), "base_url is missing"),
        (spec_of(base_url="localhost:8000"), "base_url must be an address"),
        (spec_of(base_url="http://u:p@h/v1"), "base_url must hold no user"),
        (spec_of(base_url="http://h:99999999/v1"), "base_url must be an address"),
        (spec_of(api_key_env="sk-abcdefghijklmnop"), "api_key_env must be the name"),
    ],
)  # fmt: skip
def test_lint_finds_what_makes_a_judge_useless(spec: JudgeSpec, error: str) -> None:
    assert any(found.startswith(error) for found in lint_spec(spec).errors), lint_spec(spec)


@pytest.mark.parametrize(
    "spec",
    [
        with_user(OWN),
        with_user("{{ task | data }}{{ response | data }} Reply with a mark from 0 to 10.", output="mark"),
        with_user("{{ task | data }}{{ response | data }} Answer with one letter, A to F.", backend="chat_logprobs"),
        with_user("{{ task | data }}{{ response | data }}", backend="decisions"),
        spec_of(backend="self", model=""),
    ],
)
def test_lint_passes_what_works(spec: JudgeSpec) -> None:
    assert lint_spec(spec).errors == ()


CRITERION = CriterionSpec(name="c", question="Does it agree with the known right answer?")


@pytest.mark.parametrize(
    ("spec", "warning"),
    [
        (with_user(OWN.replace("response | data", "response")), "{{ response }} goes in bare"),
        (with_user(OWN.replace("response | data", "response | upper")), "{{ response }} goes in bare"),
        (with_user(OWN + " {prompt}"), "{prompt} is the style of another tool and stays as it is here; "
         "write {{ task | data }}"),
        (with_user("{prompt} {answer}"), "{answer} is the style of another tool and stays as it is here; "
         "write {{ response | data }}"),
        (spec_of(criteria=(CRITERION,)), "no anchors"),
        (with_user(OWN, criteria=(CRITERION,)), "the criteria do not appear in the template"),
        (with_user(OWN, criteria=(CRITERION,)), "it judges against a reference and does not show it"),
        (with_user(OWN, exemplars=(ExemplarSpec(task="t", response="r", score=1),)), "the exemplars do not appear"),
        (spec_of(backend="self"), "a model that judges itself prefers its own answers"),
        (spec_of(backend="local", repeats=2), "repeats above 1"),
        (BUILT_IN["rubric"], "this is not a real judge"),
    ],
)  # fmt: skip
def test_lint_warns_of_what_a_person_should_weigh(spec: JudgeSpec, warning: str) -> None:
    assert any(found.startswith(warning) for found in lint_spec(spec).warnings), lint_spec(spec)


def test_lint_warns_of_nothing_where_nothing_is_wrong() -> None:
    assert [lint_spec(BUILT_IN[name]).warnings for name in ("general", "reference", "pairwise")] == [(), (), ()]
    assert not any("another tool" in w for w in lint_spec(with_user(OWN)).warnings)


BASE = spec_of(
    criteria=(CriterionSpec(name="c", question="q", levels=tuple("abcdef")),),
    exemplars=(ExemplarSpec(task="t", response="r", score=1),),
)
CHANGES: list[dict[str, Any]] = [
    {"criteria": (CriterionSpec(name="c", question="q2", levels=tuple("abcdef")),)},
    {"criteria": (CriterionSpec(name="c", question="q", levels=tuple("abcdeg")),)},
    {"criteria": (CriterionSpec(name="c", question="q", levels=tuple("abcdef"), weight=2.0),)},
    {"caps": ("none above 1",)},
    {"exemplars": ()},
    {"exemplars": (ExemplarSpec(task="t", response="r", score=2),)},
    {"template": TemplateSpec(user=OWN)},
    {"template": TemplateSpec(built_in="classic-0-10")},
    {"scale": ScaleSpec(low=1, high=10)},
    {"backend": "chat_logprobs"},
    {"backend": "decisions"},
    {"provider": "anthropic"},
    {"model": "n"},
    {"base_url": "http://localhost:1/v1"},
    {"output": "mark"},
    {"repeats": 2},
    {"parameters": ParametersSpec(temperature=0.5)},
    {"parameters": ParametersSpec(temperature=None)},
    {"parameters": ParametersSpec(max_output_tokens=401)},
    {"parameters": ParametersSpec(extra={"x": 1})},
    {"on_refused": "floor"},
    {"on_unparseable": "floor"},
    {"steering_floor": 0.9},
]


def test_the_version_changes_with_all_that_can_change_a_score() -> None:
    versions = [version_of_spec(BASE.model_copy(update=change)) for change in CHANGES]
    assert len({version_of_spec(BASE), *versions}) == len(CHANGES) + 1


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"api_key_env": "OTHER"},
        {"limits": LimitsSpec(concurrency=1)},
        {"price": PriceSpec(free=True)},
        {"delay_s": 1.0},
        {"batch_size": 1},
        {"device": "cpu"},
        {"noise_sd": 1.0},
    ],
)
def test_the_version_stays_with_what_cannot(change: dict[str, Any]) -> None:
    assert version_of_spec(BASE.model_copy(update=change)) == version_of_spec(BASE)


def test_the_version_of_the_offline_judge_is_the_one_it_gives_itself() -> None:
    spec = JudgeSpec(backend="rubric", weights={"polite": 0.5}, noise_sd=0.5)
    assert version_of_spec(spec) == RubricJudge({"polite": 0.5}, noise_sd=0.5).version
    assert version_of_spec(spec) != version_of_spec(JudgeSpec(backend="rubric"))
    assert version_of_spec(JudgeSpec(backend="rubric", delay_s=3)) == version_of_spec(JudgeSpec(backend="rubric"))
