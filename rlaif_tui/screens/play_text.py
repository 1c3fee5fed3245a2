"""What stands in the panes and lines of the playground. Pure; every text of others is made safe here."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from core.play.protocol import SIDES, Side
from core.types import Message

from ..desks.play_rated import rated_id
from ..desks.play_state import At, Exchange, Look, Options, Reply
from ..sentences import number
from ..text import clip, one_line, safe, wrap
from ..widgets.line import Field

DIM = "$foreground 75%"
_GUTTER = 3
_NOTHING = "Nothing asked yet. Type a prompt above: enter sends it to the base and to the trained model at once."
_WHO = {"user": "U", "assistant": "A", "system": "S"}


def status_fields(look: Look, options: Options, at: At) -> list[Field]:
    """Line 2: where the trained side stands, how both are sampled, what was rated, and who answers."""
    draw = options.draw
    fields = [
        Field(standing(look, at), "bold"),
        Field(f"temperature {draw.temperature:g}"),
        Field(f"seed {draw.seed}"),
        Field(f"max {draw.max_new_tokens} tokens"),
    ]
    fields += [Field(f"top p {draw.top_p:g}")] if draw.top_p < 1 else []
    fields += [Field(f"top k {draw.top_k}")] if draw.top_k else []
    fields += [Field("system prompt")] if options.system else []
    fields += [Field("pinned", "$text-primary")] if look.pinned else []
    rated = look.rated.count()
    fields += [Field(f"you rated {rated}", DIM)] if rated else []
    return [*fields, Field(who_answers(look, options, at), DIM)]


def rating_words(exchange: Exchange, side: Side) -> str:
    """Line 2 while a reply is rated; nothing of what the judge said."""
    return f"RATING the reply of {_name(exchange, side)}, 0 to 10, judge hidden"


def standing(look: Look, at: At) -> str:
    """Which weights the trained side has at the next send."""
    if isinstance(at, int):
        return f"step {at}"
    if at == "auto" and look.live:
        return f"step {look.now} (now)"
    return f"step {look.steps[-1]} (newest)" if look.steps else "no checkpoint yet"


def who_answers(look: Look, options: Options, at: At) -> str:
    """Whether the next answer comes from the worker or from a process beside it."""
    if at == "auto" and look.live:
        return "answers between steps"
    if look.ready:
        return f"ready on {look.ready}"
    return "loads on the CPU when you send" if options.on_cpu else "loads when you send"


def _name(exchange: Exchange, side: Side) -> str:
    return "base" if side == "base" else "trained" if exchange.step is None else f"step {exchange.step}"


def title(look: Look, side: Side, *, blind: bool = False) -> str:
    """In the frame of a reply. ``blind``: nothing of what the judge or the person said."""
    exchange = look.exchange
    if exchange is None:
        return "base" if side == "base" else "trained"
    reply = exchange.reply(side)
    name = _name(exchange, side)
    parts = [f"{name} (live)" if side == "trained" and exchange.live else name]
    if reply.tokens:
        parts.append(f"{reply.tokens} tokens")
    if reply.finish is None and exchange.step is not None:
        parts.append("…")
    mine = look.rated.score(rated_id(exchange, side), reply.text)
    if mine is not None and not blind:
        parts.append(f"you {mine:g}")
    if reply.score is not None and not blind:
        parts.append(f"judge {reply.score:.3g}")
    if reply.kl is not None:
        parts.append(f"KL {number(round(reply.kl, 2) + 0.0)}")
    return "   ".join(parts)


def content(look: Look, side: Side, width: int, *, blind: bool = False) -> Content:
    """One pane: what went before, the reply, what the judge said (not if ``blind``), and what went wrong."""
    exchange, room = look.exchange, max(8, width - _GUTTER)
    rows: list[tuple[str, list[tuple[str, str]]]] = []
    if look.problem:
        rows += [*_block("!", look.problem, room, "bold $text-error"), ("", [])]
    elif look.words:
        rows += [*_block("", look.words, room, DIM), ("", [])]
    if exchange is None:
        if not rows:
            rows += _block("", _NOTHING, room, DIM)
        return _joined(rows)
    for turn in _before(exchange.messages):
        rows += _block(_WHO[turn.role], turn.content, room, DIM)
    if len(rows) and rows[-1][1]:
        rows.append(("", []))
    reply = exchange.reply(side)
    rows += _reply(reply, room)
    if blind:
        return _joined(rows)
    if look.scoring and not reply.reason:
        rows += [("", []), *_block("J", "the judge is being asked", room, DIM)]
    elif reply.reason:
        score = f"{reply.score:.3g}/10  " if reply.score is not None else ""
        rows += [("", []), *_block("J", score + reply.reason, room, "" if score else "$text-warning")]
    return _joined(rows)


def _before(messages: Sequence[Message]) -> list[Message]:
    """The turns before the newest prompt, which stands in its own line, and the system prompt only in a chat."""
    return [m for m in messages[:-1] if m.role != "system"]


def _reply(reply: Reply, room: int) -> list[tuple[str, list[tuple[str, str]]]]:
    if not reply.text:
        return _block("", "(empty)", room, DIM) if reply.finish is not None else []
    rows = _block("R", reply.text, room)
    endings = {"length": f"⟨cut at {reply.tokens} tokens⟩", "cancelled": "⟨stopped⟩"}
    if reply.finish in endings:
        rows.append(("", [(endings[reply.finish], "$text-warning")]))
    return rows


def _block(letter: str, text: str, room: int, style: str = "") -> list[tuple[str, list[tuple[str, str]]]]:
    return [(letter if at == 0 else "", [(line, style)]) for at, line in enumerate(wrap(text, room))]


def _joined(rows: Sequence[tuple[str, list[tuple[str, str]]]]) -> Content:
    lines = [Content.assemble((f"{letter:<{_GUTTER}}", "bold"), *parts) for letter, parts in rows]
    return Content("\n").join(lines)


def plain_text(exchange: Exchange) -> str:
    """What is copied: the texts as they are."""
    parts = [f"{turn.role}:\n{turn.content}" for turn in exchange.messages]
    for side in SIDES:
        reply = exchange.reply(side)
        name = _name(exchange, side)
        score = f", judge {reply.score:.3g}/10" if reply.score is not None else ""
        parts.append(f"{name}{score}:\n{reply.text}")
    return "\n\n".join(parts) + f"\n\n(seed {exchange.draw.seed}, temperature {exchange.draw.temperature:g})\n"


def history_row(exchange: Exchange, when: str) -> list[str]:
    """Cells of one earlier prompt: when, step, both scores, the prompt."""
    step = "—" if exchange.step is None else str(exchange.step)
    scores = f"{number(exchange.base.score)} → {number(exchange.trained.score)}"
    return [when, step, scores if exchange.judge else "", clip(safe(exchange.prompt.text), 200)]


def in_short(look: Look) -> str:
    """For a terminal that is too small."""
    return one_line(look.words) if look.busy else ""
