"""What a run was configured with, as far as its live view needs it: limits that its events do not repeat."""

from __future__ import annotations

from dataclasses import dataclass

from core.advisor import UNKNOWN as UNKNOWN_LIMITS
from core.advisor import Limits
from core.agreement import NOTHING_RATED, Agreement
from core.spot_checks import Asked

from .run_state import RunState


@dataclass(frozen=True)
class RunFacts:
    """Of a run's configuration; what is not known is None."""

    limits: Limits = UNKNOWN_LIMITS
    configured: tuple[tuple[str, float], ...] = ()
    """Name and value of the settings that can be changed while the run goes on."""
    last_words: tuple[str, ...] = ()
    """Last lines of the worker's log, where the run broke off."""
    agreement: Agreement = NOTHING_RATED
    """Of the judge with the people who have rated replies of the run."""
    asked: Asked | None = None
    """A few fresh ratings that are wanted of this person."""

    @property
    def kl_target(self) -> float | None:
        """Sequence KL that the adaptive controller aims at, nats; None where the price is fixed."""
        return self.limits.kl_target

    @property
    def kl_pause(self) -> float | None:
        """Sequence KL that pauses the run, nats; None: none does."""
        return self.limits.kl_pause

    @property
    def length_limit(self) -> int | None:
        """Most tokens of a response."""
        return self.limits.length_limit


UNKNOWN_FACTS = RunFacts()


def setting(state: RunState, facts: RunFacts, name: str) -> float | None:
    """The value in force: as set last, else as measured in the newest step, else as configured."""
    changed = dict(state.settings)
    if name == "kl_coef" and state.metrics is not None:  # a controller may have moved it since it was set
        waits = state.markers.last is not None and state.markers.last.step > state.step
        return changed[name] if waits and name in changed else state.metrics.kl_coef
    return changed.get(name, dict(facts.configured).get(name))


def cap(state: RunState, facts: RunFacts) -> float | None:
    """Most dollars that the judge may cost; None: no cap, or not known."""
    return setting(state, facts, "judge_cap_usd") or None
