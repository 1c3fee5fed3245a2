"""What the help shows: the keys of a screen, from its bindings, and a sentence on each figure."""

from __future__ import annotations

from textual.screen import Screen

from .overlay import Line

TRAIN_HELP: tuple[Line, ...] = (
    ("judge score", "mean of what the judge gave the responses of a step, 0 to 10; it should rise"),
    ("KL", "how far the model has moved from where it began, in nats per response; rewards are priced for it"),
    ("policy loss", "what the update of the policy makes smaller; it stays near zero, only jumps are news"),
    ("value loss", "how wrong the critic's guess of the coming reward is; it should fall, then stay low"),
    ("entropy", "how open the choice of the next token is, in nats; a fall to near zero means it says one thing only"),
    ("clip fraction", "share of tokens whose update was held back by PPO's clipping; above 0.3 the rate is too high"),
    ("ETA", "steps left times the median of the last 20 step times; unknown before the third step"),
    ("space, s", "are requests: the status line shows who asked until the worker has answered"),
    ("q", "closes this window only; training goes on"),
)
RUNS_HELP: tuple[Line, ...] = (
    ("score", "held-out judge score before and now; until the second validation, of the first and the newest step"),
    ("state", "● running  ◌ starting  ‖ paused  ■ stopped  ✓ completed  ✗ crashed  ? alive but silent for a minute"),
    ("q", "closes this window only; training goes on"),
)
_WIDTH = 15


def help_lines(screen: Screen[None], figures: tuple[Line, ...], marks: str = "") -> list[Line]:
    """Keys first, then what the figures mean."""
    shown = [entry.binding for entry in screen.active_bindings.values() if entry.binding.show]
    lines: list[Line] = [("Keys", "")]
    lines += [(_head(screen.app.get_key_display(binding)), binding.tooltip or binding.description) for binding in shown]
    lines += [("", ""), ("What you see", ""), *((_head(name), meaning) for name, meaning in figures)]
    if marks:
        lines.append((_head("chart letters"), marks))
    return lines


def _head(name: str) -> str:
    return f"  {name:<{_WIDTH}}"
