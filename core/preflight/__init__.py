"""Preflight: ten checks of a configuration before it costs anything. ``python -P -m core.preflight RUN.toml [--json]``.

Model, tokenizer and judge are those of the run; nothing is written, and no optimiser ever steps. A check whose ground
is missing because of another check's failure says so and is neither passed nor failed.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..config_file import load_config
from ..errors import ConfigError, RlaifError
from .result import CheckFailedError, CheckResult, NotRunError, Passed

if TYPE_CHECKING:
    from .checks import Check

__all__ = ["NEEDS", "CheckResult", "run_checks"]

NEEDS: dict[str, tuple[str, ...]] = {
    "config": (),
    "data": ("config",),
    "tokenizer": ("config",),
    "prompt_lengths": ("data", "tokenizer"),
    "model": ("config",),
    "reference": ("model", "tokenizer"),
    "generation": ("prompt_lengths", "reference"),
    "judge": ("config",),
    "batch": ("generation",),
    "resources": ("config",),
}
"""The checks in their order, each with those it builds on."""

_CONFIG_HINT = "correct the file; 'rlaif-tui init' writes one with every key, its meaning and what it allows"


def run_checks(path: Path, overrides: Sequence[str] = (), runs: Path | None = None) -> Iterator[CheckResult]:
    """Each check's result as it comes, always all ten. ``runs``: the folder where run directories will be made."""
    started = time.monotonic()
    try:
        config = load_config(path, overrides)
    except ConfigError as error:
        yield _result("config", started, CheckFailedError(str(error), _CONFIG_HINT))
        yield from (_not_run(name, "config") for name in NEEDS if name != "config")
        return
    yield _result("config", started, Passed(f"{path}: {config.run.steps} steps, seed {config.run.seed}"))
    from .checks import checks_of  # torch comes with it, and a misspelt key need not wait for that

    blamed: dict[str, str] = {}
    for name, check in checks_of(config, runs).items():
        culprit = next((blamed[need] for need in NEEDS[name] if need in blamed), None)
        result = _not_run(name, culprit) if culprit else _run(name, check)
        if not result.ok:
            blamed[name] = result.needs or name
        yield result


def _run(name: str, check: Check) -> CheckResult:
    started = time.monotonic()
    try:
        return _result(name, started, check.run())
    except CheckFailedError as failed:
        return _result(name, started, failed)
    except NotRunError as error:
        return _not_run(name, error.needs)
    except RlaifError as error:
        return _result(name, started, CheckFailedError(str(error), check.hint))
    except Exception as error:  # noqa: BLE001  whatever a library raises belongs to the check it was raised in
        sentence = " ".join(str(error).split())[:400]
        return _result(name, started, CheckFailedError(f"{type(error).__name__}: {sentence}", check.hint))


def _result(name: str, started: float, outcome: Passed | CheckFailedError) -> CheckResult:
    return CheckResult(
        name=name,
        ok=isinstance(outcome, Passed),
        seconds=round(time.monotonic() - started, 3),
        evidence=outcome.evidence,
        hint=outcome.hint,
        figures=outcome.figures,
    )


def _not_run(name: str, needs: str) -> CheckResult:
    return CheckResult(name=name, ok=None, seconds=0.0, evidence=f"not run: needs {needs}", hint="", needs=needs)
