"""The worker as a process: the signals it heeds and the noise that libraries are kept from making."""

from __future__ import annotations

import contextlib
import faulthandler
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, ModuleType
from typing import cast

from .config import RunConfig


class EndedInWaitError(BaseException):
    """A signal ended a wait in which there was nothing to save."""


class Signals:
    """TERM and INT ask for an end, the second one takes it; HUP is the terminal's business, not ours."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._nothing_to_save = False

    def install(self) -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._receive)

    @contextlib.contextmanager
    def nothing_to_save(self) -> Iterator[None]:
        """Within, a signal ends the wait at once."""
        if self.number is not None:
            raise EndedInWaitError
        self._nothing_to_save = True
        try:
            yield
        finally:
            self._nothing_to_save = False

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if self.number is not None:
            os._exit(128 + number)
        self.number = number
        if self._nothing_to_save:
            raise EndedInWaitError


def quieten(config: RunConfig) -> None:
    """What libraries read when they are imported: no bars, no telemetry, and no network where all is on this disk."""
    faulthandler.enable()
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    if config.run.threads:
        os.environ.setdefault("OMP_NUM_THREADS", str(config.run.threads))
    if config.model.quantization == "none":
        # peft imports bitsandbytes wherever it is installed: 5 of its 8 seconds of start-up, for nothing here.
        sys.modules.setdefault("bitsandbytes", cast("ModuleType", None))
    local_model = config.model.id == "demo" or Path(config.model.id).is_dir()
    if local_model and not config.data.path.startswith("hf://"):
        os.environ["HF_HUB_OFFLINE"] = "1"
