"""The money of a run: reserved before a call is sent, settled after it, kept across a kill.

``ledger.jsonl`` has one line a reservation and one a settlement, each written before the call goes out or the verdict
is used. A line is ``{"crc":C,"do":"reserve","id":N,"micros":M,"calls":K,"total":T}``; C is the CRC-32 of what follows
it, T all micro-dollars charged so far, reservations among them. A reservation without an end stays charged: whether the
provider billed a call that a kill cut off, nobody knows. The run's lock sees to it that there is one writer.
"""

from __future__ import annotations

import re
import threading
import zlib
from decimal import ROUND_FLOOR, Decimal
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import JudgeError
from ..files import AppendLog, read_lines

_MICROS = 1_000_000
_CRC = re.compile(rb'^\{"crc":(\d{1,10}),')


class CapReached(JudgeError):  # noqa: N818  a limit kept, not a defect
    """A call that was not sent: it might have passed a cap, or its cost could not be noted. Says what to do."""

    def __init__(self, message: str, *, fits_later: bool = False) -> None:
        super().__init__(message)
        self.fits_later = fits_later
        """It would have fitted but for reservations of calls in flight, which may end cheaper."""


class UnknownPrice(CapReached):
    """A call of unknown price under a dollar cap with no cap on calls."""


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    do: Literal["reserve", "settle", "release"]
    id: int
    micros: int | None
    """Reserved, or billed. None: unknown."""
    calls: int
    total: int


class _Held(msgspec.Struct, frozen=True):
    micros: int | None
    calls: int


class Ledger:
    """Keeps a run's cap. Threads may share it; ``path`` None keeps it in memory only."""

    def __init__(self, path: Path | None, *, cap_usd: float | None = None, cap_calls: int | None = None) -> None:
        """Raises ``RunDirError`` or ``OSError`` if the file cannot be opened."""
        self.path = path
        self.damaged = 0
        """Lines that could not be read; what the next good line says was charged by then is charged."""
        self._lock = threading.Lock()
        self._spent = self._reserved = self._calls = self._last_id = 0
        self._held: dict[int, _Held] = {}
        self._unwritten: list[_Line] = []
        self._log = None if path is None else AppendLog(path)
        if path is not None:
            self._load(path)
        self.set_cap(cap_usd, cap_calls)

    @property
    def spent_micros(self) -> int:
        """Billed, and reserved by calls whose end is unknown."""
        return self._spent

    @property
    def reserved_micros(self) -> int:
        """Held for calls in flight."""
        return self._reserved

    @property
    def calls(self) -> int:
        """Calls sent, those in flight among them, without those that were never billed."""
        return self._calls

    @property
    def cap_usd(self) -> float | None:
        return self._cap_usd

    @property
    def cap_calls(self) -> int | None:
        return self._cap_calls

    def set_cap(self, cap_usd: float | None, cap_calls: int | None) -> None:
        """Change the caps; calls in flight are not called back. Raises ``ValueError`` for NaN and below 0."""
        if cap_usd is not None and not 0 <= cap_usd < float("inf"):
            raise ValueError(f"a cap of {cap_usd} dollars makes no sense; give 0 or more")
        if cap_calls is not None and cap_calls < 0:
            raise ValueError(f"a cap of {cap_calls} calls makes no sense; give 0 or more")
        micros = None if cap_usd is None else Decimal(str(cap_usd)) * _MICROS
        with self._lock:
            self._cap_usd, self._cap_calls = cap_usd, cap_calls
            self._cap_micros = None if micros is None else int(micros.to_integral_value(ROUND_FLOOR))

    def reserve(self, micros: int | None, calls: int = 1) -> int:
        """Put aside the most that ``calls`` calls can cost, before any of them is sent. Gives the reservation's number.

        ``micros`` None: the price is unknown, and only calls are counted. Raises ``CapReached`` with nothing put aside,
        also where it cannot be written down, since a call that nobody knows of might pass the cap after a kill.
        """
        if (micros is not None and micros < 0) or calls < 1:
            raise ValueError(f"cannot reserve {micros} micro-dollars for {calls} calls")
        with self._lock:
            self._check(micros, calls)
            number = self._last_id + 1
            total = self._spent + self._reserved + (micros or 0)
            line = _Line(do="reserve", id=number, micros=micros, calls=calls, total=total)
            try:
                self._write(line)
            except OSError as error:
                what = f"cannot write {self.path}: {error.strerror}"
                raise CapReached(f"{what}; nothing was sent, because its cost could not be noted") from error
            self._apply(line)
            return number

    def settle(self, reservation: int, micros: int | None) -> None:
        """A call ended: charge what it cost. None: its end is unknown, and it stays charged at its reservation.

        A bill above its reservation is charged in full. Raises ``ValueError`` for a reservation that is not open.
        """
        with self._lock:
            held = self._open(reservation)
            self._end("settle", reservation, held.micros if micros is None else micros)

    def release(self, reservation: int) -> None:
        """The calls were never billed (nothing was sent, or it was refused): as if they had not been."""
        with self._lock:
            self._open(reservation)
            self._end("release", reservation, None)

    def sync(self) -> None:
        """Make it durable against a power cut; a kill loses nothing anyway. Raises ``OSError``."""
        if self._log is not None:
            self._log.sync()

    def close(self) -> None:
        if self._log is not None:
            self._log.close()
            self._log = None

    def _open(self, reservation: int) -> _Held:
        held = self._held.get(reservation)
        if held is None:
            raise ValueError(f"reservation {reservation} is not open")
        return held

    def _end(self, do: Literal["settle", "release"], reservation: int, micros: int | None) -> None:
        held = self._held[reservation]
        total = self._spent + self._reserved - (held.micros or 0) + (micros or 0)
        line = _Line(do=do, id=reservation, micros=micros, calls=held.calls, total=total)
        self._apply(line)
        try:
            self._write(line)
        except OSError:  # paid for is paid for: it is written with the next line, and until then the file says too much
            self._unwritten.append(line)

    def _check(self, micros: int | None, calls: int) -> None:
        if self._cap_calls is not None and self._calls + calls > self._cap_calls:
            raise CapReached(
                f"the cap of {self._cap_calls} judge calls is reached ({self._calls} were made); raise judge.cap_calls"
                " to go on"
            )
        if self._cap_micros is None:
            return
        if micros is None:
            if self._cap_calls is None:
                raise UnknownPrice(
                    "the price of this judge is unknown, so a cap in dollars cannot be kept: give [price] in the judge"
                    " file (free = true if it costs nothing) or judge.cap_calls"
                )
            return
        if self._spent + self._reserved + micros > self._cap_micros:
            raise CapReached(
                f"the next judge call might pass the cap of ${self.cap_usd:.6g}: ${self._spent / _MICROS:.6f} is spent,"
                f" ${self._reserved / _MICROS:.6f} is held for calls in flight and it may cost ${micros / _MICROS:.6f};"
                " raise judge.cap_usd to go on",
                fits_later=self._spent + micros <= self._cap_micros,
            )

    def _apply(self, line: _Line) -> None:
        if line.do == "reserve":
            self._held[line.id] = _Held(line.micros, line.calls)
            self._reserved += line.micros or 0
            self._calls += line.calls
            self._last_id = max(self._last_id, line.id)
            return
        held = self._held.pop(line.id, None)
        if held is not None:
            self._reserved -= held.micros or 0
            self._calls -= line.calls if line.do == "release" else 0
        elif line.do == "settle":  # its reservation was unreadable
            self._calls += line.calls
        if line.do == "settle":
            self._spent += line.micros or 0
        self._last_id = max(self._last_id, line.id)

    def _write(self, line: _Line) -> None:
        if self._log is None:
            return
        while self._unwritten:
            self._log.append(_encode(self._unwritten[0]))
            del self._unwritten[0]
        self._log.append(_encode(line))

    def _load(self, path: Path) -> None:
        for data in read_lines(path):
            line = _decode(data)
            if line is None:
                self.damaged += 1
                continue
            self._apply(line)
            self._spent += max(0, line.total - self._spent - self._reserved)
        self._spent += self._reserved
        self._reserved = 0
        self._held.clear()


def read_ledger(path: Path) -> Ledger:
    """The account for a reader: the file is neither opened for writing nor mended. Raises ``OSError``."""
    ledger = Ledger(None)
    ledger._load(path)
    return ledger


def _encode(line: _Line) -> bytes:
    rest = msgspec.json.encode(line)[1:]
    return b'{"crc":%d,' % zlib.crc32(rest) + rest


_decoder = msgspec.json.Decoder(_Line)


def _decode(data: bytes) -> _Line | None:
    """None for a line that is damaged."""
    found = _CRC.match(data)
    rest = data[found.end() :] if found else b""
    if found is None or int(found[1]) != zlib.crc32(rest):
        return None
    try:
        return _decoder.decode(b"{" + rest)
    except msgspec.MsgspecError:
        return None
