"""The work behind the samples screen: every response of a run, found, read, rated and exported in the background."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from core.errors import RlaifError
from core.ratings import Rating, agreement, rate
from core.rollout_log import Recorded, read_rollouts
from core.run_dir import RunDir
from core.spot_checks import Asked
from core.types import JudgeResult, Rollout, RolloutMeasures

from ..background import in_background
from ..export_files import export_chosen
from ..feed import RunFeed
from ..pins import Pin, toggle
from .checks import NO_CHECKS, Checks, ChecksDesk
from .samples_rows import Row
from .samples_store import Listing, News, Query, Store
from .samples_tokens import Decode, load_decoder, pieces

if TYPE_CHECKING:
    from core.judge.workbench.resampling import Figure

_T = TypeVar("_T")
BUDGET_S = 0.4
"""How long one look reads at most, but for one whole file. It stops earlier when a person waits for something."""


@dataclass(frozen=True)
class Piece:
    """A part of a response, and the KL of its tokens in nats; None where it was not measured."""

    text: str
    kl: float | None


@dataclass(frozen=True, kw_only=True)
class Detail:
    """One response whole."""

    row: Row
    rollout: Rollout | None = None
    result: JudgeResult | None = None
    measures: RolloutMeasures | None = None
    referee: JudgeResult | None = None
    ratings: tuple[Rating, ...] = ()
    """Of every person, for this very text."""
    mine: Rating | None = None
    pieces: tuple[Piece, ...] = ()
    """The response token by token; empty where that is not known."""
    no_pieces: str = ""
    """Why not."""
    problem: str = ""


class SamplesDesk:
    """One run at a time; ``attach`` chooses it."""

    def __init__(
        self,
        *,
        budget_s: float = BUDGET_S,
        now: Callable[[], float] = time.time,
        checks: ChecksDesk | None = None,
    ) -> None:
        self._checks = checks or ChecksDesk()
        self._budget_s = budget_s
        self._now = now
        self._taking_turns = threading.Lock()
        self._waiting = 0
        self.attach(None)

    def attach(self, run: RunDir | None) -> None:
        """Forget the run before and work on this one."""
        self.run = run
        self._store = Store(run) if run else None
        self._feed = RunFeed(run, self._now) if run else None
        self._decoder: Decode | str | None = None
        self._opened: tuple[object, Recorded] | None = None

    async def refresh(self) -> News:
        """Read on, and take up what is new."""
        store = self._store
        if store is None:
            return News()

        def read() -> News:
            end = time.monotonic() + self._budget_s
            with self._taking_turns:
                return store.read(lambda: self._waiting > 0 or time.monotonic() > end)

        return await in_background(read)

    async def listing(self, query: Query) -> Listing:
        """The rows that are known now, as asked for."""
        store = self._store
        return await self._alone(lambda: store.listing(query)) if store else Listing(query=query)

    async def waiting(self) -> str:
        """Why there is no response yet, such as ``step 1 is at 12/64``; empty if that is not known."""
        feed = self._feed
        if feed is None:
            return ""
        try:
            state = await in_background(feed.poll)
        except (OSError, RlaifError):
            return ""
        if state.word in ("stopped", "crashed"):
            return f"the run {state.word} at step {state.step}"
        if state.phase_total:
            return f"step {state.phase_step} is at {state.phase_done}/{state.phase_total}"
        return "the model is loading" if state.phase == "load" and state.last_time else ""

    def export_path(self) -> Path | None:
        """A name in the run's own folder that nothing has yet."""
        if self.run is None:
            return None
        return self.run.exports / time.strftime("samples-%Y%m%d-%H%M%S.jsonl", time.localtime(self._now()))

    async def agreement(self) -> Figure | None:
        """How the person's ratings rank responses against the judge's; None if nothing is rated."""
        store = self._store
        pairs = await self._alone(store.pairs) if store else []
        return await in_background(agreement, pairs) if pairs else None

    async def checks(self) -> Checks:
        """How the judge agrees with people over the run, and whether a few fresh ratings are wanted."""
        return await self._checks.follow(self.run) if self.run is not None else NO_CHECKS

    async def fresh(self, asked: Asked) -> list[Row]:
        """The replies whose ratings are wanted, as far as they are read."""
        store = self._store
        return await self._alone(lambda: store.fresh(asked)) if store else []

    async def not_now(self, asked: Asked) -> None:
        """Do not ask again for a while. Raises ``RlaifError``."""
        if self.run is not None:
            await self._checks.not_now(self.run, asked)

    async def detail(self, row: Row) -> Detail:
        """Everything about one response, read from its file."""
        store = self._store
        if store is None or row.problem:
            return Detail(row=row, problem=row.problem)
        return await self._alone(lambda: self._detail(store, row))

    def mine(self, row: Row) -> Rating | None:
        """What this person gave this response, as far as ratings are read."""
        return self._store.mine(row) if self._store else None

    def pinned(self, row: Row) -> bool:
        """Whether the row's prompt is pinned, as far as pins are read."""
        return self._store is not None and self._store.pinned(row)

    async def toggle_pin(self, row: Row) -> bool:
        """Pin the row's prompt or let go of it; whether it is pinned now. Raises ``RlaifError``."""
        store = self._store
        if store is None:
            raise RlaifError("there is no run to pin in")
        return await self._alone(lambda: self._toggle_pin(store, row))

    def _toggle_pin(self, store: Store, row: Row) -> bool:
        try:
            rollout = self._open(store.run.rollouts(0).with_name(row.file)).rollouts.get(row.id)
        except OSError:
            rollout = None
        return toggle(store.run, Pin(row.prompt_id, rollout.prompt.text if rollout else row.prompt))

    async def rate(self, row: Row, score: float | None, note: str = "") -> None:
        """Keep what the person gives; None takes it back. Raises ``RlaifError``, then nothing was kept."""
        store = self._store
        if store is None:
            raise RlaifError("there is no run to rate in")
        await in_background(rate, store.run, row.key, score, store.me, note, text=row.text)

    async def export(self, rows: tuple[Row, ...], path: Path) -> int:
        """Write these responses to a new ``.csv`` or ``.jsonl``; returns how many. Raises ``OutputError``."""
        store = self._store
        if store is None:
            raise RlaifError("there is no run to export from")
        chosen: dict[Path, dict[str, str]] = {}
        for row in rows:
            if not row.problem:
                chosen.setdefault(store.run.rollouts(0).with_name(row.file), {})[row.id] = row.key
        ratings = store.ratings
        return await in_background(export_chosen, chosen, ratings, path)

    async def _alone(self, work: Callable[[], _T]) -> _T:
        # The store is not for several threads. They take turns in the threads themselves, because one whose result
        # nobody awaits any more still runs.
        def in_turn() -> _T:
            with self._taking_turns:
                return work()

        self._waiting += 1
        try:
            return await in_background(in_turn)
        finally:
            self._waiting -= 1

    def _detail(self, store: Store, row: Row) -> Detail:
        try:
            recorded = self._open(store.run.rollouts(0).with_name(row.file))
        except FileNotFoundError:
            return Detail(row=row, problem=f"{row.file} is gone: a rollback set it aside")
        except OSError as error:
            return Detail(row=row, problem=f"{row.file} cannot be read: {error.strerror or error}")
        rollout = recorded.rollouts.get(row.id)
        if rollout is None:
            return Detail(row=row, problem=f"{row.id} is no longer in {row.file}: a rollback set it aside")
        measures = recorded.measures.get(row.id)
        parts, why = self._pieces(store.run, rollout, measures)
        said = [rating for (key, _), rating in store.ratings.standing.items() if key == row.key]
        return Detail(
            row=row,
            rollout=rollout,
            result=recorded.results.get(row.id),
            measures=measures,
            referee=recorded.referee.get(row.id),
            ratings=tuple(rating for rating in said if rating.text in ("", row.text)),
            mine=store.mine(row),
            pieces=parts,
            no_pieces=why,
        )

    def _open(self, path: Path) -> Recorded:
        info = path.stat()
        key = path, info.st_ino, info.st_size, info.st_mtime_ns
        if self._opened is None or self._opened[0] != key:
            self._opened = key, read_rollouts(path)
        return self._opened[1]

    def _pieces(self, run: RunDir, rollout: Rollout, measures: RolloutMeasures | None) -> tuple[tuple[Piece, ...], str]:
        if measures is None:
            return (), ""
        if len(measures.kl_tokens) != len(rollout.response_tokens):
            return (), f"KL is known of {len(measures.kl_tokens)} of {len(rollout.response_tokens)} tokens"
        if self._decoder is None:
            self._decoder = load_decoder(run)
        if isinstance(self._decoder, str):
            return (), self._decoder
        found = pieces(rollout.response_tokens, self._decoder)
        if "".join(text for _, text in found) != rollout.response:
            return (), "the tokenizer there is now reads these tokens differently"
        parts, at = [], 0
        for count, text in found:
            own = measures.kl_tokens[at : at + count]
            parts.append(Piece(text, max(own, key=abs)))
            at += count
        return tuple(parts), ""
