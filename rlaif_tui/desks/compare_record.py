"""Following the record of a comparison while it grows: only what is new is read and decoded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from core.compare.record import Comparison, Line, decode, fold

Stamp = tuple[int, int, int]


@dataclass
class RecordReader:
    """Reads on where it left off. Starts over when the file is replaced or shrinks."""

    path: Path
    _lines: list[Line | None] = field(default_factory=list, repr=False)
    _offset: int = 0
    _inode: int = 0
    _folded: Comparison | None = None

    def read(self) -> Comparison | None:
        """The record as far as it goes, the same object as before if nothing is new; None without a header.

        Raises ``OSError``.
        """
        with self.path.open("rb") as file:
            info = os.fstat(file.fileno())
            if info.st_ino != self._inode or info.st_size < self._offset:
                self._lines, self._offset, self._inode, self._folded = [], 0, info.st_ino, None
            file.seek(self._offset)
            data = file.read()
        end = data.rfind(b"\n") + 1
        if end:
            self._offset += end
            self._lines += [decode(raw) for raw in data[:end].split(b"\n") if raw]
            self._folded = fold(self.path, self._lines)
        return self._folded


def stamp_of(path: Path) -> Stamp | None:
    """What changes with a file; None if there is none. Raises ``OSError``."""
    try:
        info = path.stat()
    except FileNotFoundError:
        return None
    return info.st_ino, info.st_size, info.st_mtime_ns
