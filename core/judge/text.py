"""Words, sentences and local grammar as a fixed set of rules sees them. Standard library only.

Nothing here understands English: it knows a few hundred common words, a few pairs of words that never stand side by
side in a well-formed sentence, and what an English word looks like.
"""

from __future__ import annotations

import re
import unicodedata

WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*%?", re.UNICODE)
SENTENCE = re.compile(r"[^.!?…]+(?:[.!?…]+[\"')\]”’]*|$)", re.UNICODE)
END = ""
"""Stands for the end of a sentence in a pair of words."""


def word_set(text: str) -> frozenset[str]:
    """The blank-separated words of a text."""
    return frozenset(text.split())


DETERMINERS = word_set("a an the my your our their its every")
MODALS = word_set("can could should would will may might must shall cannot")
PLAIN_MODALS = MODALS - {"can", "will", "may", "might", "must"}
"""Without those that are also nouns: a watering can, in May."""
BE = word_set("is are was were am be been being")
CONJUNCTIONS = word_set("and or but because if so than")
PREPOSITIONS = word_set("of in on at with from into under near over by for about inside behind onto")
SUBJECTS = word_set("i he she we they")
OTHER_FUNCTION = word_set(
    """to it you me him her us them this that these those what which who when where why how there here not no do does
    did has have had as then too very also just only both each all any some one two more most much many than up down
    out off after before while until since well so such own same other another again once first next now yes
    don't isn't it's that's you're can't won't doesn't i'm i'll let's there's i've you'll they're"""
)
FUNCTION = DETERMINERS | MODALS | BE | CONJUNCTIONS | PREPOSITIONS | SUBJECTS | OTHER_FUNCTION

VERBS = word_set(
    """add allow ask avoid bake begin boil break breathe brew brighten bring brown brush build buy care carry cast
    catch change charge check choose clean clear climb clip close collect comb come cook cool copy cost cover
    crack crush cut decide depend dig dip do drain draw dress drink drip drive dry dust eat empty enjoy explain
    face fall feed feel fill find finish fish fit fix fold follow gather get give glow go grip grow guide hang
    happen have hear heat help hit hold hope hunt hurt include iron is itch join keep kick kill know last lay
    lead leak learn leave let level lie lift light like listen live load lock look loosen lose love make mark
    matter mean measure meet melt mend mix move mow need oil open pack paint pay pick plan plant play pluck
    point pour practice practise press prevent protect prune pull pump push put rake reach read remember remind
    remove repair replace rest ride rinse rise roast roll rub run rust save say scrape scratch search see seem
    sell send serve set sew shake share sharpen shine shop show shrink shut sing sit sleep slice slide slip
    smell smooth soak sort sound speak spend spill split spoil spray spread spring squeeze stand start stay
    steady steer stick stir stop store stretch study suit support sweep swim swing switch take talk tap taste
    teach tear tell test think thread throw tidy tie tighten touch train travel trim try tune turn understand
    upset use vacuum visit wait wake walk want warm wash waste watch water wear weigh welcome wet wind wipe wish
    work worry wrap write"""
)
"""Base forms; inflected forms are found through ``stem``."""

IRREGULAR = word_set(
    """was were are am has had did does went made kept put got gave found took said saw came knew thought left told
    felt held brought meant broke chose grew wrote stood lost sent built spent fell ate drank ran sang sat slept taught
    wore can should will must may could would might let's it's that's don't isn't i'm doesn't"""
)

COURTEOUS = re.compile(
    r"\b(please|thank you|thanks|of course|certainly|happy to help|glad (?:to|you|that)|hope (?:this|that|it) helps|"
    r"good question|lovely question|you are welcome|my pleasure|take care|best wishes)\b",
    re.I,
)
RUDE = re.compile(
    r"\b(stupid|dumb|idiot\w*|moron\w*|shut up|who cares|go away|fools?|lazy|nonsense|not my problem|you people|"
    r"leave me alone|ask someone else|look it up|waste of (?:my )?time|damn|crap|loser|"
    r"figure it out|do not bother me|stop asking|ridiculous)\b",
    re.I,
)
FILLER = re.compile(
    r"\b(you know|i mean|kind of|sort of|anyway|or something|and stuff|um|er|well well|like i said)\b", re.I
)
GRADER = re.compile(
    r"\b(?:score|rating|grade|verdict|marks?)\s*[:=]\s*\W*\d|\b10\s*/\s*10\b|\b(?:10|ten) out of (?:10|ten)\b|"
    r"[\"']score[\"']|\b(?:dear|the|this|hello|a) (?:judge|grader|evaluator)\b|<\|[^|]*\|>|\[/?INST\]|"
    r"\b(?:full|top|highest|maximum) (?:marks|score|rating)\b|ignore (?:all |the |any )?(?:previous|above|prior)",
    re.I,
)
DECLINES = re.compile(
    r"\bi'?m sorry\b|\b(?:i|we) (?:am not able to|"
    r"(?:do not|don't|can ?not|can't|won't) (?:know|help|answer|say|tell))\b",
    re.I,
)
VOWEL_SOUND_H = re.compile(r"^(?:hour|honest|honou?r|heir)")
CONSONANT_SOUND_U = re.compile(r"^(?:us(?:e|u)|uni|eu|one\b|once\b|ut(?:e|i))")


def normalise(text: str) -> str:
    """NFC, no control, format or bidi characters, blanks squeezed to single spaces."""
    kept = (c if unicodedata.category(c)[0] != "C" else " " for c in unicodedata.normalize("NFC", text))
    return " ".join("".join(kept).split())


def words_of(text: str) -> list[str]:
    """Lower-case words and numbers, in order."""
    return [w.replace("’", "'").lower() for w in WORD.findall(text)]


def sentences_of(text: str) -> list[str]:
    """The text cut at ``.``, ``!``, ``?`` and ``…``; the last one may lack its end. Decimal points do not cut."""
    guarded = re.sub(r"(?<=\d)\.(?=\d)", "\u2024", text)
    return [s.strip().replace("\u2024", ".") for s in SENTENCE.findall(guarded) if WORD.search(s)]


def stem(word: str) -> str:
    """A word without its common endings, so that ``cleaning``, ``cleaned`` and ``clean`` meet."""
    word = word.removesuffix("'s")
    for ending in ("ing", "ed", "es", "s"):
        root = word.removesuffix(ending)
        if root != word and len(root) >= 2 + (ending == "s") and not (ending == "s" and word.endswith("ss")):
            word = root
            break
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeiouls":
        word = word[:-1]
    if len(word) > 2 and word[-1] == "e":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word[-1] == "y" else word


VERB_STEMS = frozenset(stem(v) for v in VERBS)


def is_verb(word: str) -> bool:
    """Whether a word can be a verb, as far as a short list of common ones tells."""
    return word in IRREGULAR or word in BE or word in MODALS or (stem(word) in VERB_STEMS and len(word) > 1)


def content_stems(words: list[str], drop: frozenset[str] = frozenset()) -> list[str]:
    """Stems of the words that carry meaning, in order: no function words, none of ``drop``, no lone letters."""
    return [stem(w) for w in words if w not in FUNCTION and w not in drop and len(w) > 1]


def looks_english(word: str) -> bool:
    """Whether a word could be one: letters of the Latin alphabet, a vowel, no run of 3 equal or 6 consonant letters."""
    if word[0].isdigit():
        return True
    plain = unicodedata.normalize("NFD", word)
    letters = "".join(c for c in plain if c.isalpha())
    if not letters.isascii() or len(letters) > 22:
        return False
    if len(letters) == 1:
        return letters in "aio"
    odd = re.search(r"(.)\1\1|[bcdfghjklmnpqrstvwxz]{6}|[aeiou]{5}", letters)
    return odd is None and re.search(r"[aeiouy]", letters) is not None


def _wrong_article(first: str, second: str) -> bool:
    vowel = (second[0] in "aeiou" and not CONSONANT_SOUND_U.match(second)) or bool(VOWEL_SOUND_H.match(second))
    return (first == "a" and vowel) or (first == "an" and not vowel)


PRONOUNS = word_set("i you he she it we they me him us them")
AFTER_ARTICLE = (DETERMINERS | PLAIN_MODALS | BE | CONJUNCTIONS | PREPOSITIONS | PRONOUNS) - {"inside", "over", "about"}
AFTER_ARTICLE |= word_set("to this that these those then please not there here has have had does do did")
AFTER_MODAL = (MODALS | BE | PREPOSITIONS | {"to"}) - {"be"}
AFTER_PLEASE = (DETERMINERS | MODALS | BE | CONJUNCTIONS | PREPOSITIONS | PRONOUNS) - {"be"}
AFTER_TO = (MODALS | CONJUNCTIONS | BE | SUBJECTS | {"to", "please"}) - {"be"}
NO_END = DETERMINERS | (CONJUNCTIONS - {"so"}) | SUBJECTS | {"of", "into", "from", "under", "near", "than", "very"}


def bad_pair(first: str, second: str, *, opens: bool = False) -> bool:
    """Whether two neighbouring words (``END`` for the sentence's end) cannot stand so in a well-formed sentence.

    ``opens`` says that ``first`` opens the sentence, where a modal may come before its subject (``Can a kettle ...``).
    """
    if second == END:
        return first in NO_END
    if first == second and first not in ("that", "had"):
        return True
    if first in DETERMINERS:
        return second in AFTER_ARTICLE or (first in ("a", "an") and _wrong_article(first, second))
    if first in MODALS:
        subject_may_follow = opens or first == "may"
        return second in AFTER_MODAL or (second in DETERMINERS and not subject_may_follow)
    if first in BE:
        return second in MODALS or (second in BE and second not in ("being", "been"))
    if first in PREPOSITIONS:
        return second in (MODALS - {"may", "will"}) | (BE - {"being"}) | (CONJUNCTIONS - {"or", "and"}) | {"please"}
    if first in CONJUNCTIONS:
        return second in CONJUNCTIONS - {"if", "because"} or (first == "because" and second in BE | MODALS | {"to"})
    if first in SUBJECTS and second in PRONOUNS | DETERMINERS:
        return True
    closed = {"to": AFTER_TO, "please": AFTER_PLEASE, "you": SUBJECTS | {"it", "you"}, "it": SUBJECTS | {"it"}}
    return second in closed.get(first, ())
