"""Entry of ``python -P -m core.play RUN_DIR [--step N] [--cpu] [--idle SECONDS]``."""

from __future__ import annotations

import sys

from .host import main

if __name__ == "__main__":
    sys.exit(main())
