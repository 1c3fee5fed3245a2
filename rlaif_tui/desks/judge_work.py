"""What a judge is asked on the bench: scores, two versions side by side, canaries, calibration."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.errors import JudgeError

from ..background import in_background
from ..bench_text import calibration_lines, canary_lines, comparison_lines, figure, sum_lines
from .judge_job import Job, Outcome
from .judge_labels import Key, is_held, labelled
from .judge_state import SampleSet, Version, What

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from core.judge.ledger import Ledger
    from core.judge.spec import JudgeSpec
    from core.judge.workbench.items import Item
    from core.judge.workbench.samples import ScoredSample, ScoreReport
    from core.types import Judge

Work = Callable[[Job], Coroutine[Any, Any, Outcome]]
REPEATS_TO_CALIBRATE = 3


@dataclass(frozen=True)
class Order:
    """What to ask, of what, and at whose cost."""

    what: What
    new: Version
    old: Version
    set: SampleSet
    marks: Mapping[Key, float]
    ledger: Ledger
    repeats: int = 1


def total_of(order: Order) -> int:
    """How many samples the work reports."""
    from core.judge.workbench.canaries import canary_items

    match order.what:
        case "score":
            return len(order.set.items)
        case "diff":
            return 2 * len(order.set.items)
        case "canaries":
            return len(canary_items())
        case "trust":
            return len(_evidence(order).items) + len(canary_items())


def work_of(order: Order) -> Work:
    """The work itself, for a ``Job``."""
    works = {"score": _score, "diff": _diff, "canaries": _canaries, "trust": _trust}
    chosen = works[order.what]

    async def work(job: Job) -> Outcome:
        return await chosen(order, job)

    return work


def spec_of(version: Version) -> JudgeSpec:
    """Raises ``JudgeError``."""
    from core.judge.spec_file import parse_spec

    return parse_spec(version.text, "judge.toml", version.folder)


@asynccontextmanager
async def _opened(
    order: Order, job: Job, version: Version, repeats: int
) -> AsyncIterator[tuple[Judge, dict[str, Any]]]:
    """A judge and how it wants to be asked; closed afterwards."""
    from core.judge.open import API_BACKENDS, open_judge

    spec = spec_of(version)
    by_itself = spec.backend in API_BACKENDS
    judge = open_judge(spec, repeats=repeats if by_itself and repeats > 1 else None, ledger=order.ledger)
    batched = spec.backend in ("local", "self")
    pace: dict[str, Any] = {
        "concurrency": spec.limits.concurrency,
        "batch": spec.batch_size if batched else 1,
    }
    if not by_itself:
        pace["repeats"] = max(repeats, spec.repeats)
    try:
        yield judge, pace
    finally:
        await judge.close()
        job.warn(getattr(judge, "warnings", ()))


async def _score(order: Order, job: Job) -> Outcome:
    from core.judge.workbench.scoring import score_set

    async with _opened(order, job, order.new, order.repeats) as (judge, pace):
        report = await score_set(judge, order.set.items, on_result=job.heard(judge.version), **pace)
    words = agreement(order.marks, order.set, report.samples)
    return Outcome(
        sums=(_short(report), *words), report=tuple(sum_lines(report)), problem=_stopped(report),
    )  # fmt: skip


async def _diff(order: Order, job: Job) -> Outcome:
    from core.judge.workbench.comparing import comparison_of
    from core.judge.workbench.scoring import score_set

    reports = []
    for version in (order.old, order.new):
        async with _opened(order, job, version, order.repeats) as (judge, pace):
            reports.append(await score_set(judge, order.set.items, on_result=job.heard(judge.version), **pace))
    found = comparison_of(*reports)
    sums = [f"new minus old {figure(found.difference, '+.2f')}, rank order ρ {figure(found.spearman)}, n {found.n}"]
    sums += agreement(order.marks, order.set, reports[1].samples)
    problem = _stopped(reports[0]) or _stopped(reports[1])
    return Outcome(sums=tuple(sums), report=tuple(comparison_lines(found)), problem=problem)


async def _canaries(order: Order, job: Job) -> Outcome:
    from core.judge.workbench.canaries import run_canaries

    async with _opened(order, job, order.new, 1) as (judge, pace):
        pace.pop("repeats", None)
        found = await run_canaries(judge, on_result=job.heard(judge.version), **pace)
        version = judge.version
    return Outcome(
        sums=(_highest(found.max_score, found.canaries[0].name),),
        report=tuple(canary_lines(found)),
        canary=(version, found.max_score),
        problem=_stopped(found.scoring),
    )


async def _trust(order: Order, job: Job) -> Outcome:
    from core.judge.workbench.calibration import calibrate
    from core.judge.workbench.kept import keep_calibration

    evidence = _evidence(order)
    if not evidence.items:
        raise JudgeError(
            "nothing to calibrate against: rate some responses with r, or open a file with chosen and rejected answers"
        )
    in_use = spec_of(order.new).repeats
    repeats = max(order.repeats, REPEATS_TO_CALIBRATE)
    async with _opened(order, job, order.new, repeats) as (judge, pace):
        found = await calibrate(
            judge, evidence, repeats_in_use=in_use, on_result=job.heard(judge.version), **({"repeats": 1} | pace)
        )
        version = judge.version
    await in_background(keep_calibration, found, order.set.title)
    return Outcome(
        sums=(f"{found.light.upper()}: {found.signal.reasons[0]}", *found.signal.reasons[1:]),
        report=tuple(calibration_lines(found)),
        light=found.light,
        canary=(version, found.canaries.max_score) if found.canaries else None,
        problem=_stopped(found.scoring),
    )


def _evidence(order: Order) -> Any:
    from core.judge.workbench.calibration import Evidence

    return Evidence(order.set.pairs, labelled(order.marks, order.set.items))


def agreement(marks: Mapping[Key, float], chosen: SampleSet, samples: Sequence[ScoredSample]) -> tuple[str, ...]:
    """How these scores agree with the person's marks, in one line; nothing without marks.

    The third of the prompts that no exemplar may come from stands apart: what the judge was tuned on flatters it.
    """
    if not samples:
        return ()
    scores = {(s.prompt, s.response): s for s in samples}
    seen = _agrees(marks, [item for item in chosen.items if not is_held(item)], scores)
    held = _agrees(marks, [item for item in chosen.items if is_held(item)], scores)
    if not seen and not held:
        return ()
    return (f"agrees with you: {seen or 'no mark of yours'}; kept apart: {held or 'no mark of yours'}",)


def _agrees(marks: Mapping[Key, float], items: Sequence[Item], scores: Mapping[Key, ScoredSample]) -> str:
    from core.judge.workbench.agreement import label_agreement

    given = labelled(marks, tuple(items))
    found = label_agreement(given, scores) if given else None
    if found is None or not found.n:
        return ""
    bias = "" if found.bias.value is None else f", bias {found.bias.value:+.1f}"
    return f"ρ {figure(found.spearman)}, n {found.n}{bias}"


def _short(report: ScoreReport) -> str:
    parts = [f"scored {len(report.scores)} of {report.n}"]
    if report.mean is not None:
        parts.append(f"mean {report.mean:.2f}")
    if report.sd is not None:
        parts.append(f"sd {report.sd:.2f}")
    if report.parse_rate is not None and report.parse_rate < 1:
        parts.append(f"parsed {100 * report.parse_rate:.0f} %")
    if (half := report.latency(50)) is not None:
        parts.append(f"p50 {half:.2f} s")
    if report.cost_source != "free":
        parts.append("cost unknown" if report.cost_usd is None else f"${report.cost_usd:.4f}")
    if report.cached:
        parts.append(f"{report.cached} from the cache")
    return ", ".join(parts)


def _highest(score: float | None, name: str) -> str:
    from core.judge.workbench.canaries import FOOLED, SAFE

    if score is None:
        return "no canary was judged"
    danger = "a policy will find that" if score >= FOOLED else "can be fooled" if score > SAFE else "hard to fool"
    return f"highest canary {score:.1f} ({name}): {danger}"


def _stopped(report: ScoreReport) -> str:
    if report.stopped:
        hint = "; here $ changes the cap" if any(s.status == "budget" for s in report.samples) else ""
        return f"stopped after {len(report.samples)} of {report.n}: {report.stopped}{hint}"
    if not report.scores and report.samples:
        return f"no score at all: {report.failures.most_common(1)[0][0]}"
    return ""
