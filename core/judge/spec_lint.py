"""What would make a judge useless, before it costs anything: errors that stop it, warnings that a person weighs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import JudgeError
from ..types import JudgeRequest
from .resolve import FIELD_BACKENDS, LETTER_BACKENDS, contract_of, exemplars_of, rubric_of, scale_of, template_of
from .sandbox import names_in
from .spec import JudgeSpec
from .spec_errors import looks_secret
from .template import LABELS, VARIABLES, Contract, JudgeTemplate, anchor_scores, render
from .template import lint as lint_template

API_BACKENDS = FIELD_BACKENDS | {"chat_logprobs", "chat_json"}
_FSTRING = re.compile(r"(?<![{%#])\{\s*(\w+)\s*\}(?!\})")
_RAW_RESPONSE = re.compile(r"\{\{-?\s*(response|response_a|response_b)\s*(?:\|\s*(?!data\b|tojson\b)\w+[^|}]*)*-?\}\}")
_OLD_NAMES = {"prompt": "task", "question": "task", "instruction": "task", "input": "task", "answer": "response",
              "output": "response", "completion": "response", "expected": "reference", "gold": "reference"}  # fmt: skip
_ENVIRONMENT_NAME = re.compile(r"^[A-Za-z_][A-Za-z0-9_]*$")
_ASKS: dict[Contract, re.Pattern[str]] = {
    "json": re.compile(r"\bjson\b|\{\s*\"", re.IGNORECASE),
    "mark": re.compile(r"\b(mark|score|rating|rate|grade|number)\b", re.IGNORECASE),
    "letter": re.compile(r"\b(letter|label)s?\b", re.IGNORECASE),
}
_SAMPLE = "Alfa", "Bravo", "Charlie", "Delta"
"""Words that stand for task, response, reference and a second response in a trial rendering."""


@dataclass(frozen=True)
class Lint:
    """What was found, a sentence each."""

    errors: tuple[str, ...]
    warnings: tuple[str, ...]


def lint_spec(spec: JudgeSpec) -> Lint:
    """Look through a judge. With an error in it no judge is opened."""
    if spec.backend == "rubric":
        return Lint(tuple(_rubric_errors(spec)), ("this is not a real judge: fixed rules, for demos and tests",))
    errors = [*_address_errors(spec), *_rubric_data_errors(spec), *_template_errors(spec)]
    warnings = list(_text_warnings(f"{spec.template.system}\n{spec.template.user}"))
    warnings += _warnings(spec) if not errors else []
    return Lint(tuple(dict.fromkeys(errors)), tuple(dict.fromkeys(warnings)))


def secret_error(spec: JudgeSpec) -> str:
    """A key that stands in the file instead of the name of its variable; the value is not shown."""
    if spec.api_key_env and (looks_secret(spec.api_key_env) or not _ENVIRONMENT_NAME.match(spec.api_key_env)):
        return "api_key_env must be the name of an environment variable, such as OPENAI_API_KEY, never the key itself"
    return ""


def _rubric_errors(spec: JudgeSpec) -> Iterator[str]:
    from .rubric import check_weights

    try:
        check_weights(spec.weights or None)
    except JudgeError as error:
        yield str(error)


def _address_errors(spec: JudgeSpec) -> Iterator[str]:
    if problem := secret_error(spec):
        yield problem
    if not spec.model and spec.backend in API_BACKENDS:
        yield f"model is missing: backend '{spec.backend}' needs the provider's name of a model, such as gpt-6-luna"
    if not spec.model and spec.backend == "local":
        yield "model is missing: backend 'local' needs a Hugging Face id or a folder"
    if spec.backend in API_BACKENDS and spec.provider == "compatible" and not spec.base_url:
        yield "base_url is missing: provider 'compatible' is a server of yours, such as http://localhost:8000/v1"
    if spec.backend == "systemone" and not spec.base_url:
        yield "base_url is missing: backend 'systemone' asks a server of yours, such as http://localhost:8000/v1"
    if spec.base_url:
        yield from _url_errors(spec.base_url)


def _url_errors(url: str) -> Iterator[str]:
    try:
        parts = urlsplit(url)
        host = parts.hostname
        assert parts.port is None or parts.port >= 0
    except ValueError:
        parts, host = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not host:
        yield "base_url must be an address such as https://api.example.com/v1"
    elif parts.username or parts.password or parts.query or parts.fragment:
        yield "base_url must hold no user, password or '?': keys come from environment variables"


def _rubric_data_errors(spec: JudgeSpec) -> Iterator[str]:
    """Weights, levels and exemplars. The types hold a weight above 0, whoever made the spec in code or file."""
    for criterion in spec.criteria:
        if len(criterion.levels) not in (0, len(LABELS)):
            yield (
                f"criterion '{criterion.name}' has {len(criterion.levels)} levels; write {len(LABELS)}, for the marks "
                f"{', '.join(f'{s:g}' for s in anchor_scores(scale_of(spec)))}, or none"
            )
    if spec.weights:
        yield f"weights belong to backend 'rubric'; with '{spec.backend}' each criterion has its own weight"
    for number, exemplar in enumerate(spec.exemplars, 1):
        if not spec.scale.low <= exemplar.score <= spec.scale.high:
            yield f"exemplar {number}: score {exemplar.score:g} is outside {spec.scale.low:g} to {spec.scale.high:g}"


def _template_errors(spec: JudgeSpec) -> Iterator[str]:
    own = spec.template
    if own.system_file or own.user_file:
        yield "template files are named but not read; load the judge from its file"
        return
    if own.built_in and (own.system or own.user):
        yield "template: give built_in or texts of your own, not both"
    if not (own.built_in or own.user):
        yield "template.user is missing: give it, template.user_file or template.built_in"
        return
    try:
        template = template_of(spec)
    except JudgeError as error:
        yield str(error)
        return
    problems = [_with_old_name(problem) for problem in lint_template(template)]
    yield from problems
    if not problems:
        yield from _trial_errors(spec, template)


def _with_old_name(problem: str) -> str:
    word = problem.split("'")[1] if problem.startswith("'") else ""
    if "is not a variable" in problem and (ours := _OLD_NAMES.get(word)):
        return f"'{word}' is not a variable; did you mean '{ours}'?"
    return problem


def _trial_errors(spec: JudgeSpec, template: JudgeTemplate) -> Iterator[str]:
    """Render once with and once without what may be missing: no response must be the first to find a fault."""
    texts = []
    for reference, truncated in ((_SAMPLE[2], False), (None, True)):
        request = JudgeRequest(task=_SAMPLE[0], response=_SAMPLE[1], reference=reference, truncated=truncated)
        try:
            messages = render(
                template,
                rubric_of(spec),
                request,
                "0a1b2c3d",
                scale=scale_of(spec),
                exemplars=exemplars_of(spec),
                other_response=_SAMPLE[3] if template.is_pair else None,
            )
        except JudgeError as error:
            yield str(error)
            return
        texts.append("\n".join(message.content for message in messages))
    pair = [("response_b", _SAMPLE[3])] if template.is_pair else []
    for name, word in (("task", _SAMPLE[0]), ("response_a" if pair else "response", _SAMPLE[1]), *pair):
        if any(word.lower() not in text.lower() for text in texts):
            yield f"'{name}' is used but does not always reach the prompt: the judge would not see it"
    if (spec.template.user or spec.template.system) and spec.backend not in FIELD_BACKENDS:
        yield from _contract_errors(spec, template, texts[0])


def _contract_errors(spec: JudgeSpec, template: JudgeTemplate, text: str) -> Iterator[str]:
    """A judge that is not told how to answer gives nothing that can be read."""
    contract = contract_of(spec)
    wanted = {
        "json": 'ask for JSON with the keys "id", "reasoning" and "score", and show {{ id }}',
        "mark": f"ask for a bare mark, and name the scale up to {spec.scale.high:g}",
        "letter": "ask for one letter, A to F, lowest first",
    }
    found = bool(_ASKS[contract].search(text))
    if contract == "json":
        verdict = "winner" if template.is_pair else "score"
        wanted["json"] = wanted["json"].replace("score", verdict)
        found = found and verdict in text and "0a1b2c3d" in text
    elif contract == "mark":
        found = found and bool(re.search(rf"(?<![\d.]){re.escape(f'{spec.scale.high:g}')}(?![\d.]*\d)", text))
    else:
        last = "C" if template.is_pair else "F"
        found = found and bool(re.search(rf"\bA\b.*\b{last}\b", text, re.DOTALL))
    if not found:
        yield f"no output contract: backend '{spec.backend}' needs a prompt that says how to answer; {wanted[contract]}"


def _warnings(spec: JudgeSpec) -> Iterator[str]:
    own = bool(spec.template.user)
    if not any(criterion.levels for criterion in rubric_of(spec).criteria):
        yield "no anchors: without a sentence for each level two runs of a judge may mean different things by a 6"
    template = template_of(spec)
    used = names_in(template.user) | names_in(template.system)
    if own and spec.criteria and not used & {"criteria", "rubric"} and spec.backend not in FIELD_BACKENDS:
        yield "the criteria do not appear in the template: use {{ criteria }} in a loop"
    if own and spec.exemplars and "exemplars" not in used and spec.backend not in FIELD_BACKENDS:
        yield "the exemplars do not appear in the template: use {{ exemplars }} in a loop"
    about = " ".join([*(c.question for c in rubric_of(spec).criteria), *spec.caps, spec.template.system]).lower()
    if re.search(r"\b(reference|known (right )?answer|gold answer)\b", about) and "reference" not in used:
        yield "it judges against a reference and does not show it: add {{ reference | data }}"
    if spec.backend == "self":
        yield "a model that judges itself prefers its own answers; check it with 'rlaif-tui judge calibrate'"
    if spec.backend in LETTER_BACKENDS and spec.repeats > 1:
        yield "repeats above 1 cost calls and change nothing: this back end gives its whole distribution at once"
    if spec.output == "mark" and spec.backend == "chat_json":
        yield "a bare mark carries no id, so a mark written into a response is harder to tell from the judge's own"
    if not all(len(set(c.levels)) == len(c.levels) for c in spec.criteria):
        yield "two levels of a criterion are the same sentence"


def _text_warnings(text: str) -> Iterator[str]:
    if found := _RAW_RESPONSE.search(text):
        yield f"{{{{ {found[1]} }}}} goes in bare and may pass for the prompt; write {{{{ {found[1]} | data }}}}"
    for name in dict.fromkeys(_FSTRING.findall(text)):
        if ours := _OLD_NAMES.get(name, name if name in VARIABLES else ""):
            yield f"{{{name}}} is the style of another tool and stays as it is here; write {{{{ {ours} | data }}}}"
