"""Keys of the list of runs."""

from __future__ import annotations

from textual.binding import Binding, BindingType

RUN_KEYS: list[BindingType] = [
    Binding("enter", "open", "Open", key_display="enter", id="runs.open", tooltip="watch this run"),
    Binding(
        "d",
        "care('demo')",
        "Demo",
        id="runs.demo",
        tooltip="train the bundled model offline and watch it get better",
    ),
    Binding("r", "restart", "Resume", id="runs.restart", tooltip="a new worker goes on from the last checkpoint"),
    Binding("n", "new", "New", id="runs.new", tooltip="set up a new run"),
    Binding("slash", "filter", "Filter", key_display="/", id="runs.filter", tooltip="only runs with these words"),
    Binding("escape", "all", "All", key_display="esc", id="runs.all", tooltip="all runs again"),
    Binding("R", "care('rename')", "Rename", id="runs.rename", tooltip="another name for a run that has no worker"),
    Binding(
        "D", "care('remove')", "Archive", id="runs.remove", tooltip="put a run away or delete it, after a question"
    ),
    Binding("e", "care('export')", "Export", id="runs.export", tooltip="report, metrics or responses as a file"),
    Binding("o", "care('folder')", "Folder", id="runs.folder", tooltip="the runs of another folder"),
]
