"""What a check says. No torch here."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Passed:
    """A check that found nothing wrong. ``hint`` may still advise."""

    evidence: str
    hint: str = ""
    figures: Mapping[str, float] = field(default_factory=dict)


class CheckFailedError(Exception):
    """What was found, and what to do about it."""

    def __init__(self, evidence: str, hint: str, figures: Mapping[str, float] | None = None) -> None:
        super().__init__(evidence)
        self.evidence, self.hint = evidence, hint
        self.figures: Mapping[str, float] = figures or {}


class NotRunError(Exception):
    """A check cannot be made because what another one looks at is not in order."""

    def __init__(self, needs: str) -> None:
        super().__init__(needs)
        self.needs = needs


@dataclass(frozen=True, kw_only=True)
class CheckResult:
    """One line of the report."""

    name: str
    ok: bool | None
    """None: it could not be made, because of another check's failure."""
    seconds: float
    evidence: str
    hint: str
    """What to do; empty where there is nothing to do."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """The measured numbers by name."""
    needs: str = ""
    """The failed check to blame, where ``ok`` is None."""

    def to_json(self) -> dict[str, Any]:
        """Plain values; a figure that is not finite is null."""
        figures = {name: value if math.isfinite(value) else None for name, value in self.figures.items()}
        return dataclasses.asdict(self) | {"figures": figures}
