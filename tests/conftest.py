"""What every test runs under: one thread, no network, no progress bars."""

from __future__ import annotations

import os

for _name, _value in {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "CUDA_VISIBLE_DEVICES": "",
    "OMP_NUM_THREADS": "1",
}.items():
    os.environ.setdefault(_name, _value)

import atexit  # noqa: E402  the environment must be set before torch is imported
import shutil  # noqa: E402
import tempfile  # noqa: E402
from pathlib import Path  # noqa: E402

# Nothing that belongs to the user is read or written, not even by processes that a test starts.
_home, _owner = tempfile.mkdtemp(prefix="rlaif-tui-tests-"), os.getpid()
for _name in ("XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_CONFIG_HOME"):
    os.environ[_name] = str(Path(_home, _name.lower()))
for _name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "RLAIF_TUI_RUNS", "RLAIF_TUI_CACHE"):
    os.environ.pop(_name, None)


@atexit.register
def _remove_home() -> None:
    if os.getpid() == _owner:  # not a child that was forked
        shutil.rmtree(_home, ignore_errors=True)


import pytest  # noqa: E402
import tiny  # noqa: E402
import torch  # noqa: E402

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of the tiny models, by architecture. Read only."""
    return {name: tiny.save(name, tmp_path_factory.mktemp(name)) for name in tiny.ARCHITECTURES}


@pytest.fixture(params=tiny.ARCHITECTURES)
def folder(request: pytest.FixtureRequest, models: dict[str, Path]) -> Path:
    """Each architecture in turn."""
    return models[request.param]


def pytest_configure(config: pytest.Config) -> None:
    """peft 0.21 reads a property that transformers 5 renamed; long forms of tests run only when asked for."""
    config.addinivalue_line("markers", "full: the long form of a test that runs reduced; only with -m full")
    config.addinivalue_line("filterwarnings", "ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the long forms out unless a marker expression asks for them; files with a slow test go first.

    They mostly wait, and at the end there would be nothing to do meanwhile.
    """
    if not config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
