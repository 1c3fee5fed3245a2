"""An append-only sequence that shares its past: appending copies at most one chunk, never the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_CHUNK = 256


class History(Generic[T]):
    """An immutable sequence. ``append`` costs O(chunk + n / chunk); every older value stays valid."""

    __slots__ = ("_full", "_tail")

    def __init__(self, items: tuple[T, ...] = ()) -> None:
        whole = len(items) // _CHUNK * _CHUNK
        self._full: tuple[tuple[T, ...], ...] = tuple(items[i : i + _CHUNK] for i in range(0, whole, _CHUNK))
        self._tail: tuple[T, ...] = items[whole:]

    def append(self, item: T) -> History[T]:
        """A new history that ends with ``item``."""
        grown: History[T] = History()
        if len(self._tail) + 1 == _CHUNK:
            grown._full = (*self._full, (*self._tail, item))
        else:
            grown._full, grown._tail = self._full, (*self._tail, item)
        return grown

    def keep(self, wanted: Callable[[T], bool]) -> History[T]:
        """A new history of the items that are wanted."""
        return History(tuple(item for item in self if wanted(item)))

    @property
    def chunks(self) -> tuple[tuple[T, ...], ...]:
        """The full chunks, oldest first, shared with older and newer histories."""
        return self._full

    @property
    def last(self) -> T | None:
        """The newest item, None if there is none."""
        if self._tail:
            return self._tail[-1]
        return self._full[-1][-1] if self._full else None

    def __iter__(self) -> Iterator[T]:
        for chunk in self._full:
            yield from chunk
        yield from self._tail

    def __len__(self) -> int:
        return len(self._full) * _CHUNK + len(self._tail)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, History) and self._full == other._full and self._tail == other._tail

    def __hash__(self) -> int:
        return hash((len(self), id(self.last)))

    def __repr__(self) -> str:
        return f"History({len(self)} items, last {self.last!r})"
