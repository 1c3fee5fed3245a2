"""A reply as it grows: text is handed out once no later token can change it."""

from __future__ import annotations

from collections.abc import Callable

_BROKEN = "\ufffd"
_LONGEST_CHARACTER = 8
"""Tokens after which a replacement character is taken for what the model wrote, not for half a character."""


class Pieces:
    """Turns token after token into text. Together the pieces are the whole text for decoders that work from the left.

    Each piece is what decoding with its tokens adds to decoding without them, a few tokens of context before both,
    because decoders treat a beginning differently.
    """

    def __init__(self, decode: Callable[[tuple[int, ...]], str]) -> None:
        self._decode = decode
        self._ids: list[int] = []
        self._context = self._start = 0

    @property
    def ids(self) -> tuple[int, ...]:
        """All tokens so far."""
        return tuple(self._ids)

    def add(self, token: int) -> str:
        """The text that this token completes; empty in the middle of a character."""
        self._ids.append(token)
        before, after = self._before_after()
        broken = after.endswith(_BROKEN) and len(self._ids) - self._start < _LONGEST_CHARACTER
        if broken or not after.startswith(before):
            return ""
        self._context, self._start = self._start, len(self._ids)
        return after[len(before) :]

    def whole(self) -> str:
        """The text of all tokens."""
        return self._decode(self.ids)

    def _before_after(self) -> tuple[str, str]:
        return (
            self._decode(tuple(self._ids[self._context : self._start])),
            self._decode(tuple(self._ids[self._context :])),
        )
