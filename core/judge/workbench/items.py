"""A file of prompts and answers to responses that can be judged: a response column, or chosen and rejected ones."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from ...errors import DataError
from ...prompt_chat import CellError, answer_text, prompt_messages
from ...prompt_columns import ColumnMap, Columns, map_columns
from ...prompt_files import Table, read_table
from ...types import JudgeRequest, Prompt

RESPONSE_NAMES = ("response", "responses", "model_response", "generated", "generation", "sample")
Role = Literal["response", "chosen", "rejected", "labelled"]
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Item:
    """One response to be judged."""

    id: str
    """Row of the file, with ``-chosen`` or ``-rejected`` behind it where a row has both."""
    prompt: str
    """Names the prompt that it answers: responses to one prompt are not independent."""
    request: JudgeRequest
    role: Role = "response"


@dataclass(frozen=True)
class Pair:
    """Two answers to one prompt of which people hold ``chosen`` to be better."""

    chosen: Item
    rejected: Item


@dataclass(frozen=True, kw_only=True)
class Items:
    """What a file offers for judging."""

    path: str
    responses: tuple[Item, ...] = ()
    pairs: tuple[Pair, ...] = ()
    tasks: tuple[str, ...] = ()
    """The prompts' texts, each once."""
    notes: tuple[str, ...] = ()
    """What was guessed about columns, and what was left out."""
    fingerprint: str = ""
    """sha256 of the file."""

    @property
    def all(self) -> tuple[Item, ...]:
        """Every response once: those of the response column, then both sides of the pairs."""
        return (*self.responses, *(item for pair in self.pairs for item in (pair.chosen, pair.rejected)))

    def sample(self, count: int, seed: int = 0) -> tuple[Item, ...]:
        """At most ``count`` responses (0: all), drawn by ``seed`` from a response column or else from whole pairs."""
        if self.responses:
            return _drawn(self.responses, count, seed)
        pairs = _drawn(self.pairs, (count + 1) // 2, seed)
        items = tuple(item for pair in pairs for item in (pair.chosen, pair.rejected))
        return items[:count] if count else items

    def sample_pairs(self, count: int, seed: int = 0) -> tuple[Pair, ...]:
        """At most ``count`` pairs (0: all), drawn by ``seed``, in the order of the file."""
        return _drawn(self.pairs, count, seed)


def _drawn(values: tuple[T, ...], count: int, seed: int) -> tuple[T, ...]:
    if count == 0 or count >= len(values):
        return values
    return tuple(values[index] for index in sorted(random.Random(seed).sample(range(len(values)), count)))


def load_items(path: str, *, columns: Columns | None = None, response_column: str = "") -> Items:
    """Read ``path`` (see ``read_table``). A row that cannot be used is left out and named in ``notes``.

    Raises ``DataError`` if the file is unreadable, a named column missing, or nothing in it is a response.
    """
    table = read_table(path)
    response = _response_column(table, response_column)
    rest = dataclasses.replace(table, frame=table.frame.drop(columns=[response])) if response else table
    mapping = map_columns(rest, columns)
    if not response and not (mapping.chosen and mapping.rejected):
        raise DataError(
            f"{path} has prompts but no responses to judge: give a file with a column 'response', or with 'chosen' and "
            "'rejected', or name the column with --response-column"
        )
    reader = _Reader(mapping, response)
    for row, cells in _rows(table, mapping, response):
        reader.add(row, cells)
    return reader.done(table, path)


def _response_column(table: Table, named: str) -> str | None:
    names = [str(name) for name in table.frame.columns]
    plain = {name.strip().casefold().replace("-", "_").replace(" ", "_"): name for name in reversed(names)}
    if not named:
        return next((plain[name] for name in RESPONSE_NAMES if name in plain), None)
    if named in names:
        return named
    listed = ", ".join(repr(name[:60]) for name in names[:20])
    raise DataError(f"{table.name} has no column {named!r}; it has {listed}")


def _rows(table: Table, mapping: ColumnMap, response: str | None) -> Iterator[tuple[int, dict[str, Any]]]:
    roles = ("prompt", "context", "reference", "chosen", "rejected", "system")
    names = {role: getattr(mapping, role) for role in roles if getattr(mapping, role) is not None}
    names |= {"response": response} if response else {}
    cells = zip(*(table.frame[name].tolist() for name in names.values()), strict=True)
    for row, values in zip(table.frame.index.tolist(), cells, strict=True):
        yield row, dict(zip(names, values, strict=True))


class _Reader:
    """Turns rows into items one by one."""

    def __init__(self, mapping: ColumnMap, response: str | None) -> None:
        self._mapping, self._response = mapping, response
        self._problems: list[str] = []
        self.responses: list[Item] = []
        self.pairs: list[Pair] = []
        self.tasks: dict[str, None] = {}

    def add(self, row: int, cells: dict[str, Any]) -> None:
        try:
            messages, _ = prompt_messages(cells["prompt"], cells.get("context"))
            answers = {role: answer_text(cells.get(role), f"the {role}") for role in _ANSWERS}
        except CellError as error:
            self._problems.append(f"row {row}: {error}")
            return
        prompt = Prompt(id=str(row), messages=tuple(messages))
        system = answers["system"] or next((m.content for m in messages if m.role == "system"), None)
        request = JudgeRequest(task=prompt.text, response="", reference=answers["reference"], system=system)
        self.tasks[prompt.text] = None
        if self._response:
            self.responses.append(_item(str(row), request, answers["response"] or "", "response"))
        if not (self._mapping.chosen and self._mapping.rejected):
            return
        chosen, rejected = answers["chosen"], answers["rejected"]
        if chosen is None or rejected is None:
            self._problems.append(f"row {row}: the {'rejected' if chosen else 'chosen'} answer is empty")
        elif chosen == rejected:
            self._problems.append(f"row {row}: chosen and rejected are the same text")
        else:
            better = _item(f"{row}-chosen", request, chosen, "chosen")
            self.pairs.append(Pair(better, _item(f"{row}-rejected", request, rejected, "rejected")))

    def done(self, table: Table, path: str) -> Items:
        if not self.responses and not self.pairs:
            first = f"; {self._problems[0]}" if self._problems else ""
            raise DataError(f"{path}: none of its rows gives a response to judge{first}")
        notes = [*self._mapping.guessed, *table.notes]
        if self._response:
            notes.insert(0, f"Column {self._response!r} is taken as the response.")
        problems = [*(f"row {p.row}: {p.what}" for p in table.problems), *self._problems]
        if problems:
            notes.append(f"{len(problems):,} rows are left out or damaged; the first: {problems[0]}.")
        return Items(
            path=path,
            responses=tuple(self.responses),
            pairs=tuple(self.pairs),
            tasks=tuple(self.tasks),
            notes=tuple(notes),
            fingerprint=table.fingerprint,
        )


_ANSWERS = ("response", "reference", "chosen", "rejected", "system")


def _item(name: str, request: JudgeRequest, response: str, role: Role) -> Item:
    return Item(id=name, prompt=request.task, request=_answering(request, response), role=role)


def _answering(request: JudgeRequest, response: str) -> JudgeRequest:
    return JudgeRequest(
        task=request.task, response=response, reference=request.reference, truncated=False, system=request.system
    )
