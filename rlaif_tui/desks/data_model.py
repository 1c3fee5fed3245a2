"""A prompt as a model will see it: chat template and tokenizer from the model's files, without torch or transformers.

Templates come with models and are run in Jinja's sandbox, set up as transformers does (trimmed blocks, loop controls,
``raise_exception``, ``strftime_now``, ``tojson`` that escapes nothing).
"""

from __future__ import annotations

import datetime
import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from core.demo import MODEL_DIR
from core.types import Message, Prompt

if TYPE_CHECKING:
    from tokenizers import Tokenizer

Render = Callable[[list[dict[str, str]]], str]
_NEVER = re.compile(r"(?!)")


@dataclass(frozen=True)
class Reader:
    """What turns prompts into text and tokens."""

    model: str
    tokenizer: Tokenizer
    render: Render | None
    """None: the model has no usable chat template, prompts are plain text."""
    specials: re.Pattern[str]
    """Finds special tokens in a text."""
    positions: int | None
    """Longest sequence the model reads, where its files say so."""
    note: str = ""
    """A sentence on what a person should know about the template."""

    def text(self, prompt: Prompt) -> str:
        """The text behind which the response begins. A template that refuses a system turn gets it in the user's."""
        if self.render is None:
            return "\n\n".join(message.content for message in prompt.messages)
        try:
            return self.render(_turns(prompt.messages))
        except Exception:  # noqa: BLE001 templates raise what they like
            return self.render(_without_system(prompt.messages))

    def count(self, prompts: Sequence[Prompt]) -> list[int | None]:
        """Tokens of each prompt with its template; None where the template refuses it."""
        texts = [self._text_or_none(prompt) for prompt in prompts]
        known = [text for text in texts if text is not None]
        encoded = iter(self.tokenizer.encode_batch_fast(known, add_special_tokens=self.render is None))
        return [None if text is None else len(next(encoded)) for text in texts]

    def _text_or_none(self, prompt: Prompt) -> str | None:
        time.sleep(0)  # lets the event loop in at once; else it waits 5 ms for each of the steps that a key takes
        try:
            return self.text(prompt)
        except Exception:  # noqa: BLE001 templates raise what they like
            return None


def load_reader(model: str, revision: str) -> Reader | str:
    """The reader of a local folder, ``demo``, or a model of the Hub that is on this machine; or why there is none."""
    place = _file(model, revision, "tokenizer.json")
    if place is None:
        local = _is_local(model)
        return f"{model} has no tokenizer.json" if local else f"the tokenizer of {model} is not on this machine yet"
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(place))
    except Exception as error:  # noqa: BLE001 the package raises bare Exception
        return f"the tokenizer {place} cannot be read ({_first(error)})"
    tokenizer.no_truncation()
    tokenizer.no_padding()
    settings = _json(_file(model, revision, "tokenizer_config.json"))
    render, note = _renderer(_template(model, revision, settings), settings, model)
    return Reader(model, tokenizer, render, _specials(tokenizer), _positions(model, revision), note)


def _renderer(source: str | None, settings: dict[str, Any], model: str) -> tuple[Render | None, str]:
    if source is None:
        return None, f"{model} has no chat template: prompts are given to it as plain text."
    try:
        return _compile(source, _named_tokens(settings)), ""
    except Exception as error:  # noqa: BLE001 whatever a broken template makes Jinja raise
        return None, f"The chat template of {model} cannot be read ({_first(error)}); plain text is shown and counted."


def _compile(source: str, tokens: dict[str, str]) -> Render:
    from jinja2 import TemplateError, nodes
    from jinja2.ext import Extension
    from jinja2.parser import Parser
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """``{% generation %}`` marks what training is done on; here it is just its body."""

        tags = {"generation"}  # noqa: RUF012 Jinja declares it as an instance variable

        def parse(self, parser: Parser) -> list[nodes.Node]:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def refuse(message: str) -> NoReturn:
        raise TemplateError(message)

    def plain_json(value: Any, **options: Any) -> str:
        return json.dumps(value, **{"ensure_ascii": False, **options})

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.filters["tojson"] = plain_json
    environment.globals["raise_exception"] = refuse
    environment.globals["strftime_now"] = lambda pattern: datetime.datetime.now().strftime(pattern)
    template = environment.from_string(source)
    return lambda turns: template.render(
        messages=turns, tools=None, documents=None, add_generation_prompt=True, **tokens
    )


def _template(model: str, revision: str, settings: dict[str, Any]) -> str | None:
    place = _file(model, revision, "chat_template.jinja")
    if place is not None:
        try:
            return place.read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None
    found = settings.get("chat_template") or _json(_file(model, revision, "chat_template.json")).get("chat_template")
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    return found if isinstance(found, str) else None


def _named_tokens(settings: dict[str, Any]) -> dict[str, str]:
    found = {}
    for name, value in settings.items():
        text = value.get("content") if isinstance(value, dict) else value
        if name.endswith("_token") and isinstance(text, str):
            found[name] = text
    return found


def _specials(tokenizer: Tokenizer) -> re.Pattern[str]:
    names = [token.content for token in tokenizer.get_added_tokens_decoder().values() if token.special]
    names = sorted((name for name in names if name), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, names))) if names else _NEVER


def _positions(model: str, revision: str) -> int | None:
    config = _json(_file(model, revision, "config.json"))
    nested = config.get("text_config")
    for settings in (config, nested if isinstance(nested, dict) else {}):
        found = settings.get("max_position_embeddings") or settings.get("n_positions")
        if isinstance(found, int):
            return found
    return None


def _is_local(model: str) -> bool:
    return model == "demo" or model.startswith(("/", "./", "../", "~")) or Path(model).is_dir()


def _file(model: str, revision: str, name: str) -> Path | None:
    if _is_local(model):
        place = (MODEL_DIR if model == "demo" else Path(model).expanduser()) / name
        return place if place.is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(model, name, revision=revision)
    except (HFValidationError, OSError):
        return None
    return Path(found) if isinstance(found, str) else None


def _json(place: Path | None) -> dict[str, Any]:
    try:
        found = json.loads(place.read_text(encoding="utf-8")) if place else {}
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _turns(messages: Sequence[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


def _without_system(messages: Sequence[Message]) -> list[dict[str, str]]:
    system = "\n\n".join(message.content for message in messages if message.role == "system")
    rest = _turns([message for message in messages if message.role != "system"])
    if system and rest:
        rest[0]["content"] = f"{system}\n\n{rest[0]['content']}"
    return rest


def _first(error: Exception) -> str:
    return (str(error).split("\n", 1)[0] or type(error).__name__)[:160]
