from __future__ import annotations

import random
import unicodedata

from rich.cells import cell_len

from rlaif_tui.text import LINE_LIMIT, clip, one_line, pad, safe, wrap, wrap_at_most

HOSTILE = {
    "\x1b]52;c;aGk=\x07": "␛]52;c;aGk=␇",
    "\x00\x08\r": "␀␈␍",
    "\x7f\x85\x9b": "␡⟨U+0085⟩⟨U+009B⟩",
    "\u202egnp\u2066.\u200b\ufeff": "⟨U+202E⟩gnp⟨U+2066⟩.⟨U+200B⟩⟨U+FEFF⟩",
    "a\ud800b": "a⟨U+D800⟩b",
    "\u2028\u2029": "⟨U+2028⟩⟨U+2029⟩",
    "x\U000e0041\ufe0f\u3164": "x⟨U+E0041⟩⟨U+FE0F⟩⟨U+3164⟩",
    "one\r\ntwo\tthree": "one\ntwo\tthree",
    "[bold]β é 木[/bold]": "[bold]β é 木[/bold]",
}


def any_text(rng: random.Random, size: int) -> str:
    """Characters from all over Unicode, controls and surrogates more often than their share."""
    pools = [(0, 0x20), (0x7F, 0xA0), (0x200B, 0x2070), (0xD800, 0xE000), (0x20, 0x7F), (0x4E00, 0x4F00), (0, 0x110000)]
    return "".join(chr(rng.randrange(*rng.choice(pools))) for _ in range(size))


def test_hostile_texts_become_visible() -> None:
    for raw, shown in HOSTILE.items():
        assert safe(raw) == shown


def test_safe_is_idempotent_and_leaves_nothing_hidden() -> None:
    rng = random.Random(0)
    for _ in range(300):
        text = safe(any_text(rng, 60))
        assert safe(text) == text
        assert not {unicodedata.category(c) for c in text if c not in "\n\t"} & {"Cc", "Cf", "Cs", "Zl", "Zp"}
        text.encode("utf-8")


def test_long_lines_are_cut_with_a_mark() -> None:
    text = safe("a" * LINE_LIMIT + "\n" + "b" * (LINE_LIMIT + 1))
    first, second = text.split("\n")
    assert len(first) == len(second) == LINE_LIMIT
    assert first.endswith("a")
    assert second.endswith("b…⟨cut⟩")
    assert safe(text) == text


def test_one_line_and_clip() -> None:
    assert one_line("a\nb\tc\x1b") == "a⏎b c␛"
    assert clip("abcdef", 6) == "abcdef"
    assert clip("abcdefg", 6) == "abcde…"
    # Each of these characters is two cells wide: two of them and the dots are five cells.
    assert clip("木木木木", 6) == "木木…"
    assert clip("abc", 0) == ""
    assert pad("木", 4) == "木  "
    assert pad("木", 4, right=True) == "  木"


def test_wrap_by_hand() -> None:
    assert wrap("one two three", 7) == ["one two", "three"]
    assert wrap("abcdefgh ij", 4) == ["abcd", "efgh", "ij"]
    assert wrap("a\n\nb", 9) == ["a", "", "b"]
    assert wrap("", 9) == [""]
    assert wrap_at_most("one two three four", 5, 2) == ["one", "two…"]
    assert wrap_at_most("one two", 5, 2) == ["one", "two"]


def test_wrapped_lines_fit_and_lose_nothing() -> None:
    rng = random.Random(1)
    for _ in range(200):
        text, width = any_text(rng, 50), rng.randrange(2, 30)
        lines = wrap(text, width)
        assert all(cell_len(line) <= width for line in lines)
        assert "".join("".join(lines).split()) == "".join(safe(text).expandtabs(4).split())
