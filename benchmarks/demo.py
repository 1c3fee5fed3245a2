"""The bundled demo for five seeds: held-out judge score before and after, blind pairs, seconds, and what it writes.

    python benchmarks/demo.py --seeds 0 1 2 3 4 > benchmarks/demo.md

Each run is the command a user types, in a fresh runs folder. Prints a Markdown page.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from core.compare.record import Finished, Progress, decode
from core.events import ValidationCompleted
from core.files import read_lines
from core.journal import read_events
from core.run_dir import RunDir

EXAMPLES = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        results = [(seed, *_run(seed, Path(root))) for seed in options.seeds]
        _print(results, {seed: _texts(RunDir(Path(result["path"]))) for seed, result, _ in results})


def _run(seed: int, root: Path) -> tuple[dict[str, Any], float]:
    command = [sys.executable, "-m", "rlaif_tui", "demo", "--seed", str(seed), "--json"]
    started = time.monotonic()
    done = subprocess.run(
        command, env={**os.environ, "RLAIF_TUI_RUNS": str(root)}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout), time.monotonic() - started


def _seconds(comparison: dict[str, Any]) -> float:
    """From the end of training to the end of the comparison, start-up of its libraries included."""
    lines = [decode(raw) for raw in read_lines(Path(comparison["record"]))]
    began = next(line.time for line in lines if isinstance(line, Progress) and line.what == "loading")
    return next(line.time for line in lines if isinstance(line, Finished)) - began


def _texts(run: RunDir) -> list[tuple[Any, Any]]:
    validations = [e for e in read_events(run.events) if isinstance(e, ValidationCompleted)]
    return list(zip(validations[0].samples, validations[-1].samples, strict=True))[:EXAMPLES]


def _print(results: list[tuple[int, dict[str, Any], float]], texts: dict[int, list[tuple[Any, Any]]]) -> None:
    print("# The bundled demo, five seeds\n")
    print(f"`python benchmarks/demo.py`, {os.cpu_count()} CPU cores, one torch thread, load {os.getloadavg()[0]:.1f}")
    print("at the end. Scores are the offline rule judge's, 0 to 10, on held-out prompts of held-out subjects.")
    print("Seconds: of work in the worker, and from the command to its end with start-up and loading.\n")
    print("| seed | before | after | difference | 95% CI | seconds of work | seconds in all | weights sha256 |")
    print("|---|---|---|---|---|---|---|---|")
    for seed, result, seconds in results:
        v = result["validation"]
        print(
            f"| {seed} | {v['before']:.2f} | {v['after']:.2f} | {v['difference']:+.2f} "
            f"| [{v['ci95'][0]:+.2f}, {v['ci95'][1]:+.2f}] | {result['seconds']:.0f} | {seconds:.0f} "
            f"| `{result['weights_sha256'][:12]}` |"
        )
    print("\n## Blind pairs: base against trained, 64 held-out prompts\n")
    print(
        "The same prompts and random numbers for both, other ones than in validation. A win must hold in both orders."
    )
    print("The offline judge scores each reply blind and the higher score wins; where caps made two scores equal, the")
    print(
        "better mean of criteria. Identical replies tie. Wins are those of the trained model; a tie counts as half.\n"
    )
    print("| seed | wins | losses | ties | of decided | win rate | 95% CI | at equal length | seconds |")
    print("|---|---|---|---|---|---|---|---|---|")
    for seed, result, _ in results:
        c = result["comparison"]
        decided = c["wins"] / (c["wins"] + c["losses"])
        print(
            f"| {seed} | {c['wins']} | {c['losses']} | {c['ties']} | {decided:.1%} | {c['win_rate']:.1%} "
            f"| [{c['ci95'][0]:.1%}, {c['ci95'][1]:.1%}] | {c['length_controlled_win_rate']:.1%} | {_seconds(c):.1f} |"
        )
    for seed, pairs in texts.items():
        print(f"\n## Seed {seed}: the first held-out prompts\n")
        for before, after in pairs:
            print(f"- **{before.prompt}**")
            print(f"  - before, {before.score}: {before.response}")
            print(f"  - after, {after.score}: {after.response}")


if __name__ == "__main__":
    main()
