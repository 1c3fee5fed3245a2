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

from pathlib import Path  # noqa: E402  the environment must be set before torch is imported

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
    """Leave the long forms out unless a marker expression asks for them."""
    if not config.option.markexpr:
        long = [item for item in items if item.get_closest_marker("full")]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in long]
