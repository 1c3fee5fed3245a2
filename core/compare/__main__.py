"""Entry of ``python -P -m core.compare JOB.json``: makes the comparison and writes its record beside the job.

Exit codes: 0 done; 1 it ended early, and the last line of the record says why; 143 it was cancelled.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

from ..errors import RlaifError
from .job import read_job
from .record import SUFFIX
from .work import Ended, Work


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the comparison that the argument names; returns the exit code."""
    os.umask(0o077)
    given = sys.argv[1:] if arguments is None else arguments
    if len(given) != 1:
        sys.stderr.write("usage: python -P -m core.compare JOB.json\n")
        return 2
    place = Path(given[0])
    try:
        job = read_job(place)
        work = Work(job, place.with_name(f"{job.id}{SUFFIX}"))
    except (RlaifError, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    return work.do()


def _end(number: int, _frame: FrameType | None) -> None:
    signal.signal(number, lambda again, _: os._exit(128 + again))  # the second one takes it
    raise Ended


if __name__ == "__main__":
    sys.exit(main())
