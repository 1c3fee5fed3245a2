"""``python -m rlaif_tui`` does what ``rlaif-tui`` does."""

from .cli import main

main()
