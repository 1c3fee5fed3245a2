"""The five criteria of the offline rubric judge. Each gives 0-10 and, where points were lost, says why.

Every rule is a pure function of the text. Length earns nothing: faults are counted, never averaged over more text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import msgspec

from .fluency import courtesy_only, is_salad, sentence_faults
from .text import (
    COURTEOUS,
    DETERMINERS,
    END,
    FUNCTION,
    RUDE,
    VERB_STEMS,
    bad_pair,
    content_stems,
    sentences_of,
    stem,
    word_set,
    words_of,
)

ASKING = word_set(
    """give tell name tip advice thing things people please explain say describe list good well best way use used using
    keep look need want should kind piece hint go know help like make work share write answer question sentence word
    words useful example mean place ask poem story essay paragraph summary letter explanation reason ways steps"""
)
"""Words with which one asks, and which say nothing of what is asked about."""

PLACES = (
    r"\b(in|on|at|near|under|by|inside|above|behind|beside|next to|outside|between|along|beneath|around|over|against|"
    r"from|to)\s+\w+"
)
ORDER = (
    r"(?:^|[.!?,;:]\s+|\b(?:please|always|never|then|first|and|you should|you can|try to|do not|it helps to)\s+)"
    r"(?:(?:please|always|never|then|first|and)\s+)*(?P<verb>[a-z']+)|\bby \w+ing\b"
)
USE = (
    r"\bused (?:to|for|as)\b|\buse (?:it|them|a|an|the|this|your)\b.*\b(?:to|for|as)\b|\b(?:helps?|lets? you)\b|"
    r"\bcan\s+\w+|\bfor\s+\w+"
)
CUES: tuple[tuple[str, str, str], ...] = (
    (
        r"\bwhy\b",
        r"\b(because|since|so|otherwise|reason|helps?|keeps?|makes?|prevents?|in order to)\b",
        "gives no reason",
    ),
    (r"\bwhere\b", PLACES, "names no place"),
    (r"\bwhen\b(?!.*\bi\b)", r"\b(when|after|before|once|at|in|every|until|while|if|during)\b", "names no time"),
    (r"\b(tip|advice|hint|suggest\w*)\b", ORDER, "says not what to do"),
    (r"\b(two|three|some|few)\b.*\bthings?\b|^name\b|^list\b", r"\w,? and \w|\w, \w+, ", "does not name several"),
    (r"\bchoose\b|\blook for\b", r"\b(with|has|have|that|which|look for|should be)\s+\w+", "says not what to look for"),
    (r"\bfor\W*$|\bdo with\b|\bpurpose\b|\bused\b", USE, "names no use"),
    (r"\bway to\b|\bhow (?:do|can|should|to)\b", ORDER, "says not what to do"),
)
"""What a question of a kind must have in its answer: (kind of question, sign of an answer, what to say without it)."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """One response taken apart once, for all criteria."""

    task: str
    response: str
    reference: str | None
    truncated: bool
    sentences: tuple[str, ...]
    task_stems: frozenset[str]
    """What the task is about, without the words that only ask."""
    focus: frozenset[str]
    """Of these, the things named with an article (``a winter coat``): one of them an answer has to name."""
    body: tuple[str, ...]
    """Statements with a verb that are neither pure courtesy nor a list of words."""


class Mark(msgspec.Struct, frozen=True):
    """A criterion's score, 0-10, and what to say of it (empty: nothing to say)."""

    score: float
    note: str = ""


def view_of(task: str, response: str, reference: str | None, truncated: bool) -> View:
    """Take a response (already normalised) apart."""
    sentences = tuple(sentences_of(response))
    task_words = words_of(task)
    topic = content_stems(task_words, ASKING) or content_stems(task_words)
    return View(
        task=task,
        response=response,
        reference=reference,
        truncated=truncated,
        sentences=sentences,
        task_stems=frozenset(topic),
        focus=_focus(task_words) & frozenset(topic),
        body=tuple(
            s for s in sentences if not s.rstrip("\"')").endswith("?") and not courtesy_only(s) and not is_salad(s)
        ),
    )


def _focus(task_words: list[str]) -> frozenset[str]:
    """Last word of every run of content words that follows an article or the like."""
    heads: set[str] = set()
    run: list[str] | None = None
    for word in [*task_words, "the"]:
        if word in DETERMINERS or word in FUNCTION:
            heads.update((run or [])[-1:])
            run = [] if word in DETERMINERS else None
        elif run is not None:
            run.append(stem(word))
    return frozenset(heads)


def answers(view: View) -> Mark:
    """Topic named in a real sentence (.4), the kind of thing asked for is given (.3), something is added (.3).

    With a reference the parts are .2, .3 and agreement with it .5. Sentences about something else cost up to half.
    """
    body = COURTEOUS.sub(" ", " ".join(view.body))
    stems = frozenset(content_stems(words_of(body)))
    coverage = _coverage(view.task_stems, stems)
    new = stems - view.task_stems - frozenset(map(stem, ASKING))
    cue = _missing_cue(view.task, body)
    agreed = None if view.reference is None else _agreement(view.reference, stems, view.task_stems)
    off = coverage == 0 or (bool(view.focus) and not view.focus & stems)
    if off and not (_points_back(view.body) if agreed is None else agreed >= 0.5):
        return Mark(0.0, "does not speak of what was asked")
    if not new:
        return Mark(1.0, "adds nothing to the question")
    parts = [4 * coverage, 0.0 if cue else 3.0, 3 * min(1.0, len(new) / 2)]
    if agreed is not None:
        parts = [2 * coverage, parts[1], 5 * agreed]
    stray = sum(not _on_topic(s, view) for s in view.body) / max(1, len(view.body))
    score = min(sum(parts) * (1 - 0.5 * stray), 5.0 if off else 7.0 if cue else 10.0)
    notes = {
        cue: bool(cue),
        "differs from the known answer": agreed is not None and agreed < 0.7,
        "does not name what was asked about": off,
        "names only part of what was asked about": coverage < 1 and not off,
        "strays from the question": stray > 0,
    }
    return Mark(score, ", ".join(note for note, applies in notes.items() if applies))


def _coverage(topic: frozenset[str], stems: frozenset[str]) -> float:
    """Share, 0-1, of the topic's words that is asked for: two in three, three at most. Without a topic, any."""
    return min(1.0, len(topic & stems) / max(1, min(3, -(-2 * len(topic) // 3)))) if topic else float(bool(stems))


def _missing_cue(task: str, body: str) -> str:
    for question, sign, missing in CUES:
        if re.search(question, task, re.I):
            found = re.search(sign, body, re.I)
            if found is None or (found.groupdict().get("verb") and not _commands(sign, body)):
                return missing
            return ""
    return ""


def _commands(sign: str, body: str) -> bool:
    found = (m.group("verb") for m in re.finditer(sign, body, re.I))
    return any(v is None or stem(v.lower()) in VERB_STEMS or v.lower() in ("do", "be") for v in found)


def _points_back(body: tuple[str, ...]) -> bool:
    """Whether some statement says ``it`` or ``them`` of what was asked about (``It may rain`` does not)."""
    return any({"it", "them"} & set(words_of(sentence)[1:]) for sentence in body)


def _agreement(reference: str, stems: frozenset[str], topic: frozenset[str]) -> float:
    """Share, 0-1, of the reference's new words that is asked for; a third of them, three at most, is enough."""
    wanted = frozenset(content_stems(words_of(reference), ASKING)) - topic
    return min(1.0, len(wanted & stems) / max(1, min(3, len(wanted) // 3))) if wanted else 1.0


def _on_topic(sentence: str, view: View) -> bool:
    """Names the topic, points back at it, or tells the reader what to do."""
    words = words_of(sentence)
    if view.task_stems & frozenset(content_stems(words)):
        return True
    start = next((w for w in words if w not in ("then", "first", "next", "please", "always", "never", "also")), "")
    points = {"it", "them", "they", "this", "that", "these", "you", "your"}
    return bool(points & set(words)) or stem(start) in VERB_STEMS or start == "do"


def sentences(view: View) -> Mark:
    """Complete, well-formed sentences: ten less what each fault costs, however long the text."""
    cost: Counter[str] = Counter()
    for sentence in view.sentences:
        for fault, price in sentence_faults(sentence):
            cost[fault] += price
    worst = [fault for fault, _ in cost.most_common(2)]
    return Mark(max(0.0, 10.0 - cost.total()), ", ".join(worst))


def polite(view: View) -> Mark:
    """Rude wording (unless the task's own) 0; plain wording 8; one or two courteous phrases 10; a flood of them 6."""
    if any(word.lower() not in view.task.lower() for word in RUDE.findall(view.response)):
        return Mark(0.0, "is rude")
    phrases = len(COURTEOUS.findall(view.response))
    if phrases > 2:
        return Mark(6.0, "overdoes the courtesy")
    return Mark(10.0 if phrases else 8.0)


def repetition(view: View) -> Mark:
    """No sentence twice, no run of three words twice, no word crowding out the others."""
    words = words_of(view.response)
    said = Counter(" ".join(words_of(s)) for s in view.sentences)
    if any(n > 1 for n in said.values()):
        return Mark(0.0, "repeats itself")
    runs = Counter(zip(words, words[1:], words[2:], strict=False))
    again = sum(n - 1 for n in runs.values())
    meaning = Counter(content_stems(words))
    crowd = max(meaning.values(), default=0)
    score = 10.0 - 20.0 * again / max(1, runs.total())
    if crowd > 3 and crowd > 0.3 * meaning.total():
        score = min(score, 2.0)
    return Mark(max(0.0, score), "repeats itself" if score < 7 else "")


def ending(view: View) -> Mark:
    """A full stop or its like at the end, and not cut off by the length limit."""
    last = view.response.rstrip("\"')]”’ ")
    if view.truncated:
        return Mark(0.0, "was cut off")
    if last.endswith(("...", "…")):
        return Mark(2.0, "trails off")
    if not last.endswith((".", "!", "?")):
        return Mark(0.0, "ends mid-sentence")
    final = words_of(view.sentences[-1])[-1:] if view.sentences else []
    if final and bad_pair(final[0], END):
        return Mark(0.0, "ends mid-sentence")
    return Mark(4.0, "ends with a question") if last.endswith("?") else Mark(10.0)


CRITERIA: dict[str, Callable[[View], Mark]] = {
    "answers": answers,
    "sentences": sentences,
    "polite": polite,
    "repetition": repetition,
    "ending": ending,
}
