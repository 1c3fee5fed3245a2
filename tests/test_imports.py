"""Who may import whom: the app's process never sees torch, the core never sees the app, and the linter would notice."""

from __future__ import annotations

import json
import os
import pkgutil
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import core
import rlaif_tui

ROOT = Path(__file__).resolve().parent.parent
HEAVY = {"torch", "transformers", "peft", "accelerate", "bitsandbytes"}

# Modules that work on tensors. Every other module of core must do without torch, the worker's entry too: its first
# event is written before torch is loaded.
TENSORS = {
    *(
        "attention",
        "batch",
        "build",
        "collect",
        "critic",
        "experience",
        "export",
        "logprobs",
        "labels",
        "local_judge",
        "lora",
        "memory",
        "metrics",
        "model",
        "optim",
    ),
    *("passes", "play", "policy", "ppo", "preflight", "rollout", "trainer", "update", "validation"),
}


def modules_of(package: str, path: list[str]) -> list[str]:
    return sorted(module.name for module in pkgutil.walk_packages(path, f"{package}."))


def imported_by(modules: list[str]) -> set[str]:
    """Top-level packages that a fresh interpreter has loaded after importing ``modules``."""
    program = (
        f"import importlib, json, sys\nfor name in {modules!r}: importlib.import_module(name)\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout))


def test_the_apps_process_never_imports_torch() -> None:
    modules = [name for name in modules_of("rlaif_tui", rlaif_tui.__path__) if not name.endswith("__main__")]
    assert {"rlaif_tui.cli", "rlaif_tui.cli_app", "rlaif_tui.app", "rlaif_tui.screens.train"} <= set(modules)
    assert imported_by(modules) & HEAVY == set()


def test_torch_free_modules_of_core_stay_so() -> None:
    modules = [
        name
        for name in modules_of("core", core.__path__)
        if name.split(".")[1] not in TENSORS
        and not name.startswith(("core.demo.", "core.compare.generate", "core.compare.materials"))
    ]
    assert {"core.prompts", "core.config_file", "core.judge.rubric", "core.rollout_log", "core.worker"} <= set(modules)
    assert imported_by(modules) & (HEAVY | {"textual", "typer", "rlaif_tui"}) == set()


def test_the_first_paint_does_not_wait_for_data_libraries() -> None:
    first = [
        "rlaif_tui.cli_app",
        "rlaif_tui.opening",
        "rlaif_tui.app",
        "rlaif_tui.screens.runs",
        "rlaif_tui.screens.train",
    ]
    slow = {
        "pandas",
        "numpy",
        "scipy",
        "pyarrow",
        "pydantic",
        "jinja2",
        "openai",
        "anthropic",
        "psutil",
        "pynvml",
        "tomlkit",
    }
    assert imported_by(first) & slow == set()


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources alone, for the linter to read."""
    place = tmp_path_factory.mktemp("sources")
    shutil.copy(ROOT / "pyproject.toml", place)
    for package in ("core", "rlaif_tui"):
        for source in (ROOT / package).rglob("*.py"):
            target = place / source.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    return place


def lint(place: Path) -> subprocess.CompletedProcess[str]:
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    environment = {**os.environ, "PYTHONPATH": str(place), "NO_COLOR": "1", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, "-c", program, "--no-cache"],
        cwd=place, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def test_the_contracts_hold_and_planted_violations_break_them(copy: Path) -> None:
    clean = lint(copy)
    assert clean.returncode == 0, clean.stdout + clean.stderr
    plants = {
        "rlaif_tui/feed.py": ("import torch", "The app's process imports no torch"),
        "core/run_dir.py": ("import rlaif_tui", "core never imports the app or textual"),
        "core/ppo.py": ("from . import config", "core.ppo imports torch and the standard library only"),
        "core/errors.py": ("from . import journal", "In core, data flows down"),
    }
    for path, (line, _) in plants.items():
        with (copy / path).open("a", encoding="utf-8") as file:
            file.write(f"\n{line}\n")
    planted = lint(copy)
    assert planted.returncode == 1
    broken = {line.removesuffix(" BROKEN") for line in planted.stdout.splitlines() if line.endswith(" BROKEN")}
    assert broken >= {contract for _, contract in plants.values()}
