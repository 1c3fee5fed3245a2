"""What can go wrong, one class per boundary crossed. Each message is for the person at the terminal.

RlaifError
 ├─ ConfigError    a run configuration that cannot be used
 ├─ DataError      a prompt file that cannot be read
 ├─ ModelError     a model that cannot be loaded or trained
 ├─ JudgeError     a judge that cannot be built (a failed judgement is a value, ``JudgeFailure``)
 ├─ RunDirError    a run directory that is missing, taken, full or damaged
 └─ TrainingError  training that must not go on (the first ratio is not 1, no row was judged, ...)
"""

from __future__ import annotations


class RlaifError(Exception):
    """Base of every error this product raises on purpose: what was wrong, where, and what to do about it."""


class ConfigError(RlaifError):
    """A configuration key or value is wrong; the message names the key, the value and what is allowed."""


class DataError(RlaifError):
    """A data file cannot be read or mapped; the message names the file and, where there is one, the line."""


class ModelError(RlaifError):
    """A model or tokenizer cannot be loaded, or is not fit for training."""


class JudgeError(RlaifError):
    """A judge cannot be built from its configuration."""


class RunDirError(RlaifError):
    """A run directory is missing, already owned by a live worker, not writable, or damaged."""


class TrainingError(RlaifError):
    """Training stopped itself because going on would be wrong; the message carries the diagnosis."""
