"""What a person fills in for a new run: a text for every key, read as ``--set`` reads it, and what is wrong with it."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from core.config import RunConfig
from core.config_file import from_dict
from core.config_schema import Key, keys, toml_value
from core.errors import ConfigError

GROUPS: dict[str, tuple[str, ...]] = {
    "model": ("model",),
    "data": ("data",),
    "judge": ("judge",),
    "PPO": ("rollout", "ppo"),
    "run": ("run",),
}
"""What is shown together, as sections of the file."""

ESSENTIAL = frozenset(
    (
        "model.id", "model.quantization", "model.adapter", "model.lora_rank", "data.path", "data.prompt_column",
        "judge.file", "judge.cap_usd", "rollout.batch_size", "rollout.max_new_tokens", "ppo.learning_rate",
        "ppo.kl_coef", "run.steps", "run.seed", "run.name",
    )
)  # fmt: skip
"""The keys that most runs are told apart by."""

_SOURCE = "setup"
_WORD = re.compile(r"[a-z][a-z0-9_]*(?:\.[a-z0-9_]+)?")


@dataclass(frozen=True)
class Form:
    """A text for each key of a run.toml, and where they came from."""

    source: str
    texts: Mapping[str, str]

    def changed(self, changes: Mapping[str, str]) -> Form:
        """The same with other texts for these keys."""
        return Form(self.source, {**self.texts, **changes})


@dataclass(frozen=True)
class Checked:
    """What the texts mean together: a configuration, or what is wrong by key."""

    config: RunConfig | None
    wrong: Mapping[str, str] = field(default_factory=dict)
    """A sentence for each key that is wrong."""


@functools.cache
def form_keys() -> tuple[Key, ...]:
    """Every key in the order of the form."""
    return tuple(
        key for sections in GROUPS.values() for section in sections for key in keys().values() if key.section == section
    )


def group_of(key: Key) -> str:
    """The group that the key is shown in."""
    return next(group for group, sections in GROUPS.items() if key.section in sections)


def choices_of(key: Key) -> tuple[str, ...]:
    """All that the key may be, where that is a short list; else nothing."""
    if key.allowed == "true or false":
        return "true", "false"
    return tuple(key.allowed.removeprefix("one of ").split(", ")) if key.allowed.startswith("one of ") else ()


def text_of(key: Key, value: Any) -> str:
    """A value as it is typed: text as it is where that is unambiguous, all else as TOML."""
    if key.is_text and str(value).isprintable() and not str(value).startswith(('"', "'")):
        return str(value)
    return toml_value(value)


def form_of(config: RunConfig, source: str) -> Form:
    """The form filled with this configuration."""
    values = config.model_dump()
    return Form(source, {key.path: text_of(key, values[key.section][key.name]) for key in form_keys()})


def check(form: Form) -> Checked:
    """Read every text. All that is wrong is told, each sentence with the key to change."""
    try:
        config = from_dict({}, [f"{path}={text}" for path, text in form.texts.items()], source=_SOURCE)
    except ConfigError as error:
        head, *sentences = str(error).split("\n  ")
        wrong: dict[str, str] = {}
        for sentence in sentences or [head.removeprefix(f"{_SOURCE}: ")]:
            path = _path_in(sentence)
            wrong[path] = "; ".join(part for part in (wrong.get(path), sentence) if part)
        return Checked(None, wrong)
    return Checked(config)


def to_text(form: Form) -> str:
    """The form as text for a draft; ``from_text`` reads it."""
    return json.dumps({"source": form.source, "texts": dict(form.texts)})


def from_text(text: str) -> Form | None:
    """The form of a draft, perhaps of an older version: new keys have their defaults. None: it is none."""
    try:
        held = json.loads(text)
        source, texts = str(held["source"]), dict(held["texts"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    known = form_of(RunConfig(), source)
    taken = {path: value for path, value in texts.items() if path in known.texts and isinstance(value, str)}
    return known.changed(taken)


def _path_in(sentence: str) -> str:
    """The first key that the sentence names; a section's own sentence names it without the section."""
    section = sentence.partition(":")[0]
    for word in _WORD.findall(sentence):
        for path in (word, f"{section}.{word}"):
            if path in keys():
                return path
    return next((key.path for key in form_keys() if key.section == section), "run.name")
