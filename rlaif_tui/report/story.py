"""What happened, and what it cost."""

from __future__ import annotations

from collections.abc import Iterator

from core.compare.record import Comparison
from core.errors import RlaifError

from ..sentences import UNKNOWN, sentence
from ..state import severity_of
from .blocks import Block, Facts, Section, Table, Words
from .gather import Source
from .overview import name_of, when

_MOST = 200


def events(source: Source) -> Section:
    """Pauses, rollbacks, replaced judges, settings, failures: in the order in which they happened."""
    story = source.story
    rows = [
        (when(event.time), str(getattr(event, "step", "")), severity_of(event), sentence(event))
        for event in story.moments
    ]
    blocks: list[Block] = []
    if rows:
        blocks.append(Table(("when", "step", "", "what happened"), tuple(rows[:_MOST]), frozenset({1})))
    else:
        blocks.append(Words("The event log tells nothing.", "warn"))
    if len(rows) > _MOST:
        blocks.append(Words(f"{len(rows) - _MOST:,} more are in events.jsonl of the run.", "quiet"))
    if story.failures:
        told = tuple(
            (f"{status}, {'left out' if treatment == 'mask' else 'scored as the worst'}", f"{count:,}")
            for (status, treatment), count in story.failures.most_common(20)
        )
        blocks.append(Table(("judgements without a score", "how many"), told, frozenset({1})))
    if story.skipped:
        skipped = tuple((reason, f"{count:,}") for reason, count in story.skipped.most_common(20))
        blocks.append(Table(("mini-batches that were not applied", "how many"), skipped, frozenset({1})))
    return Section("events", "Events", tuple(blocks))


def costs(source: Source) -> Section:
    """Dollars and calls, as the ledger and the steps have them."""
    rows = tuple(_costs(source))
    blocks: list[Block] = [Facts(rows)]
    blocks += _problem_of_ledger(source)
    return Section("costs", "Costs", tuple(blocks))


def _costs(source: Source) -> Iterator[tuple[str, str]]:
    state = source.state
    yield "judge, whole run", f"${state.cost_usd:.4f}"
    ledger = _ledger(source)
    if isinstance(ledger, tuple):
        micros, calls = ledger
        yield "ledger", f"${micros / 1e6:.4f} charged for {calls:,} calls; a call whose end is unknown counts in full"
    steps = [done.metrics for done in state.steps]
    requests = [m.judge_requests for m in steps if m.judge_requests is not None]
    cached = [m.judge_cached for m in steps if m.judge_cached is not None]
    tokens = [m.judge_tokens for m in steps if m.judge_tokens is not None]
    yield "judgements", f"{sum(m.rows for m in steps):,}, of which {sum(m.failed for m in steps):,} failed"
    yield "calls sent", f"{sum(requests):,}" if requests else UNKNOWN
    yield "answered from the cache", f"{sum(cached):,}" if cached else UNKNOWN
    yield "judge's tokens", f"{sum(tokens):,}" if tokens else UNKNOWN
    yield "responses generated", f"{sum(m.tokens for m in steps):,} tokens"
    replaced = sum(event.cost_usd for event in source.story.replaced)
    if source.story.replaced:
        yield "replacing the judge", f"${replaced:.4f}"
    for comparison in source.comparisons:
        yield f"comparison {comparison.id}", f"{_cost_of(comparison)}, {name_of(comparison)}"


def _cost_of(comparison: Comparison) -> str:
    if comparison.finished is not None:
        return f"${comparison.finished.cost_usd:.4f}"
    spent = sum(duel.cost_usd for duel in comparison.duels)
    spent += sum(r.result.cost_usd for row in comparison.rows for r in row.replies if r.result is not None)
    return f"${spent:.4f} so far"


def _ledger(source: Source) -> tuple[int, int] | str | None:
    """(micro-dollars, calls) of the file, why it cannot be read, or None where there is none."""
    from core.judge.ledger import read_ledger

    path = source.run.judges / "ledger.jsonl"
    if not path.exists():
        return None
    try:
        ledger = read_ledger(path)
    except (OSError, RlaifError) as error:
        return str(error)
    return ledger.spent_micros, ledger.calls


def _problem_of_ledger(source: Source) -> list[Block]:
    found = _ledger(source)
    return [Words(f"The ledger cannot be read: {found}.", "warn")] if isinstance(found, str) else []
