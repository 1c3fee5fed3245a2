"""The part of the fold that answers requests and puts letters under the charts."""

from __future__ import annotations

import contextlib
from typing import assert_never

from msgspec.structs import replace

from core.events import CanariesScored, CommandApplied, CommandRejected, JudgeReplaced, RefereeScored

from .run_state import Marker, RunState


def answer(state: RunState, event: CommandApplied | CommandRejected, id_: str) -> RunState:
    """The state once the worker has answered a request; one that changed something leaves a letter."""
    state = replace(
        state,
        answered=state.answered | {id_},
        pending=tuple(command for command in state.pending if command.id != id_),
    )
    if not isinstance(event, CommandApplied):
        return state
    by = f", by {event.by}" if event.by else ""
    last = state.markers.last
    if event.name == "replace_judge" and last is not None and last.letter == "J":
        others = state.markers.keep(lambda marker: marker is not last)
        return replace(state, markers=others.append(Marker(last.step, "J", last.text + by)))
    return _set(state, event, by) if event.name == "set" else state


def _set(state: RunState, event: CommandApplied, by: str) -> RunState:
    letter = "β" if "kl_coef" in event.detail else "$" if "cap_usd" in event.detail else "η"
    name, _, value = event.detail.partition(" = ")
    with contextlib.suppress(ValueError):
        others = tuple(known for known in state.settings if known[0] != name)
        state = replace(state, settings=(*others, (name, float(value))))
    return mark(state, event.step, letter, event.detail + by)


def judges(state: RunState, event: JudgeReplaced | RefereeScored | CanariesScored) -> RunState:
    """The state after news of what judges the judge."""
    match event:
        case RefereeScored():
            return replace(state, referee=state.referee.append(event))
        case CanariesScored():
            return replace(state, canaries=state.canaries.append(event))
        case JudgeReplaced():
            text = f"judge {event.name} ({event.to_version})"
            if event.old_mean is not None and event.new_mean is not None:
                text += f", same responses {event.new_mean - event.old_mean:+.1f}"
            return mark(replace(state, judge_since=event.step), event.step, "J", text)
        case _:
            assert_never(event)


def mark(state: RunState, step: int, letter: str, text: str = "") -> RunState:
    """The state with a letter under this step."""
    return replace(state, markers=state.markers.append(Marker(step, letter, text)))
