"""Takes the pictures in ``docs/screens``: every screen of the app on a real run, at both sizes it is made for.

    rlaif-tui --runs-dir /tmp/pictures demo --plain --seed 0
    python docs/take_screens.py /tmp/pictures

Each picture is the app's own SVG export. Nothing is started, and the run is only read.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

SIZES = {"120x36": (120, 36), "80x24": (80, 24)}
PATIENCE_S = 60.0
QUIET_S = 1.6
"""A screen that has not changed for so long has shown what it knows."""


@dataclass(frozen=True)
class Shot:
    """A picture: keys are pressed one after the other, each once the screen is quiet; a sentence is typed at once."""

    name: str
    keys: tuple[str, ...]


SHOTS = (
    Shot("runs", ("1",)),
    Shot("setup", ("2",)),
    Shot("data", ("3", "d")),
    Shot("judge", ("4",)),
    Shot("train", ("5",)),
    Shot("samples", ("6",)),
    Shot("compare", ("7",)),
    Shot("vote", ("7", "b")),
    Shot("play", ("8", "enter", "How do I clean a frying pan?", "enter", "s")),
    Shot("help", ("5", "question_mark")),
    Shot("log", ("5", "l")),
    Shot("palette", ("5", "colon")),
)


async def take(root: Path, name: str, folder: Path, size: str, wanted: set[str]) -> None:
    """The pictures at one size, all unless some are named."""
    from core.run_dir import open_run
    from rlaif_tui.app import RlaifApp

    run = open_run(name, root)
    for shot in (shot for shot in SHOTS if not wanted or shot.name in wanted):
        app = RlaifApp(root, run)
        async with app.run_test(size=SIZES[size]) as pilot:
            await quiet(pilot)
            for key in shot.keys:
                await pilot.press(*(key if " " in key else (key,)))
                await quiet(pilot)
            path = folder / f"{shot.name}-{size}.svg"
            path.write_text(own_fonts(app.export_screenshot(title="rlaif-tui")), encoding="utf-8")


def own_fonts(svg: str) -> str:
    """The picture without fonts from elsewhere: it is shown in the reader's own."""
    return re.sub(r"@font-face \{[^}]*\}\s*", "", svg).replace(
        "Fira Code, monospace", "Fira Code, Menlo, Consolas, DejaVu Sans Mono, monospace"
    )


async def quiet(pilot: Any) -> None:
    """Wait until the screen stands still."""
    seen, since, end = "", time.monotonic(), time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        await pilot.app.poll_once()
        await pilot.pause()
        now = pilot.app.export_screenshot()
        if now != seen:
            seen, since = now, time.monotonic()
        elif time.monotonic() - since > QUIET_S:
            return
        await asyncio.sleep(0.1)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path, help="folder of runs")
    parser.add_argument("--run", default="", help="else the newest")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "screens")
    parser.add_argument("--only", nargs="*", default=[], metavar="NAME", help="these pictures; else all")
    options = parser.parse_args()
    from core.run_dir import list_runs

    name = options.run or list_runs(options.root.absolute())[0].name
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home:
        os.environ.update({f"XDG_{kind}_HOME": home for kind in ("CONFIG", "STATE", "DATA", "CACHE")})
        for size in SIZES:
            asyncio.run(take(options.root.absolute(), name, options.out, size, set(options.only)))


if __name__ == "__main__":
    main()
