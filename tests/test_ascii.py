"""Terminals without braille and boxes: which they are, and that nothing of ours needs them there."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.segment import ControlType, Segment
from rich.style import Style
from textual.color import Color

from rlaif_tui.ascii import AsciiSigns, plain
from rlaif_tui.settings import load


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("● running ✓ ✗ ‖ ■ ◌", "* running + x = # o"),
        ("╭─ KL ─╮│╰╯┄┊", "+- KL -+|++-:"),
        ("▁▂▃▄▅▆▇█", "___===##"),
        ("resuming calm…     next", "resuming calm...   next"),
        ("A baker…  7", "A baker.. 7"),
        ("A baker… 7", "A baker~ 7"),
        ("ρ 0.62 ± 0.1, β 0.05, 4→6 — 8", "r 0.62 +-0.1, B 0.05, 4>6 - 8"),
        ("⟨U+202E⟩ ␛[31m ⏎", "<U+202E> ^[31m $"),
        ("🔎 find", ">  find"),
        ("日本語 naïve ñ ß", "日本語 naïve ñ ß"),
    ],
)
def test_our_signs_become_ascii_and_foreign_letters_stay(text: str, expected: str) -> None:
    assert plain(text) == expected
    assert plain(expected) == expected


def test_nothing_moves() -> None:
    everything = "".join(map(chr, (*range(0xA0, 0x500), *range(0x2000, 0x2E00), *range(0x1F300, 0x1F700))))
    for sign in everything:
        assert cell_len(plain(sign)) == cell_len(sign), hex(ord(sign))
    for text in ("a… b", "a…  b", "a…   b", "±  3", "± ", "…", "x ± y…  "):
        assert cell_len(plain(text)) == cell_len(text)


def test_a_line_keeps_its_styles_and_controls() -> None:
    bold, bell = Style(bold=True), Segment("●", None, [(ControlType.BELL,)])
    line = [Segment("● ", bold), Segment("plain"), bell]
    assert AsciiSigns().apply(line, Color(0, 0, 0)) == [Segment("* ", bold), Segment("plain"), bell]


def test_dots_use_the_blanks_of_the_segment_behind() -> None:
    def drawn(*texts: str) -> list[str]:
        return [text for text, _, _ in AsciiSigns().apply([Segment(text) for text in texts], Color(0, 0, 0))]

    assert drawn("Stop…", "  ", "x") == ["Stop..", " ", "x"]
    assert drawn("looking…", "     ") == ["looking...", "   "]
    assert drawn("kettle…", " ", "x") == ["kettle~", " ", "x"]
    assert drawn("kettle…", "|") == ["kettle~", "|"]
    assert drawn("kettle…") == ["kettle~"]


@pytest.mark.parametrize(
    ("environment", "ascii_only", "theme"),
    [
        ({"TERM": "linux"}, True, "ansi-dark"),
        ({"TERM": "vt100"}, True, "ansi-dark"),
        ({"TERM": "linux", "RLAIF_TUI_ASCII": "0", "RLAIF_TUI_THEME": "calm-light"}, False, "calm-light"),
        ({"TERM": "xterm-256color", "LANG": "C.UTF-8"}, False, ""),
        ({"TERM": "screen-256color"}, False, ""),
        ({"TERM": "tmux-256color", "LANG": "en_US.utf8"}, False, ""),
        ({"TERM": "xterm", "LANG": "de_DE.ISO-8859-1"}, True, ""),
        ({"TERM": "xterm", "LC_ALL": "C.UTF-8", "LANG": "de_DE.ISO-8859-1"}, False, ""),
        ({}, False, ""),
    ],
)  # fmt: skip
def test_the_terminal_decides_unless_the_person_does(
    tmp_path: Path, environment: dict[str, str], ascii_only: bool, theme: str
) -> None:
    settings = load(tmp_path / "app.toml", environment)
    assert (settings.ascii_only, settings.theme, settings.problems) == (ascii_only, theme, ())
    (tmp_path / "app.toml").write_text('ascii = false\ntheme = "calm-dark"\n')
    settings = load(tmp_path / "app.toml", {"TERM": "linux"})
    assert (settings.ascii_only, settings.theme) == (False, "calm-dark")
