"""Who scored the responses, and what is known of that judge's worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from core.judge.workbench.resampling import Figure

from ..sentences import UNKNOWN, number, sentence
from .blocks import Block, Facts, Heading, Listing, Section, Table, Tone, Words
from .gather import JudgeFile, Source
from .overview import interval, sentence_of, when

_LIGHTS: dict[str, Tone] = {"green": "good", "amber": "warn", "red": "bad"}
_MOST_CANARIES = 20


def judge(source: Source) -> Section:
    """Every judge of the run with its calibration, then the checks that ran along."""
    blocks: list[Block] = []
    for number_, kept in enumerate(source.judges):
        blocks += _one(source, kept, number_)
    if not source.judges:
        blocks.append(Words("No judge was kept with this run.", "warn"))
    blocks += _along(source)
    return Section("judge", "Judge", tuple(blocks))


def told(figure: Mapping[str, Any] | Figure | None, pattern: str = ".2f") -> str:
    """A figure with its interval, or why there is none."""
    known = figure.to_json() if isinstance(figure, Figure) else (figure or {})
    value, ci95 = known.get("value"), known.get("ci95")
    if not isinstance(value, int | float):
        why = known.get("why")
        return f"{UNKNOWN} ({why})" if why else UNKNOWN
    ends = f" ({interval((ci95[0], ci95[1]), pattern)})" if ci95 else ""
    return format(value, pattern) + ends


def _one(source: Source, kept: JudgeFile, number_: int) -> Iterator[Block]:
    event = source.story.replaced[number_ - 1] if number_ else None
    if len(source.judges) > 1:
        yield Heading(f"From step {event.step}" if event else "At the start")
    spec = kept.spec
    rows = [("name", spec.name if spec else UNKNOWN), ("version", kept.version or UNKNOWN)]
    if spec is not None:
        rows += [("backend", spec.backend)]
        if spec.backend == "rubric":
            rows += [("what it is", "fixed rules, made for tests and demos; not a real judge")]
        else:
            rows += [
                ("model", f"{spec.model or UNKNOWN} ({spec.provider})"),
                ("asked", f"{spec.repeats} times a response"),
            ]
    yield Facts(tuple(rows), frozenset({"version"}) if kept.version else frozenset())
    if event is not None:
        yield Words(sentence_of(sentence(event)))
    yield from _calibration(source, kept.version)
    if kept.text:
        yield Listing(kept.text, "toml", "judge.toml")


def _calibration(source: Source, version: str) -> Iterator[Block]:
    from core.judge.workbench.kept import kept_calibration

    known = kept_calibration(source.run.judges, version)
    if known is None:
        yield Words("This judge was never calibrated here, so nobody knows how far it agrees with people: "
                    "'rlaif-tui judge calibrate' tells.", "warn")  # fmt: skip
        return
    try:
        blocks = list(_calibrated(known))
    except (AttributeError, KeyError, TypeError, ValueError, IndexError):  # a file of others, or of another version
        blocks = [Words("A calibration of this judge is there, but makes no sense to this version.", "warn")]
    yield from blocks


def _calibrated(known: Mapping[str, Any]) -> Iterator[Block]:
    light = str(known["light"])
    yield Words(f"Calibration: {light.upper()}. {'; '.join(map(str, known['reasons']))}.", _LIGHTS.get(light, "plain"))
    rows = [("calibrated", f"{when(known['time'])}, on {known.get('data') or UNKNOWN}")]
    pairs, labels, canaries = known.get("pairs"), known.get("labels"), known.get("canaries")
    if pairs:
        accuracy = {"value": pairs["accuracy"], "ci95": pairs["ci95"]}
        rows += [
            ("prefers the better answer", f"{told(accuracy)}, {pairs['n']} pairs"),
            ("at equal length", told(pairs["length_controlled"])),
            ("longer wins", told(pairs["longer_wins"])),
        ]
    if labels:
        rho = {"value": labels["spearman"], "ci95": labels["ci95"], "why": labels.get("why", "")}
        rows += [
            ("Spearman's ρ with labels", f"{told(rho)}, {labels['n']} labels"),
            ("bias", f"{told(labels['bias'], '+.2f')} points"),
        ]
    steady = known.get("steadiness")
    if steady:
        rows += [("reward SNR", told(steady["snr"], ".1f")), ("length slope", f"{told(steady['length_slope'], '+.2f')} "
                                                              "points per 100 characters")]  # fmt: skip
    if canaries and isinstance(canaries.get("max_score"), int | float):
        rows += [("highest canary", f"{canaries['max_score']:.1f} of 10")]
    yield Facts(tuple(rows))
    if canaries and canaries.get("canaries"):
        given = tuple((str(each["name"]), number(each["score"], ".1f")) for each in canaries["canaries"])
        yield Table(("canary: a known bad answer", "score"), given[:_MOST_CANARIES], frozenset({1}), "canaries")


def _along(source: Source) -> Iterator[Block]:
    """Canaries and referee of the run itself."""
    state = source.state
    last = state.canaries.last
    if last is not None:
        yield Heading("Canaries during the run")
        highest: dict[str, float] = {}
        for scored in state.canaries:
            for each in scored.scores:
                if each.score is not None:
                    highest[each.name] = max(each.score, highest.get(each.name, 0.0))
        yield Words(
            f"{last.fooled} of {last.seen} known bad answers fooled the judge.", "warn" if last.fooled else "good"
        )
        ranked = sorted(highest.items(), key=lambda pair: -pair[1])[:_MOST_CANARIES]
        yield Table(("canary", "highest score"), tuple((n, f"{s:.1f}") for n, s in ranked), frozenset({1}))
    referee = state.referee.last
    if referee is not None:
        yield Heading("Referee")
        yield Words(f"{referee.referee} scored a share of the responses as well. At the end the judge was "
                    f"{referee.drift:.1f} points ahead of it, summed over steps.")  # fmt: skip
