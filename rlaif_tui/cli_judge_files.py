"""Commands on judge files: ``init`` writes one, ``show`` says what it sends, ``lint`` what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from core.errors import JudgeError
from core.types import JudgeRequest

from .cli_common import USAGE, Json, complain, nearest, refuse, say, say_json
from .export_files import OutputError
from .judge_view import judge_object, say_judge, say_sent

if TYPE_CHECKING:
    from core.judge.spec import JudgeSpec

_SAMPLE = JudgeRequest(
    task="What should I do with a cast-iron pan after cooking?",
    response="Wipe it clean while it is warm, dry it well and rub a drop of oil into it.",
    reference="Clean it without soaking, dry it and oil it.",
)
JudgeFile = Annotated[
    str, typer.Argument(metavar="JUDGE.toml", help="A judge file, or the name of a built-in judge, such as general.")
]


def init(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Judge file to write.")] = Path("judge.toml"),
    source: Annotated[str, typer.Option("--from", metavar="NAME", help="Built-in judge to begin with.")] = "general",
    backend: Annotated[str, typer.Option(metavar="NAME", help="How the model is asked, such as chat_json.")] = "",
    provider: Annotated[str, typer.Option(metavar="NAME", help="Whose protocol, such as anthropic.")] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="The provider's name of the model.")] = "",
    base_url: Annotated[str, typer.Option(metavar="URL", help="Address of a server of your own.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
) -> None:
    """Write a judge file to edit, every key with its meaning.

    \b
    Examples:
      rlaif-tui judge init
      rlaif-tui judge init mine.toml --from reference --provider anthropic
      rlaif-tui judge init mine.toml --provider compatible --base-url http://localhost:8000/v1 --model my-model
    """
    from core.judge.builtin import BUILT_IN, MEANINGS
    from core.judge.spec_file import lint_spec
    from core.judge.spec_text import commented_toml

    if source not in BUILT_IN:
        refuse(
            f"--from {source}: no such judge{nearest(source, list(BUILT_IN))}; there are {', '.join(BUILT_IN)}", USAGE
        )
    spec = _asked_for(source, backend=backend, provider=provider, model=model, base_url=base_url)
    title = (
        f"A judge of rlaif-tui: {MEANINGS[source]}.\n\n"
        f"See what it would send: rlaif-tui judge show {file.name}\n"
        f"Keys come from the environment and never stand in this file."
    )
    _write(file, commented_toml(spec, title), force)
    say(f"wrote {file}: judge '{spec.name}', backend {spec.backend}{f', model {spec.model}' if spec.model else ''}")
    for problem in lint_spec(spec).errors:
        say(f"to be filled in: {problem}")


def show(
    judge: JudgeFile,
    task: Annotated[str, typer.Option(metavar="TEXT", help="Task of the sample.")] = "",
    response: Annotated[str, typer.Option(metavar="TEXT", help="Response of the sample.")] = "",
    reference: Annotated[str, typer.Option(metavar="TEXT", help="Known right answer of the sample.")] = "",
    data: Annotated[str, typer.Option(metavar="FILE", help="Take the sample from a file of prompts.")] = "",
    row: Annotated[int, typer.Option(metavar="N", min=1, help="Which usable row of --data.")] = 1,
    as_json: Json = False,
) -> None:
    """Show a judge as it is resolved, and exactly what it would send. Nothing is sent.

    \b
    Examples:
      rlaif-tui judge show general
      rlaif-tui judge show judge.toml --task "What is 2+2?" --response "Four."
      rlaif-tui judge show judge.toml --data prompts.csv --row 3 --json
    """
    shown = judge_object(_judge(judge), _sample(_Sample(task, response, reference, data, row)))
    if as_json:
        say_json(shown)
        return
    say_judge(shown)
    say_sent(shown)


def lint(judge: JudgeFile, as_json: Json = False) -> None:
    """Look through a judge file. Ends with code 2 if it cannot be used.

    \b
    Examples:
      rlaif-tui judge lint judge.toml
      rlaif-tui judge lint judge.toml --json | jq .warnings
    """
    from core.judge.spec_file import lint_spec

    try:
        found = lint_spec(_judge(judge))
        errors, warnings = list(found.errors), list(found.warnings)
    except JudgeError as error:
        errors, warnings = [str(error)], []
    if as_json:
        say_json({"judge": judge, "ok": not errors, "errors": errors, "warnings": warnings})
    else:
        for problem in errors:
            complain(f"error: {problem}")
        for problem in warnings:
            say(f"warning: {problem}")
        if not errors:
            say(f"{judge}: {'usable' if warnings else 'nothing to object to'}")
    if errors:
        raise typer.Exit(USAGE)


@dataclass(frozen=True)
class _Sample:
    """What was said on the command line about the response to show."""

    task: str
    response: str
    reference: str
    data: str
    row: int


def _judge(name: str) -> JudgeSpec:
    from core.judge.open import open_spec

    return open_spec(name)


def _asked_for(source: str, **changes: str) -> JudgeSpec:
    from pydantic import ValidationError

    from core.judge.builtin import built_in_spec
    from core.judge.spec_keys import keys

    try:
        return built_in_spec(source, **changes)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        key = str(problem["loc"][0])
        option = f"--{key.replace('_', '-')}"
        refuse(f"{option} {changes.get(key, '')} is not allowed; it must be: {keys()[key].allowed}", USAGE)


def _write(file: Path, text: str, force: bool) -> None:
    try:
        with file.expanduser().open("w" if force else "x", encoding="utf-8") as out:
            out.write(text)
    except FileExistsError:
        raise OutputError(f"{file} exists already; give another name, or --force to replace it") from None
    except OSError as error:
        raise OutputError(f"{file}: cannot be written: {error.strerror}") from error


def _sample(asked: _Sample) -> JudgeRequest:
    if asked.data:
        return _row_of(asked)
    if bool(asked.task) != bool(asked.response):
        refuse("show needs --task and --response together, or --data FILE, or none of them", USAGE)
    if not asked.task:
        return _SAMPLE
    return JudgeRequest(task=asked.task, response=asked.response, reference=asked.reference or None)


def _row_of(asked: _Sample) -> JudgeRequest:
    from core.prompts import load_prompts

    prompts = load_prompts(asked.data).prompts
    if asked.row > len(prompts):
        refuse(f"--row {asked.row}: {asked.data} has {len(prompts):,} usable rows", USAGE)
    prompt = prompts[asked.row - 1]
    response = asked.response or prompt.chosen or prompt.rejected or prompt.reference
    if not response:
        refuse(f"{asked.data} holds no response to judge (no column of answers); give one with --response TEXT", USAGE)
    system = next((m.content for m in prompt.messages if m.role == "system"), None)
    return JudgeRequest(
        task=asked.task or prompt.text, response=response, reference=asked.reference or prompt.reference, system=system
    )
