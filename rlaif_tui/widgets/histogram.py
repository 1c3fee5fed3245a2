"""How long prompts are, as bars of block characters."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content
from textual.widgets import Static

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII = " .:-=+*#@"


def spark(counts: Sequence[int], *, ascii_only: bool = False) -> str:
    """One line of bars; a part that holds anything is never blank."""
    return "".join(bars(counts, 1, ascii_only=ascii_only))


def bars(counts: Sequence[int], rows: int, *, ascii_only: bool = False) -> list[str]:
    """Bars over ``rows`` lines, the top one first, in proportion to the largest count."""
    blocks, most = _ASCII if ascii_only else _BLOCKS, max(counts, default=0)
    levels = [max(1, round(count * 8 * rows / most)) if count else 0 for count in counts]
    return ["".join(blocks[max(0, min(8, level - 8 * row))] for level in levels) for row in reversed(range(rows))]


class Histogram(Static):
    """Bars, those beyond a limit in another colour, and what the two ends stand for."""

    DEFAULT_CSS = """
    Histogram {
        height: 7; border: round $foreground 35%; border-title-color: $foreground; padding: 0 1;
    }
    """

    def __init__(self, *, id: str, ascii_only: bool = False) -> None:
        super().__init__(id=id, markup=False)
        self._ascii = ascii_only
        self._shown: tuple[tuple[int, ...], int, int] = ((), 0, 0)

    @property
    def bins(self) -> int:
        """Bars there is room for."""
        return max(1, self.scrollable_content_region.width)

    def show(self, counts: Sequence[int], longest: int, limit: int) -> None:
        """Draw these counts of equal parts of 0..longest; what lies above ``limit`` is marked."""
        shown = (tuple(counts), longest, limit)
        if shown != self._shown:
            self._shown = shown
            self.update(self._text())

    def _text(self) -> Content:
        counts, longest, limit = self._shown
        if not counts:
            return Content.styled("lengths appear when tokens are counted", "dim")
        rows = max(1, self.scrollable_content_region.height - 1)
        wide = max(1, self.bins // len(counts))
        within = wide * sum(at * longest / len(counts) <= limit for at in range(len(counts)))
        lines = [
            Content.assemble((line[:within], "$primary"), (line[within:], "$text-warning"))
            for line in bars([count for count in counts for _ in range(wide)], rows, ascii_only=self._ascii)
        ]
        end = f"{longest:,}"
        words = f"limit {limit:,}" if longest <= limit else f"over {limit:,}: dropped"
        room = max(0, wide * len(counts) - 1 - len(end))
        axis = f"0{words.center(room) if len(words) + 2 <= room else ' ' * room}{end}"
        return Content("\n").join([*lines, Content.styled(axis, "$foreground 60%")])
