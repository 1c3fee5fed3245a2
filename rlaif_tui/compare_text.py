"""What ``rlaif-tui compare`` prints: aligned lines for 80 columns, from a comparison's record."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .bench_text import WIDTH, line
from .text import clip, one_line, pad, wrap_at_most

if TYPE_CHECKING:
    from core.compare.record import Comparison, RowDone
    from core.compare.summary import Group, PairSummary
    from core.judge.workbench.resampling import Figure

EXAMPLES = 3
_TEXT_ROWS = 3
_SHOWN_GROUPS = 8


def lines(comparison: Comparison, pairs: Sequence[PairSummary]) -> Iterator[str]:
    """Everything: what was compared and how, the figures, the verdict, some examples."""
    yield from head(comparison)
    yield ""
    if len(pairs) == 1:
        yield from pair_lines(comparison, pairs[0])
        yield ""
        yield from line("verdict", pairs[0].verdict)
    else:
        yield from table(comparison, pairs)
    yield ""
    yield from examples(comparison, pairs[0])
    yield from ending(comparison)


def head(comparison: Comparison) -> Iterator[str]:
    """The models, the prompts, the sampling and the judges."""
    header = comparison.header
    for model in comparison.models:
        named = "" if model.named in model.title else f" ({one_line(model.named)})"
        yield from line(model.label, f"{one_line(model.title)}{named}")
    settings = header.settings
    narrowed = "".join(
        (
            f", top-p {settings.top_p:g}" if settings.top_p < 1 else "",
            f", top-k {settings.top_k}" if settings.top_k else "",
        )
    )
    yield from line("prompts", f"{header.rows:,}: {one_line(header.data)}")
    sampled = f"temperature {settings.temperature:g}{narrowed}, at most {settings.max_new_tokens} tokens"
    yield from line("sampling", f"{sampled}, seed {settings.seed}; the same random numbers for every model")
    yield from line("judge", f"{one_line(header.judge)}, version {header.judge_version}")
    if header.pair_judge:
        yield from line("pairs", f"{one_line(header.pair_judge)}; only what holds in both orders counts")


def pair_lines(comparison: Comparison, pair: PairSummary) -> Iterator[str]:
    """The figures of two models."""
    a, b = (comparison.models[place].label for place in (pair.left, pair.right))
    if pair.scored:
        scores = f"{a} {_number(pair.mean_left)}, {b} {_number(pair.mean_right)}"
        yield from line("score", f"{scores}; difference {_signed(pair.difference)} (0-10, {pair.scored:,} prompts)")
    if pair.length_left is not None and pair.length_right is not None:
        yield from line("length", f"{a} {pair.length_left:.1f}, {b} {pair.length_right:.1f} tokens")
    if pair.n or pair.errors:
        failed = f"; {pair.errors} not judged" if pair.errors else ""
        apart = f" ({pair.inconsistent} of them only in one order)" if pair.inconsistent else ""
        yield from line("pairs", f"{b} wins {pair.wins}, loses {pair.losses}, ties {pair.ties}{apart}{failed}")
        yield from line("win rate", f"of {b}: {_share(pair.win_rate)}, a tie as half")
        yield from line("same length", f"{_share(pair.length_controlled)}, expected at equal length")
        yield from line("shown first", f"{_share(pair.first_position)} of all preferences; 50 % without bias")
    for name, groups in (("by length", pair.by_length), ("by source", pair.by_source)):
        for number, group in enumerate(groups[:_SHOWN_GROUPS]):
            yield from line(name if number == 0 else "", _group(group))


def table(comparison: Comparison, pairs: Sequence[PairSummary]) -> Iterator[str]:
    """All pairs of more than two models, their order, and every verdict."""
    from core.compare.summary import ranking

    yield f"{'pair':<10}{'n':>5}{'win':>6}{'tie':>6}{'loss':>6}  {'win rate':<22}score (95 % CIs)"
    for pair in pairs:
        a, b = (comparison.models[place].label for place in (pair.left, pair.right))
        counts = f"{pair.n:>5}{pair.wins:>6}{pair.ties:>6}{pair.losses:>6}"
        yield f"{f'{b} over {a}':<10}{counts}  {pad(_short(pair.win_rate), 22)}{_signed(pair.difference, named=False)}"
    yield ""
    order = ranking(comparison)
    for number, rank in enumerate(order.ranks, start=1):
        model = comparison.models[rank.model]
        text = f"{number}. {model.label}  {clip(model.title, 30)}  {_signed(rank.strength)}"
        yield from line("ranking" if number == 1 else "", text)
    yield from line("", "Bradley-Terry strength, log-odds of winning against A")
    if order.note:
        yield from line("", order.note)
    yield ""
    for pair in pairs:
        a, b = (comparison.models[place].label for place in (pair.left, pair.right))
        yield from line(f"{b} over {a}", pair.verdict)


def examples(comparison: Comparison, pair: PairSummary, count: int = EXAMPLES) -> Iterator[str]:
    """The greatest gain, the greatest loss and what lies between, by score."""
    shown = telling(comparison, pair.left, pair.right, count)
    for row in shown:
        yield from _wrapped("prompt", row.prompt)
        for place in (pair.left, pair.right):
            reply = row.replies[place]
            score = "  –" if reply.score is None else f"{reply.score:.1f}"
            yield from _wrapped(f"{comparison.models[place].label} {score:>4}", reply.text or "(empty)")
        yield ""


def telling(comparison: Comparison, left: int, right: int, count: int = EXAMPLES) -> list[RowDone]:
    """Prompts spread evenly from the greatest gain of the right model to its greatest loss; alike replies come last."""
    outcomes = {duel.row: {"win": 1, "loss": -1}.get(duel.outcome, 0) for duel in comparison.between(left, right)}

    def gain(row: RowDone) -> tuple[float, int]:
        a, b = row.replies[left].score, row.replies[right].score
        return (b - a if a is not None and b is not None else 0.0), outcomes.get(row.row, 0)

    different = [row for row in comparison.rows if row.replies[left].text != row.replies[right].text]
    ordered = sorted(different or comparison.rows, key=lambda row: (*(-value for value in gain(row)), row.row))
    last = len(ordered) - 1
    places = dict.fromkeys(round(last * step / max(1, count - 1)) for step in range(count)) if ordered else {}
    return [ordered[place] for place in places]


def ending(comparison: Comparison) -> Iterator[str]:
    """What it cost, why it ended early if it did, and where it lies."""
    finished = comparison.finished
    if finished is not None and finished.error:
        yield from line("ended early", one_line(finished.error))
    if finished is not None and finished.cost_usd:
        yield from line("cost", f"${finished.cost_usd:.4f}")
    yield from line("kept in", str(comparison.path))


def all_pairs(comparison: Comparison) -> list[PairSummary]:
    """The figures of every two models, those against A first."""
    from core.compare.summary import summarise

    return [summarise(comparison, i, j) for i, j in itertools.combinations(range(len(comparison.models)), 2)]


def _wrapped(label: str, text: str) -> Iterator[str]:
    first, *rest = wrap_at_most(one_line(text), WIDTH - 12, _TEXT_ROWS)
    yield f"    {pad(label, 8)}{first}"
    yield from (" " * 12 + more for more in rest)


def _group(group: Group) -> str:
    return f"{pad(group.name, 24)} {_share(group.win_rate)}, n {group.n}"


def _share(figure: Figure) -> str:
    if figure.value is None:
        return f"– ({figure.why})"
    interval = f" (95 % CI {100 * figure.ci95[0]:.0f} % to {100 * figure.ci95[1]:.0f} %)" if figure.ci95 else ""
    return f"{100 * figure.value:.0f} %{interval}"


def _short(figure: Figure) -> str:
    if figure.value is None:
        return "–"
    interval = f" ({100 * figure.ci95[0]:.0f} to {100 * figure.ci95[1]:.0f} %)" if figure.ci95 else ""
    return f"{100 * figure.value:.0f} %{interval}"


def _signed(figure: Figure, *, named: bool = True) -> str:
    if figure.value is None:
        return "–"
    if figure.ci95 is None:
        return f"{figure.value:+.2f}"
    return f"{figure.value:+.2f} ({'95 % CI ' if named else ''}{figure.ci95[0]:+.2f} to {figure.ci95[1]:+.2f})"


def _number(figure: Figure) -> str:
    return "–" if figure.value is None else f"{figure.value:.2f}"
