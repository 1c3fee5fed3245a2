"""How much of what a model writes it has written already: within one response, and from prompt to prompt.

Both count 4-grams of token ids. Within a response it is seq-rep-4 (Welleck et al. 2020, arXiv:1908.04319, section 5):
1 - distinct / all. Between responses it is the share of a response's distinct 4-grams that a response to another prompt
has as well.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

SIZE = 4
MOST_RESPONSES = 64
MOST_TOKENS = 512
"""More of a batch than this is not looked at: the figures are means, and the step should not wait for them."""

_Gram = tuple[int, ...]


def repeated(responses: Sequence[Sequence[int]]) -> float | None:
    """Mean share of 4-grams that the same response holds twice, 0 to 1; None if no response is long enough."""
    shares = []
    for tokens in responses[:MOST_RESPONSES]:
        grams = _grams(tokens)
        if grams:
            shares.append(1 - len(set(grams)) / len(grams))
    return sum(shares) / len(shares) if shares else None


def alike(responses: Sequence[Sequence[int]], prompts: Sequence[Hashable]) -> float | None:
    """Share of the responses' 4-grams that answers to other prompts hold too, 0 to 1; None for fewer than two prompts.

    ``prompts``: what each response answers; several responses to one prompt may well be alike.
    """
    held: dict[Hashable, set[_Gram]] = {}
    for tokens, prompt in zip(responses[:MOST_RESPONSES], prompts, strict=False):
        held.setdefault(prompt, set()).update(_grams(tokens))
    answers: dict[_Gram, int] = {}
    for grams in held.values():
        for gram in grams:
            answers[gram] = answers.get(gram, 0) + 1
    total = sum(answers.values())
    if len(held) < 2 or not total:
        return None
    return sum(count for count in answers.values() if count > 1) / total


def _grams(tokens: Sequence[int]) -> list[_Gram]:
    cut = tuple(tokens[:MOST_TOKENS])
    return [cut[at : at + SIZE] for at in range(len(cut) - SIZE + 1)]
