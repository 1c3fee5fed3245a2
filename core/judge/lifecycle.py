"""When a model stops answering: what its provider's API says, and what was announced where the API is silent."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from .endpoint import ModelInfo

SOON_DAYS = 30
_ANNOUNCED = {
    "api.openai.com": {
        "2026-10-23": ("gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "o1", "o3-mini", "o4-mini"),
        "2026-12-11": ("gpt-5", "gpt-5-mini", "gpt-5-nano", "o3"),
        "2027-01-14": ("gpt-4o", "gpt-4.1", "gpt-4.1-mini"),
    }
}
"""Host -> last day -> models, each with its dated snapshots; as announced by 2026-11-22."""


@dataclass(frozen=True)
class End:
    """The day on which a model stops, and whether the API says so (``api``) or only an announcement."""

    day: dt.date
    announced: bool


def end_of(model: ModelInfo, base_url: str) -> End | None:
    """When a model ends; None where nobody says. What the API says comes first."""
    try:
        return End(dt.date.fromisoformat(model.shutdown[:10]), announced=False)
    except ValueError:
        pass
    for day, names in _ANNOUNCED.get(urlsplit(base_url).hostname or "", {}).items():
        if any(re.fullmatch(rf"{re.escape(name)}(-\d{{4}}(-\d{{2}}-\d{{2}})?)?", model.id) for name in names):
            return End(dt.date.fromisoformat(day), announced=True)
    return None


def ending_soon(
    name: str, models: Sequence[ModelInfo], base_url: str, today: dt.date, *, days: float = SOON_DAYS
) -> str | None:
    """A sentence if the judge's model ends within ``days`` days or has ended; None if not, or if nobody knows."""
    known = next((m for m in models if m.id == name), ModelInfo(name))
    end = end_of(known, base_url)
    if end is None or (end.day - today).days > days:
        return None
    left = (end.day - today).days
    when = f"ends on {end.day}, in {left} days" if left > 0 else f"ended on {end.day}" if left < 0 else "ends today"
    source = "as announced" if end.announced else "its provider's API says"
    return f"the judge's model {name} {when} ({source}); choose another before a long run"
