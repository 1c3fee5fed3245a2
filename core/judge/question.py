"""Everything that one judgement is about, neutralised and ready to be sent."""

from __future__ import annotations

from dataclasses import dataclass

from ..types import Message


@dataclass(frozen=True)
class Level:
    """One mark that a judge may give: its score on the judge's scale and the sentence that describes it."""

    score: float
    description: str


@dataclass(frozen=True)
class Question:
    """What is asked about one response, in the forms that the back ends need. Texts in it are neutralised."""

    id: str
    """8 hex digits that a JSON verdict must echo."""
    messages: tuple[Message, ...]
    """The rendered template: what chat and local models are sent."""
    canonical: str
    """The messages as JSON with the id blanked: what a cache key may depend on."""
    instructions: str
    """Role, criteria and caps as one static text, for judges that take a question instead of a chat."""
    levels: tuple[Level, ...]
    """Lowest first, at least 2 and at most 10."""
    task: str
    response: str
    reference: str | None
    truncated: bool
    neutralised: int
    """How many sequences in task, response and reference were made harmless."""
    comparing: bool = False
    """Whether it asks which of two responses is better."""
