"""A mark in plain text. What is quoted or set aside is not the judge's word; the last mark in its own words wins.

A mark is a labelled number (``Score: 7``, ``[[7]]``, ``[RESULT] 7``), ``7/10``, ``7 out of 10`` or a last line that is
a number and nothing else. A bare number in prose never counts. A mark that cannot be read (another scale, a range)
still is the last one, so that an earlier number is not taken for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .reading import Scale

NUMBER = r"(?<![\w.,/%])[-+]?[0-9]{1,40}(?:\.[0-9]{1,40})?"
TOP = r"(?:[ \t]{0,4}(?P<over>/|out of|of(?= [0-9]))[ \t]{0,4}(?P<top>[0-9]{1,9}(?:\.[0-9]{1,9})?))?"
LABEL = r"(?<![A-Za-z0-9])(?P<label>score|rating|grade|verdict|result|mark)"
MARK = re.compile(
    rf"(?:{LABEL}(?P<join>\s{{0,4}}(?::=|[:=→]|->)\s{{0,8}}|[ \t](?:is|of|[-–—])[ \t]{{1,4}}|[ \t])"
    rf"|(?P<box>\[\[\s{{0,4}})|(?P<result>\[RESULT\]\s{{0,4}}:?\s{{0,4}})|)"
    rf"(?P<about>[~≈<>≤≥±]\s?)?(?P<number>{NUMBER}){TOP}",
    re.I | re.ASCII,
)
SPOILED = re.compile(
    r"[ \t]{0,4}(?:%|,[0-9]|\.[0-9]|/|[-–—~±][ \t]{0,4}[0-9]|(?:to|or|percent|of|out of)\b[ \t]{0,4}[0-9]|percent\b)|\w"
)
"""Behind a number: it is a share, half of a range, part of a longer number or of a word."""
COUNTED = re.compile(
    r"[ \t]{1,4}(?!(?:because|for|overall|since|as|and|but|on|in|due|given|with|at|so)\b)[^\W\d_]", re.I
)
"""Behind ``3 out of 10``: a noun, so that it counts things and is no mark."""
LAST_LINE = re.compile(r"[-+]?[0-9]{1,40}(?:\.[0-9]{1,40})?[.!]?", re.ASCII)
REPORTED = re.compile(
    r"\b(?:says|said|claims|claimed|asks|asked|demands|demanded|wants|wanted|insists|requests|requested|tells|told"
    r"|asserts|writes|wrote|states|pretends)\b[^,.;!?\n]{0,40}$",
    re.I,
)
"""Before a number: the judge reports what somebody else says."""
LIMIT = re.compile(
    r"\b(?:max|maximum|minimum|min|top|highest|lowest|possible|perfect|full|best|not(?: a)?)[ \t]{1,4}$", re.I
)

THOUGHT_END = re.compile(r"</\s?(?:think|thinking|thought|reasoning)\s?>|\[/THINK\]|◁/think▷", re.I)
THOUGHT_START = re.compile(r"<\s?(?:think|thinking|thought|reasoning)\s?>|\[THINK\]|◁think▷", re.I)
FENCED = re.compile(r"^[ \t]*```[^\n]*\n(.*?)(?:^[ \t]*```[ \t]*$|\Z)", re.M | re.S)
QUOTED_LINE = re.compile(r"^[ \t]*>.*$", re.M)
QUOTED = re.compile(
    r"“[^”]*(?:”|\Z)|„[^“”]*(?:[“”]|\Z)|«[^»]*(?:»|\Z)|「[^」]*(?:」|\Z)|‘[^‘’\n]*’(?!\w)|~~[^~]*~~"
    r"|(?<![\w\"])\"[^\"]*\"|(?<![\w'])'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w))*'(?!\w)"
)
STRAY = re.compile(r"^.*\".*$", re.M)
"""A line with a quotation mark left over: nobody can say what in it is quoted."""
CODE = re.compile(r"`{1,2}([^`\n]*)`{1,2}")
CODE_MARK = re.compile(r"\s*[0-9]{1,9}(?:\.[0-9]{1,9})?(?:\s?/\s?[0-9]{1,9})?\s*", re.ASCII)
BEFORE_CODE = re.compile(r"(?:^|\n|[:=])[ \t*_]*$")
EMPHASIS = re.compile(r"\*+|^[ \t]*#+[ \t]|(?<![A-Za-z0-9])_+|_+(?![A-Za-z0-9])|^[ \t]*[-•][ \t]+(?=\S)", re.M)
OTHER_SCALE = re.compile(
    r"\s*(?:(?:out )?of|/|[0-9.]+\s*(?:-|–|—|to)|on an?)\s*([0-9]+(?:\.[0-9]+)?)\b", re.I | re.ASCII
)


@dataclass(frozen=True)
class Mark:
    """A number that the judge gave; ``problem`` says why it is no score."""

    score: float
    problem: str = ""


def after_thought(text: str) -> str | None:
    """The reply behind the last thought; None if a thought is never closed."""
    rest = text[max((m.end() for m in THOUGHT_END.finditer(text)), default=0) :]
    return None if THOUGHT_START.search(rest) else rest


def last_mark(text: str, scale: Scale) -> Mark | None:
    """The last mark in the judge's own words; None if there is none."""
    own = own_words(text, scale)
    found: Mark | None = None
    for match in MARK.finditer(own):
        found = _mark(own, match, scale) or found
    line = own.rstrip().rpartition("\n")[2].strip()
    if LAST_LINE.fullmatch(line):
        return _on_scale(line.rstrip(".!"), scale)
    return found


def whole_mark(text: str, scale: Scale) -> Mark | None:
    """The mark that a short text is, such as ``8`` or ``8/10``; None if it is anything else."""
    match = MARK.fullmatch(text.strip())
    if match is None or match["about"] or match["label"] or (match["top"] and float(match["top"]) != scale.high):
        return None
    return _on_scale(match["number"], scale)


def own_words(text: str, scale: Scale) -> str:
    """A reply without what is quoted or in parentheses, and without markdown."""
    text = text.replace("\u2212", "-").replace("\u00a0", " ")
    unfenced = FENCED.sub("\n", text)
    text = unfenced if unfenced.strip() else FENCED.sub(r"\1", text)
    text = CODE.sub(_code, QUOTED_LINE.sub("", text))
    text = STRAY.sub("", QUOTED.sub(" ", text))
    return EMPHASIS.sub("", _without_asides(text, scale))


def _mark(own: str, match: re.Match[str], scale: Scale) -> Mark | None:
    labelled = bool(match["box"] or match["result"] or (match["label"] and _is_label(own, match)))
    before = own[max(0, match.start() - 60) : match.start()]
    if not (labelled or match["over"]) or REPORTED.search(before) or (match["label"] and LIMIT.search(before)):
        return None
    spoiled = (
        match["about"]
        or SPOILED.match(own, match.end())
        or (match["box"] and "]]" not in own[match.end() : match.end() + 6])
    )
    other = match["top"] is not None and float(match["top"]) != scale.high
    if spoiled or other:
        meant = labelled or _alone(own, match)
        return Mark(0.0, f"'{match[0].strip()[:40]}' is not a mark on this scale") if meant else None
    if not labelled and (match["over"] == "of" or COUNTED.match(own, match.end())):
        return None
    return _on_scale(match["number"], scale)


def _is_label(own: str, match: re.Match[str]) -> bool:
    """Whether the label makes the number a mark: any with ``:``; ``score of 7``; ``Score 7`` on a line of its own."""
    if (match["join"] or "").strip() in (":", "=", ":=", "→", "->"):
        return True
    if match["label"].lower() not in ("score", "rating"):
        return False
    return bool((match["join"] or "").strip()) or _alone(own, match)


def _alone(own: str, match: re.Match[str]) -> bool:
    rest = own[match.end() : match.end() + 8].partition("\n")[0].strip(" \t.!%")
    return own[max(0, match.start() - 40) : match.start()].rstrip(" \t")[-1:] in ("", "\n") and not rest


def _on_scale(number: str, scale: Scale) -> Mark:
    score = float(number)
    if scale.low <= score <= scale.high:
        return Mark(score + 0.0)  # no -0.0
    return Mark(0.0, f"{number[:40]} is outside {scale.low:g} to {scale.high:g}")


def _code(match: re.Match[str]) -> str:
    """Code stays if it is a mark behind a label or on a line of its own; otherwise it is a quotation."""
    before = match.string[max(0, match.start() - 20) : match.start()]
    return match[1] if CODE_MARK.fullmatch(match[1]) and BEFORE_CODE.search(before) else " "


def _without_asides(text: str, scale: Scale) -> str:
    """Without balanced parentheses; one that tells another scale stays, so that its number spoils the mark."""
    kept: list[str] = []
    opened: list[int] = []
    end = 0
    spans: list[tuple[int, int]] = []
    for bracket in re.finditer(r"[()（）]", text):
        if bracket[0] in "(（":
            opened.append(bracket.start())
        elif opened:
            start = opened.pop()
            while spans and spans[-1][0] > start:
                spans.pop()
            spans.append((start, bracket.end()))
    for start, stop in spans:
        inner = text[start + 1 : stop - 1]
        told = OTHER_SCALE.match(inner)
        kept += [text[end:start], f" {inner} " if told and float(told[1]) != scale.high else " "]
        end = stop
    return "".join([*kept, text[end:]])
