"""The bundled demo: a tiny model, its prompts, and the script that made them (``python -m core.demo.build``)."""

from __future__ import annotations

from pathlib import Path

MODEL_DIR: Path = Path(__file__).parent / "model"
"""Folder of the bundled model, for ``from_pretrained``."""
PROMPTS_CSV: Path = Path(__file__).parent / "prompts.csv"
"""Prompts with columns ``prompt``, ``subject``, ``split`` (train, validation) and ``reference``."""
