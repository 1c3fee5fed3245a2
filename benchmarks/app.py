"""What the app costs its user's machine and line: ``python benchmarks/app.py [--peer 'CMD FILE']``.

Start-up, a run that streams, a run that rests, catching up with a long run, and a long data table; each in a
pseudo-terminal that is read at once, in turns with what it is compared with. CPU seconds are of the whole process that
draws; the smallest and the median of the rounds are printed, the ratio last. Runs, data and settings are made up in a
temporary folder; nothing of the user's is read. Needs Linux.
"""

from __future__ import annotations

import argparse
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from app_runs import EVENTS_PER_STEP, completed, make_data, make_run, step_events
from app_terminal import Moment, Terminal

from core.events import Event
from core.journal import EventLog
from core.run_dir import RunDir, RunLock

SIZES = ((120, 36), (80, 24))
EVENTS_PER_S, LONG_EVENTS, DATA_ROWS = 5, 100_000, 100_000
SETTLE_S = 3.0
"""How long a view is left alone before its steady state is measured."""

Side = Callable[[], Moment]


class Bench:
    """A folder with everything the measured app may touch, and how it is started there."""

    def __init__(self, folder: Path, rounds: int, seconds: float, peer: str) -> None:
        self.folder, self.rounds, self.seconds, self.peer = folder, rounds, seconds, peer
        homes = {name: str(folder / name.lower()) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME")}
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RLAIF_TUI_", "TMUX"))},
            **homes, "XDG_DATA_HOME": str(folder / "data"), "TERM": "xterm-256color", "COLORTERM": "truecolor",
        }  # fmt: skip
        self.environment.pop("NO_COLOR", None)

    def app(self, root: str, *arguments: str, size: tuple[int, int] = SIZES[0]) -> Terminal:
        """The app on a folder of runs."""
        command = [sys.executable, "-m", "rlaif_tui", "--runs-dir", str(self.folder / root), *arguments]
        return Terminal(command, self.environment, *size)

    def in_turns(self, sides: dict[str, Side]) -> dict[str, list[Moment]]:
        """Each side once in every round; the first round, which warms the disk's cache, is thrown away."""
        found: dict[str, list[Moment]] = {name: [] for name in sides}
        for turn in range(self.rounds + 1):
            for name, side in sides.items():
                moment = side()
                if turn:
                    found[name].append(moment)
        return found


def table(title: str, found: dict[str, list[Moment]], base: str) -> None:
    """Smallest and median of each side, and how many times the base's CPU seconds it takes."""
    print(f"\n{title}\n\n| side | CPU s, smallest / median | wall s, smallest / median | CPU, times the first |")
    print("|---|---|---|---|")
    least = min(moment.cpu for moment in found[base])
    for name, moments in found.items():
        cpu, wall = [m.cpu for m in moments], [m.wall for m in moments]
        spread = " | ".join(f"{min(each):.3f} / {statistics.median(each):.3f}" for each in (cpu, wall))
        print(f"| {name} | {spread} | {min(cpu) / least:.2f} |")


def first_paint(bench: Bench) -> None:
    for name in ("one", "two", "three", "four"):
        make_run(bench.folder / "few", name, 1000, 200, ended=True)
    log = bench.folder / "few" / "one" / "events.jsonl"

    def ours(text: str) -> Moment:
        return _drawn(bench.app("few"), text)

    sides: dict[str, Side] = {
        "python -c 'import textual.app'": lambda: _process([sys.executable, "-c", "import textual.app"]),
        "rlaif-tui, first whole frame": lambda: ours("Detach"),
        "rlaif-tui, with the figures of four runs": lambda: ours("completed"),
    }
    if bench.peer:
        command = [*shlex.split(bench.peer), str(log)]
        sides[f"{bench.peer} FILE"] = lambda: _settled(Terminal(command, bench.environment, *SIZES[0]))
        sides["rlaif-tui, until it is quiet"] = lambda: _settled(bench.app("few"))
    table("First paint, 120x36", bench.in_turns(sides), "python -c 'import textual.app'")


def catching_up(bench: Bench) -> None:
    steps = (LONG_EVENTS - 2) // EVENTS_PER_STEP
    long = make_run(bench.folder / "long", "long", LONG_EVENTS, 25_000)
    short = make_run(bench.folder / "long", "short", 12, 25_000)
    program = f"import json\nfor line in open({str(long.events)!r}, 'rb'): json.loads(line)"
    with _owned(long), _owned(short):
        sides: dict[str, Side] = {
            "json.loads of each line, nothing else": lambda: _process([sys.executable, "-c", program]),
            "rlaif-tui attach, a run of 12 events": lambda: _drawn(bench.app("long", "attach", "short"), "2/25000"),
            f"rlaif-tui attach, a run of {LONG_EVENTS:,} events": lambda: _drawn(
                bench.app("long", "attach", "long"), f"{steps}/25000"
            ),
        }
        size = long.events.stat().st_size / 1e6
        title = f"Attach until figures and charts are drawn; {LONG_EVENTS:,} events are {size:.0f} MB"
        table(title, bench.in_turns(sides), "json.loads of each line, nothing else")


def streaming(bench: Bench) -> None:
    def mixed(step: int) -> Iterator[Sequence[Event]]:
        while True:
            step += 1
            yield from ([event] for event in step_events(step))

    def steps_only(step: int) -> Iterator[Sequence[Event]]:
        while True:
            step += 1
            yield [completed(step)]

    print(f"\nTrain while {EVENTS_PER_S} events a second arrive, {bench.seconds:g} s each\n")
    print("| size | events | CPU, % of a core | bytes/s |\n|---|---|---|---|")
    streams = (("a step a second", mixed), ("five steps a second", steps_only), ("none: a run that has ended", None))
    for number, size in enumerate(SIZES):
        for name, stream in streams:
            root = f"stream-{number}-{name.split()[0]}"
            run = make_run(bench.folder / root, "live", 2002, 1000, ended=stream is None)
            with _owned(run) if stream else nullcontext():
                shares = _steady(bench, root, run, size, stream(400) if stream else None)
            print(f"| {size[0]}x{size[1]} | {name} | {100 * shares[0]:.1f} | {shares[1]:,.0f} |")


def _steady(
    bench: Bench, root: str, run: RunDir, size: tuple[int, int], stream: Iterator[Sequence[Event]] | None
) -> tuple[float, float]:
    """Share of a core and bytes a second of the Train screen while these events arrive."""
    terminal, ended = bench.app(root, "attach", run.name, size=size), threading.Event()
    terminal.until("400/1000")

    def write() -> None:
        log = EventLog(run)
        while stream is not None and not ended.wait(1 / EVENTS_PER_S):
            for event in next(stream):
                log.write(event)
        log.close()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        time.sleep(SETTLE_S)
        cpu, sent, began = terminal.cpu(), terminal.bytes, time.perf_counter()
        time.sleep(bench.seconds)
        took = time.perf_counter() - began
        return (terminal.cpu() - cpu) / took, (terminal.bytes - sent) / took
    finally:
        ended.set()
        writer.join()
        terminal.close()


def data_table(bench: Bench) -> None:
    path = bench.folder / "prompts.jsonl"
    make_data(path, DATA_ROWS)
    (bench.folder / "none").mkdir()
    last = f"question {DATA_ROWS:06d}"
    found: dict[str, list[Moment]] = {}

    def note(name: str, moment: Moment, turn: int) -> None:
        if turn:
            found.setdefault(name, []).append(moment)

    for turn in range(bench.rounds + 1):
        shutil.rmtree(bench.environment["XDG_STATE_HOME"], ignore_errors=True)  # else it opens where it was left
        ours = bench.app("none")
        ours.until("Detach")
        ours.send("3")
        ours.until("No data set")
        ours.send("o")
        ours.until("enter")
        ours.send(str(path))
        ours.settled()
        ours.send("\r")
        note("rlaif-tui, first rows", ours.until("question 000001"), turn)
        note("rlaif-tui, all rows read, tokens still being counted", ours.until(f"{DATA_ROWS:,} rows"), turn)
        ours.settled(1.0)
        ours.send("\x1b[6~\x1b[6~")
        note("rlaif-tui, two pages down", ours.until("question 00006"), turn)
        ours.settled()
        ours.send("G")
        note("rlaif-tui, jump to the end", ours.until(last), turn)
        ours.close()
        peer = Terminal(
            [sys.executable, str(Path(__file__).with_name("app_peer_table.py")), str(path)], bench.environment
        )
        note("Textual's DataTable, all rows put in", peer.until("question 000001"), turn)
        peer.settled(1.0)
        peer.send("\x1b[6~\x1b[6~")
        note("DataTable, two pages down", peer.until("question 00006"), turn)
        peer.settled(1.0)
        peer.send("\x1b[1;5F")
        note("DataTable, jump to the end", peer.until(last), turn)
        peer.close()
    table(f"A table of {DATA_ROWS:,} prompts, from the key on", found, "rlaif-tui, first rows")


@contextmanager
def _owned(run: RunDir) -> Iterator[None]:
    """The run looks live: somebody holds its lock."""
    lock = RunLock(run)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _drawn(terminal: Terminal, text: str) -> Moment:
    try:
        return terminal.until(text)
    finally:
        terminal.close()


def _settled(terminal: Terminal) -> Moment:
    try:
        return terminal.settled()
    finally:
        terminal.close()


def _process(command: Sequence[str]) -> Moment:
    """A program from its start to its end."""
    began = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{shlex.join(command)} ended with {process.returncode}")
    return Moment(used.ru_utime + used.ru_stime, time.perf_counter() - began)


PARTS: dict[str, Callable[[Bench], None]] = {
    "paint": first_paint,
    "attach": catching_up,
    "stream": streaming,
    "data": data_table,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=5, help="of each measurement, besides one that is thrown away")
    parser.add_argument("--seconds", type=float, default=20.0, help="that a stream is watched")
    parser.add_argument("--peer", default="", metavar="CMD", help="another terminal app that shows a text file")
    parser.add_argument("--only", choices=PARTS, action="append", help="only this part")
    options = parser.parse_args()
    print(
        f"Python {platform.python_version()}, Textual {version('textual')}, {os.cpu_count()} CPU cores, "
        f"load {os.getloadavg()[0]:.1f}"
    )
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only or PARTS:
            PARTS[name](Bench(Path(folder), options.rounds, options.seconds, options.peer))
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
