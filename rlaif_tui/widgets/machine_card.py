"""The pane beside the sample: what the computer under the run does."""

from __future__ import annotations

from textual.content import Content
from textual.widgets import Static

from ..machine_words import Told


class MachineCard(Static):
    """A few short lines under a title. Saying the same again costs nothing."""

    DEFAULT_CSS = """
    MachineCard {
        width: 24; height: 1fr; border: round $foreground 35%; border-title-color: $foreground; padding: 0 1;
        color: $foreground 75%;
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id, markup=False)
        self._told: Told | None = None

    def show(self, told: Told) -> None:
        """Show this from now on."""
        before, self._told = self._told, told
        if before is None or before.title != told.title:
            self.border_title = Content(told.title)
        if before is None or before.lines != told.lines:
            self.update(Content("\n".join(told.lines)))
