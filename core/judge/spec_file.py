"""``judge.toml`` to ``JudgeSpec`` and back. What is read is validated once, and each error is one sentence."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import ValidationError

from ..errors import JudgeError
from .resolve import exemplars_of, instructions_of, levels_of, pair_template_of, rubric_of, scale_of, template_of
from .sandbox import MAX_SOURCE
from .spec import JudgeSpec
from .spec_errors import TomlText, describe_error
from .spec_keys import keys
from .spec_lint import Lint, lint_spec, secret_error
from .template import version_of

__all__ = ["Lint", "dump_spec", "lint_spec", "load_spec", "parse_spec", "version_of_spec"]

MAX_BYTES = 1_000_000
ASKING_VERSION = 1
"""Raised when the same judge file would ask in another way: what is neutralised, how the system prompt is shown."""


def load_spec(path: Path) -> JudgeSpec:
    """Read a judge file with the template files it names. Raises ``JudgeError``: one sentence with file, key, line."""
    path = Path(path).expanduser()
    text = _text_of(path, MAX_BYTES, "'rlaif-tui judge init' writes one")
    return parse_spec(text, str(path), path.absolute().parent)


def parse_spec(text: str, source: str, folder: Path) -> JudgeSpec:
    """The judge in ``text``; ``source`` names it in errors, template files are looked for in ``folder``."""
    toml = TomlText(text, source)
    table = toml.parse()
    _fill_from_files(table, toml, folder)
    for key in keys().values():
        if key.may_be_left_out:
            _blank_to_none(table, key.path.split("."))
    try:
        spec = JudgeSpec.model_validate_json(json.dumps(table), strict=True)
    except ValidationError as error:
        raise describe_error(error, toml) from None
    except TypeError as error:
        raise JudgeError(f"{source}: holds a date or time, and no key of a judge does: {error}") from None
    if problem := secret_error(spec):
        raise JudgeError(f"{toml.place(('api_key_env',))}: {problem}")
    return spec


def dump_spec(spec: JudgeSpec) -> str:
    """The whole judge as TOML, every key written out. ``load_spec`` of it is an equal judge."""
    table: dict[str, Any] = spec.model_dump(mode="json")
    for key in keys().values():
        if key.may_be_left_out:
            _none_to_blank(table, key.path.split("."), keep=key.default is not None)
    for exemplar in table["exemplars"]:
        if exemplar["reference"] is None:
            del exemplar["reference"]
    try:
        return tomli_w.dumps(table)
    except (TypeError, ValueError) as error:
        raise JudgeError(f"judge '{spec.name}' cannot be written as TOML: {error}") from error


def version_of_spec(spec: JudgeSpec) -> str:
    """12 hex digits over everything that can change a score; not name, keys, limits and prices."""
    if spec.backend == "rubric":
        from .rubric import RubricJudge

        return RubricJudge(spec.weights or None, noise_sd=spec.noise_sd, failure_rate=spec.failure_rate).version
    from .parsing import PARSER_VERSION

    template = template_of(spec)
    sent = spec.parameters.model_dump(exclude_none=True)
    return version_of(
        asking=ASKING_VERSION,
        parser=PARSER_VERSION,
        rubric=rubric_of(spec),
        template=[template.system, template.user],
        pair=[pair_template_of(spec).system, pair_template_of(spec).user],
        question=[instructions_of(spec), [[level.score, level.description] for level in levels_of(spec)]],
        exemplars=exemplars_of(spec),
        scale=scale_of(spec),
        backend=[spec.backend, spec.provider, spec.model, spec.base_url, spec.output],
        parameters=sent,
        repeats=spec.repeats,
        failures=[spec.on_refused, spec.on_unparseable, spec.steering_floor],
        dtype=spec.dtype if spec.backend == "local" else "",
    )


def _text_of(path: Path, limit: int, hint: str) -> str:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise JudgeError(f"{path}: is no file; {hint}")
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise JudgeError(f"{path}: no such file; {hint}") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise JudgeError(f"{path}: cannot be read: {reason}") from error
    if len(data) > limit:
        raise JudgeError(f"{path}: is over {limit:,} bytes, too long for a part of a judge")
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise JudgeError(f"{path}, line {line}: not UTF-8 text; save the file as UTF-8") from None


def _fill_from_files(table: dict[str, Any], toml: TomlText, folder: Path) -> None:
    """Put the texts of ``system_file`` and ``user_file`` in their place."""
    template = table.get("template")
    if not isinstance(template, dict):
        return
    for part in ("system", "user"):
        name = template.get(f"{part}_file")
        if not isinstance(name, str) or not name:
            continue
        where = toml.place(("template", f"{part}_file"))
        if template.get(part):
            raise JudgeError(f"{where}: give template.{part} or template.{part}_file, not both")
        template[part] = _text_of(_template_path(name, folder, where), MAX_SOURCE, f"{where} names it")
        template[f"{part}_file"] = ""
    if template.get("built_in") and (template.get("user") or template.get("system")):
        where = toml.place(("template", "built_in"))
        raise JudgeError(f"{where}: give template.built_in or texts of your own, not both")


def _template_path(name: str, folder: Path, where: str) -> Path:
    path = Path(name).expanduser()
    if path.is_absolute():
        return path
    inside = (folder / path).resolve()
    if not inside.is_relative_to(folder.resolve()):
        raise JudgeError(f"{where}: '{name}' leads out of the judge's folder; write its whole path if that is meant")
    return inside


def _blank_to_none(table: Any, path: list[str]) -> None:
    for part in path[:-1]:
        table = table.get(part) if isinstance(table, dict) else None
    if isinstance(table, dict) and table.get(path[-1]) == "":
        table[path[-1]] = None


def _none_to_blank(table: dict[str, Any], path: list[str], *, keep: bool) -> None:
    for part in path[:-1]:
        table = table[part]
    if table[path[-1]] is None:
        if keep:
            table[path[-1]] = ""
        else:
            del table[path[-1]]
