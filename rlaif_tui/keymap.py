"""The user's keys: each checked before it is used, because Textual drops a clashing default binding without a word."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from textual.binding import Binding
from textual.dom import DOMNode
from textual.keys import Keys, _character_to_key

_DEAD = {
    **dict.fromkeys(("ctrl+enter", "shift+enter", "alt+enter", "ctrl+slash", "ctrl+space"), "tmux does not pass it on"),
    **dict.fromkeys(("ctrl+a", "ctrl+b"), "screen and tmux keep it for themselves"),
    "ctrl+i": "a terminal sends tab for it",
    "ctrl+m": "a terminal sends enter for it",
    "ctrl+h": "a terminal sends backspace for it",
    "ctrl+left_square_bracket": "a terminal sends esc for it",
    **dict.fromkeys(("tab", "shift+tab"), "it goes from pane to pane"),
    **dict.fromkeys(("ctrl+c", "ctrl+q"), "it keeps its meaning everywhere"),
}
_LOST_MODIFIERS = ("alt+", "meta+", "super+", "hyper+", "ctrl+shift+")
_KNOWN_NAMES = frozenset(key.value for key in Keys) | {_character_to_key(chr(code)) for code in range(0x20, 0x7F)}


@dataclass(frozen=True)
class Bound:
    """A binding that can be given another key."""

    id: str
    keys: tuple[str, ...]

    @property
    def scope(self) -> str:
        """The screen it belongs to; ``app`` is everywhere."""
        return self.id.partition(".")[0]


def bindings_of(modules: Iterable[str]) -> tuple[Bound, ...]:
    """Every binding with an id in the classes of the package; these modules of screens are loaded for it."""
    for module in modules:
        importlib.import_module(module)
    found: dict[str, tuple[str, ...]] = {}
    for kind in _kinds(DOMNode):
        if not kind.__module__.startswith("rlaif_tui."):
            continue
        for binding in vars(kind).get("BINDINGS", ()):
            if isinstance(binding, Binding) and binding.id:
                found[binding.id] = tuple(key.strip() for key in binding.key.split(","))
    return tuple(Bound(name, keys) for name, keys in sorted(found.items()))


def _kinds(kind: type[DOMNode]) -> Iterable[type[DOMNode]]:
    for below in kind.__subclasses__():
        yield below
        yield from _kinds(below)


def check(wanted: Mapping[str, str], bindings: Iterable[Bound]) -> tuple[dict[str, str], list[str]]:
    """(keys to use by id of binding, one sentence for each that was refused)."""
    known = {bound.id: bound for bound in bindings}
    good: dict[str, str] = {}
    problems: list[str] = []
    for name, text in wanted.items():
        keys = tuple(_named(key) for key in text.split(","))
        if name not in known:
            problem = "no such binding; the help of each screen names them"
        else:
            problem = next((why for key in keys if (why := _refusal(key))), "") or _clash(name, keys, known, good)
        if problem:
            problems.append(f"keys.{name} = {text!r}: {problem}")
        else:
            good[name] = ",".join(keys)
    return good, problems


def _named(key: str) -> str:
    """A key as Textual calls it: ``?`` is ``question_mark``."""
    key = key.strip()
    return _character_to_key(key) if len(key) == 1 else key


def _refusal(key: str) -> str:
    """Why nobody could press this key; empty if one can."""
    if why := _DEAD.get(key):
        return why
    if key.startswith(_LOST_MODIFIERS):
        return "it does not arrive over ssh and tmux"
    return "" if len(key) == 1 or key in _KNOWN_NAMES else "no such key"


def _clash(name: str, keys: tuple[str, ...], known: Mapping[str, Bound], good: Mapping[str, str]) -> str:
    """Which other binding has one of these keys where this one works too; empty if none."""
    mine = known[name]
    for other in known.values():
        together = other.scope == mine.scope or "app" in (other.scope, mine.scope)
        # Two bindings that share a key by default are told apart by the state of the screen.
        if other.id == name or not together or set(other.keys) & set(mine.keys):
            continue
        theirs = good[other.id].split(",") if other.id in good else other.keys
        if taken := set(theirs) & set(keys):
            return f"{min(taken)} is {other.id} already"
    return ""
