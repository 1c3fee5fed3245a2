"""What the help shows: the keys of a screen, from its bindings, and a sentence on each figure."""

from __future__ import annotations

from collections.abc import Sequence

from textual.screen import Screen

from .overlay import Line

RUNS_HELP: tuple[Line, ...] = (
    ("score", "held-out judge score before and now; until the second validation, of the first and the newest step"),
    ("state", "● running  ◌ starting  ‖ paused  ■ stopped  ✓ completed  ✗ crashed  ? alive but silent for a minute"),
    ("judge today", "what the judges of the runs of this folder have cost since midnight; a dash until all are read"),
    ("q", "closes this window only; training goes on"),
)
_WIDTH = 15


def help_lines(screen: Screen[None], figures: Sequence[Line], marks: str = "") -> list[Line]:
    """The screen's keys first, then those that work everywhere, then what the figures mean.

    Behind each key stands the name of its binding, for the user's own keys.
    """
    own: dict[str, list[str]] = {}
    everywhere: dict[str, list[str]] = {}
    for active in screen.active_bindings.values():
        binding = active.binding
        if what := active.tooltip or binding.tooltip:
            group = everywhere if active.node is screen.app else own
            text = f"{what} · {binding.id}" if binding.id else what
            keys = group.setdefault(text, [])
            keys.append(screen.app.get_key_display(binding))
    lines: list[Line] = [("Keys", ""), *_keys(own), ("", ""), ("Everywhere", "")]
    lines += [(_head("1 to 8"), "the screens, as the first line names them"), *_keys(everywhere)]
    if figures or marks:
        lines += [("", ""), ("What you see", ""), *((_head(name), meaning) for name, meaning in figures)]
    if marks:
        lines.append((_head("chart letters"), marks))
    return lines


def _keys(group: dict[str, list[str]]) -> list[Line]:
    return [(_head(" ".join(dict.fromkeys(keys))), text) for text, keys in group.items()]


def _head(name: str) -> str:
    return f"  {name:<{_WIDTH}}"
