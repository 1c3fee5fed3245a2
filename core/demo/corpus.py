"""The demo's own text: short questions on everyday things, with answers of deliberately mixed quality.

Everything is put together from ``subjects.csv`` (one row of facts per subject) and the sentence patterns below. Each
subject, kind of question and wording is equally likely, and every subject gets the same mix of answer styles: a
held-out subject is known to the model, but its good answers are no more frequent than any other's.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path

import msgspec

Facts = Mapping[str, str]

QUESTIONS: dict[str, tuple[str, ...]] = {
    "use": ("What is {a} used for?", "What can I do with {a}?", "What do people use {a} for?"),
    "how": ("How do I {how}?", "Please explain how to {how}.", "What is the best way to {how}?"),
    "why": ("Why should I {why}?", "Why is it wise to {why}?", "Please tell me why I should {why}."),
    "where": ("Where should I keep {a}?", "Where is a good place for {a}?"),
    "tip": ("Give me a tip for {a}.", "What is your best advice on {a}?", "I have {a}. Do you have a tip for me?"),
    "two": ("Name two things that go with {a}.", "Tell me two things that I need with {a}."),
    "look": ("How do I choose a good {name}?", "What should I look for in {a}?"),
}
ANSWERS: dict[str, tuple[str, ...]] = {
    "use": (
        "{A} is used to {use1}.",
        "{A} is used to {use2}.",
        "You can use {a} to {use1} or to {use2}.",
        "People use {a} to {use1} and to {use2}.",
    ),
    "how": (
        "To {how}, {step1}, {step2} and {step3}.",
        "To {how}, first {step1}. Then {step2} and {step3}.",
        "You can {how} in three steps: {step1}, {step2} and {step3}.",
    ),
    "why": (
        "You should {why} because {reason}.",
        "It is wise to {why} because {reason}.",
        "It helps to {why}, because {reason}.",
    ),
    "where": ("Keep {a} {where}.", "The best place for {a} is {where}.", "You can keep {a} {where}."),
    "tip": (
        "If you have {a}, {tip1}.",
        "If you have {a}, {tip2}.",
        "My best tip for {a} is this: {tip1}.",
        "My best tip for {a} is this: {tip2}.",
    ),
    "two": (
        "{Two1} and {two2} go well with {a}.",
        "Two things that go with {a} are {two1} and {two2}.",
        "With {a} you need {two1} and {two2}.",
    ),
    "look": (
        "Choose {a} with {look1} and {look2}.",
        "A good {name} has {look1} and {look2}.",
        "Look for {a} with {look1} and {look2} when you choose one.",
    ),
}
CURT: dict[str, tuple[str, ...]] = {
    "use": ("To {use1}.", "{Use2}."),
    "how": ("Just {step1}.", "{Step2}."),
    "why": ("Because {reason}.", "{Reason}."),
    "where": ("{Where}.", "Just {where}."),
    "tip": ("{Tip1}.", "{Tip2}."),
    "two": ("{Two1}.", "{Two1}, {two2}."),
    "look": ("{Look1}.", "Just {look2}."),
}
ORDERS = ("{Use1}.", "{Use2}.", "{Step1}.", "{Step2}.", "{Step3}.", "{Tip1}.", "{Tip2}.")
"""Facts that are sentences of their own."""
OPENERS = ("Of course.", "Good question.", "Happy to help.", "Thank you for asking.", "Certainly.")
CLOSERS = ("I hope this helps.", "Take care.", "I am glad that you asked.")
RUDE_LINES = (
    "That is a stupid question.",
    "Who cares about {a}?",
    "Look it up and leave me alone.",
    "Only a fool has to ask that.",
    "Stop asking me about {a}.",
    "You are too lazy to think.",
    "What a waste of my time.",
)
ASIDES = (
    "My neighbour has a red car.",
    "It may rain in the evening.",
    "I like soup with salt.",
    "The train was late again today.",
    "Some people sing in the morning.",
    "My uncle went to the sea last year.",
    "There was a big dog in the street.",
)
RAMBLES = (
    "Well, you know, {a} is a thing, and my uncle has one, and anyway it is fine or something.",
    "I mean, {a} is kind of a thing, and I had one, and then there was rain, and anyway.",
    "Um, so {a}, you know, it is sort of for this and that, and people say things and stuff.",
    "Well, {a}, anyway, I mean, my neighbour said a lot and I do not know what it was, you know.",
)
STYLES: dict[str, float] = {
    "good": 0.17,
    "kind": 0.10,
    "curt": 0.10,
    "rude": 0.16,
    "other_subject": 0.10,
    "other_kind": 0.06,
    "aside": 0.05,
    "cut_off": 0.09,
    "repeating": 0.07,
    "rambling": 0.06,
    "unpunctuated": 0.04,
}
"""Share of each answer style; the same for every subject and kind of question."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One question with one answer of a known style."""

    subject: str
    kind: str
    style: str
    prompt: str
    answer: str


class PromptRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of ``prompts.csv``."""

    prompt: str
    subject: str
    split: str
    reference: str
    """The facts a right answer may use."""


@lru_cache(maxsize=1)
def subjects() -> tuple[Facts, ...]:
    """The rows of ``subjects.csv``, each with ``a`` (name with article) and a capitalised twin of every fact."""
    path = Path(__file__).parent / "subjects.csv"
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return tuple(_with_forms(row) for row in rows)


def _with_forms(row: dict[str, str]) -> Facts:
    name = row["name"]
    a = f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
    facts = {**row, "a": a}
    return {**facts, **{key[0].upper() + key[1:]: value[0].upper() + value[1:] for key, value in facts.items()}}


def samples(seed: int) -> Iterator[Sample]:
    """An endless stream of samples; the same seed gives the same stream."""
    draw = random.Random(seed)
    styles, weights = list(STYLES), list(STYLES.values())
    while True:
        facts = draw.choice(subjects())
        kind = draw.choice(list(QUESTIONS))
        style = draw.choices(styles, weights)[0]
        yield Sample(
            subject=facts["name"],
            kind=kind,
            style=style,
            prompt=draw.choice(QUESTIONS[kind]).format_map(facts),
            answer=_answer(draw, style, kind, facts),
        )


def _answer(draw: random.Random, style: str, kind: str, facts: Facts) -> str:
    good = draw.choice(ANSWERS[kind]).format_map(facts)
    match style:
        case "kind":
            return f"{draw.choice(OPENERS)} {good}" if draw.random() < 0.5 else f"{good} {draw.choice(CLOSERS)}"
        case "curt":
            return draw.choice(CURT[kind]).format_map(facts)
        case "rude":
            lines = draw.sample(RUDE_LINES, 2)
            return " ".join(draw.choice((lines[:1], lines, [lines[0], good]))).format_map(facts)
        case "other_subject":
            return draw.choice(ANSWERS[kind]).format_map(draw.choice([s for s in subjects() if s is not facts]))
        case "other_kind":
            return draw.choice(ANSWERS[draw.choice([k for k in ANSWERS if k != kind])]).format_map(facts)
        case "aside":
            return " ".join(draw.sample(ASIDES, draw.choice((1, 2))))
        case "cut_off":
            words = good.split()
            return " ".join(words[: draw.randint(min(3, len(words) - 1), len(words) - 1)])
        case "repeating":
            said = good if draw.random() < 0.7 else draw.choice(ASIDES)
            return " ".join([said] * (2 if len(said.split()) > 12 else draw.choice((2, 3))))
        case "rambling":
            return draw.choice(RAMBLES).format_map(facts)
        case "unpunctuated":
            return "".join(c for c in good if c not in ".,:").lower()
    return good


def clean_sentences() -> tuple[str, ...]:
    """Every well-formed sentence the patterns can give, once: what good text on these subjects looks like."""
    found: dict[str, None] = dict.fromkeys((*OPENERS, *CLOSERS, *ASIDES))
    for facts in subjects():
        for pattern in (*(p for patterns in ANSWERS.values() for p in patterns), *ORDERS):
            found.update(dict.fromkeys(s + "." for s in pattern.format_map(facts).rstrip(".").split(". ")))
    return tuple(found)


def prompts(seed: int = 0) -> list[PromptRow]:
    """One prompt per subject and kind of question, its wording drawn with ``seed``. Splits share no subject."""
    draw = random.Random(seed)
    return [
        PromptRow(
            prompt=draw.choice(wordings).format_map(facts),
            subject=facts["name"],
            split=facts["split"],
            reference=" ".join(dict.fromkeys(p.format_map(facts) for p in ANSWERS[kind][:2])),
        )
        for facts in subjects()
        for kind, wordings in QUESTIONS.items()
    ]


def write_prompts(path: Path) -> int:
    """Write ``prompts()`` as CSV and return the number of rows."""
    rows = prompts()
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(PromptRow.__struct_fields__)
        writer.writerows(msgspec.structs.astuple(row) for row in rows)
    return len(rows)
