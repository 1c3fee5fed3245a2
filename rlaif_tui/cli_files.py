"""Commands on files: ``check`` a configuration, look at ``data``, ``export`` what a run made."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from core.errors import RlaifError
from core.run_dir import RunDir

from .cli_common import FAILED, OK, USAGE, Json, Overrides, Run, find_run, in_core, refuse, root_of, say, say_json
from .export_files import OutputError, export_comparison, export_metrics, export_rollouts
from .export_tensorboard import export_tensorboard
from .text import one_line

_SHOWN_PROBLEMS = 20
_DEFAULT_TOKEN_LIMIT = 512


def check(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="RUN.toml", help="Configuration to check.")],
    overrides: Overrides = None,
    as_json: Json = False,
) -> None:
    """Check a configuration before it costs anything.

    Ten checks, each with its time and evidence; no weight is changed.

    \b
    Examples:
      rlaif-tui check run.toml
      rlaif-tui check run.toml --set model.device=cpu
      rlaif-tui check run.toml --json | jq '.checks[] | select(.ok == false)'
    """
    words = [word for override in overrides or [] for word in ("--set", override)]
    place = ["--runs-dir", str(root_of(context))]
    lines: list[str] = []

    def each_line(line: str) -> None:
        lines.append(line)
        if not as_json:
            say(line)

    code, error = in_core("core.preflight", [str(file), *words, *place, *(["--json"] if as_json else [])], each_line)
    if code not in (OK, FAILED) or not lines:
        refuse(error or f"the preflight ended with code {code} and said nothing", FAILED)
    if as_json:
        say_json(json.loads("\n".join(lines)))
    raise typer.Exit(code)


def export(
    context: typer.Context,
    run: Run,
    adapter: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The trained LoRA adapter, as PEFT saves it.")
    ] = None,
    merged: Annotated[Path | None, typer.Option(metavar="DIR", help="The whole model with the adapter in it.")] = None,
    metrics: Annotated[Path | None, typer.Option(metavar="FILE", help="Every figure of every step.")] = None,
    rollouts: Annotated[Path | None, typer.Option(metavar="FILE", help="Every response and verdict.")] = None,
    comparison: Annotated[
        tuple[str, Path] | None,
        typer.Option(metavar="ID FILE", help="Every response and verdict of a comparison; 'newest' is an id too."),
    ] = None,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="DIR", help="The figures as TensorBoard event files.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace what an earlier export wrote.")] = False,
) -> None:
    """Take weights, figures or responses out of a run.

    Weights are those of its last checkpoint, with a model card beside them. A FILE is a table as its name ends: .csv,
    .jsonl or .parquet. In a .csv, texts that a spreadsheet would take for a formula begin with a '.

    \b
    Examples:
      rlaif-tui export gentle --adapter ./gentle-adapter
      rlaif-tui export gentle --merged ./gentle-model
      rlaif-tui export gentle --metrics gentle.csv --rollouts gentle.parquet
      rlaif-tui export gentle --comparison newest gentle-against-base.csv
      rlaif-tui export gentle --tensorboard ./logs/gentle
    """
    if not any((adapter, merged, metrics, rollouts, comparison, tensorboard)):
        refuse(
            "export needs at least one of --adapter DIR, --merged DIR, --metrics FILE, --rollouts FILE, "
            "--comparison ID FILE, --tensorboard DIR",
            USAGE,
        )
    found = find_run(context, run)
    if metrics:
        say(f"wrote {export_metrics(found, metrics, force)} steps to {metrics}")
    if rollouts:
        say(f"wrote {export_rollouts(found, rollouts, force)} responses to {rollouts}")
    if comparison:
        say(f"wrote {export_comparison(found, *comparison, force)} responses to {comparison[1]}")
    if tensorboard:
        say(f"wrote {export_tensorboard(found, tensorboard, force)} figures to {tensorboard}")
    for option, folder in (("--adapter", adapter), ("--merged", merged)):
        if folder:
            _export_weights(found, option, folder, force)


def data(
    file: Annotated[str, typer.Argument(metavar="FILE", help="CSV, TSV, JSON, JSONL, Parquet or hf://datasets/...")],
    prompt_column: Annotated[
        str, typer.Option(metavar="NAME", help="Column with the prompt; else it is guessed.")
    ] = "",
    model: Annotated[str, typer.Option(metavar="ID", help="Count tokens as this model's tokenizer does.")] = "demo",
    limit: Annotated[int, typer.Option(metavar="TOKENS", min=1, help="Longer prompts are counted as too long.")] = (
        _DEFAULT_TOKEN_LIMIT
    ),
    as_json: Json = False,
) -> None:
    """Show what the importer sees in a file of prompts.

    Rows, columns, duplicates, token lengths and problems. The file is never written to.

    \b
    Examples:
      rlaif-tui data prompts.csv
      rlaif-tui data chats.jsonl --prompt-column messages --model HuggingFaceH4/zephyr-7b-beta
      rlaif-tui data prompts.csv --json | jq .problems
    """
    from core.prompts import Columns, load_prompts, token_lengths

    dataset = load_prompts(file, columns=Columns(prompt=prompt_column))
    tokenizer = _demo_tokenizer() if model == "demo" else model
    report = dataset.report.with_tokens(token_lengths(dataset.prompts, tokenizer, limit)).to_json()
    if as_json:
        say_json(report)
    else:
        _say_data(report, model)


def _export_weights(run: RunDir, option: str, folder: Path, force: bool) -> None:
    target = folder.expanduser().absolute()
    if target.exists() and (not target.is_dir() or any(target.iterdir())) and not force:
        raise OutputError(
            f"{target} exists already and is not empty; give another name, or --force to replace an earlier export"
        )
    code, error = in_core("core.publish", [str(run.path), option, str(target), *(["--force"] if force else [])], say)
    if code != OK:
        raise RlaifError(error or f"the export ended with code {code} and said nothing")


def _demo_tokenizer() -> str:
    import core

    return str(Path(core.__file__).parent / "demo" / "model")


def _say_data(report: dict[str, Any], model: str) -> None:
    tokens = report["tokens"]
    delimiter = f", delimiter {report['delimiter']!r}" if report["delimiter"] else ""
    say(f"{report['path']}: {report['rows']:,} rows, {report['usable']:,} usable, {report['empty']:,} empty, "
        f"{report['duplicates']:,} duplicates; {report['encoding']}{delimiter}")  # fmt: skip
    say(f"columns: {', '.join(one_line(name) for name in report['columns'])}")
    say(f"prompt column: {one_line(report['prompt_column'])}")
    for sentence in (*report["guessed"], *report["notes"]):
        say(f"  {one_line(sentence)}")
    say(f"prompt tokens ({model}): median {tokens['p50']:,}, 95% {tokens['p95']:,}, longest {tokens['max']:,}; "
        f"{tokens['over_limit']:,} over {tokens['limit']:,}")  # fmt: skip
    for problem in report["problems"][:_SHOWN_PROBLEMS]:
        say(f"row {problem['row']}: {one_line(problem['what'])}")
    if report["problem_count"] > _SHOWN_PROBLEMS:
        say(f"and {report['problem_count'] - _SHOWN_PROBLEMS:,} more rows with problems; --json lists them")
