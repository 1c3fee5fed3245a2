"""Judges as text on disk: the one to begin with, saved versions, what a text amounts to, what it would send."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import JudgeError, RlaifError
from core.files import write_atomic
from core.run_dir import RunDir
from core.types import JudgeRequest

from ..export_files import OutputError
from ..text import one_line
from .judge_state import Checked, Version

if TYPE_CHECKING:
    from core.judge.spec import JudgeSpec

FIRST = "general"
_TITLE = "A judge of rlaif-tui: {}.\n\nKeys come from the environment and never stand in this file."
_SAVED_SHOWN = 50


def check(text: str, folder: Path) -> Checked:
    """Read and lint a judge. What is wrong with it is in the result."""
    from core.judge.spec_file import lint_spec, parse_spec, version_of_spec

    try:
        spec = parse_spec(text, "judge.toml", folder)
        found = lint_spec(spec)
        version = version_of_spec(spec) if not found.errors else ""
    except RlaifError as error:
        return Checked(text=text, errors=(str(error),))
    return Checked(
        text=text, name=spec.name, backend=spec.backend, model=spec.model, version=version,
        errors=found.errors, warnings=found.warnings,
        exemplars=frozenset((one.task, one.response) for one in spec.exemplars),
        takes_exemplars=not found.errors and _takes_exemplars(spec),
        scale=(spec.scale.low, spec.scale.high),
    )  # fmt: skip


def _takes_exemplars(spec: JudgeSpec) -> bool:
    from core.judge.resolve import FIELD_BACKENDS, template_of
    from core.judge.sandbox import names_in

    if spec.backend == "rubric":  # fixed rules
        return False
    template = template_of(spec)
    return spec.backend in FIELD_BACKENDS or "exemplars" in names_in(template.user) | names_in(template.system)


def built_in(name: str) -> Version:
    """A judge that comes with the product, with every key explained."""
    from core.judge.builtin import BUILT_IN, MEANINGS
    from core.judge.spec_file import version_of_spec
    from core.judge.spec_text import commented_toml

    spec = BUILT_IN[name]
    text = commented_toml(spec, _TITLE.format(MEANINGS[name]))
    try:
        version = version_of_spec(spec)
    except JudgeError:
        version = ""
    return Version(text=text, version=version, name=name, origin="built in")


def of_run(run: RunDir) -> Version:
    """The judge that scores this run now. Raises ``RlaifError`` or ``OSError``."""
    from core.config_file import load_config
    from core.events import JudgeReplaced
    from core.journal import EventReader
    from core.judge.spec_file import version_of_spec
    from core.judge.spec_text import commented_toml
    from core.run_judges import judge_in

    reader, replaced = EventReader(run.events), ""
    while events := reader.read():
        replaced = next((e.to_version for e in reversed(events) if isinstance(e, JudgeReplaced)), replaced)
    spec = judge_in(run, load_config(run.config), replaced)
    text = commented_toml(spec, f"The judge of the run {one_line(run.name)}.")
    return Version(text=text, version=version_of_spec(spec), name=spec.name, origin="the run's")


def of_file(path: str) -> Version:
    """A judge file of the user, as it stands. Raises ``JudgeError``; one with an error in it opens all the same."""
    file = Path(path).expanduser()
    try:
        with file.open(encoding="utf-8-sig") as source:
            text = source.read(1_000_001)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise JudgeError(f"{path} cannot be read: {reason}") from error
    if len(text) > 1_000_000:
        raise JudgeError(f"{path} is too long for a judge file")
    folder = file.absolute().parent
    found = check(text, folder)
    return Version(
        text=text, version=found.version, name=found.name or file.stem, origin=file.name, folder=folder, path=file
    )


def save(folder: Path, text: str, beside: Path) -> Version:
    """Keep the text as a version. Raises ``JudgeError`` for a text that is no judge, ``OSError``."""
    found = check(text, beside)
    if found.errors:
        raise JudgeError(f"not saved as a version: {found.errors[0]}; the draft is kept")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole = portable(text, beside)
    write_atomic(folder / f"{found.name}-{found.version}.toml", whole.encode())
    origin = f"saved {time.strftime('%H:%M')}"
    return Version(text=text, version=found.version, name=found.name, origin=origin, folder=beside)


def saved(folder: Path) -> list[Version]:
    """Saved versions, the newest first."""
    found = []
    for path in folder.glob("*.toml"):
        try:
            found.append((path.stat().st_mtime, path))
        except OSError:
            continue
    versions = []
    for changed, path in sorted(found, reverse=True)[:_SAVED_SHOWN]:
        name, _, version = path.stem.rpartition("-")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        origin = f"saved {time.strftime('%Y-%m-%d %H:%M', time.localtime(changed))}"
        versions.append(Version(text=text, version=version, name=name, origin=origin, folder=folder))
    return versions


def portable(text: str, folder: Path) -> str:
    """The judge as a text that needs no file beside it. Raises ``JudgeError``."""
    from core.judge.spec_file import dump_spec, parse_spec

    spec = parse_spec(text, "judge.toml", folder)
    template = tomllib.loads(text).get("template", {})
    return dump_spec(spec) if template.get("user_file") or template.get("system_file") else text


def write_for_new_run(text: str, folder: Path, path: str, *, replace: bool) -> Path:
    """Write a judge file where the person says. Raises ``OutputError``, ``JudgeError``."""
    found = check(text, folder)
    if found.errors:
        raise JudgeError(f"not written: {found.errors[0]}")
    whole = portable(text, folder)
    file = Path(path).expanduser()
    if file.is_dir():
        raise OutputError(f"{path} is a folder; name a file in it, such as {os.path.join(path, 'judge.toml')}")
    if file.exists() and not replace:
        raise OutputError(f"{path} exists already; enter again replaces it")
    try:
        write_atomic(file, whole.encode())
    except OSError as error:
        raise OutputError(f"{path} cannot be written: {error.strerror}") from error
    return file


def preview(text: str, folder: Path, request: JudgeRequest) -> list[tuple[str, str]]:
    """Exactly what would be sent about one response: (heading, text). Raises ``JudgeError``."""
    from core.judge.spec_file import parse_spec

    from ..judge_view import judge_object

    shown = judge_object(parse_spec(text, "judge.toml", folder), request)
    sent = shown["sent"]
    if sent is None:
        return [("", "Fixed rules on this machine: nothing is sent anywhere.")]
    parts = [(str(m["role"]), str(m["content"])) for m in sent.get("messages", ())]
    if "instructions" in sent:
        levels = "\n".join(f"{level['score']:g}: {level['description']}" for level in sent["levels"])
        parts = [("question", sent["instructions"]), ("levels", levels)]
        parts += [(name, sent[name]) for name in ("task", "response", "reference") if sent[name] is not None]
    if shown["neutralised"]:
        parts.insert(0, ("", f"{shown['neutralised']} special sequences in the sample were made harmless"))
    return parts


def edit_outside(text: str) -> str:
    """The text after the person's own editor, while this program has lent it the terminal. Raises ``JudgeError``."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="rlaif-tui-") as folder:
        file = Path(folder, "judge.toml")
        file.write_text(text, encoding="utf-8")
        try:
            done = subprocess.run([*shlex.split(command), str(file)], check=False)
        except (OSError, ValueError) as error:
            raise JudgeError(f"the editor '{command}' cannot be started: {error}; set EDITOR, or edit here") from error
        if done.returncode:
            raise JudgeError(f"the editor '{command}' ended with code {done.returncode}; the text is as it was")
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise JudgeError(f"what the editor '{command}' wrote cannot be read: {error}") from error
