"""What a run answered to its pinned prompts, step by step, read from the files of its rollouts a little at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from core.events import Sample
from core.rollout_log import Recorded, read_rollouts
from core.run_dir import RunDir
from core.types import Rollout, Verdict

from ..pins import TEXT_CHARACTERS, Pin, load, pins_file
from .samples_rows import FILE, Stamp

BUDGET_S = 0.3
"""How long one look reads at most, but for one whole file."""


@dataclass(frozen=True)
class Followed:
    """A pinned prompt and what was answered to it at each step that was read so far, oldest first."""

    pin: Pin
    told: tuple[tuple[int, Sample], ...] = ()


@dataclass
class _File:
    """What one file of rollouts says of the pinned prompts that were looked for in it."""

    stamp: Stamp
    looked_for: set[str] = field(default_factory=set)
    found: dict[str, Sample] = field(default_factory=dict)
    """First response by id of its prompt."""


class Follower:
    """Follows one run; not for several threads at once. A prompt without an id is in no file of rollouts."""

    def __init__(self, run: RunDir, *, budget_s: float = BUDGET_S) -> None:
        self.run = run
        self._folder = run.rollouts(0).parent
        self._budget_s = budget_s
        self._files: dict[str, _File] = {}
        self._pins: tuple[Pin, ...] = ()
        self._pins_stamp: Stamp | None = None

    def look(self) -> tuple[Followed, ...]:
        """The pins as they stand now, with what is known of them; newest steps are read first. Never raises."""
        self._read_pins()
        wanted = {pin.prompt_id for pin in self._pins if pin.prompt_id}
        end = time.monotonic() + self._budget_s
        if wanted:
            self._read(wanted, lambda: time.monotonic() > end)
        return tuple(Followed(pin, self._told(pin.prompt_id)) for pin in self._pins)

    def _read_pins(self) -> None:
        stamp = _stamp(pins_file(self.run))
        if stamp != self._pins_stamp:
            self._pins, self._pins_stamp = load(self.run), stamp

    def _read(self, wanted: set[str], enough: Callable[[], bool]) -> None:
        try:
            names = [entry.name for entry in os.scandir(self._folder) if FILE.match(entry.name)]
        except OSError:
            return
        for name in self._files.keys() - set(names):  # set aside by a rollback
            del self._files[name]
        for name in sorted(names, key=_step_of, reverse=True):
            path = self._folder / name
            if (stamp := _stamp(path)) is None:
                continue
            known = self._files.get(name)
            if known is None or known.stamp != stamp:
                known = self._files[name] = _File(stamp)
            if missing := wanted - known.looked_for:
                known.found |= _answers(path, missing)
                known.looked_for |= missing
                if enough():
                    return

    def _told(self, prompt_id: str) -> tuple[tuple[int, Sample], ...]:
        found = (
            (_step_of(name), file.found[prompt_id]) for name, file in self._files.items() if prompt_id in file.found
        )
        return tuple(sorted(found, key=lambda told: told[0]))


def _stamp(path: Path) -> Stamp | None:
    try:
        info = path.stat()
    except OSError:
        return None
    return Stamp(info.st_ino, info.st_size, info.st_mtime_ns)


def _step_of(name: str) -> int:
    match = FILE.match(name)
    return int(match[2]) if match else -1


def _answers(path: Path, prompt_ids: Iterable[str]) -> dict[str, Sample]:
    """First response of this file to each of these prompts. Most files hold none, so it is parsed only if one is."""
    try:
        data = path.read_bytes()
        if not any(id_.encode() in data for id_ in prompt_ids):
            return {}
        recorded = read_rollouts(path)
    except OSError:
        return {}
    wanted, found = set(prompt_ids), {}
    for rollout in sorted(recorded.rollouts.values(), key=lambda rollout: -rollout.row):
        if rollout.prompt.id in wanted:
            found[rollout.prompt.id] = _sample(rollout, recorded)
    return found


def _sample(rollout: Rollout, recorded: Recorded) -> Sample:
    result, measured = recorded.results.get(rollout.id), recorded.measures.get(rollout.id)
    score, reason = None, "not judged yet"
    if isinstance(result, Verdict):
        score, reason = result.score, result.reason
    elif result is not None:
        reason = f"no verdict: {result.message}"
    return Sample(
        rollout_id=rollout.id,
        prompt=rollout.prompt.text[:TEXT_CHARACTERS],
        response=rollout.response[:TEXT_CHARACTERS],
        score=score,
        reason=reason,
        tokens=len(rollout.response_tokens),
        finish=rollout.finish,
        kl=measured.kl if measured else None,
        prompt_id=rollout.prompt.id,
    )
