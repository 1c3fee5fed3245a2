"""The work behind the setup screen: where a new run begins, its draft on disk, its preflight and its start."""

from __future__ import annotations

import os
import re
import secrets
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.config import RunConfig
from core.config_file import commented_toml, load_config
from core.errors import ConfigError, RlaifError
from core.files import write_atomic
from core.presets import PRESETS, preset
from core.run_dir import RunDir

from ..background import in_background
from .judge_draft import Drafts
from .runs import RunsDesk
from .setup_form import Form, check, form_of, from_text, to_text

_LINE = re.compile(r"(ok  |FAIL|--  ) (\S+) +([0-9.]+) s  (.*)")
_HINT = " " * 5
_OK = {"ok  ": True, "FAIL": False, "--  ": None}
_FIRST = "demo"

CHECKS = (
    "config",
    "data",
    "tokenizer",
    "prompt_lengths",
    "model",
    "reference",
    "generation",
    "judge",
    "batch",
    "resources",
)
"""The checks in their order, as ``core.preflight`` has them, which this process must not import."""


@dataclass(frozen=True)
class CheckLine:
    """One result of the preflight."""

    name: str
    ok: bool | None
    """None: it was not made, because of another one's failure."""
    seconds: float
    evidence: str
    hint: str = ""


@dataclass(frozen=True)
class Preflight:
    """What a preflight has said so far."""

    texts: dict[str, str]
    """What was checked."""
    lines: tuple[CheckLine, ...] = ()
    running: bool = True
    since: float = 0.0
    """When the check under way began."""
    problem: str = ""
    """Why it ended before its time."""

    @property
    def next(self) -> str:
        """Name of the check under way; empty where there is none."""
        return CHECKS[len(self.lines)] if self.running and len(self.lines) < len(CHECKS) else ""


@dataclass(frozen=True)
class Origin:
    """Something that a new run can begin from."""

    kind: str
    """preset, run, draft or file."""
    name: str
    summary: str


@dataclass(frozen=True)
class Started:
    """A run whose worker is at work, and what may still end it."""

    name: str
    hint: str


class SetupDesk:
    """Files and processes of the setup screen; every method leaves the event loop free but where it says so."""

    def __init__(
        self,
        runs: RunsDesk,
        *,
        state_dir: Path | None = None,
        start: Callable[[RunDir], None] | None = None,
    ) -> None:
        self._runs = runs
        self._state_dir = state_dir
        self._start = start or _start_worker
        self._made: Drafts | None = None
        self._writing = threading.Lock()
        self._order = 0
        self._written = 0
        self._preflight: Preflight | None = None
        self._child: subprocess.Popen[str] | None = None
        self._cancelled = False

    @property
    def preflight(self) -> Preflight | None:
        """How the last preflight stands; None: there was none."""
        return self._preflight

    @property
    def now(self) -> Callable[[], float]:
        return self._runs.now

    async def open(self) -> Form:
        """The draft that was left behind, or the demo. Raises ``OSError`` if it cannot be kept from now on."""
        return await in_background(self._open)

    async def keep(self, form: Form) -> None:
        """Have the draft on disk; of calls that overtake each other the newest counts. Raises ``OSError``."""
        self._order += 1
        await in_background(self._keep, form, self._order)

    def keep_now(self, form: Form) -> None:
        """``keep`` for the moment of leaving; blocking."""
        self._order += 1
        self._keep(form, self._order)

    async def set_aside(self, form: Form) -> None:
        """Keep a draft that makes room for another one. Raises ``OSError``."""
        await in_background(lambda: self._drafts.set_aside(to_text(form), self.now()))

    async def origins(self) -> Sequence[Origin]:
        """Presets, runs and drafts to begin from, and a file. Raises ``RlaifError`` or ``OSError``."""
        return await in_background(self._origins)

    async def begin_from(self, origin: Origin) -> Form:
        """A form filled from there. Raises ``RlaifError``."""
        return await in_background(self._begin_from, origin)

    async def save(self, form: Form, path: str, *, replace_it: bool = False) -> Path | None:
        """Write a run.toml; returns its place, None where a file is there already. Raises ``ConfigError``."""
        return await in_background(self._save, form, path, replace_it)

    async def check_all(self, form: Form) -> None:
        """Run the preflight on this form; ``preflight`` tells how far it is. Raises ``ConfigError`` or ``OSError``."""
        self._cancelled, self._child = False, None
        self._preflight = Preflight(dict(form.texts), since=time.monotonic())
        try:
            problem = await in_background(self._run_checks, form)
        except (RlaifError, OSError) as error:
            problem = str(error)
        if self._cancelled:
            problem = "cancelled"
        self._preflight = replace(self._preflight, running=False, problem=problem)

    async def money(self, config: RunConfig) -> str:
        """What judging may cost, before anything was asked; empty where that cannot be told."""
        from .setup_money import judge_money

        return await in_background(judge_money, config)

    def cancel(self) -> None:
        """End the preflight under way."""
        self._cancelled = True
        if self._child is not None:
            self._child.terminate()

    async def begin(self, form: Form) -> Started:
        """Make the run and start its worker. Raises ``RlaifError`` or ``OSError``."""
        return await in_background(self._begin, form)

    @property
    def _folder(self) -> Path:
        if self._state_dir is None:
            import platformdirs

            self._state_dir = Path(platformdirs.user_state_dir("rlaif-tui"))
        return self._state_dir / "setup"

    @property
    def _drafts(self) -> Drafts:
        self._made = self._made or Drafts(self._folder)
        return self._made

    def _open(self) -> Form:
        for draft in self._drafts.left_behind():
            form = None if draft.aside else from_text(draft.text)
            if form is not None:
                self._drafts.take_over(draft, self.now())
                return form
        return form_of(preset(_FIRST), f"preset {_FIRST}")

    def _keep(self, form: Form, order: int) -> None:
        with self._writing:
            if order > self._written:
                self._drafts.keep(to_text(form), self.now())
                self._written = order

    def _origins(self) -> Sequence[Origin]:
        from core.run_dir import list_runs

        root = self._runs.root
        found = [Origin("file", "", "a run.toml; its path is asked for")]
        found += [Origin("preset", name, preset.summary) for name, preset in PRESETS.items()]
        for draft in self._drafts.left_behind():
            form = from_text(draft.text)
            if form is not None:
                when = time.strftime("%b %d %H:%M", time.localtime(draft.time))
                found.append(Origin("draft", draft.path.name, f"{when}, {form.source}: {form.texts['model.id']}"))
        runs = list_runs(root) if root.is_dir() else []
        return [*found, *(Origin("run", run.name, "as it was configured") for run in runs)]

    def _begin_from(self, origin: Origin) -> Form:
        match origin.kind:
            case "preset":
                return form_of(preset(origin.name), f"preset {origin.name}")
            case "draft":
                kept = {draft.path.name: draft for draft in self._drafts.left_behind()}.get(origin.name)
                if kept is None or (form := from_text(kept.text)) is None:
                    raise ConfigError("this draft is no longer there")
                return form
            case "run":
                config = load_config(self._runs.run(origin.name).config)
                return form_of(_unnamed(config), f"run {origin.name}")
            case _:
                path = Path(origin.name).expanduser()
                return form_of(load_config(path), str(path))

    def _save(self, form: Form, path: str, replace_it: bool) -> Path | None:
        place = Path(path).expanduser().absolute()
        title = (
            f"A run of rlaif-tui, begun from {form.source}.\n"
            f"Look it over with 'rlaif-tui check {place.name}', start it with 'rlaif-tui train {place.name}'."
        )
        text = commented_toml(_config_of(form), title if title.replace("\n", "").isprintable() else "A run.")
        try:
            with place.open("w" if replace_it else "x", encoding="utf-8") as stream:
                stream.write(text)
        except FileExistsError:
            return None
        except OSError as error:
            raise ConfigError(f"{place} cannot be written: {error.strerror}") from error
        return place

    def _written_out(self, form: Form) -> Path:
        """The form as a file of our own, so that paths are found from the current folder as on the command line."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}.toml"
        write_atomic(path, commented_toml(_config_of(form), "The draft under check.").encode())
        return path

    def _run_checks(self, form: Form) -> str:
        from ..cli_common import FAILED, OK, in_core

        path = self._written_out(form)
        try:
            words = [str(path), "--runs-dir", str(self._runs.root.absolute())]
            code, error = in_core(
                "core.preflight",
                words,
                lambda line: self._take_line(line.replace(str(path), "the draft")),
                started=self._has_child,
            )
        finally:
            path.unlink(missing_ok=True)
        said_all = self._preflight is not None and len(self._preflight.lines) == len(CHECKS)
        if code in (OK, FAILED) and said_all:
            return ""
        return error or f"the preflight ended with code {code} and said nothing"

    def _has_child(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        if self._cancelled:
            child.terminate()

    def _take_line(self, line: str) -> None:
        seen = self._preflight
        if seen is None:
            return
        if match := _LINE.fullmatch(line):
            mark, name, seconds, evidence = match.groups()
            new = CheckLine(name, _OK[mark], float(seconds), evidence)
            self._preflight = replace(seen, lines=(*seen.lines, new), since=time.monotonic())
        elif line.startswith(_HINT) and seen.lines:
            last = replace(seen.lines[-1], hint=line.strip())
            self._preflight = replace(seen, lines=(*seen.lines[:-1], last))

    def _begin(self, form: Form) -> Started:
        from ..launch import logout_hint
        from ..starting import make_run

        path = self._written_out(form)
        try:
            config = load_config(path)
        finally:
            path.unlink(missing_ok=True)
        run = make_run(config, self._runs.root, config.run.name)
        try:
            self._start(run)
        except RlaifError as error:
            raise RlaifError(f"{error}; run '{run.name}' is in 1 Runs, with its log") from error
        return Started(run.name, logout_hint())


def _config_of(form: Form) -> RunConfig:
    checked = check(form)
    if checked.config is None:
        raise ConfigError("; ".join(checked.wrong.values()))
    return checked.config


def _unnamed(config: RunConfig) -> RunConfig:
    return config.model_copy(update={"run": config.run.model_copy(update={"name": ""})})


def _start_worker(run: RunDir) -> None:
    from ..launch import start_worker

    start_worker(run)
