"""Whether a sentence is well formed, as far as fixed rules can tell. Standard library only.

General rules hold for any English text. A stricter one, on neighbouring words, speaks up only where nearly every word
is one that the bundled subjects use, because only there does it know what good text looks like.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from ..demo.corpus import clean_sentences
from .text import COURTEOUS, END, FILLER, FUNCTION, MODALS, bad_pair, is_verb, looks_english, stem, words_of

STRAY, SALAD = 0.2, 0.65
"""Shares of strange neighbours. Up to the first, a text is familiar but for a stray word; above the second it is a
jumble if some pair is also broken (random draws of known words have .67 or more in nine cases of ten). Between them it
is free English, of which these pairs can tell nothing."""


def courtesy_only(sentence: str) -> bool:
    """Whether at most three words are left of a sentence once its courteous phrases are taken out."""
    if not COURTEOUS.search(sentence):
        return False
    rest = [w for w in words_of(COURTEOUS.sub(" ", sentence)) if w not in FUNCTION and stem(w) != "ask"]
    return len(rest) == 0


def is_salad(sentence: str) -> bool:
    """Whether a sentence is a list of words: no verb, hardly or nearly only function words, or strange neighbours."""
    words = words_of(sentence)
    if not any(is_verb(w) and w not in MODALS for w in words):
        return True
    pieces = [words_of(piece) for piece in sentence.split(",")]
    if len(pieces) > 2 and max(map(len, pieces)) < 4 and not {"and", "or", "then"} & set(words):
        return True
    joined = sum(w in FUNCTION for w in words)
    broken = sum(bad_pair(*pair) for pair in pairwise(words))
    if len(words) >= 5 and (not 0.2 * len(words) <= joined <= 0.9 * len(words) or broken > 2):
        return True
    return len(words) >= 6 and broken > 0 and strange_share(words) > SALAD


@lru_cache(maxsize=1)
def _familiar() -> tuple[frozenset[str], frozenset[tuple[str, str]]]:
    """Words, and neighbours, of the well-formed sentences of the bundled subjects."""
    pairs: set[tuple[str, str]] = set()
    for sentence in clean_sentences():
        words = words_of(sentence)
        pairs.update(zip(words, [*words[1:], END], strict=True))
    return frozenset(w for pair in pairs for w in pair), frozenset(pairs)


def misspelt(word: str) -> bool:
    """Whether a word is a known one but for a doubled letter (``boill``)."""
    known, _ = _familiar()
    singles = (word[:i] + word[i + 1 :] for i in range(1, len(word)) if word[i] == word[i - 1])
    return len(word) > 4 and word not in known and not is_verb(word) and any(w in known for w in singles)


def strange_pairs(words: list[str]) -> list[tuple[str, str]] | None:
    """Neighbours never seen in good text; None where fewer than nine words in ten are from there."""
    known, pairs = _familiar()
    if sum(w in known for w in words) < 0.9 * len(words):
        return None
    return [pair for pair in zip(words, [*words[1:], END], strict=True) if pair not in pairs]


def strange_share(words: list[str]) -> float:
    """Share of strange neighbours, 0 where the words are not those of the bundled text."""
    return len(strange_pairs(words) or []) / max(1, len(words))


def sentence_faults(sentence: str) -> list[tuple[str, int]]:
    """What is wrong with a sentence, and what each fault costs in points of 10."""
    words = words_of(sentence)
    faults = [("has a broken word", 5) for w in words if not looks_english(w) or misspelt(w)]
    if courtesy_only(sentence):
        return faults
    if is_salad(sentence):
        faults.append(("is a list of words" if len(words) > 3 else "has an incomplete sentence", 6))
    if words and words[0] in ("to", "and", "or", "of", "for", "because") and not re.search(r"[,:]", sentence):
        faults.append(("has an incomplete sentence", 5))
    if sentence.lstrip("\"'(“‘")[:1].islower():
        faults.append(("lacks a capital letter", 3))
    if len(words) > 32 or (len(words) > 14 and words.count("and") > 2):
        faults.append(("rambles", 3))
    faults += [("rambles", 3) for _ in FILLER.findall(sentence)]
    pairs = list(zip(words, [*words[1:], END], strict=True))
    # Ends are judged by ``ending``; a pair across a comma may be anything.
    clauses = [words_of(c) for c in re.split(r"[,;:()]", sentence)]
    inner = [(p, i == 0) for c in clauses for i, p in enumerate(pairwise(c))]
    broken = [p for p, first in inner if bad_pair(*p, opens=first)] + [p for p in pairs[-1:] if bad_pair(*p)]
    faults += [("has words that do not go together", 4) for _ in broken]
    if len(words) >= 6 and strange_share(words) <= STRAY:
        faults += [("has a stray word", 3) for p in strange_pairs(words) or [] if p not in broken]
    return faults
