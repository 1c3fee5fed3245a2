"""What people said of the run's responses, and how far the judge agrees with them."""

from __future__ import annotations

from collections.abc import Iterator

from core.agreement import Agreement, AgreementReader
from core.ratings import Ratings, load_ratings

from .blocks import Block, Charts, Facts, Section, Words
from .chart import Measured, Series, draw
from .gather import Source
from .judged import told
from .overview import sentence_of


def ratings(source: Source) -> Section:
    """The ratings and the course of the agreement."""
    return Section("ratings", "Ratings by people", tuple(_blocks(source)))


def agreement(source: Source) -> Agreement:
    """Of people and the judge in force."""
    return AgreementReader(source.run).read(source.state.judge_since or 0)


def _blocks(source: Source) -> Iterator[Block]:
    try:
        found = load_ratings(source.run)
    except OSError as error:
        yield Words(f"The ratings cannot be read: {error.strerror}.", "warn")
        return
    if found.standing:
        yield from _agreement(found, agreement(source))
    else:
        yield Words("Nobody rated responses of this run, so it rests on the judge alone.")
    if found.damaged:
        yield Words(f"{found.damaged} damaged lines of the ratings were passed over.", "warn")


def _agreement(found: Ratings, course: Agreement) -> Iterator[Block]:
    people = len({by for _, by in found.standing})
    rows = [("ratings", f"{len(found.standing):,} by {people} {'person' if people == 1 else 'people'}")]
    rows += [("of these scored by the judge in force", f"{course.rated:,}")]
    newest = course.newest
    if newest is not None:
        rows += [("Spearman's ρ, newest ratings", f"{told(newest.rho)}, {newest.n} responses")]
    yield Facts(tuple(rows))
    if course.alarm:
        yield Words(sentence_of(course.alarm), "warn")
    points = [
        Measured(window.step, window.rho.value, window.rho.ci95)
        for window in course.windows
        if window.rho.value is not None
    ]
    if len(points) > 1:
        line = Series("agreement", [(point.step, point.value) for point in points])
        name = "Spearman's ρ with its 95% CI"
        yield Charts((draw("agreement of judge and people", "ρ", [line], measured=points, measured_name=name),))
