"""The cap holds: with 64 calls in flight, and across kills in the middle of them."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from core.errors import RunDirError
from core.judge.ledger import CapReached, Ledger, UnknownPrice

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.jsonl"


def figures(ledger: Ledger) -> tuple[int, int, int]:
    return ledger.spent_micros, ledger.reserved_micros, ledger.calls


def test_reserve_settle_release(path: Path) -> None:
    ledger = Ledger(path, cap_usd=0.001)  # 1000 micro-dollars
    first, second, third = ledger.reserve(400), ledger.reserve(400), ledger.reserve(200)
    assert figures(ledger) == (0, 1000, 3)
    ledger.settle(first, 150)
    assert figures(ledger) == (150, 600, 3)
    ledger.release(second)
    assert figures(ledger) == (150, 200, 2)
    ledger.settle(third, None)  # its end is unknown
    assert figures(ledger) == (350, 0, 2)
    ledger.close()
    assert figures(Ledger(path)) == (350, 0, 2)


def test_a_reservation_ends_once() -> None:
    ledger = Ledger(None)
    number = ledger.reserve(10)
    ledger.settle(number, 5)
    for end in (lambda: ledger.settle(number, 5), lambda: ledger.release(number), lambda: ledger.settle(99, 1)):
        with pytest.raises(ValueError, match="is not open"):
            end()
    assert figures(ledger) == (5, 0, 1)


def test_the_cap_is_kept_to_the_micro_dollar(path: Path) -> None:
    ledger = Ledger(path, cap_usd=0.001)
    ledger.settle(ledger.reserve(600), 600)
    with pytest.raises(CapReached) as refused:
        ledger.reserve(401)
    assert not refused.value.fits_later
    assert "$0.001" in str(refused.value)
    assert "$0.000600 is spent" in str(refused.value)
    assert "raise judge.cap_usd" in str(refused.value)
    assert figures(ledger) == (600, 0, 1)
    ledger.reserve(400)
    with pytest.raises(CapReached) as refused:
        ledger.reserve(1)
    assert refused.value.fits_later  # the 400 in flight may cost less
    ledger.set_cap(0.002, None)
    ledger.reserve(1000)
    ledger.set_cap(0.0, None)
    with pytest.raises(CapReached):
        ledger.reserve(1)


def test_a_cap_with_a_binary_fraction_is_not_rounded_up() -> None:
    ledger = Ledger(None, cap_usd=0.29)  # 0.29 * 1e6 is 289999.99999999994 in floats
    ledger.reserve(290_000)
    with pytest.raises(CapReached):
        ledger.reserve(1)
    small = Ledger(None, cap_usd=0.0000019)
    with pytest.raises(CapReached):
        small.reserve(2)
    small.reserve(1)


@pytest.mark.parametrize(("usd", "calls"), [(float("nan"), None), (-1.0, None), (float("inf"), None), (None, -1)])
def test_a_cap_that_is_none_is_refused(usd: float | None, calls: int | None) -> None:
    with pytest.raises(ValueError, match="makes no sense"):
        Ledger(None, cap_usd=usd, cap_calls=calls)


def test_a_cap_on_calls() -> None:
    ledger = Ledger(None, cap_calls=3)
    ledger.reserve(None, calls=2)
    number = ledger.reserve(None)
    with pytest.raises(CapReached, match="cap of 3 judge calls"):
        ledger.reserve(None)
    ledger.release(number)
    ledger.reserve(5)
    assert ledger.calls == 3


def test_an_unknown_price_needs_a_cap_on_calls_beside_one_in_dollars() -> None:
    ledger = Ledger(None, cap_usd=1.0)
    with pytest.raises(UnknownPrice, match=r"give \[price\].*judge\.cap_calls"):
        ledger.reserve(None)
    ledger.set_cap(1.0, 2)
    first = ledger.reserve(None)
    second = ledger.reserve(None)
    with pytest.raises(CapReached):
        ledger.reserve(None)
    ledger.settle(first, None)
    ledger.settle(second, 30)  # the provider's reply named a price after all
    assert figures(ledger) == (30, 0, 2)
    Ledger(None).reserve(None)


def test_a_bill_above_its_reservation_is_charged_and_blocks_what_follows(path: Path) -> None:
    ledger = Ledger(path, cap_usd=0.001)
    ledger.settle(ledger.reserve(900), 1200)
    assert figures(ledger) == (1200, 0, 1)
    with pytest.raises(CapReached):
        ledger.reserve(0)
    assert figures(Ledger(path)) == (1200, 0, 1)


def test_what_a_kill_leaves_open_is_spent(path: Path) -> None:
    ledger = Ledger(path)
    ledger.settle(ledger.reserve(100), 60)
    ledger.reserve(70)
    ledger.reserve(None)
    again = Ledger(path, cap_usd=0.0002)
    assert figures(again) == (130, 0, 3)
    again.reserve(70)
    with pytest.raises(CapReached):
        again.reserve(1)
    assert figures(Ledger(path)) == (200, 0, 4)
    assert again.damaged == 0


def test_every_torn_tail_leaves_at_least_what_was_charged_before_it(path: Path) -> None:
    ledger = Ledger(path)
    first = ledger.reserve(100)
    ledger.reserve(50)
    ledger.settle(first, 30)
    data = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    charged = {0: 0, ends[0]: 100, ends[1]: 150, ends[2]: 80}
    for cut in range(len(data) + 1):
        path.write_bytes(data[:cut])
        again = Ledger(path)
        assert again.spent_micros == charged[max(end for end in charged if end <= cut)]
        again.close()
        assert path.read_bytes() == data[: max([end for end in ends if end <= cut], default=0)]


def test_damaged_lines_never_make_money_reappear(path: Path) -> None:
    ledger = Ledger(path)
    rng = random.Random(1)
    held: list[int] = []
    for _ in range(30):
        held.append(ledger.reserve(rng.randrange(1, 100)))
        if len(held) > 4:
            ledger.settle(held.pop(rng.randrange(len(held))), rng.randrange(1, 100))
    ledger.settle(held.pop(), 500)
    due = ledger.spent_micros + ledger.reserved_micros
    data = path.read_bytes()
    last = data.rindex(b"\n", 0, -1)
    for _ in range(200):
        flipped = bytearray(data)
        flipped[rng.randrange(last)] ^= 1 << rng.randrange(8)  # anywhere but in the last line
        path.write_bytes(flipped)
        again = Ledger(path)
        assert again.spent_micros >= due
        assert again.damaged
        again.close()


def test_what_cannot_be_noted_is_not_sent(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger(path, cap_usd=1.0)
    first, second = ledger.reserve(100), ledger.reserve(100)
    full = os.open("/dev/full", os.O_WRONLY)
    log = ledger._log
    assert log is not None
    good = log._descriptor
    monkeypatch.setattr(os, "ftruncate", lambda *_: None)  # the device has no length to go back to
    log._descriptor = full
    with pytest.raises(CapReached, match="No space left on device; nothing was sent"):
        ledger.reserve(100)
    ledger.settle(first, 40)  # paid already: it must not raise
    assert figures(ledger) == (40, 100, 2)
    log._descriptor = good
    os.close(full)
    ledger.settle(second, 50)
    assert figures(ledger) == (90, 0, 2)
    assert figures(Ledger(path)) == (90, 0, 2)


def test_threads_share_a_cap() -> None:
    ledger = Ledger(None, cap_usd=0.01)  # 10,000
    paid: list[int] = []

    def work(seed: int) -> None:
        rng = random.Random(seed)
        for _ in range(200):
            try:
                number = ledger.reserve(most := rng.randrange(1, 200))
            except CapReached:
                continue
            bill = rng.randrange(most + 1)
            paid.append(bill)
            ledger.settle(number, bill)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(paid) == ledger.spent_micros <= 10_000
    assert ledger.spent_micros > 9_800


def test_a_long_ledger_opens_fast(path: Path) -> None:
    ledger = Ledger(path)
    for _ in range(50_000):
        ledger.settle(ledger.reserve(200), 90)
    ledger.close()
    again = Ledger(path)
    assert figures(again) == (4_500_000, 0, 50_000)
    assert len(path.read_bytes().split(b"\n")) == 100_001


def test_lines_are_json_that_any_tool_reads(path: Path) -> None:
    ledger = Ledger(path)
    ledger.settle(ledger.reserve(200), 90)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["do"], line["id"], line["micros"], line["total"]) for line in lines] == [
        ("reserve", 1, 200, 200),
        ("settle", 1, 90, 90),
    ]
    assert path.stat().st_mode & 0o077 == 0


def test_a_ledger_that_cannot_be_opened_says_where(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunDirError, match=r"cannot write .*ledger\.jsonl"):
        Ledger(tmp_path / "file" / "ledger.jsonl")


KILLED = """
import asyncio, os, random, signal, sys, time
from pathlib import Path
from core.judge.ledger import CapReached, Ledger

def child(path, bills, cap_usd, seed):
    rng = random.Random(seed)
    ledger = Ledger(path, cap_usd=cap_usd)
    out = os.open(bills, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def call():
        most = rng.randrange(1, 3000)
        number = ledger.reserve(most)
        await asyncio.sleep(rng.random() * 0.004)
        end = rng.random()
        if end < 0.1:  # refused: not billed
            return ledger.release(number)
        bill = rng.choice((most, rng.randrange(most + 1)))
        os.write(out, b"%d\\n" % bill)  # the provider bills now, and may be the only one to know
        await asyncio.sleep(rng.random() * 0.004)
        ledger.settle(number, None if end < 0.2 else bill)

    async def work():
        while True:
            try:
                await call()
            except CapReached:
                await asyncio.sleep(0.001)

    async def main():
        await asyncio.gather(*(work() for _ in range(64)))

    asyncio.run(main())

def size():
    return os.path.getsize(bills) if os.path.exists(bills) else 0

path, bills, cap_usd = Path(sys.argv[1]), sys.argv[2], float(sys.argv[3])
rng = random.Random(7)
for seed in range(400):
    pid = os.fork()
    if pid == 0:
        try:
            child(path, bills, cap_usd, seed)
        finally:
            os._exit(1)
    enough, deadline = size() + rng.randrange(1, 300), time.monotonic() + 0.1
    while size() < enough and time.monotonic() < deadline:
        time.sleep(0.001)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    print(sum(map(int, open(bills).read().split())) if size() else 0, flush=True)
    if seed >= 49 and Ledger(path).spent_micros > cap_usd * 1e6 - 3000:
        break
"""


def test_the_cap_holds_over_fifty_kills_with_64_calls_in_flight(path: Path, tmp_path: Path) -> None:
    cap = 3_000_000
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), str(tmp_path / "bills"), str(cap / 1e6)],
        env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=100,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    paid = [int(line) for line in done.stdout.split()]
    assert len(paid) >= 50
    assert max(paid) <= cap
    ledger = Ledger(path, cap_usd=cap / 1e6)
    assert ledger.damaged == 0
    assert paid[-1] <= ledger.spent_micros <= cap
    growing = sum(later > earlier for earlier, later in itertools.pairwise(paid))
    assert growing >= 10, "the kills must fall among calls"
    assert ledger.spent_micros > cap - 3000, "the cap must have been put to the test"
