"""The terminal app: a viewer that folds a run directory into screens. It imports no torch."""
