"""Reading a data file in steps: its first rows, all of them, their tokens, and what only all together can tell.

Everything here blocks; ``DataDesk`` calls it in the background.
"""

from __future__ import annotations

import dataclasses
import gc
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from core.demo import PROMPTS_CSV
from core.errors import DataError, RlaifError
from core.prompt_split import Side, prompt_key, split
from core.prompts import Columns, Dataset, load_prompts
from core.run_dir import RunDir

from .data_model import Reader
from .data_rows import BUILT_IN, Listing, Source, entries_of, measured

HEAD_ROWS = 200
HEAD_BYTES = 1 << 18
"""Of a file that is longer than this, the first rows are read before the rest."""
CHUNK = 1024
_LINE_FILES = {".csv", ".tsv", ".tab", ".jsonl", ".ndjson"}
DATA_FILES = frozenset({*_LINE_FILES, ".json", ".parquet"})


def read_source(run: RunDir) -> Source:
    """The data of a run. Raises ``RlaifError`` where its configuration cannot be read."""
    from core.config_file import load_config

    config = load_config(run.config)
    data = config.data
    return Source(
        path=data.path,
        columns=Columns(
            prompt=data.prompt_column,
            reference=data.reference_column,
            chosen=data.chosen_column,
            rejected=data.rejected_column,
            system=data.system_column,
        ),
        system_prompt=data.system_prompt,
        model=config.model.id,
        revision=config.model.revision,
        max_prompt_tokens=data.max_prompt_tokens,
        max_new_tokens=config.rollout.max_new_tokens,
        validation_fraction=data.validation_fraction,
        validation_prompts=data.validation_prompts,
        max_rows=data.max_rows,
        seed=data.seed,
    )


def read_head(source: Source) -> Listing | None:
    """The first rows of a long file of lines; None where it is short, or its beginning alone makes no sense."""
    place = Path(source.path).expanduser()
    if source.path == BUILT_IN or place.suffix.lower() not in _LINE_FILES:
        return None
    try:
        with place.open("rb") as file:
            begin = file.read(HEAD_BYTES + 1)
        if len(begin) <= HEAD_BYTES:
            return None
        with tempfile.TemporaryDirectory() as folder:
            part = Path(folder) / f"head{place.suffix}"
            part.write_bytes(_whole_rows(begin, quoted=not place.suffix.lower().endswith(("jsonl", "ndjson"))))
            rows = min(HEAD_ROWS, source.max_rows or HEAD_ROWS)
            dataset = load_prompts(
                str(part), columns=source.columns, system_prompt=source.system_prompt or None, max_rows=rows
            )
    except (OSError, ValueError, RlaifError):  # the whole file will say better what is wrong
        return None
    report = dataclasses.replace(dataset.report, notes=())  # they speak of the part
    return dataclasses.replace(listing_of(source, dataclasses.replace(dataset, report=report)), is_head=True)


def _whole_rows(begin: bytes, *, quoted: bool) -> bytes:
    """``begin`` up to the last line end at which no quote is open."""
    end = begin.rfind(b"\n")
    while quoted and end > 0 and begin.count(b'"', 0, end) % 2:
        end = begin.rfind(b"\n", 0, end)
    return begin[: end + 1]


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage collection meanwhile, and none of what was made later: nothing here has cycles, and a collection over
    a million live objects would hold up the keyboard for a third of a second, again and again.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


@_uncollected()
def read_whole(source: Source) -> Dataset:
    """All prompts of a source. Raises ``DataError``."""
    path = str(PROMPTS_CSV) if source.path == BUILT_IN else source.path
    dataset = load_prompts(path, columns=source.columns, system_prompt=source.system_prompt or None)
    count = source.max_rows
    if not count or count >= len(dataset.prompts):
        return dataset
    note = f"Only the first {count:,} usable rows are used (data.max_rows)."
    report = dataclasses.replace(dataset.report, usable=count, notes=(*dataset.report.notes, note))
    return dataclasses.replace(dataset, prompts=dataset.prompts[:count], rows=dataset.rows[:count], report=report)


@_uncollected()
def listing_of(source: Source, dataset: Dataset) -> Listing:
    """Rows before anything is counted."""
    report = dataclasses.replace(dataset.report, path=source.path)
    entries = entries_of(dataset.prompts, dataset.rows, report.problems)
    first: dict[str, int] = {}
    repeats = []
    for entry in entries:
        number = first.setdefault(prompt_key(entry.prompt), entry.number) if entry.prompt else entry.number
        repeats.append(0 if number == entry.number else number)
    return Listing(
        source=source,
        report=report,
        fingerprint=dataset.fingerprint,
        entries=entries,
        repeats=tuple(repeats),
        limit=source.max_prompt_tokens,
    )


def lengths_of(reader: Reader, listing: Listing, start: int) -> list[int | None]:
    """Tokens of the ``CHUNK`` rows from ``start`` on."""
    part = listing.entries[start : start + CHUNK]
    counted = iter(reader.count([entry.prompt for entry in part if entry.prompt is not None]))
    return [None if entry.prompt is None else next(counted) for entry in part]


@_uncollected()
def finish(listing: Listing, dataset: Dataset, reader: Reader | str, lengths: list[int | None]) -> Listing:
    """Add what can only be told of all rows: the split, special tokens in texts, what to know of the model."""
    source, limit = listing.source, listing.limit
    notes = [f"No tokens are counted: {reader}."] if isinstance(reader, str) else [reader.note] if reader.note else []
    if isinstance(reader, Reader) and reader.positions:
        room = reader.positions - source.max_new_tokens
        if room < limit:
            limit = max(1, room)
            notes.append(f"{source.model} reads {reader.positions:,} tokens, so {limit:,} are left for a prompt.")
    refused = sum(length is None and listing.entries[at].prompt is not None for at, length in enumerate(lengths))
    if refused:
        notes.append(f"The chat template of {source.model} refuses {refused:,} prompts; a run would stop there.")
    counted = dataclasses.replace(measured(listing, lengths), limit=limit)
    sides, problem = _sides(counted, dataset)
    return dataclasses.replace(
        counted,
        sides=sides,
        specials=_with_specials(counted, reader),
        notes=(*notes, *([problem] if problem else [])),
        done=True,
    )


def _sides(listing: Listing, dataset: Dataset) -> tuple[tuple[Side | None, ...], str]:
    """Train or validation per entry, as a run would split them, or why it cannot."""
    source = listing.source
    prompts = [
        entry.prompt
        for at, entry in enumerate(listing.entries)
        if entry.prompt is not None and not listing.is_too_long(at)
    ]
    if not prompts:
        return (), f"Every prompt is over {listing.limit:,} tokens; raise data.max_prompt_tokens."
    wanted = min(source.validation_prompts, max(1, round(source.validation_fraction * len(prompts))))
    if not wanted or not (source.validation_fraction or dataset.split_labels):
        halves: dict[str, Side] = {prompt.id: "train" for prompt in prompts}
    else:
        try:
            made = split(
                prompts,
                validation_fraction=source.validation_fraction,
                validation_rows=wanted,
                seed=source.seed,
                labels=dataset.split_labels,
            )
        except DataError as error:
            return (), str(error)
        halves = {prompt.id: "train" for prompt in made.train}
        halves |= {prompt.id: "validation" for prompt in made.validation}
    return tuple(halves.get(entry.prompt.id) if entry.prompt else None for entry in listing.entries), ""


def _with_specials(listing: Listing, reader: Reader | str) -> frozenset[int]:
    if isinstance(reader, str):
        return frozenset()
    search = reader.specials.search
    return frozenset(
        at
        for at, entry in enumerate(listing.entries)
        if entry.prompt is not None and any(search(message.content) for message in entry.prompt.messages)
    )
