"""Ten thousand texts such as nobody means well with, and what must never be in what a terminal is sent."""

from __future__ import annotations

import functools
import random
import re
import sys
import unicodedata

COUNT = 10_000
_LETTERS = ("The", "cat", "sat", "on", "the", "mat", "and", "32", "is", "a", "third", "of", "96,", "naïve", "Ünïcödé")
_PIECES: tuple[tuple[str, ...], ...] = (
    (
        "[bold]",
        "[/]",
        "[/bold]",
        "[@click=app.quit]x[/]",
        "[INST]",
        "[link=file:///etc/passwd]",
        "[#",
        "]",
        "\\[",
        "$x",
    ),
    ("{x}", "{{ messages }}", "{%", "%s", "%(a)s", "<b>", "&amp;", "</script>", "'; --", "`rm`"),
    ("\x1b[31m", "\x1b[2J", "\x1b[?1049l", "\x1b[6n", "\x1b[1;1H", "\x1b", "\x9b2J", "\x1bc", "\x1b(0", "\x1b[200~"),
    (
        "\x1b]52;c;aGk=\x07",
        "\x1b]0;title\x1b\\",
        "\x1b]8;;http://x\x07",
        "\x1bP+q\x1b\\",
        "\x90q",
        "\x9d0;x\x9c",
        "\x1b_x",
    ),
    ("\u202e", "\u2066", "\u2069", "\u200f", "\u061c", "\u202a"),
    ("\u200b", "\u200d", "\u200c", "\ufeff", "\u2060", "\u00ad", "\U000e0041", "\ufe0f", "\u3164", "\u115f"),
    ("e\u0301", "a" + "\u0300\u0316" * 12, "\u0301", "\u20dd", "🇩", "🇩🇪", "👩\u200d🚀", "👍🏽"),
    ("木", "木木木", "ｗｉｄｅ", "한글", "🙂", "ﷺ", "‱", "\U0001f9d1"),
    ("\ud800", "\udcff", "\udfff", "\ufffe", "\uffff", "\ufdd0", "\U0010ffff"),
    ("\x00", "\x07", "\x08\x08", "\x7f", "\x0e", "\x85", "\x01\x02", "\x80", "\x9c"),
    ("\n", "\r", "\r\n", "\t", "\x0b", "\x0c", "\u2028", "\u2029", "\x1e", "   ", "\u00a0"),
    ("", "-", "–", "…", "⏎", "⟨U+202E⟩", "␛", "∞", "nan"),
)
_HIDDEN = re.compile(
    "[" + "".join(
        f"\\U{code:08x}" for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Zl", "Zp"} and not 0xD800 <= code <= 0xDFFF
    ) + "\ud800-\udfff]"
)  # fmt: skip


@functools.cache
def hostile_texts() -> tuple[str, ...]:
    """The texts, the same each time. One in 2,500 is longer than any line."""
    draw = random.Random(52)
    texts = []
    for at in range(COUNT):
        parts = [
            draw.choice(draw.choice(_PIECES) if draw.random() < 0.6 else _LETTERS) for _ in range(draw.randrange(9))
        ]
        text = draw.choice(("", " ")).join(parts)
        texts.append(text * (12_000 // max(1, len(text))) if at % 2500 == 2499 else text)
    return tuple(texts)


def hidden_in(text: str) -> str:
    """The first character of a shown text that is not plainly visible, with what stands around it; empty: none is."""
    found = _HIDDEN.search(text.replace("\n", ""))
    return repr(found.string[max(0, found.start() - 20) : found.end() + 20]) if found else ""
