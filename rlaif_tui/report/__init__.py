"""A run as one file for a colleague: HTML that needs nothing outside itself, or Markdown.

Made from the folded state and the files of the run directory, without torch and without writing to the run. Whatever is
missing or broken is said in its place; the rest is there all the same.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import RlaifError, RunDirError
from core.run_dir import RunDir

from ..export_tables import OutputError, put_in_place, require_free
from .blocks import Kind, Report, Section, Words

if TYPE_CHECKING:
    from .gather import Source

__all__ = ["Kind", "kind_of", "make_report", "write_report"]

_KINDS: dict[str, Kind] = {".html": "html", ".htm": "html", ".md": "markdown", ".markdown": "markdown"}


def write_report(
    run: RunDir, path: Path, *, kind: Kind | None = None, force: bool = False, now: float | None = None
) -> Path:
    """Write a run's report to ``path``, complete or not at all; returns where it is. Blocking: seconds at most.

    ``kind`` as the name's ending says if it is not given. Raises ``OutputError`` in one sentence where the file cannot
    be written or, without ``force``, exists; ``RunDirError`` where the run itself cannot be read.
    """
    from .page import render

    path = path.expanduser()
    kind = kind or kind_of(path)
    require_free(path, force)
    text = render(make_report(run, now), kind)
    put_in_place(path, lambda temporary: temporary.write_text(text, encoding="utf-8"), force)
    return path


def kind_of(path: Path) -> Kind:
    """HTML or Markdown, by the name. Raises ``OutputError`` for another ending."""
    kind = _KINDS.get(path.suffix.lower())
    if kind is None:
        raise OutputError(f"{path}: a report ends in .html or .md; or say --format html or --format markdown")
    return kind


def make_report(run: RunDir, now: float | None = None) -> Report:
    """Everything that a report says. Raises ``RunDirError`` where the run cannot be read."""
    from .gather import gather

    try:
        source = gather(run, now)
    except OSError as error:
        raise RunDirError(f"run '{run.name}' cannot be read: {error.strerror}") from error
    return _report(source)


def _report(source: Source) -> Report:
    from .advised import advised
    from .compared import comparisons
    from .configured import configuration, environment, reproduce
    from .curves import curves
    from .examples import examples
    from .judged import judge
    from .overview import overview, when
    from .rated import ratings
    from .story import costs, events

    makers: tuple[tuple[str, Callable[[Source], Section]], ...] = (
        ("Overview", overview),
        ("Comparisons", comparisons),
        ("Best and worst examples", examples),
        ("Curves", curves),
        ("What the advisor said", advised),
        ("Judge", judge),
        ("Ratings by people", ratings),
        ("Costs", costs),
        ("Events", events),
        ("Configuration", configuration),
        ("Environment", environment),
        ("How to reproduce", reproduce),
    )
    return Report(
        title=f"Run {source.run.name}",
        subtitle=_subtitle(source),
        foot=f"Made on {when(source.now)} from {source.run.name} as it was then.",
        sections=tuple(_section(source, title, maker) for title, maker in makers),
    )


def _section(source: Source, title: str, make: Callable[[Source], Section]) -> Section:
    """A section, or in its place why there is none: one damaged file must not cost the whole report."""
    try:
        return make(source)
    except (OSError, RlaifError, ValueError, ArithmeticError) as error:
        return Section(make.__name__, title, (Words(f"This part cannot be made: {error}.", "warn"),))


def _subtitle(source: Source) -> str:
    from .overview import short

    started = source.state.started
    if started is None:
        return "PPO with a judge as the reward"
    model, judge, data = (short(name) for name in (started.model, started.judge, started.data))
    return f"PPO on {model}, rewarded by the judge {judge}, on prompts of {data}"
