"""One clock, one terminal and one length of paths for every test of the app, and a pilot that does not guess."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import textual.app
import textual.pilot
from quiet import wait_until_quiet

from rlaif_tui.desks.runs import RunsDesk, Surroundings

textual.app.wait_for_idle = textual.pilot.wait_for_idle = wait_until_quiet  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def _utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"TZ": "UTC", "COLORTERM": "truecolor", "TERM": "xterm-256color"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture(autouse=True)
def _surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    """One disk and no GPU, whatever the machine of the tests has."""
    monkeypatch.setattr(RunsDesk, "_look_around", lambda self, folder: Surroundings(41.3))


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """An empty folder. Its path, which screens wrap and clip, is as long on every machine and in every run."""
    with tempfile.TemporaryDirectory(prefix="rlaif-", dir="/tmp", ignore_cleanup_errors=True) as folder:
        yield Path(folder).resolve()


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder of runs with a short name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    return Path("runs")
