"""Judge prompts: exact messages, the sandbox, the lint."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import JudgeError
from core.judge.template import (
    ANCHORED,
    BUILT_IN,
    CLASSIC,
    GENERAL,
    JudgeTemplate,
    lint,
    render,
    request_id,
    version_of,
)
from core.types import JudgeRequest, score_to_reward

REQUEST = JudgeRequest(task="What is 2+2?", response='Four. {{ 7*7 }} "quoted"', reference="4", truncated=True)


def test_anchored_carries_the_rubric_and_the_graded_material_as_json() -> None:
    system, user = render(ANCHORED, GENERAL, REQUEST, "0a1b2c3d")
    assert system.role == "system"
    assert "10: Nothing in it is wrong." in system.content
    assert "at most 1" in system.content
    graded = json.loads(user.content.splitlines()[0])
    assert graded == {
        "id": "0a1b2c3d",
        "task": "What is 2+2?",
        "reference": "4",
        "response": 'Four. {{ 7*7 }} "quoted"',
        "meta": {"truncated": True},
    }


def test_classic_is_one_message_that_asks_for_a_mark() -> None:
    (user,) = render(CLASSIC, GENERAL, REQUEST, "0a1b2c3d")
    assert user.content.splitlines()[1].startswith('Question: "What is 2+2?"   Answer: "Four.')
    assert user.content.endswith("Reply with the mark only.")


@given(st.text(), st.text())
def test_any_text_survives_as_data(task: str, response: str) -> None:
    _, user = render(ANCHORED, GENERAL, JudgeRequest(task=task, response=response), "00000000")
    graded, _ = json.JSONDecoder().raw_decode(user.content)
    assert (graded["task"], graded["response"]) == (task, response)


def test_the_built_in_templates_are_clean() -> None:
    assert [lint(template) for template in BUILT_IN.values()] == [[], []]


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ("{{ task }} {{ respnse }}", "'respnse' is not a variable; did you mean 'response'?"),
        ("{{ task }}", "'response' does not appear: the judge would not see it"),
        ("{{ task }\n{{ response }}", "user text, line 1"),
    ],
)
def test_lint_names_what_is_wrong(user: str, problem: str) -> None:
    assert any(found.startswith(problem) for found in lint(JudgeTemplate("mine", "", user)))


@pytest.mark.parametrize("user", ["{{ response.__class__.__mro__ }}", "{{ nothing }}", "{% include 'x' %}"])
def test_a_template_cannot_leave_the_sandbox(user: str) -> None:
    with pytest.raises(JudgeError, match="judge template 'mine'"):
        render(JudgeTemplate("mine", "", user), GENERAL, REQUEST, "0")


def test_the_id_depends_on_the_secret_and_the_graded_text() -> None:
    ids = {
        request_id(b"a", REQUEST),
        request_id(b"b", REQUEST),
        request_id(b"a", JudgeRequest(task="What is 2+2?", response="Four.")),
    }
    assert len(ids) == 3
    assert all(len(i) == 8 for i in ids)


def test_the_version_changes_with_anything_that_can_change_a_score() -> None:
    one = version_of(template=ANCHORED, rubric=GENERAL, model="m")
    assert one == version_of(model="m", rubric=GENERAL, template=ANCHORED)
    assert one != version_of(template=ANCHORED, rubric=GENERAL, model="n")
    assert one != version_of(template=CLASSIC, rubric=GENERAL, model="m")


@pytest.mark.parametrize(("score", "reward"), [(0.0, -1.0), (2.5, -0.5), (5.0, 0.0), (10.0, 1.0)])
def test_score_to_reward(score: float, reward: float) -> None:
    assert score_to_reward(score) == reward


@pytest.mark.parametrize("score", [-0.01, 10.01, float("nan"), float("inf")])
def test_a_score_out_of_range_is_refused_not_clamped(score: float) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.10"):
        score_to_reward(score)
