"""The newest calibration of every judge version on this machine, so that a report can say what a run's judge is worth.

One JSON file a version in ``calibrations`` of the user's data folder. A run that takes a judge into use gets a copy,
which goes wherever the run directory goes.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...files import write_atomic

if TYPE_CHECKING:
    from .calibration import CalibrationReport

_VERSION = re.compile(r"[0-9a-zA-Z]{1,64}")
_MOST_BYTES = 1 << 20


def calibrations() -> Path:
    """The folder on this machine."""
    import platformdirs

    return Path(platformdirs.user_data_dir("rlaif-tui")) / "calibrations"


def keep_calibration(report: CalibrationReport, data: str) -> Path | None:
    """Keep a calibration without its texts; None where it cannot be: that costs a line in a report, not the result.

    ``data``: what it was made with, in words.
    """
    scoring = report.scoring
    if scoring.stopped or not _VERSION.fullmatch(scoring.judge_version):
        return None
    whole = report.to_json()
    known = {key: value for key, value in whole.items() if key != "samples"}
    canaries = whole["canaries"]
    if canaries:
        few = ("name", "score")
        known["canaries"] = canaries | {"canaries": [{k: each[k] for k in few} for each in canaries["canaries"]]}
    path = calibrations() / f"{scoring.judge_version}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_atomic(path, json.dumps({"time": time.time(), "data": data, **known}, indent=1).encode())
    except OSError:
        return None
    return path


def file_in(folder: Path, version: str) -> Path:
    """Where a run's folder of judges keeps the calibration of a version."""
    return folder / f"{version}.calibration.json"


def copy_calibration(folder: Path, version: str) -> None:
    """Put the newest calibration of a version, if there is one, beside the judge itself."""
    known = kept_calibration(folder, version)
    if known is not None:
        with contextlib.suppress(OSError):
            write_atomic(file_in(folder, version), json.dumps(known, indent=1).encode())


def kept_calibration(folder: Path, version: str) -> dict[str, Any] | None:
    """A version's calibration: the newer one of the run's copy and this machine's; None if there is none."""
    if not _VERSION.fullmatch(version):
        return None
    found = [_read(path) for path in (file_in(folder, version), calibrations() / f"{version}.json")]
    known = [each for each in found if each is not None]
    return max(known, key=lambda each: each["time"]) if known else None


def _read(path: Path) -> dict[str, Any] | None:
    try:
        with path.open("rb") as file:
            value = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) and isinstance(value.get("time"), int | float) else None
