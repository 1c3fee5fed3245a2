"""``judge cache``: what the judge's kept answers amount to, and dropping them."""

from __future__ import annotations

import datetime
import sys
from typing import Annotated

import typer

from core.judge.cache import CacheStats, JudgeCache, default_cache_path

from .cli_common import OK, USAGE, Json, complain, refuse, say, say_json


def cache(
    clear: Annotated[
        bool, typer.Option("--clear", help="Drop the kept answers; they would have to be paid for again.")
    ] = False,
    older_than: Annotated[
        int | None, typer.Option("--older-than", metavar="DAYS", min=0, help="With --clear: only those this old.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before clearing.")] = False,
    as_json: Json = False,
) -> None:
    """Show how much is in the cache of judgements and what it has saved, or clear it.

    \b
    Examples:
      rlaif-tui judge cache
      rlaif-tui judge cache --clear --older-than 90
    """
    if older_than is not None and not clear:
        refuse("--older-than says what to clear; give it with --clear", USAGE)
    kept = JudgeCache(default_cache_path(), "rw" if clear else "replay")
    try:
        before = kept.stats()
        cleared = _clear(kept, before, older_than, yes=yes, as_json=as_json) if clear else 0
        after = kept.stats()
    finally:
        kept.close()
    for warning in kept.warnings:
        complain(f"rlaif-tui: {warning}")
    if as_json:
        say_json(_object(after) | {"cleared": cleared})
    elif clear:
        say(f"{cleared:,} of {before.entries:,} judgements cleared; {_size(after.bytes)} are left in {after.path}")
    else:
        _show(after)


def _clear(kept: JudgeCache, stats: CacheStats, older_than: int | None, *, yes: bool, as_json: bool) -> int:
    if not yes:
        if as_json or not _at_terminal():
            refuse("nothing was cleared: say --yes where nobody can be asked", USAGE)
        which = "all" if older_than is None else f"those older than {older_than} days of the"
        if not typer.confirm(f"Clear {which} {stats.entries:,} judgements in {stats.path}?", err=True):
            complain("nothing was cleared")
            raise typer.Exit(OK)
    return kept.clear(older_than)


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stderr.isatty()


def _show(stats: CacheStats) -> None:
    say(f"cache: {stats.path}")
    if not stats.entries:
        say("no judgements are kept yet")
    else:
        say(f"{stats.entries:,} judgements, {_size(stats.bytes)}, from {_day(stats.oldest)} to {_day(stats.newest)}")
    say(f"used {stats.hits:,} times, which saved ${stats.saved_usd:,.2f}")


def _object(stats: CacheStats) -> dict[str, object]:
    return {
        "path": str(stats.path),
        "entries": stats.entries,
        "bytes": stats.bytes,
        "hits": stats.hits,
        "saved_usd": stats.saved_usd,
        "oldest": _day(stats.oldest),
        "newest": _day(stats.newest),
    }


def _day(moment: float | None) -> str | None:
    """The local date, as ISO writes it."""
    return None if moment is None else datetime.datetime.fromtimestamp(moment).date().isoformat()


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB" if count >= 1e6 else f"{count / 1e3:,.1f} kB"
