"""Judge files: what is read, what is refused and in which words, the lint, the version, the built-in judges."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.errors import JudgeError
from core.judge.builtin import BUILT_IN, MEANINGS, built_in_spec
from core.judge.spec import (
    CriterionSpec,
    ExemplarSpec,
    JudgeSpec,
    ParametersSpec,
    PriceSpec,
    ScaleSpec,
    TemplateSpec,
)
from core.judge.spec_file import dump_spec, lint_spec, load_spec, parse_spec, version_of_spec
from core.judge.spec_text import commented_toml

OWN = 'Grade {{ response | data }} to {{ task | data }}. Reply in JSON: {"id": "{{ id }}", "score": 0 to 10}'
SMALL = f"""
name = "mine"
model = "m"

[template]
user = '''{OWN}'''

[[criteria]]
name = "true"
question = "Is it true?"

[[criteria]]
name = "kind"
weight = 2
question = "Is it kind?"
"""


def read(text: str, folder: Path = Path("nowhere")) -> JudgeSpec:
    return parse_spec(text, "judge.toml", folder)


def spec_of(**more: Any) -> JudgeSpec:
    return JudgeSpec(**{"model": "m", **more})


def with_user(user: str, **more: Any) -> JudgeSpec:
    return spec_of(template=TemplateSpec(user=user), **more)


def test_a_judge_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "judge.toml"
    path.write_text(SMALL)
    spec = load_spec(path)
    assert (spec.name, spec.backend, spec.template.user, spec.template.built_in) == ("mine", "chat_json", OWN, "")
    assert [(c.name, c.weight) for c in spec.criteria] == [("true", 1.0), ("kind", 2.0)]
    assert spec.parameters.temperature == 0.0


def test_template_files_beside_it_are_read_into_it(tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "user.j2").write_text(OWN)
    (tmp_path / "judge.toml").write_text('[template]\nuser_file = "texts/user.j2"\n')
    spec = load_spec(tmp_path / "judge.toml")
    assert spec.template == TemplateSpec(user=OWN)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "judge.toml").write_text(dump_spec(spec))
    assert load_spec(elsewhere / "judge.toml") == spec
    (elsewhere / "plain.toml").write_text(f"[template]\nuser_file = '{tmp_path / 'texts' / 'user.j2'}'\n")
    assert load_spec(elsewhere / "plain.toml").template == spec.template


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("bakend = 'chat_json'", "judge.toml, line 1: bakend is not a key; did you mean backend?"),
        ("\n[parameters]\ntemprature = 1", "judge.toml, line 3: parameters.temprature is not a key; "
         "did you mean parameters.temperature?"),
        ("temperature = 1.0", "judge.toml, line 1: temperature is not a key; did you mean parameters.temperature?"),
        ("\nbackend = 'chat'", 'judge.toml, line 2: backend = "chat" is not allowed; it must be: one of decisions, '
         "systemone, chat_logprobs, chat_json, local, self, rubric"),
        ("repeats = 0", "judge.toml, line 1: repeats = 0 is not allowed; it must be: whole number, "
         "at least 1 and at most 32"),
        ("repeats = '2'", 'judge.toml, line 1: repeats = "2" is not allowed; it must be: whole number, '
         "at least 1 and at most 32"),
        ("name = 'a b'", 'judge.toml, line 1: name = "a b" is not allowed; it must be: text of 1 to 60 characters'),
        ("[parameters]\ntemperature = nan", "judge.toml, line 2: parameters.temperature = NaN is not allowed; "
         'it must be: number, at least 0 and at most 2; "" leaves it out'),
        (SMALL.replace("weight = 2", "weight = -2"), "judge.toml, line 14: criteria.weight = -2 is not allowed; "
         "it must be: number, above 0 and at most 1000"),
        (SMALL.replace('"kind"', '"true"'), 'judge.toml, line 8: criteria: criterion "true" is there twice'),
        ("[[criteria]]\nname = 'x'", "judge.toml, line 1: criteria.question is missing; it must be: text"),
        ("[scale]\nlow = 5\nhigh = 5", "judge.toml, line 1: scale: low = 5 must be below high = 5"),
        ("api_key = 'sk-abcdefghijklmnop'", "judge.toml, line 1: api_key looks like a secret, and none belongs here: "
         "keys come from environment variables; delete it"),
        ("\napi_key_env = 'sk-abcdefghijklmnop'", "judge.toml, line 2: api_key_env must be the name of an environment "
         "variable, such as OPENAI_API_KEY, never the key itself"),
        ("caps = 'one'", 'judge.toml, line 1: caps = "one" is not allowed; it must be: list of texts'),
        ("caps = [1]", "judge.toml, line 1: caps = 1 is not allowed; it must be: text"),
        ("scale = 10", "judge.toml, line 1: scale = 10 is not allowed; it must be: a table, headed [scale]"),
        ("criteria = 'x'", 'judge.toml, line 1: criteria = "x" is not allowed; it must be: '
         "tables, each headed [[criteria]]"),
        ("name = 2020-01-01", "judge.toml: holds a date or time, and no key of a judge does: "
         "Object of type date is not JSON serializable"),
        ("name = \n", "judge.toml, line 1, column 8: not valid TOML: Invalid value"),
        ("name = 'a'\nname = 'b'\n", "judge.toml, line 2, column 11: not valid TOML: Cannot overwrite a value"),
        ("[template]\nbuilt_in = 'anchored'\nuser = 'x'", "judge.toml, line 2: give template.built_in or texts of "
         "your own, not both"),
        ("[template]\nuser = 'x'\nuser_file = 'y'", "judge.toml, line 3: give template.user or template.user_file, "
         "not both"),
        ("[template]\nuser_file = '../x'", "judge.toml, line 2: '../x' leads out of the judge's folder; write its "
         "whole path if that is meant"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_sentence_with_file_line_and_key(text: str, sentence: str) -> None:
    with pytest.raises(JudgeError) as refused:
        read(text)
    assert str(refused.value) == sentence


def test_all_that_is_wrong_is_told_at_once_and_no_key_is_shown() -> None:
    with pytest.raises(JudgeError) as refused:
        read("repeats = 0\nmodle = 'x'\nbackend = 'sk-abcdefghijklmnop'")
    lines = str(refused.value).split("\n  ")
    assert lines[0] == "judge.toml has 3 problems:"
    assert len(lines) == 4
    assert "sk-abc" not in str(refused.value)


def test_lines_of_long_texts_are_not_taken_for_keys() -> None:
    text = "[template]\nuser = '''\n[limits]\nconcurrency = 9\n'''\n[limits]\nconcurrency = 0\n"
    with pytest.raises(JudgeError, match=r"^judge\.toml, line 7: limits\.concurrency = 0"):
        read(text)


@pytest.mark.parametrize(
    ("name", "write", "sentence"),
    [
        ("absent.toml", None, r"absent\.toml: no such file; 'rlaif-tui judge init' writes one"),
        ("folder.toml", "mkdir", r"folder\.toml: is no file"),
        ("pipe.toml", "mkfifo", r"pipe\.toml: is no file"),
        ("long.toml", b"#" * 1_000_001, r"long\.toml: is over 1,000,000 bytes"),
        ("latin.toml", b"name = 'a'\n# \xe9", r"latin\.toml, line 2: not UTF-8 text; save the file as UTF-8"),
        ("deep.toml", b"caps = " + b"[" * 5000, r"deep\.toml: not valid TOML"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, write: str | bytes | None, sentence: str) -> None:
    path = tmp_path / name
    if write == "mkdir":
        path.mkdir()
    elif write == "mkfifo":
        os.mkfifo(path)
    elif isinstance(write, bytes):
        path.write_bytes(write)
    with pytest.raises(JudgeError, match=sentence):
        load_spec(path)


def test_a_missing_template_file_and_a_link_out_of_the_folder(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "secret.txt"
    inside.mkdir()
    outside.write_text("{{ task }}{{ response }}")
    (inside / "link.j2").symlink_to(outside)
    with pytest.raises(JudgeError, match=r"x\.j2: no such file; judge\.toml, line 2 names it"):
        read("[template]\nuser_file = 'x.j2'", inside)
    with pytest.raises(JudgeError, match=r"'link\.j2' leads out of the judge's folder"):
        read("[template]\nuser_file = 'link.j2'", inside)


def test_an_empty_text_leaves_a_parameter_out() -> None:
    spec = read('[parameters]\ntemperature = ""\nreasoning_effort = ""\n[price]\ninput = ""\noutput = 2\n')
    assert (spec.parameters.temperature, spec.parameters.reasoning_effort) == (None, None)
    assert (spec.price.input, spec.price.output) == (None, 2.0)
    assert read(dump_spec(spec)) == spec


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
FLOAT = st.floats(0.001, 1000, allow_nan=False)


@st.composite
def specs(draw: st.DrawFn) -> JudgeSpec:
    level = st.lists(TEXT, max_size=6).map(tuple)
    criteria = st.lists(
        st.builds(CriterionSpec, name=TEXT.filter(bool), weight=FLOAT, question=TEXT.filter(bool), levels=level),
        max_size=3,
        unique_by=lambda c: c.name,
    )
    return JudgeSpec(
        name=draw(st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")),
        backend=draw(st.sampled_from(["decisions", "chat_json", "rubric", "self"])),
        model=draw(TEXT),
        template=draw(st.builds(TemplateSpec, system=TEXT, user=TEXT.filter(bool))),
        criteria=tuple(draw(criteria)),
        caps=tuple(draw(st.lists(TEXT, max_size=3))),
        exemplars=tuple(
            draw(
                st.lists(
                    st.builds(ExemplarSpec, task=TEXT, response=TEXT, score=FLOAT, reference=st.none() | TEXT),
                    max_size=2,
                )
            )
        ),
        scale=ScaleSpec(low=draw(st.floats(-100, 0)), high=draw(FLOAT)),
        parameters=draw(
            st.builds(
                ParametersSpec,
                temperature=st.none() | st.floats(0, 2),
                seed=st.none() | st.integers(-(2**40), 2**40),
                reasoning_effort=st.none() | TEXT.filter(bool),
                extra=st.dictionaries(TEXT, st.booleans() | TEXT | st.lists(st.integers(0, 9))),
            )
        ),
        price=draw(st.builds(PriceSpec, input=st.none() | FLOAT)),
        weights=draw(st.dictionaries(TEXT, FLOAT, max_size=2)),
    )


@settings(deadline=None)
@given(specs())
def test_what_is_written_reads_back_equal(spec: JudgeSpec) -> None:
    assert read(dump_spec(spec)) == spec


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_judges_are_usable_and_survive_being_written_out(name: str) -> None:
    spec = BUILT_IN[name]
    assert lint_spec(spec).errors == ()
    assert read(dump_spec(spec)) == spec
    edited = commented_toml(spec, "Two\n\nlines")
    assert edited.startswith("# Two\n#\n# lines\n")
    assert read(edited) == spec
    assert version_of_spec(read(edited)) == version_of_spec(spec)
    assert re.fullmatch("[0-9a-f]{12}", version_of_spec(spec))
    assert name in MEANINGS


def test_every_key_of_a_written_judge_has_a_comment_with_its_meaning() -> None:
    lines = commented_toml(BUILT_IN["general"], "x").split("\n")
    at = lines.index("attempt_timeout_s = 30.0")
    assert lines[at - 2 : at] == [
        "# patience for one call",
        "#   s; default 30.0; number, above 0 and at most 3600",
    ]
    rules = commented_toml(BUILT_IN["rubric"], "x")
    assert "noise_sd = 0.0" in rules
    assert "provider" not in rules
    assert "weights" not in commented_toml(BUILT_IN["general"], "x")


def test_an_exemplar_and_texts_of_ones_own_survive_being_written_out() -> None:
    spec = with_user('a\n"""b"""\\ {{ task }}', exemplars=(ExemplarSpec(task="t", response="r", score=3),))
    assert read(commented_toml(spec, "x")) == spec


def test_a_built_in_judge_for_another_provider_takes_its_usual_model_and_parameters() -> None:
    claude = built_in_spec("general", provider="anthropic")
    assert (claude.model, claude.parameters.temperature) == ("claude-haiku-5-5", None)
    own = built_in_spec("general", provider="compatible", base_url="http://localhost:1/v1", model="q")
    assert (own.model, own.base_url) == ("q", "http://localhost:1/v1")
    assert lint_spec(own).errors == ()
    assert lint_spec(built_in_spec("general", backend="self")).errors == ()
    assert "model is missing" in lint_spec(built_in_spec("general", backend="local")).errors[0]
    with pytest.raises(ValueError, match="backend"):
        built_in_spec("general", backend="nonsense")
