"""The last line: the keys that work here, made from the bindings of the screen, so that it cannot lie."""

from __future__ import annotations

from rich.cells import cell_len
from textual.binding import Binding
from textual.content import Content
from textual.screen import Screen
from textual.widgets import Static


class KeyBar(Static):
    """``space Pause  s Save …``; keys with the same words stand together, the last two stay at any width."""

    DEFAULT_CSS = """
    KeyBar { dock: bottom; height: 1; width: 1fr; color: $foreground 75%; }
    """

    def __init__(self) -> None:
        super().__init__(id="keys", markup=False)
        self._line = Content("")

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._bindings_changed)

    def on_resize(self) -> None:
        self._lay_out()

    def _bindings_changed(self, screen: Screen[object]) -> None:
        if screen is self.screen:
            self._lay_out()

    def _lay_out(self) -> None:
        shown = [entry.binding for entry in self.screen.active_bindings.values() if entry.binding.show]
        entries = [(keys, words) for words, keys in self._grouped(shown).items()]
        line = key_line(entries, self.size.width)
        if not line.is_same(self._line):
            self._line = line
            self.update(line)

    def _grouped(self, bindings: list[Binding]) -> dict[str, str]:
        groups: dict[str, list[str]] = {}
        for binding in bindings:
            groups.setdefault(binding.description, []).append(self.app.get_key_display(binding))
        return {words: " ".join(keys) for words, keys in groups.items()}


def key_line(entries: list[tuple[str, str]], width: int) -> Content:
    """(keys, words) pairs on one line; those before the last two are dropped from the right when it is too long."""
    first, last = entries[:-2], entries[-2:]

    def needed() -> int:
        return sum(cell_len(keys) + 1 + cell_len(words) + 2 for keys, words in [*first, *last]) - 2

    while first and needed() > width:
        first.pop()
    parts: list[tuple[str, str]] = []
    for keys, words in [*first, *last]:
        parts += [("  " if parts else "", ""), (keys, "bold $foreground"), (f" {words}", "")]
    return Content.assemble(*parts).truncate(max(1, width), ellipsis=True)
