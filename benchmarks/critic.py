"""Which critic? The four of ``ppo.critic`` at equal CPU time on the demo's task, as a markdown table.

    python benchmarks/critic.py              48 runs: critic x lambda x judge noise x seed
    python benchmarks/critic.py --quick      one seed, few steps: does it run, not which is best

Every run is the ``demo`` preset with another critic. First each critic's cost of a step is measured, all four in turns
on the same responses; then each gets as many steps as ``--steps`` of the ``features`` critic cost. Score is what the
offline judge without noise gives the responses of a step, also where noise was in the rewards. Two runs at a time, one
thread each.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # the processes started below find core wherever they are started from

CRITICS = ("none", "shared", "features", "adapter")
LAMBDAS = (0.95, 1.0)
NOISES = (0.0, 2.0)
ANCHOR = "features"
WINDOW = 4
"""Steps whose mean is a score: the last ones of a run, and those before half its CPU time."""


@dataclass(frozen=True)
class Setting:
    """One run."""

    critic: str
    lam: float
    noise_sd: float
    seed: int
    steps: int
    frozen: bool = False
    """No learning, so that all critics see the same responses."""


@dataclass(frozen=True)
class Step:
    """Noise-free score (0-10), sequence KL in nats, explained variance and CPU seconds of one PPO step."""

    score: float
    kl: float
    explained: float | None
    cpu_s: float


@dataclass(frozen=True)
class Result:
    setting: Setting
    steps: tuple[Step, ...]

    @property
    def score(self) -> float:
        return statistics.mean(s.score for s in self.steps[-WINDOW:])

    @property
    def score_half_way(self) -> float:
        half = max(1, len(self.steps) // 2)
        return statistics.mean(s.score for s in self.steps[max(0, half - WINDOW) : half])

    @property
    def kl(self) -> float:
        return statistics.mean(s.kl for s in self.steps[-WINDOW:])

    @property
    def explained(self) -> list[float]:
        """Over the second half of the run."""
        return [s.explained for s in self.steps[len(self.steps) // 2 :] if s.explained is not None]

    @property
    def cpu_s(self) -> float:
        return sum(s.cpu_s for s in self.steps)


def steps_of(setting: Setting) -> Generator[Step, None, None]:
    """Train by ``setting``, a step at a time."""
    from core.build import build
    from core.config import RunConfig
    from core.events import StepCompleted
    from core.judge.rubric import DEFAULT_WEIGHTS, grade
    from core.presets import PRESETS
    from core.types import JudgedRollout, request_for

    values = {section: dict(keys) for section, keys in PRESETS["demo"].values.items()}
    values["ppo"] |= {"critic": setting.critic, "gae_lambda": setting.lam, "critic_warmup_steps": 0}
    if setting.frozen:
        values["ppo"] |= {"learning_rate": 0.0}
    values["judge"] = values.get("judge", {}) | {"noise_sd": setting.noise_sd}
    values["run"] |= {"seed": setting.seed, "steps": setting.steps, "threads": 1}
    trainer = build(RunConfig.model_validate(values)).trainer
    try:
        for _ in range(setting.steps):
            began = time.process_time()
            outputs = list(trainer.step())
            cpu_s = time.process_time() - began
            requests = [request_for(o.rollout) for o in outputs if isinstance(o, JudgedRollout)]
            scores = [grade(r, DEFAULT_WEIGHTS).score if r.response.strip() else 0.0 for r in requests]
            metrics = next(o.metrics for o in outputs if isinstance(o, StepCompleted))
            yield Step(statistics.mean(scores), metrics.kl_seq or 0.0, metrics.explained_variance, cpu_s)
    finally:
        trainer.close()


def run(setting: Setting) -> Result:
    return Result(setting, tuple(steps_of(setting)))


def costs(rounds: int) -> dict[str, float]:
    """CPU seconds of a step by critic: the anchor's smallest, times the median ratio to it within a round. The first
    round is thrown away.
    """
    runs = {critic: steps_of(Setting(critic, 0.95, 0.0, 0, rounds, frozen=True)) for critic in CRITICS}
    seconds: dict[str, list[float]] = {critic: [] for critic in CRITICS}
    for _ in range(rounds):
        for critic, steps in runs.items():
            seconds[critic].append(next(steps).cpu_s)
    for steps in runs.values():
        steps.close()
    anchor = seconds[ANCHOR][1:]
    ratios = {
        critic: statistics.median(own / other for own, other in zip(values[1:], anchor, strict=True))
        for critic, values in seconds.items()
    }
    return {critic: ratio * min(anchor) for critic, ratio in ratios.items()}


HEADER = (
    *("judge noise", "lambda", "critic", "steps", "score half way", "score (seeds)", "KL, nats", "EV"),
    *("cpu-s a step", "cpu-s a run"),
)


def table(results: Sequence[Result], cost: dict[str, float]) -> str:
    """Mean over seeds; EV is explained variance in the second half of a run, cost that of a step measured in turns."""
    groups: dict[tuple[float, float, str], list[Result]] = {}
    for result in results:
        key = (result.setting.noise_sd, result.setting.lam, result.setting.critic)
        groups.setdefault(key, []).append(result)
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    for (noise, lam, critic), runs in groups.items():
        explained = [e for r in runs for e in r.explained] if critic != "none" else []
        cells = [
            f"{noise:g}",
            f"{lam:g}",
            critic,
            f"{runs[0].setting.steps}",
            f"{statistics.mean(r.score_half_way for r in runs):.2f}",
            f"{statistics.mean(r.score for r in runs):.2f} ({', '.join(f'{r.score:.2f}' for r in runs)})",
            f"{statistics.mean(r.kl for r in runs):.1f}",
            f"{statistics.mean(explained):.2f}" if explained else "-",
            f"{cost[critic]:.2f}",
            f"{statistics.mean(r.cpu_s for r in runs):.0f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--steps", type=int, default=20, help="steps of a run with the features critic")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--processes", type=int, default=2, help="runs at a time")
    parser.add_argument("--quick", action="store_true", help="one seed and six steps")
    options = parser.parse_args()
    steps, seeds = (6, 1) if options.quick else (options.steps, options.seeds)
    os.environ |= {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore", "TRANSFORMERS_VERBOSITY": "error"}
    load = " ".join(f"{x:.2f}" for x in os.getloadavg())
    print(f"python {platform.python_version()}, {os.cpu_count()} cores, load {load}", file=sys.stderr)
    cost = costs(rounds=4 if options.quick else 10)
    share = {critic: max(2, round(steps * cost[ANCHOR] / cost[critic])) for critic in CRITICS}
    print("steps for equal CPU time: " + ", ".join(f"{c} {n}" for c, n in share.items()), file=sys.stderr)
    settings = [
        Setting(critic, lam, noise, seed, share[critic])
        for seed in range(seeds)
        for noise in NOISES
        for lam in LAMBDAS
        for critic in CRITICS
    ]
    results = []
    with ProcessPoolExecutor(options.processes, mp_context=get_context("spawn")) as pool:
        for result in pool.map(run, settings):
            results.append(result)
            print(f"{len(results)}/{len(settings)} {result.setting}: {result.score:.2f}", file=sys.stderr, flush=True)
    first = statistics.mean(r.steps[0].score for r in results)
    print(f"Score of the first step, before any update: {first:.2f}.\n\n{table(results, cost)}")


if __name__ == "__main__":
    main()
