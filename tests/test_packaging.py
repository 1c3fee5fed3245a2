"""What is shipped: the wheel's contents, the pinned versions, and that the README's commands exist."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MEGABYTE = 1_000_000


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy: a build leaves folders behind, and old ones would leak into a new wheel."""
    place = tmp_path_factory.mktemp("build")
    for name in ("core", "rlaif_tui", "tests", "benchmarks"):
        shutil.copytree(ROOT / name, place / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, place)
    built = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", "dist"],
        cwd=place, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = (place / "dist").glob("*.whl")
    return path


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_holds_exactly_two_packages(names: set[str]) -> None:
    top = {name.partition("/")[0] for name in names}
    (metadata,) = (name for name in top if name.endswith(".dist-info"))
    assert top == {"core", "rlaif_tui", metadata}
    assert f"{metadata}/licenses/LICENSE" in names


def test_every_source_and_data_file_is_in_the_wheel(names: set[str]) -> None:
    kept = {".py", ".tcss", ".csv", ".json", ".safetensors", ".jinja", ".css", ".typed"}
    ours = {
        str(path.relative_to(ROOT))
        for package in ("core", "rlaif_tui")
        for path in (ROOT / package).rglob("*")
        if path.suffix in kept or path.name == "py.typed"
    }
    shipped = {name for name in names if ".dist-info/" not in name}
    assert shipped == {name for name in ours if "__pycache__" not in name}
    assert {"core/demo/model/model.safetensors", "core/demo/model/tokenizer.json", "core/demo/prompts.csv"} <= shipped


def test_the_bundled_model_and_the_wheel_stay_small(wheel: Path) -> None:
    assert (ROOT / "core" / "demo" / "model" / "model.safetensors").stat().st_size <= 8 * MEGABYTE
    assert wheel.stat().st_size <= 10 * MEGABYTE


def test_the_unpacked_wheel_runs_beside_a_stranger(wheel: Path, tmp_path: Path) -> None:
    installed, stranger = tmp_path / "installed", tmp_path / "elsewhere"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    (stranger / "core").mkdir(parents=True)
    (stranger / "core" / "__init__.py").write_text("", encoding="utf-8")

    def version(*path: Path, safe: bool) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
        line = [sys.executable, *(["-P"] if safe else []), "-m", "rlaif_tui", "--version"]
        return subprocess.run(
            line, cwd=stranger, env=environment, capture_output=True, text=True, timeout=60, check=False
        )

    assert version(installed, safe=True).stdout == f"rlaif-tui {_version()}\n"
    refused = version(installed, safe=False)  # without -P the current folder comes first
    assert refused.returncode == 1
    assert refused.stderr.startswith("rlaif-tui: another package named 'core' is in the way, ")
    assert "Traceback" not in refused.stderr


def test_the_command_is_declared() -> None:
    assert PROJECT["project"]["scripts"] == {"rlaif-tui": "rlaif_tui.cli:main"}


def test_constraints_are_exact_and_satisfy_every_requirement() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    versions = {}
    for pin in pins:
        assert pin.url is None, f"{pin}: a constraint names a version, never a place"
        (only,) = pin.specifier
        assert only.operator == "=="
        assert Version(only.version).local is None, f"{pin}: a local build exists on one machine only"
        versions[_plain(pin.name)] = only.version
    assert versions["torch"] == "2.13.0"
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    for requirement in map(Requirement, wanted):
        pinned = versions[_plain(requirement.name)]
        assert requirement.specifier.contains(pinned), f"{requirement} does not allow the tested {pinned}"


def test_the_readmes_commands_are_targets_and_ci_runs_one() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"make ([a-z-]+)", readme))
    assert {"demo", "test"} <= named <= targets
    ci = ROOT / ".ci" / "run"
    assert os.access(ci, os.X_OK)
    assert "make test" in ci.read_text(encoding="utf-8")


def test_the_readmes_file_tree_is_the_real_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^(?:  )?([a-zA-Z_.\-]+(?:/[a-z_.\-]+)*/?)  +\S", readme, re.MULTILINE)
    tops = [name for name in listed if (ROOT / name).exists()]
    assert {"core/", "rlaif_tui/", "tests/", "pyproject.toml", "benchmarks/", "constraints.txt"} <= set(tops)


def _version() -> str:
    import rlaif_tui

    return rlaif_tui.__version__


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
