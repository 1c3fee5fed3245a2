"""Processes to be killed, without paying for their imports each time: one parent imports, and forks them on demand."""

from __future__ import annotations

import atexit
import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

PARENT = """
import json, os, sys, time, traceback
import torch, transformers, peft, accelerate, safetensors.torch, scipy.stats
import transformers.models.mistral.modeling_mistral, peft.tuners.lora
import core.build, core.worker
torch.set_num_threads(1)
for line in sys.stdin:
    order = json.loads(line)
    if "wait" in order:
        _, status = os.waitpid(order["wait"], 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)
        continue
    pid = os.fork()
    if pid == 0:
        code = 99
        try:
            os.setsid()
            output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            silence = os.open(os.devnull, os.O_RDONLY)
            os.dup2(silence, 0), os.dup2(output, 1), os.dup2(output, 2)
            scope = {"argv": order["argv"]}
            exec(order["code"], scope)
            code = scope.get("code", 0)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(code)
    print(json.dumps(pid), flush=True)
"""

SLOW_FILES = """
import os, time
def slowly(function, seconds):
    def slow(*arguments, **options):
        time.sleep(seconds)
        return function(*arguments, **options)
    return slow
os.fsync, os.rename, os.unlink = (slowly(function, 0.004) for function in (os.fsync, os.rename, os.unlink))
"""
"""Widens the moments between one write of a checkpoint and the next, so that kills fall into them."""

WORKER = "from core.worker import main\ncode = main(argv)\n"


class Forks:
    """The parent. ``start`` gives the pid of a new child, ``wait`` its exit code (negative: the signal)."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parent.parent
        environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
        self._parent = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PARENT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, text=True,
        )  # fmt: skip

    def start(self, code: str, argv: Sequence[object], output: Path) -> int:
        return int(self._ask({"code": code, "argv": [str(each) for each in argv], "output": str(output)}))

    def wait(self, pid: int) -> int:
        return int(self._ask({"wait": pid}))

    def _ask(self, order: dict[str, Any]) -> int:
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(json.dumps(order) + "\n")
        self._parent.stdin.flush()
        answer: int = json.loads(self._parent.stdout.readline())
        return answer

    def close(self) -> None:
        for pipe in (self._parent.stdin, self._parent.stdout):
            assert pipe is not None
            pipe.close()
        self._parent.wait(timeout=20)


@functools.cache
def _shared() -> Forks:
    parent = Forks()
    atexit.register(parent.close)
    return parent


@pytest.fixture
def forks() -> Forks:
    """One parent for the whole of a test session."""
    return _shared()
