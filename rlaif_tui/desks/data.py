"""The work behind the data screen: files listed, read, counted and exported in the background."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from core.files import write_atomic
from core.run_dir import RunDir
from core.types import Prompt

from ..background import in_background
from ..clipboard import copy_text
from .data_model import Reader, load_reader
from .data_read import CHUNK, finish, lengths_of, listing_of, read_head, read_source, read_whole
from .data_rows import Listing, Query, Source, measured, report_json, select

_NEWS_S = 0.4


@dataclass(frozen=True)
class Seen:
    """A prompt as the model will see it."""

    text: str
    specials: tuple[str, ...]
    """The model's special tokens in it."""
    by: str
    """Whose chat template was applied; empty: none was."""
    note: str = ""


@dataclass(frozen=True)
class Item:
    """A name in a folder."""

    name: str
    is_folder: bool
    size: int = 0
    modified: float = 0.0


@dataclass(frozen=True)
class Folder:
    """What is in a folder; hidden names are left out."""

    path: str
    items: tuple[Item, ...]
    problem: str = ""


class DataDesk:
    """Reads data files. Every method leaves the event loop free."""

    def __init__(self, exports: Path | None = None) -> None:
        self._exports = exports
        self._readers: dict[tuple[str, str], Reader | str] = {}

    async def source(self, run: RunDir | None, opened: Source | None) -> Source | None:
        """The data of the run in view; or what was opened, read as the run would. None: there is neither.

        Raises ``RlaifError`` where the configuration of the run cannot be read.
        """
        if run is None:
            return opened
        own = await in_background(read_source, run)
        return replace(own, path=opened.path, columns=opened.columns, max_rows=0) if opened else own

    async def load(self, source: Source) -> AsyncIterator[Listing]:
        """What is known of the data, more each time; the last one is ``done``. Raises ``DataError``."""
        head = await in_background(read_head, source)
        if head is not None:
            yield head
        dataset = await in_background(read_whole, source)
        listing = await in_background(listing_of, source, dataset)
        yield listing
        reader = await self._reader(source)
        lengths: list[int | None] = []
        if isinstance(reader, Reader):
            async for lengths in self._count(reader, listing):
                yield await in_background(measured, listing, lengths)
        yield await in_background(finish, listing, dataset, reader, lengths)

    async def _count(self, reader: Reader, listing: Listing) -> AsyncIterator[list[int | None]]:
        lengths: list[int | None] = []
        said = time.monotonic()
        for start in range(0, len(listing.entries), CHUNK):
            lengths += await in_background(lengths_of, reader, listing, start)
            if time.monotonic() - said > _NEWS_S:
                said = time.monotonic()
                yield lengths
        yield lengths

    async def select(self, listing: Listing, query: Query) -> Sequence[int]:
        """Indices of the wanted rows in order."""
        return await in_background(select, listing, query)

    async def see(self, source: Source, prompt: Prompt) -> Seen:
        """The prompt after the chat template of the model."""
        reader = await self._reader(source)
        return await in_background(seen_by, reader, prompt)

    async def folder(self, path: str) -> Folder:
        """What is in a folder, folders first."""
        return await in_background(read_folder, path)

    async def export(self, listing: Listing, run: RunDir | None) -> Path:
        """Write the import report as JSON; returns where. Raises ``OSError``."""
        return await in_background(_export, listing, self.exports(run))

    async def copy(self, text: str, run: RunDir | None, write_osc52: Callable[[str], None]) -> str:
        """Copy a text; returns the sentence that says where it went."""
        return await copy_text(text, folder=self.exports(run), write_osc52=write_osc52)

    def exports(self, run: RunDir | None) -> Path:
        """Folder for what is written here: the run's, else the one given, else the user's."""
        if run is not None:
            return run.exports
        if self._exports is not None:
            return self._exports
        import platformdirs

        return Path(platformdirs.user_data_dir("rlaif-tui")) / "exports"

    async def _reader(self, source: Source) -> Reader | str:
        key = (source.model, source.revision)
        if key not in self._readers:
            self._readers[key] = await in_background(load_reader, *key)
        return self._readers[key]


def seen_by(reader: Reader | str, prompt: Prompt) -> Seen:
    """See ``DataDesk.see``; blocking."""
    plain = "\n\n".join(message.content for message in prompt.messages)
    if isinstance(reader, str):
        return Seen(plain, (), "", f"plain text: {reader}")
    try:
        text = reader.text(prompt)
    except Exception as error:  # noqa: BLE001 templates raise what they like
        return Seen(plain, (), "", f"the chat template refuses this prompt: {error}")
    specials = tuple(dict.fromkeys(reader.specials.findall(text)))
    return Seen(text, specials, reader.model if reader.render else "", reader.note)


def read_folder(path: str) -> Folder:
    """See ``DataDesk.folder``; blocking."""
    place = Path(path).expanduser()
    items: list[Item] = []
    try:
        place = place.resolve()
        for entry in place.iterdir():
            if entry.name.startswith("."):
                continue
            try:
                is_folder, about = entry.is_dir(), entry.stat()
            except OSError:  # a link to nowhere
                continue
            items.append(Item(entry.name, is_folder, about.st_size, about.st_mtime))
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        return Folder(str(place), (), f"{place} cannot be listed: {reason}")
    return Folder(str(place), tuple(sorted(items, key=lambda item: (not item.is_folder, item.name.casefold()))))


def _export(listing: Listing, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    name = Path(listing.source.path).stem or "data"
    file = folder / f"{name[:80]}-report.json"
    write_atomic(file, json.dumps(report_json(listing), ensure_ascii=True, indent=2).encode())
    return file
