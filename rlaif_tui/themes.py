"""Colours of the app. Meaning never hangs on them alone: a sign or a word always stands beside.

The default uses blue and orange on grey, which every common kind of colour blindness keeps apart (the hues are those of
Okabe and Ito). ``ansi-dark`` and ``ansi-light`` take the terminal's own sixteen colours and need half the bytes.
"""

from __future__ import annotations

from textual.theme import Theme

DEFAULT = "calm-dark"

CALM_DARK = Theme(
    name="calm-dark",
    primary="#56b4e9",
    secondary="#9aa7b5",
    accent="#56b4e9",
    success="#56b4e9",
    warning="#e69f00",
    error="#f08a4b",
    foreground="#d7dde4",
    background="#14171b",
    surface="#1b1f25",
    panel="#242a32",
    dark=True,
    variables={"block-cursor-background": "#24506b", "block-cursor-foreground": "#ffffff"},
)
CALM_LIGHT = Theme(
    name="calm-light",
    primary="#0b5f94",
    secondary="#5a6672",
    accent="#0b5f94",
    success="#0b5f94",
    warning="#9a5b00",
    error="#a83f00",
    foreground="#1d2329",
    background="#fafbfc",
    surface="#eef1f4",
    panel="#e0e5ea",
    dark=False,
    variables={"block-cursor-background": "#bcdcf2", "block-cursor-foreground": "#10161b"},
)
OURS = (CALM_DARK, CALM_LIGHT)
NAMES = (CALM_DARK.name, CALM_LIGHT.name, "ansi-dark", "ansi-light")
"""In the order in which ``T`` goes through them."""


def after(name: str) -> str:
    """The theme that comes next."""
    return NAMES[(NAMES.index(name) + 1) % len(NAMES)] if name in NAMES else DEFAULT
