"""Everything that a report is made from, read once from a run directory. Nothing is written, locked or repaired."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.advisor import Course, advance
from core.compare import record
from core.compare.record import Comparison
from core.config import RunConfig
from core.errors import ConfigError, RlaifError
from core.events import (
    Advice,
    CheckpointRejected,
    CommandApplied,
    CommandRejected,
    Event,
    JudgeFailed,
    JudgeReplaced,
    MicroBatchHalved,
    Paused,
    Resumed,
    RolledBack,
    RunFinished,
    RunStarted,
    UpdateSkipped,
)
from core.journal import read_events
from core.run_dir import RunDir

from ..feed import RunFeed
from ..run_state import RunState

if TYPE_CHECKING:
    from core.judge.spec import JudgeSpec

_TOLD = (
    RunStarted,
    CheckpointRejected,
    CommandApplied,
    CommandRejected,
    JudgeReplaced,
    MicroBatchHalved,
    Paused,
    Resumed,
    RolledBack,
    RunFinished,
)
"""What happened to a run and is not a figure of a step."""


@dataclass
class Story:
    """What a run's events tell besides figures."""

    moments: list[Event] = field(default_factory=list)
    advice: list[Advice] = field(default_factory=list)
    failures: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Judgements without a score, by status and by what was done with the response."""
    skipped: Counter[str] = field(default_factory=Counter)
    """Mini-batches that were not applied, by reason."""
    replaced: list[JudgeReplaced] = field(default_factory=list)
    course: Course = field(default_factory=Course)
    """What the advisor goes by."""


@dataclass(frozen=True)
class JudgeFile:
    """One of the judges of a run as it was kept."""

    version: str
    text: str
    spec: JudgeSpec | None
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Source:
    """A run as its directory tells it. What cannot be read is empty, and ``problems`` says why."""

    run: RunDir
    state: RunState
    story: Story
    config: RunConfig | None
    config_text: str
    identity: Mapping[str, Any]
    """What the newest checkpoint was made from: fingerprints, versions, device."""
    judges: tuple[JudgeFile, ...]
    """The one that the run began with, then those that replaced it."""
    comparisons: tuple[Comparison, ...]
    """The newest first."""
    problems: tuple[str, ...]
    now: float


def gather(run: RunDir, now: float | None = None) -> Source:
    """Read a run. Raises ``OSError`` only where its event log itself cannot be read."""
    problems: list[str] = []
    state, story = RunFeed(run).poll(), read_story(run)
    if not state.last_time:
        problems.append("The event log is empty or missing: there are no figures and no story.")
    if state.damaged:
        problems.append(f"{state.damaged} damaged lines of the event log were passed over.")
    config, text = _config(run, problems)
    return Source(
        run=run,
        state=state,
        story=story,
        config=config,
        config_text=text,
        identity=identity_of(run),
        judges=_judges(run, config, story, problems),
        comparisons=_comparisons(run, problems),
        problems=tuple(problems),
        now=time.time() if now is None else now,
    )


def read_story(run: RunDir) -> Story:
    """One pass over the events."""
    story = Story()
    for event in read_events(run.events):
        story.course = advance(story.course, event)
        match event:
            case Advice():
                story.advice.append(event)
            case JudgeFailed():
                story.failures[event.status, event.treatment] += 1
            case UpdateSkipped():
                story.skipped[event.reason] += 1
            case _ if isinstance(event, _TOLD):
                story.moments.append(event)
        if isinstance(event, JudgeReplaced):
            story.replaced.append(event)
    return story


def identity_of(run: RunDir) -> Mapping[str, Any]:
    """See ``Source.identity``. Nothing is verified for this: only a run's worker may set damaged checkpoints aside."""
    for path in sorted(run.checkpoints.glob("step_*/values.json"), reverse=True):
        try:
            worker = json.loads(path.read_bytes())["worker"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(worker, dict):
            return worker
    return {}


def _config(run: RunDir, problems: list[str]) -> tuple[RunConfig | None, str]:
    from core.config_file import load_config

    try:
        text = run.config.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        problems.append(f"The configuration cannot be read: {error.strerror}.")
        return None, ""
    try:
        return load_config(run.config), text
    except ConfigError as error:
        problems.append(f"The configuration cannot be used: {error}.")
        return None, text


def _judges(run: RunDir, config: RunConfig | None, story: Story, problems: list[str]) -> tuple[JudgeFile, ...]:
    from core.run_judges import JUDGE

    kept = [_judge(run.judges / JUDGE)] if (run.judges / JUDGE).exists() or config is None else [_configured(config)]
    kept += [_judge(run.judges / f"{event.to_version}.toml", event.to_version) for event in story.replaced]
    problems += [judge.problem for judge in kept if judge.problem]
    return tuple(kept)


def _judge(path: Path, version: str = "") -> JudgeFile:
    from core.judge.spec_file import load_spec, version_of_spec

    try:
        spec = load_spec(path)
        return JudgeFile(version or version_of_spec(spec), path.read_text(encoding="utf-8-sig"), spec)
    except (RlaifError, OSError) as error:
        return JudgeFile(version, "", None, f"A judge of the run cannot be read: {error}.")


def _configured(config: RunConfig) -> JudgeFile:
    """The judge of a run that kept none: it was made by hand, or before judges were kept."""
    from core.judge.spec_file import dump_spec, version_of_spec
    from core.run_judges import spec_of

    try:
        spec = spec_of(config.judge)
        return JudgeFile(version_of_spec(spec), dump_spec(spec), spec)
    except (RlaifError, OSError) as error:
        return JudgeFile("", "", None, f"The judge of the run cannot be read: {error}.")


def _comparisons(run: RunDir, problems: list[str]) -> tuple[Comparison, ...]:
    found = []
    for path in record.comparisons(run):
        try:
            comparison = record.read(path)
        except OSError as error:
            problems.append(f"The comparison {path.stem} cannot be read: {error.strerror}.")
            continue
        if comparison is None:
            problems.append(f"The comparison {path.stem} has no readable beginning and was left out.")
        else:
            found.append(comparison)
    return tuple(found)
