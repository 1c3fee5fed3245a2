"""A judge as a file to edit: each key with what it means, its unit, its default and what it allows."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from typing import Any

from ..config_schema import toml_value
from .spec import JudgeSpec
from .spec_keys import Key, keys
from .template import PAIR_VARIABLES, VARIABLES

_RUBRIC_ONLY = frozenset({"weights", "noise_sd", "delay_s", "failure_rate"})
_LOCAL_ONLY = frozenset({"dtype", "device"})
_ON_DEVICE = frozenset({"batch_size"})
_ASKED = frozenset({"provider", "base_url", "api_key_env", "output", "limits", "price", "on_refused", "on_unparseable"})
_JUDGED = frozenset({"model", "template", "criteria", "caps", "exemplars", "scale", "parameters", "repeats"})
_EXEMPLAR = """
# Judged responses that the judge is shown: two to four, spread over the scale.
# [[exemplars]]
# task = "Name a colour of the rainbow."
# response = "Green."
# score = 10
# reason = "Right and complete."
"""
_OWN_TEMPLATE = """
#   A prompt of your own: delete built_in and write texts here, or name files beside this one:
#     user_file = "judge_prompt.j2"
#   They are Jinja2 and may use {names}.
#   What the policy wrote goes in as {{{{ response | data }}}}."""


def commented_toml(spec: JudgeSpec, title: str) -> str:
    """A judge file with the keys that matter to its back end; reading it gives an equal judge."""
    lines = [f"# {line}" if line else "#" for line in title.splitlines()]
    shown = [key for key in keys().values() if _matters(key.path.partition(".")[0], spec)]
    top = [key for key in shown if "." not in key.path and not key.is_table]
    for key in top:
        lines += ["", *_comment(key), f"{key.name} = {_value(key, getattr(spec, key.name))}"]
    for table in (key for key in shown if "." not in key.path and key.is_table):
        inner = [key for key in shown if key.path.startswith(f"{table.path}.")]
        lines += list(_tables(table, inner, spec))
    return "\n".join(lines) + "\n"


def _matters(name: str, spec: JudgeSpec) -> bool:
    """Whether a key says anything to this judge's back end, or holds something already."""
    if getattr(spec, name) != JudgeSpec.model_fields[name].get_default():
        return True
    if name in _RUBRIC_ONLY:
        return spec.backend == "rubric"
    if name in _LOCAL_ONLY:
        return spec.backend == "local"
    if name in _ON_DEVICE:
        return spec.backend in ("local", "self")
    if name in _ASKED:
        return spec.backend not in ("rubric", "local", "self")
    if name == "steering_floor":
        return spec.backend in ("decisions", "systemone", "chat_json")
    return name not in _JUDGED or spec.backend != "rubric"


def _comment(key: Key) -> list[str]:
    default = [] if key.default is None and not key.may_be_left_out else [f"default {_value(key, key.default)}"]
    facts = [*([key.unit] if key.unit else []), *default, key.allowed]
    meaning = textwrap.wrap(key.meaning, 110, break_long_words=False, break_on_hyphens=False)
    return [*(f"# {line}" for line in meaning), f"#   {'; '.join(facts)}"]


def _value(key: Key, value: Any) -> str:
    if value is None and key.may_be_left_out:
        return '""'
    if isinstance(value, tuple) and value:
        return "[\n" + "".join(f"  {toml_value(item)},\n" for item in value) + "]"
    return toml_value(value)


def _tables(table: Key, inner: list[Key], spec: JudgeSpec) -> Iterator[str]:
    value = getattr(spec, table.name)
    one = value[0] if isinstance(value, tuple) and value else value
    meaning = ((type(one).__doc__ or "").strip().split("\n")[0]).replace("``", "'")
    if isinstance(value, tuple):
        if not value and table.name == "exemplars":
            yield _EXEMPLAR.rstrip("\n")
        for number, one in enumerate(value):
            yield from ("", *([f"# {meaning}"] if not number else []), f"[[{table.path}]]")
            for key in inner:
                if getattr(one, key.name) is not None:
                    yield f"{key.name} = {_value(key, getattr(one, key.name))}"
        return
    yield from ("", f"# {meaning}", f"[{table.path}]")
    if table.name == "template":
        yield from _template(spec)
        return
    for key in inner:
        yield from ("", *_comment(key), f"{key.name} = {_value(key, getattr(value, key.name))}")


def _template(spec: JudgeSpec) -> Iterator[str]:
    own = spec.template
    names = PAIR_VARIABLES if own.built_in == "pairwise" else VARIABLES
    yield _OWN_TEMPLATE.lstrip("\n").format(names=", ".join(names))
    for name in ("built_in", "system", "user"):
        text = getattr(own, name)
        if text:
            yield f"{name} = {toml_value(text) if name == 'built_in' else json.dumps(text, ensure_ascii=True)}"
