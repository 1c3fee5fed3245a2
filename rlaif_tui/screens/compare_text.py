"""One prompt and what two models answered, as styled lines: words that differ, what the judge said. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from textual.content import Content

from core.compare.record import ComparedModel, DuelDone, Reply, RowDone
from core.types import JudgeFailure, Verdict

from ..desks.compare_rows import Item, reason
from ..sentences import UNKNOWN, number
from ..styled import Line, styled_lines
from ..text import clip, one_line, safe, wrap
from ..word_diff import Part
from .compare_list import DIM, WARNING

LEFT_STYLE, RIGHT_STYLE = "on #e69f00 35%", "on #56b4e9 35%"
"""Orange and blue are told apart by every eye; the signs in the text need no eye for colour."""
_GUTTER = 3
Block = tuple[str, list[Line]]
"""A letter for the gutter, and lines beside it."""


def pane_title(model: ComparedModel, reply: Reply, mine: float | None = None) -> str:
    """Which model, what the person gave it, its score, and why, as far as there is room."""
    you = "" if mine is None else f"you {mine:g}   "
    return f"{model.label} {clip(model.title, 40)}   {you}{score_text(reply)}   {clip(reason(reply), 200)}".rstrip()


def score_text(reply: Reply) -> str:
    if reply.failure is not None:
        return "no verdict"
    return f"score {reply.score:.1f}" if reply.score is not None else "not judged"


def reply_content(reply: Reply, parts: Iterable[Part], style: str, note: str, width: int) -> Content:
    """A response with its marks, and what the judge said of it; ``note``: why nothing is marked."""
    room = max(8, width - _GUTTER)
    blocks: list[Block] = [("R", _response(reply, parts, style, room)), ("", [[]]), *_judge(reply, room)]
    figures = f"{reply.tokens} tokens   {'cut at the limit' if reply.finish == 'length' else 'ended itself'}"
    blocks.append(("", _plain(figures, room, DIM)))
    if note:
        blocks.append(("", _plain(note, room, DIM)))
    return _content(blocks)


def blind_content(reply: Reply, width: int) -> Content:
    """Only what was written."""
    return Content("\n").join(
        [Content.assemble(*line) for line in _response(reply, [Part(safe(reply.text))], "", max(8, width))]
    )


def prompt_content(row: RowDone, duel: str, width: int, *, blind: bool = False) -> Content:
    """What was asked. ``duel``: what the judge said of the pair. ``blind``: nothing of a judge or an origin."""
    room = max(8, width - _GUTTER)
    asked = f"system: {row.system}\n\n{row.prompt}" if row.system else row.prompt
    blocks = [("P", _plain(asked, room))]
    if row.reference:
        blocks.append(("", _plain(f"reference  {row.reference}", room, DIM)))
    if not blind:
        blocks += [
            ("", _plain(text, room, DIM)) for text in (duel, f"source  {row.source}" if row.source else "") if text
        ]
    return _content(blocks)


def duel_text(item: Item, left: str, right: str) -> str:
    """What the judge said of the pair, in words."""
    duel = item.duel
    if duel is None:
        return ""
    if item.failed:
        return f"pair: no verdict ({duel.failure or 'the judge failed'})"
    orders = f"{left} shown first: {_winner(duel, left, right, first=True)}"
    orders += f", {right} shown first: {_winner(duel, left, right, first=False)}"
    outcome = {"win": f"{right} wins", "loss": f"{left} wins", "tie": "tie", "error": UNKNOWN}[duel.outcome]
    return f"pair: {outcome}{', the orders disagree' if item.inconsistent else ''} ({orders})"


def _winner(duel: DuelDone, left: str, right: str, *, first: bool) -> str:
    said, a, b = (duel.first, left, right) if first else (duel.second, right, left)
    return {"A": f"{a} better", "B": f"{b} better", "tie": "tie", None: UNKNOWN}[said]


def prompt_title(item: Item, at: int, count: int) -> str:
    return f"prompt {at} of {count}   {one_line(item.row.prompt_id)}   {item.row.prompt_tokens} tokens"


def plain_text(item: Item, models: tuple[ComparedModel, ComparedModel], duel: str) -> str:
    """What is copied: the texts as they are."""
    parts = [f"Prompt:\n{item.row.prompt}"]
    for model, reply in zip(models, (item.left, item.right), strict=True):
        parts.append(f"{model.label} {model.title}:\n{reply.text}\n\nJudge, {score_text(reply)}:\n{reason(reply)}")
    return "\n\n".join((*parts, duel)).rstrip() + "\n"


def _response(reply: Reply, parts: Iterable[Part], style: str, width: int) -> list[Line]:
    if reply.text:
        lines = styled_lines(((part.text, style if part.marked else "") for part in parts), width)
    else:
        lines = [[("(empty)", DIM)]]
    if reply.finish == "length":
        lines.append([(f"⟨cut at {reply.tokens} tokens⟩", WARNING)])
    return lines


def _judge(reply: Reply, room: int) -> list[Block]:
    match reply.result:
        case Verdict() as verdict:
            text = f"{verdict.score:.3g}/10  {verdict.reason or 'no reason given'}"
            blocks = [("J", _plain(text, room))]
            if verdict.criteria:
                finer = "   ".join(f"{name} {number(value, 'g')}" for name, value in verdict.criteria.items())
                blocks.append(("", _plain(finer, room, DIM)))
        case JudgeFailure() as failure:
            blocks = [("J", _plain(f"no verdict ({failure.status}): {failure.message}", room, WARNING))]
        case _:
            return [("J", _plain("not judged", room, DIM))]
    if reply.result.flags:
        blocks.append(("!", _plain(f"flagged: {', '.join(reply.result.flags)}", room, WARNING)))
    return blocks


def _plain(text: str, width: int, style: str = "") -> list[Line]:
    return [[(line, style)] for line in wrap(text, width)]


def _content(blocks: Iterable[Block]) -> Content:
    return Content("\n").join(
        [
            Content.assemble((letter if at == 0 and letter else " ", "bold"), ("  ", ""), *line)
            for letter, block in blocks
            for at, line in enumerate(block)
        ]
    )
