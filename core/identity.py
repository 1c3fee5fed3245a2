"""What must be the same for a resumed run to be the same run, and what may differ at the price of the last bits."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from .config import RunConfig

LIBRARIES = ("torch", "transformers", "peft", "accelerate", "bitsandbytes")


@dataclass(frozen=True)
class Identity:
    """Recorded in every checkpoint."""

    config: dict[str, Any]
    data_fingerprint: str
    model_fingerprint: str
    versions: dict[str, str]
    device: str

    def values(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def broken_by(self, before: Mapping[str, Any]) -> str:
        """In words, what makes this another run than the checkpoint's; empty if nothing does."""
        changed = [
            f"{what} changed (it was {before[key][:12]}, it is {now[:12]}): put it back or start a new run"
            for what, key, now in (
                ("the data file", "data_fingerprint", self.data_fingerprint),
                ("the model", "model_fingerprint", self.model_fingerprint),
            )
            if before[key] != now
        ]
        return "; ".join(changed)

    def shifted_by(self, before: Mapping[str, Any]) -> str:
        """In words, what may make the last bits of numbers come out differently; empty if nothing does."""
        now = {**self.versions, "device": self.device}
        then = {**before["versions"], "device": before["device"]}
        names = [name for name in now.keys() | then.keys() if now.get(name) != then.get(name)]
        return "; ".join(
            f"{name} was {then.get(name, 'absent')}, is {now.get(name, 'absent')}" for name in sorted(names)
        )


def installed_versions() -> dict[str, str]:
    """Versions of what computes the numbers; a library that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def config_changes(before: Mapping[str, Any], now: RunConfig) -> str:
    """Every key whose value differs, such as ``ppo.kl_coef was 0.05, is 0.1``."""
    return "; ".join(_differences(before, now.model_dump(mode="json"), ""))


def _differences(before: Any, now: Any, path: str) -> Iterator[str]:
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key in sorted(before.keys() | now.keys()):
            yield from _differences(before.get(key), now.get(key), f"{path}.{key}" if path else key)
    elif before != now:
        yield f"{path} was {before!r}, is {now!r}"
