"""One response as styled lines: prompt, response with the KL of its tokens as colour, what was said of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from textual.content import Content

from core.ratings import Rating
from core.types import JudgeFailure, JudgeResult, Prompt, Verdict

from ..desks.samples import Detail, Piece
from ..sentences import UNKNOWN, number
from ..styled import Line, styled_lines
from ..text import clip, one_line, safe, wrap
from ..widgets.braille import draw
from ..words import span

LEVELS = (0.05, 0.2, 0.5, 1.5)
"""Nats from which a token is coloured, one shade more each."""
_SHADES = ("", "20%", "35%", "50%", "70%")
MORE, LESS = "#e69f00", "#56b4e9"
"""Likelier now than at the start, and unlikelier: orange and blue are told apart by every eye."""
DIM = "$foreground 75%"
KL_ROWS = 2
_GUTTER = 3


def detail_content(
    detail: Detail, width: int, *, blind: bool = False, note: str = "", ascii_only: bool = False
) -> Content:
    """Everything about a response in ``width`` cells. ``blind``: only what the model was asked and what it wrote."""
    rows: list[tuple[str, list[Line]]] = []
    room = max(8, width - _GUTTER)
    if detail.rollout is None:
        return Content.styled("\n".join(wrap(detail.problem or "reading…", max(8, width))), DIM)
    rows.append(("P", _plain(_prompt(detail.rollout.prompt), room, DIM)))
    rows.append(("", [[]]))
    rows.append(("R", _response(detail, room, coloured=not blind)))
    if blind:
        if note:
            rows += [("", [[]]), ("N", _plain(note, room, "italic"))]
        return _content(rows)
    rows.append(("", [[]]))
    rows += _said(detail, room)
    kl = _kl_rows(detail, room, ascii_only=ascii_only)
    if kl:
        rows += [("", [[]]), ("K", kl)]
    rows.append(("", [[]]))
    rows += [("", _plain(text, room, DIM)) for text in _about(detail)]
    return _content(rows)


def _content(rows: Iterable[tuple[str, list[Line]]]) -> Content:
    lines = [
        Content.assemble((letter if at == 0 and letter else " ", "bold"), ("  ", ""), *line)
        for letter, block in rows
        for at, line in enumerate(block)
    ]
    return Content("\n").join(lines)


def _plain(text: str, width: int, style: str = "") -> list[Line]:
    return [[(line, style)] for line in wrap(text, width)]


def _prompt(prompt: Prompt) -> str:
    system = "\n".join(f"system: {turn.content}" for turn in prompt.messages if turn.role == "system")
    return f"{system}\n\n{prompt.text}" if system else prompt.text


def _response(detail: Detail, width: int, *, coloured: bool) -> list[Line]:
    assert detail.rollout is not None
    text = detail.rollout.response
    if not text:
        lines: list[Line] = [[("(empty)", DIM)]]
    elif coloured and detail.pieces:
        lines = coloured_lines(detail.pieces, width)
    else:
        lines = _plain(text, width)
    if detail.rollout.finish == "length":
        lines.append([(f"⟨cut at {len(detail.rollout.response_tokens)} tokens⟩", "$text-warning")])
    return lines


def coloured_lines(pieces: Sequence[Piece], width: int) -> list[Line]:
    """The response wrapped, each character on the shade of its token."""
    return styled_lines(((safe(piece.text), shade(piece.kl)) for piece in pieces), width)


def shade(kl: float | None) -> str:
    """Background for a token that moved this many nats; none for one that hardly moved."""
    level = sum(abs(kl) >= limit for limit in LEVELS) if kl is not None else 0
    return f"on {MORE if (kl or 0) > 0 else LESS} {_SHADES[level]}" if level else ""


def _kl_rows(detail: Detail, width: int, *, ascii_only: bool) -> list[Line]:
    measures = detail.measures
    if measures is None or not measures.kl_tokens:
        return []
    tokens = measures.kl_tokens
    low, high = min(0.0, *tokens), max(0.1, *tokens)
    across = min(width, max(4, -(-len(tokens) // (1 if ascii_only else 2))))
    line = draw(list(enumerate(tokens)), across, KL_ROWS, max(1, len(tokens) - 1), low, high, ascii_only=ascii_only)
    rows: list[Line] = [[(row, MORE)] for row in line]
    rows += _plain(f"KL by token, {_figure(low)} to {_figure(high)} nats{_strongest(detail)}", width, DIM)
    if detail.pieces:
        rows += _legend(width)
    elif detail.no_pieces:
        rows += _plain(f"not shown as colour: {detail.no_pieces}", width, DIM)
    return rows


def _strongest(detail: Detail) -> str:
    known = [piece for piece in detail.pieces if piece.kl is not None]
    if not known:
        return ""
    most = max(known, key=lambda piece: abs(piece.kl or 0.0))
    name = f"'{clip(most.text.strip(), 20)}'" if most.text.strip() else "an unseen token" if most.text else "the end"
    return f", most at {name} ({most.kl:+.2f})"


def _legend(width: int) -> list[Line]:
    rarer, likelier = (
        [(f"{word} than at the start".ljust(26), DIM)]
        + [(f" {limit:g} ", f"on {colour} {_SHADES[at]}") for at, limit in enumerate(LEVELS, 1)]
        for colour, word in ((LESS, "rarer"), (MORE, "likelier"))
    )
    return [[*likelier, ("   ", ""), *rarer]] if width >= 80 else [likelier, rarer]


def _said(detail: Detail, width: int) -> list[tuple[str, list[Line]]]:
    rows: list[tuple[str, list[Line]]] = []
    result = detail.result
    match result:
        case Verdict():
            head = f"{result.score:.3g}/10  "
            rows.append(("J", _plain(head + (result.reason or "no reason given"), width)))
            rows += [("", _plain(text, width, DIM)) for text in _finer(result)]
        case JudgeFailure():
            fate = "left out of training" if result.treatment == "mask" else "treated as the lowest reward"
            text = f"no verdict ({result.status}): {result.message}; {fate}"
            rows.append(("J", _plain(text, width, "$text-warning")))
        case None:
            rows.append(("J", _plain("not judged yet", width, DIM)))
    if result is not None and result.flags:
        rows.append(("!", _plain(f"flagged: {', '.join(result.flags)}", width, "$text-warning")))
    if detail.referee is not None:
        rows.append(("2", _plain(_referee(detail.referee), width, DIM)))
    rows += [("Y", _plain(_given(rating, detail.mine), width)) for rating in detail.ratings]
    return rows


def _finer(verdict: Verdict) -> list[str]:
    lines = []
    if verdict.criteria:
        lines.append("   ".join(f"{name} {value:g}" for name, value in verdict.criteria.items()))
    if verdict.distribution:
        shares = "   ".join(
            f"{score:g}: {100 * share:.0f} %" for score, share in verdict.distribution if share >= 0.005
        )
        lines.append(f"probabilities  {shares}")
    if verdict.repeat_scores:
        lines.append("judged several times: " + ", ".join(f"{score:g}" for score in verdict.repeat_scores))
    if verdict.spread is not None:
        lines.append(f"spread {verdict.spread:.2f}")
    if verdict.steering_p is not None:
        lines.append(f"works on its grader: {100 * verdict.steering_p:.0f} %")
    return lines


def _referee(result: JudgeResult) -> str:
    if isinstance(result, Verdict):
        return f"referee {result.backend} gave {result.score:g}/10  {result.reason}"
    return f"referee {result.backend} gave no verdict ({result.status}): {result.message}"


def _given(rating: Rating, mine: Rating | None) -> str:
    who = "you" if mine is not None and rating.by == mine.by else rating.by
    return f"{who} gave {number(rating.score, 'g')}" + (f": {rating.note}" if rating.note else "")


def _about(detail: Detail) -> list[str]:
    """Figures and origin, a line each."""
    rollout, result, measures = detail.rollout, detail.result, detail.measures
    assert rollout is not None
    ended = "cut at the limit" if rollout.finish == "length" else "ended itself"
    used = ["left out of training"] if measures is not None and not measures.used else []
    figures = [f"reward {number(detail.row.reward, '+.2f')}", f"KL {_figure(detail.row.kl)}"]
    lines = [[*figures, f"{len(rollout.response_tokens)} tokens", ended, *used]]
    if result is not None:
        cached = isinstance(result, Verdict) and result.cached
        cost = UNKNOWN if result.cost_source == "unknown" else f"${result.cost_usd:.5f}".rstrip("0").rstrip(".")
        judge = [f"judge {result.backend}", f"version {result.judge_version}"]
        lines.append([*judge, "from the cache" if cached else span(result.latency_s), cost])
        if result.model_returned:
            lines.append([f"answered by {result.model_returned}"])
    lines.append([f"reply {rollout.id}", f"prompt {rollout.prompt.id} of {len(rollout.prompt_tokens)} tokens"])
    if rollout.prompt.reference:
        lines.append([f"reference  {rollout.prompt.reference}"])
    return ["   ".join(line) for line in lines]


def _figure(value: float | None) -> str:
    return number(None if value is None else round(value, 2) + 0.0)


def detail_title(detail: Detail) -> str:
    """What stands in the frame of a response."""
    row = detail.row
    if row.problem:
        return one_line(row.file)
    where = f"{'validation' if row.held_out else 'step'} {row.step}"
    mine = f"you {number(detail.mine.score, 'g')}" if detail.mine else "not rated"
    return "   ".join((where, f"score {number(row.score, '.1f')}", mine, f"prompt {one_line(row.prompt_id)}"))


def plain_text(detail: Detail) -> str:
    """What is copied: the texts as they are."""
    rollout, result = detail.rollout, detail.result
    if rollout is None:
        return detail.problem
    said = result.reason if isinstance(result, Verdict) else result.message if result else ""
    score = f" {result.score:g}/10" if isinstance(result, Verdict) else ""
    return f"Prompt:\n{rollout.prompt.text}\n\nResponse:\n{rollout.response}\n\nJudge{score}:\n{said}\n"
