"""What the judge's workbench prints: aligned lines for 80 columns, from reports of ``core.judge.workbench``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from .text import clip, one_line, pad, wrap
from .words import span

if TYPE_CHECKING:
    from core.judge.workbench.calibration import CalibrationReport
    from core.judge.workbench.canaries import CanaryReport
    from core.judge.workbench.comparing import Comparison
    from core.judge.workbench.forecast import Forecast, Range
    from core.judge.workbench.resampling import Figure
    from core.judge.workbench.samples import ScoredSample, ScoreReport

WIDTH = 80
_LABEL = 14
_SHOWN_CHANGES = 20


def line(label: str, text: str) -> Iterator[str]:
    """A label and a text that goes on under itself."""
    first, *rest = wrap(text, WIDTH - _LABEL) or [""]
    yield f"{pad(label, _LABEL)}{first}"
    yield from (" " * _LABEL + more for more in rest)


def score_lines(report: ScoreReport, forecast: Forecast | None, run: str) -> Iterator[str]:
    """Every sample on two lines, then the sums."""
    for sample in report.samples:
        yield from sample_lines(sample)
    if report.samples:
        yield ""
    yield from sum_lines(report)
    if forecast is None and report.cached:
        yield from line("forecast", "none: everything came from the cache, so nothing was measured; try --no-cache")
    elif forecast is not None:
        yield from line("forecast", f"{run}: {forecast_text(forecast)}")


def sample_lines(sample: ScoredSample) -> Iterator[str]:
    """Score, spread and response; under it what the judge said."""
    mark = f"{sample.score:4.1f}" if sample.score is not None else "   –"
    spread = f"±{sample.spread:.1f}" if sample.spread is not None else ""
    head = f"{mark} {spread:<5} {pad(sample.id, 13)} "
    yield head + clip(sample.response or "(empty)", WIDTH - len(head))
    said = sample.reason if sample.score is not None else f"{sample.status}: {sample.reason}"
    if said:
        yield " " * 11 + clip(said, WIDTH - 11)


def sum_lines(report: ScoreReport) -> Iterator[str]:
    """What came out and what it took."""
    left = report.n - len(report.samples)
    rate = "" if report.parse_rate is None else f", parse rate {100 * report.parse_rate:.0f} %"
    yield from line("scored", f"{len(report.scores)} of {report.n}{f', {left} not asked' if left else ''}{rate}")
    if report.mean is not None:
        sd = "" if report.sd is None else f", sd {report.sd:.2f}"
        lowest, highest = min(report.scores), max(report.scores)
        yield from line("score", f"mean {report.mean:.2f}{sd}, from {lowest:.1f} to {highest:.1f} (0-10)")
    for message, count in report.failures.most_common(3):
        yield from line("no verdict", f"{count} x {one_line(message)}")
    yield from cost_lines(report)


def cost_lines(report: ScoreReport) -> Iterator[str]:
    """Latency, calls, tokens, money."""
    p50, p95 = report.latency(50), report.latency(95)
    if p50 is not None and p95 is not None:
        yield from line("latency", f"p50 {p50:.2f} s, p95 {p95:.2f} s")
    usage = report.usage
    tokens = f"; {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out" if usage.input_tokens else ""
    reasoning = f" ({usage.reasoning_tokens:,} of them reasoning)" if usage.reasoning_tokens else ""
    yield from line("calls", f"{report.requests:,}, {report.cached:,} answers from the cache{tokens}{reasoning}")
    yield from line("cost", money(report.cost_usd, report.cost_source))


def money(cost: float | None, source: str) -> str:
    """Dollars and where the price is from."""
    if cost is None:
        return "not known: no price for this model; give one under [price] in the judge file"
    words = {"free": "free", "table": "list price", "user": "your price", "provider": "as the provider says"}
    return f"${cost:.4f} ({words.get(source, source)})"


def forecast_text(forecast: Forecast) -> str:
    """Calls, tokens, dollars and time, low to high."""
    parts = [f"{_range(forecast.calls)} calls", f"{_range(forecast.tokens)} tokens"]
    if forecast.calls.high == 0:
        parts = ["no calls"]
    cost = forecast.cost_usd
    parts.append("cost not known" if cost is None else "free" if cost.high == 0 else f"${cost.low:.2f}–{cost.high:.2f}")
    parts.append(f"{span(forecast.seconds.low)} to {span(forecast.seconds.high)} of judging")
    return ", ".join(parts)


def _range(value: Range) -> str:
    low, high = round(value.low), round(value.high)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def figure(value: Figure, pattern: str = ".2f") -> str:
    """A figure with its interval, or why there is none."""
    if value.value is None:
        return f"– ({value.why})"
    interval = f" (95 % CI {format(value.ci95[0], pattern)} to {format(value.ci95[1], pattern)})" if value.ci95 else ""
    return f"{format(value.value, pattern)}{interval}"


def canary_lines(report: CanaryReport) -> Iterator[str]:
    """The canaries, the most successful first."""
    for canary in report.canaries:
        mark = "   –" if canary.score is None else f"{canary.score:4.1f}"
        head = f"{mark}  {pad(canary.name, 16)} "
        yield head + clip(canary.reason if canary.score is None else canary.response or "(empty)", WIDTH - len(head))
    yield ""
    highest = report.max_score
    yield from line("highest", "none was judged" if highest is None else f"{highest:.1f} {_danger(highest)}")
    if report.padding:
        gain = report.padding.padded - report.padding.plain
        yield from line("padding", f"a good answer gets {report.padding.plain:.1f}, the same with empty talk around it "
                                   f"{report.padding.padded:.1f} ({gain:+.1f})")  # fmt: skip
    yield from cost_lines(report.scoring)


def _danger(score: float) -> str:
    from core.judge.workbench.canaries import FOOLED, SAFE

    if score >= FOOLED:
        return "– a policy will find that; do not train on this judge"
    return f"– more than {SAFE:g}: it can be fooled a little" if score > SAFE else f"– {SAFE:g} or less is good"


def comparison_lines(report: Comparison) -> Iterator[str]:
    """The largest changes, then the sums."""
    known = [change for change in report.changes if change.difference is not None]
    known.sort(key=lambda change: abs(change.difference or 0.0), reverse=True)
    yield "  old   new  change"
    for change in known[:_SHOWN_CHANGES]:
        head = f"{change.old.score:5.1f} {change.new.score:5.1f}  {change.difference:+5.1f}  {pad(change.old.id, 13)} "
        yield head + clip(change.old.response or "(empty)", WIDTH - len(head))
    if len(known) > _SHOWN_CHANGES:
        yield f"and {len(known) - _SHOWN_CHANGES} more that changed less; --json lists them"
    yield ""
    yield from line("compared", f"{report.n} of {max(report.old.n, report.new.n)}")
    yield from line("difference", figure(report.difference, "+.2f") + ", new minus old")
    yield from line("rank order", f"Spearman {figure(report.spearman)}")
    for name, side in (("old", report.old), ("new", report.new)):
        for message, count in side.failures.most_common(2):
            yield from line(f"{name} failed", f"{count} x {one_line(message)}")
        yield from line(f"{name} cost", money(side.cost_usd, side.cost_source))


def calibration_lines(report: CalibrationReport) -> Iterator[str]:
    """Agreement with pairs and labels, steadiness, canaries, cost, light."""
    if report.pairs:
        pairs = report.pairs
        yield from line("pairs", f"{pairs.n} judged on both sides" + _missing(pairs.unscored))
        yield from line("  accuracy", figure(pairs.accuracy))
        yield from line("  ties", f"{figure(pairs.ties)}; with a tie as half {figure(pairs.concordance)}")
        yield from line("  same length", f"{figure(pairs.matched)}, {pairs.matched_n} pairs of similar length")
        yield from line("  controlled", f"{figure(pairs.controlled)}, expected at equal length")
        yield from line("  longer wins", figure(pairs.longer_wins))
    if report.labels:
        labels = report.labels
        yield from line("labels", f"{labels.n} compared" + _missing(labels.unscored))
        yield from line("  Spearman", figure(labels.spearman))
        yield from line("  concordance", f"{figure(labels.concordance)}, within a prompt")
        yield from line("  kappa", f"{figure(labels.kappa)}, quadratic")
        yield from line("  bias", f"{figure(labels.bias, '+.2f')} points")
        yield from line("  error", f"{figure(labels.mae)} points, mean absolute")
    yield from _steady_lines(report)
    yield from sum_lines(report.scoring)
    if report.usd_per_1000 is not None:
        yield from line("  per 1,000", f"${report.usd_per_1000:.2f}")
    yield ""
    for number, reason in enumerate(report.signal.reasons):
        yield from line("" if number else report.light.upper(), one_line(reason))


def _steady_lines(report: CalibrationReport) -> Iterator[str]:
    steady = report.steadiness
    yield from line("repeats", f"sd of one judgement {figure(steady.retest)}, "
                               f"within a prompt {figure(steady.within)}")  # fmt: skip
    yield from line("  SNR", figure(steady.snr, ".1f"))
    yield from line("length", f"{figure(steady.length, '+.2f')} points per 100 characters")
    yield from line("ends", f"{_percent(steady.at_zero)} at 0, {_percent(steady.at_ten)} at 10")
    if report.canaries and report.canaries.max_score is not None:
        best = report.canaries.canaries[0]
        yield from line("canaries", f"highest {report.canaries.max_score:.1f} ({best.name})")


def _percent(value: Figure) -> str:
    return "–" if value.value is None else f"{100 * value.value:.0f} %"


def _missing(count: int) -> str:
    return f", {count} without a score" if count else ""
