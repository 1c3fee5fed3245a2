"""The samples that the Train screen goes through: pinned prompts, then the step's own, then held-out ones. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.events import Sample

from ..run_state import RunState
from ..widgets.sample import Shown

PINS = 8


@dataclass(frozen=True)
class Pin:
    """A prompt that is followed, with the sample it had when it was pinned."""

    sample: Sample
    step: int


@dataclass(frozen=True)
class _Place:
    sample: Sample
    step: int
    held_out: bool = False
    pinned: bool = False


def shown(state: RunState, pins: tuple[Pin, ...], index: int) -> Shown | None:
    """The sample at this place of the list, around its ends; None if there is none."""
    places = _places(state, pins)
    if not places:
        return None
    index %= len(places)
    place = places[index]
    kind = ", ".join(word for word, is_so in (("held out", place.held_out), ("pinned", place.pinned)) if is_so)
    return Shown(place.sample, index, len(places), place.step, kind, story(state, pins, place.sample.prompt))


def story(state: RunState, pins: tuple[Pin, ...], prompt: str) -> tuple[tuple[int, Sample], ...]:
    """What was answered to a prompt at each step where it is known, oldest first."""
    sources: list[tuple[int, tuple[Sample, ...]]] = [(pin.step, (pin.sample,)) for pin in pins]
    sources += [(state.samples_step, state.samples), *((v.step, v.samples) for v in state.validations)]
    known = {step: sample for step, samples in sources for sample in samples if sample.prompt == prompt}
    return tuple(sorted(known.items(), key=lambda told: told[0]))


def _places(state: RunState, pins: tuple[Pin, ...]) -> list[_Place]:
    held = state.validations[-1] if state.validations else None
    prompts = {pin.sample.prompt for pin in pins}
    held_prompts = {sample.prompt for sample in held.samples} if held else set()
    first = []
    for pin in pins:
        step, sample = story(state, pins, pin.sample.prompt)[-1]
        first.append(_Place(sample, step, held_out=sample.prompt in held_prompts, pinned=True))
    own = [_Place(s, state.samples_step) for s in state.samples if s.prompt not in prompts]
    later = [_Place(s, held.step, held_out=True) for s in held.samples if s.prompt not in prompts] if held else []
    return [*first, *own, *later]


def find(state: RunState, prompt: str) -> Pin | None:
    """The newest sample of a prompt that is to be pinned again, None if the run does not know it."""
    told = story(state, (), prompt)
    return Pin(told[-1][1], told[-1][0]) if told else None


def toggle(pins: tuple[Pin, ...], shown: Shown) -> tuple[Pin, ...]:
    """Pin the prompt that is shown, the newest pin last, or let go of it."""
    others = tuple(pin for pin in pins if pin.sample.prompt != shown.sample.prompt)
    return others if len(others) < len(pins) else (*pins, Pin(shown.sample, shown.step))[-PINS:]
