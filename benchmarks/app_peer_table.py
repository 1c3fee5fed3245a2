"""The same prompts in Textual's own ``DataTable``: the side that ``app.py`` compares the data screen with."""

from __future__ import annotations

import json
import sys

from rich.text import Text
from textual.app import App, ComposeResult
from textual.widgets import DataTable


class Table(App[None]):
    """All rows at once, as plain text."""

    def compose(self) -> ComposeResult:
        yield DataTable(cursor_type="row")

    def on_mount(self) -> None:
        table = self.query_one(DataTable)
        table.add_columns("#", "prompt")
        with open(sys.argv[1], encoding="utf-8") as file:
            rows = [(str(number), Text(json.loads(line)["prompt"])) for number, line in enumerate(file, 1)]
        table.add_rows(rows)
        table.focus()


Table().run()
