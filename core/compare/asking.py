"""What every model is asked and how, and its replies put side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..config import RolloutConfig, RunConfig
from ..errors import DataError
from ..types import Prompt
from .job import Job
from .record import Reply, RowDone, Settings
from .rows import Chosen

if TYPE_CHECKING:
    from .materials import Material


def settings_of(job: Job, config: RunConfig, materials: Sequence[Material]) -> Settings:
    """Sampling: what was asked for, else as the run samples. Without a run at most half a model's span."""
    rollout = config.rollout
    usual = rollout.max_new_tokens
    if config.rollout == RolloutConfig():
        usual = min(usual, *(material.positions // 2 for material in materials))
    longest = job.max_new_tokens or max(1, usual)
    return Settings(
        seed=job.seed,
        temperature=job.temperature or rollout.temperature,
        top_p=job.top_p or rollout.top_p,
        top_k=rollout.top_k if job.top_k is None else job.top_k,
        min_new_tokens=min(rollout.min_new_tokens, longest),
        max_new_tokens=longest,
        system_prompt=config.data.system_prompt,
    )


def fitting(
    chosen: Chosen, materials: Sequence[Material], settings: Settings
) -> tuple[tuple[Prompt, ...], tuple[int, ...]]:
    """The prompts that leave every model room for a reply, and their lengths for the first one.

    Raises ``DataError`` where none does.
    """
    kept: list[tuple[Prompt, int]] = []
    for prompt in chosen.prompts:
        lengths = [len(material.tokenizer.encode(prompt)) for material in materials]
        if all(
            length + settings.max_new_tokens <= material.positions
            for length, material in zip(lengths, materials, strict=True)
        ):
            kept.append((prompt, lengths[0]))
    if not kept:
        least = min(material.positions for material in materials)
        raise DataError(
            f"no prompt leaves room for {settings.max_new_tokens} new tokens in a model that reads {least}; "
            "lower --max-new-tokens, or give shorter prompts"
        )
    return tuple(prompt for prompt, _ in kept), tuple(length for _, length in kept)


class Answers:
    """Collects replies. ``whole`` gets a prompt once the last model has answered it, ``counted`` the model, how many it
    has answered and of how many.
    """

    def __init__(
        self,
        chosen: Chosen,
        prompts: Sequence[Prompt],
        lengths: Sequence[int],
        models: int,
        *,
        whole: Callable[[RowDone], object],
        counted: Callable[[int, int, int], object],
    ) -> None:
        self._chosen, self._prompts, self._lengths, self._models = chosen, prompts, lengths, models
        self._whole, self._counted = whole, counted
        self._replies: dict[tuple[int, int], Reply] = {}
        self._counts = [0] * models

    def heard(self, model: int, row: int, reply: Reply) -> None:
        """Take a reply in."""
        self._replies[model, row] = reply
        self._counts[model] += 1
        if all((other, row) in self._replies for other in range(self._models)):
            self._whole(self._row(row))
        self._counted(model, self._counts[model], len(self._prompts))

    def rows(self) -> list[RowDone]:
        """All prompts with all replies; every model has answered."""
        return [self._row(row) for row in range(len(self._prompts))]

    def _row(self, row: int) -> RowDone:
        prompt = self._prompts[row]
        return RowDone(
            row=row,
            prompt_id=prompt.id,
            prompt=prompt.text,
            prompt_tokens=self._lengths[row],
            reference=prompt.reference,
            system=next((m.content for m in prompt.messages if m.role == "system"), None),
            source=self._chosen.sources.get(prompt.id, ""),
            replies=tuple(self._replies[model, row] for model in range(self._models)),
        )
