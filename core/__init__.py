"""The trainer of rlaif-tui. It knows nothing of terminals and is importable without textual."""
