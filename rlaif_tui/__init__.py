"""The terminal app: a viewer that folds a run directory into screens. It imports no torch."""

__version__ = "0.1.0"
