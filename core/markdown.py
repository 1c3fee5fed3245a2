"""Text of others in Markdown: as code, which nothing inside can leave, or as words that mean nothing but themselves.

No link, image, mention, HTML, heading, list or table can come of it, in CommonMark and in GitHub's dialect, which makes
links of bare addresses everywhere but in code.
"""

from __future__ import annotations

import re

_BACKTICKS = re.compile(r"`+")
_SPECIAL = re.compile(r"[\\`*_\[\]<>&~|$#^]")
_ADDRESS = re.compile(r"@|://|www\.|[#!]\d|^(?:mailto|xmpp):", re.IGNORECASE)
_OPENING = re.compile(r"[-+=:]+|\d+[.)]")
_LEAST_FENCE = 3


def words(text: str) -> str:
    """The text as part of a line of prose: white space becomes single spaces, what looks like an address becomes code.

    It may stand anywhere in a line, at its beginning too.
    """
    plain = [code(word) if _ADDRESS.search(word) else _SPECIAL.sub(r"\\\g<0>", word) for word in plainly(text).split()]
    if plain and _OPENING.fullmatch(plain[0]):
        plain[0] = f"{plain[0][:-1]}\\{plain[0][-1]}"
    return " ".join(plain)


def cell(text: str) -> str:
    """``words`` for a cell of a table. Dialects differ in how a bar is escaped there, so a broken bar stands for it."""
    return words(text.replace("|", "¦"))


def code(text: str) -> str:
    """The text as code within a line, between more backticks than it holds; a line end becomes ``⏎``."""
    line = plainly(text).replace("\n", "⏎").replace("\t", " ")
    if not line:
        return ""
    ticks = "`" * (_longest(line) + 1)
    space = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{ticks}{space}{line}{space}{ticks}"


def cell_code(text: str) -> str:
    """``code`` for a cell of a table."""
    return code(text.replace("|", "¦"))


def fence(text: str, language: str = "") -> str:
    """The text as lines of their own, between longer rows of backticks than it holds.

    ``language`` is the writer's own word, never one of others.
    """
    body = plainly(text)
    ticks = "`" * max(_LEAST_FENCE, _longest(body) + 1)
    return f"{ticks}{language}\n{body.rstrip(chr(10))}\n{ticks}"


def plainly(text: str) -> str:
    """The text with line ends as newlines, and a ``�`` for each character that cannot be seen."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() or each in "\n\t" else "�" for each in text)


def _longest(text: str) -> int:
    return max((len(found[0]) for found in _BACKTICKS.finditer(text)), default=0)
