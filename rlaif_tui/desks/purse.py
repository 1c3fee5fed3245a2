"""What the app itself has spent on judges since it was opened, and how much it may: one account, whoever asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.judge.ledger import Ledger

CAP_USD = 5.0


class Purse:
    """Lives as long as the app, so that a screen that is made anew begins with what was spent and capped before."""

    def __init__(self, cap_usd: float | None = CAP_USD) -> None:
        self.cap_usd = cap_usd
        self._ledger: Ledger | None = None

    def ledger(self) -> Ledger:
        """The account; made at the first call, which blocks for the import."""
        from core.judge.ledger import Ledger

        if self._ledger is None:
            self._ledger = Ledger(None, cap_usd=self.cap_usd)
        return self._ledger

    @property
    def spent_usd(self) -> float:
        return self._ledger.spent_micros / 1e6 if self._ledger is not None else 0.0

    def set_cap(self, cap_usd: float | None) -> None:
        """Raises ``ValueError``."""
        if self._ledger is not None:
            self._ledger.set_cap(cap_usd, None)
        self.cap_usd = cap_usd
