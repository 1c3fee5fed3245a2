"""The samples that the Train screen goes through: pinned prompts, then the step's own, then held-out ones. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from core.events import Sample

from ..desks.followed import Followed
from ..pins import Pin
from ..run_state import RunState
from ..widgets.sample import Shown


@dataclass(frozen=True)
class _Place:
    sample: Sample
    step: int
    story: tuple[tuple[int, Sample], ...]
    held_out: bool = False
    pinned: bool = False


def shown(state: RunState, followed: tuple[Followed, ...], index: int) -> Shown | None:
    """The sample at this place of the list, around its ends; None if there is none."""
    places = _places(state, followed)
    if not places:
        return None
    index %= len(places)
    place = places[index]
    kind = ", ".join(word for word, is_so in (("held out", place.held_out), ("pinned", place.pinned)) if is_so)
    return Shown(place.sample, index, len(places), place.step, kind, place.story)


def pin_of(sample: Sample) -> Pin:
    """The pin of a sample's prompt."""
    return Pin(sample.prompt_id, sample.prompt)


def story(state: RunState, pin: Pin, told: tuple[tuple[int, Sample], ...] = ()) -> tuple[tuple[int, Sample], ...]:
    """What was answered to a prompt at each step where it is known, oldest first."""
    sources = [(state.samples_step, state.samples), *((v.step, v.samples) for v in state.validations)]
    known = dict(told)
    known |= {step: each for step, samples in sources for each in samples if pin.fits(each.prompt_id, each.prompt)}
    return tuple(sorted(known.items(), key=lambda told: told[0]))


def _places(state: RunState, followed: tuple[Followed, ...]) -> list[_Place]:
    held = state.validations[-1] if state.validations else None
    held_out = held.samples if held else ()
    first = []
    for each in followed:
        if told := story(state, each.pin, each.told):
            step, sample = told[-1]
            is_held_out = any(each.pin.fits(other.prompt_id, other.prompt) for other in held_out)
            first.append(_Place(sample, step, told, held_out=is_held_out, pinned=True))

    def others(samples: tuple[Sample, ...], step: int, *, held_out: bool = False) -> list[_Place]:
        return [
            _Place(sample, step, story(state, pin_of(sample)), held_out)
            for sample in samples
            if not any(each.pin.fits(sample.prompt_id, sample.prompt) for each in followed)
        ]

    return [
        *first,
        *others(state.samples, state.samples_step),
        *others(held_out, held.step if held else 0, held_out=True),
    ]
