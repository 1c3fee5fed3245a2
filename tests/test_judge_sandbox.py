"""The sandbox of judge templates: what works in it, what cannot leave it, what is stopped before it runs away."""

from __future__ import annotations

import time

import pytest

from core.errors import JudgeError
from core.judge.sandbox import names_in, run
from core.judge.stock_templates import ANCHORED, GENERAL
from core.judge.template import JudgeTemplate, render
from core.types import JudgeRequest

REQUEST = JudgeRequest(task="What is 2+2?", response="Four.", reference="4", truncated=True)


def test_loops_conditions_and_filters_work() -> None:
    source = (
        "{% for c in criteria %}{{ loop.index }}/{{ loop.length }} {{ c.name | upper }}"
        "{% for s, text in c.anchors if s > 8 %} {{ s }}={{ text }}{% endfor %}{% if not loop.last %}, {% endif %}"
        "{% endfor %}{% if reference %} knows {{ reference | data }}{% endif %} {{ scale.high + 1 }} {{ 'a' ~ 1 }}"
        "{% for i in range(3) %}{{ i }}{% endfor %}"
    )
    (user,) = render(JudgeTemplate("mine", "", source), GENERAL, REQUEST, "0")
    assert user.content == (
        "1/3 CORRECT 10=Nothing in it is wrong., 2/3 ANSWERS 10=It answers everything that was asked., "
        '3/3 CLEAR 10=Clear, well ordered, nothing to strike out. knows "4" 11 a1012'
    )


@pytest.mark.parametrize(
    "user",
    [
        "{{ response.__class__.__mro__ }}",
        "{{ response['__class__'] }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ criteria[0].__init__.__globals__ }}",
        "{{ range.__globals__ }}",
        "{{ task | attr('__class__') }}",
        "{{ '%s' % task }}",
        "{{ '{0.__class__}'.format(task) }}",
        "{{ nothing }}",
        "{% include 'x' %}",
        "{% import 'x' as y %}",
        "{% extends 'x' %}",
        "{{ namespace() }}",
        "{{ cycler }}",
        "{{ scale.low.__class__ }}",
        "{{ response.encode() }}",
        "{{ [response].append(1) }}",
        "{{ 1 / 0 }}",
        "{{ range }}",
        "{{ criteria[0].items }}",
    ],
)
def test_a_template_cannot_leave_the_sandbox(user: str) -> None:
    with pytest.raises(JudgeError, match="judge template 'mine': user text, line 1: "):
        render(JudgeTemplate("mine", "", user), GENERAL, REQUEST, "0")


GROWING = [
    "{% for i in range(10**9) %}x{% endfor %}",
    "{% for i in range(1000000000) %}x{% endfor %}",
    "{% for i in range(999) %}{% for j in range(999) %}{% for k in range(999) %}{% endfor %}{% endfor %}{% endfor %}",
    "{% for i in response %}{% for j in response %}{% set x = 1 %}{% endfor %}{% endfor %}",
    "{% for i in range(999) %}{% for j in range(99) %}{{ response }}{% endfor %}{% endfor %}",
    "{% for i in range(999) %}{{ response | data | length }}{% endfor %}",
    "{{ 'a' * 10000000000 }}",
    "{{ 10 ** 10 ** 10 }}",
    "{{ '%1000000000d' % 1 }}",
    "{{ '{:1000000000}'.format(1) }}",
    "{{ 'x'.center(1000000000) }}",
    "{{ 'x' | center(1000000000) }}",
    "{% set x = response %}" + "{% set x = x ~ x %}" * 40 + "{{ x }}",
    "{% set x = response %}" + "{% set x = x + x %}" * 40,
    "{% set x = 7 %}" + "{% set x = x * x %}" * 60,
    "{% set x = '\"' %}{{ x" + " | data" * 60 + " }}",
    "{% set x = [1] %}" + "{% set x = [x, x] %}" * 40 + "{{ x }}",
    "{% set x %}{{ response }}{% endset %}",
    "{% macro m(n) %}{{ m(n) }}{{ m(n) }}{% endmacro %}{{ m(1) }}",
    "{% for x in [[1]] recursive %}{{ loop(x) }}{% endfor %}",
    "{{ response | join(response) }}",
    "{{ response | replace('r', response) }}",
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "{{ " + "1 + " * 20_000 + "1 }}",
    "{% if 1 %}" * 200 + "{% endif %}" * 200,
    "{% for a in range(2) %}" * 30 + "x" + "{% endfor %}" * 30,
    "x" * 100_001,
    "{{" * 40_000,
]


@pytest.mark.parametrize("source", GROWING, ids=[source[:40] for source in GROWING])
def test_a_template_without_end_is_stopped_in_about_a_second(source: str) -> None:
    began = time.thread_time()
    with pytest.raises(JudgeError) as stopped:
        run(source, {"response": "r" * 100_000})
    assert time.thread_time() - began < 3.0
    assert len(str(stopped.value)) < 300
    assert "\n" not in str(stopped.value)


def test_a_long_response_fits_into_the_budget() -> None:
    long = JudgeRequest(task="t" * 50_000, response='"' * 500_000)
    _, user = render(ANCHORED, GENERAL, long, "0")
    assert len(user.content) > 1_050_000  # each quotation mark is escaped


def test_the_budget_is_out_of_a_templates_reach() -> None:
    for source in ("{{ the budget }}", "{% set budget = 1 %}{{ budget | charged }}", "{{ task | counted }}"):
        with pytest.raises(JudgeError):
            run(source, {"task": "x"})


def test_names_are_those_that_are_read() -> None:
    assert names_in("{% set a = task %}{{ a }}{% for c in criteria %}{{ c.x }}{{ range(2) }}{% endfor %}") == {
        "task",
        "criteria",
    }
