"""Real workers killed at random moments and resumed: are the final weights those of a run that was left alone?

``python benchmarks/kill.py [--kills 20] [--steps 8] [--seed 0] [--json]`` trains the bundled demo once in peace, then
again and again with ``kill -9`` at seeded random moments (while loading, training, or writing a checkpoint) until the
number of kills is reached. Every run that ends must have the same SHA-256 of its trained weights. Exit code 1 if not.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from core.config_file import from_dict
from core.events import CheckpointRejected, CheckpointSaved, RunFinished, RunStarted, StepCompleted, WorkerReady
from core.journal import EventReader, read_events
from core.presets import preset
from core.run_dir import RunDir, is_alive, lock_owner_pid
from rlaif_tui.launch import prepare_run, start_worker

OVERRIDES = [
    "run.checkpoint_every=2",
    "rollout.batch_size=16",
    "rollout.max_new_tokens=24",
    "data.validation_prompts=8",
]


@dataclass
class Tally:
    """What was seen over all runs."""

    kills: int = 0
    runs: int = 0
    equal: int = 0
    kills_by_moment: dict[str, int] = field(default_factory=dict)
    rejected_checkpoints: int = 0
    acknowledged_steps_lost: int = 0
    damaged_event_lines: int = 0
    seconds: float = 0.0
    weights_sha256: str = ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    tally, draw, began = Tally(), random.Random(options.seed), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        whole = make(Path(folder), "whole", options.steps)
        start_worker(whole)
        wait_for_end(whole)
        tally.weights_sha256 = finished(whole).weights_sha256
        pace = seconds_per_step(whole)
        while tally.kills < options.kills:
            run = make(Path(folder), f"killed-{tally.runs}", options.steps)
            torment(run, options.kills, pace, draw, tally)
            tally.runs += 1
            tally.equal += finished(run).weights_sha256 == tally.weights_sha256
            reader = EventReader(run.events)
            tally.rejected_checkpoints += sum(isinstance(event, CheckpointRejected) for event in reader.scan())
            tally.damaged_event_lines += reader.damaged + reader.missing
            print(f"run {tally.runs}: {tally.kills} kills so far, {tally.equal} of {tally.runs} equal", file=sys.stderr)
    tally.seconds = round(time.monotonic() - began, 1)
    print(json.dumps(asdict(tally)) if options.json else table(tally))
    return 0 if tally.equal == tally.runs and tally.acknowledged_steps_lost == 0 else 1


def make(folder: Path, name: str, steps: int) -> RunDir:
    config = from_dict(preset("demo").model_dump(mode="json"), [*OVERRIDES, f"run.steps={steps}"])
    return prepare_run(config, folder / "runs", name)


def torment(run: RunDir, kills: int, pace: float, draw: random.Random, tally: Tally) -> None:
    """Launch, kill, resume until the run is complete; once there were ``kills`` in all it is left to end."""
    while True:
        acknowledged = max((e.step for e in read_events(run.events) if isinstance(e, CheckpointSaved)), default=None)
        reader = EventReader.at_end(run.events)
        start_worker(run, resume=run.events.exists() and run.events.stat().st_size > 0)
        started = next(e for e in reader.scan() if isinstance(e, RunStarted))
        if acknowledged is not None and (started.resumed_from is None or started.resumed_from < acknowledged):
            tally.acknowledged_steps_lost += 1
        if tally.kills >= kills:
            wait_for_end(run)
            return
        loading = draw.random() < 0.2
        wait_s = draw.uniform(0.0, 3.0) if loading else draw.uniform(0.0, 3 * pace)
        ready = loading
        while not ready and is_alive(run):
            ready = any(isinstance(event, WorkerReady) for event in reader.scan())
            time.sleep(0.01)
        time.sleep(wait_s)
        pid = lock_owner_pid(run)
        if pid is None:  # it came to its end before the moment did
            return
        os.kill(pid, signal.SIGKILL)
        while is_alive(run):
            time.sleep(0.01)
        tally.kills += 1
        last = [*read_events(run.events)][-1]
        moment = "loading" if loading else str(getattr(last, "phase", type(last).__name__))
        tally.kills_by_moment[moment] = tally.kills_by_moment.get(moment, 0) + 1
        if isinstance(last, RunFinished):  # all was written; only the process had not ended yet
            return


def wait_for_end(run: RunDir) -> None:
    while is_alive(run):
        time.sleep(0.05)


def finished(run: RunDir) -> RunFinished:
    last = [*read_events(run.events)][-1]
    if not isinstance(last, RunFinished) or last.outcome != "completed":
        sys.exit(f"{run.path} did not complete: {last}\n{run.log.read_text()[-2000:]}")
    return last


def seconds_per_step(run: RunDir) -> float:
    times = [event.time for event in read_events(run.events) if isinstance(event, StepCompleted)]
    return (times[-1] - times[0]) / max(1, len(times) - 1)


def table(tally: Tally) -> str:
    where = ", ".join(f"{name} {count}" for name, count in sorted(tally.kills_by_moment.items()))
    return "\n".join(
        [
            f"kill -9                      {tally.kills} (last event before it: {where})",
            f"runs that came to their end  {tally.runs}, with equal weights: {tally.equal}",
            f"acknowledged steps lost      {tally.acknowledged_steps_lost}",
            f"checkpoints rejected         {tally.rejected_checkpoints}",
            f"event lines damaged or lost  {tally.damaged_event_lines}",
            f"sha256 of the weights        {tally.weights_sha256}",
            f"seconds                      {tally.seconds:g}",
        ]
    )


if __name__ == "__main__":
    sys.exit(main())
