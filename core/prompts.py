"""A file of the user's to prompts: columns mapped, bad rows left out and named, duplicates found, all of it reported.

``load_prompts`` -> ``Dataset`` -> ``drop_overlong`` -> ``split`` -> ``permutation`` of the training side per epoch.
The steps live in sibling modules (``prompt_files``, ``prompt_columns``, ``prompt_chat``, ``prompt_tokens``,
``prompt_split``); their public names are here too.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .errors import DataError
from .prompt_chat import CellError, EmptyCellError, answer_text, prompt_messages
from .prompt_columns import ColumnMap, Columns, map_columns
from .prompt_csv import Problem
from .prompt_files import Table, read_table
from .prompt_split import Side, Split, permutation, prompt_key, side_of, split
from .prompt_tokens import TokenLengths, drop_overlong, token_lengths
from .types import Message, Prompt

__all__ = [
    "ColumnMap",
    "Columns",
    "DataReport",
    "Dataset",
    "Problem",
    "Side",
    "Split",
    "Table",
    "TokenLengths",
    "drop_overlong",
    "load_prompts",
    "map_columns",
    "permutation",
    "read_table",
    "split",
    "token_lengths",
]

MAX_PROBLEMS = 1000


@dataclass(frozen=True, kw_only=True)
class DataReport:
    """What the importer saw. ``rows`` is ``usable`` + ``empty`` + rows with another problem."""

    path: str
    rows: int
    usable: int
    empty: int
    duplicates: int
    """Usable rows whose prompt repeats an earlier one, white space and case apart; they are kept."""
    columns: tuple[str, ...]
    mapping: ColumnMap
    encoding: str
    delimiter: str | None
    problems: tuple[Problem, ...]
    """In the order of the file, at most ``MAX_PROBLEMS``."""
    problem_count: int
    notes: tuple[str, ...]
    """Sentences on the file as a whole; the guesses about columns are in ``mapping.guessed``."""
    tokens: TokenLengths | None = None

    @property
    def prompt_column(self) -> str:
        return self.mapping.prompt

    @property
    def guessed(self) -> tuple[str, ...]:
        return self.mapping.guessed

    def with_tokens(self, tokens: TokenLengths) -> DataReport:
        """The same report with measured prompt lengths."""
        return dataclasses.replace(self, tokens=tokens)

    def to_json(self) -> dict[str, Any]:
        """Plain values for ``data --json``; ``tokens`` is null until measured."""
        named = dataclasses.asdict(self.mapping)
        return {
            "path": self.path,
            "rows": self.rows,
            "usable": self.usable,
            "empty": self.empty,
            "duplicates": self.duplicates,
            "columns": list(self.columns),
            **{f"{role}_column": named[role] for role in ("prompt", "context", "reference", "chosen", "rejected")},
            **{f"{role}_column": named[role] for role in ("system", "split")},
            "guessed": list(self.guessed),
            "encoding": self.encoding,
            "delimiter": self.delimiter,
            "notes": list(self.notes),
            "problem_count": self.problem_count,
            "problems": [{"row": problem.row, "what": problem.what} for problem in self.problems],
            "tokens": self.tokens.to_json() if self.tokens else None,
        }


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """The usable prompts of one file, in its order."""

    prompts: tuple[Prompt, ...]
    report: DataReport
    fingerprint: str
    """sha256 of the file's bytes, to notice a changed file on resume."""
    split_labels: dict[str, Side] | None = None
    """Side of each prompt by its id, where the file has a complete ``split`` column."""
    rows: tuple[int, ...] = ()
    """Number of the row in the file that each prompt comes from."""


def load_prompts(
    path: str, *, columns: Columns | None = None, system_prompt: str | None = None, max_rows: int = 0
) -> Dataset:
    """Read ``path`` (see ``read_table``) and turn its rows into prompts.

    ``system_prompt`` goes before rows that bring none, in their messages or the system column. A row with an empty
    prompt, a wrong type, NUL bytes or undecodable bytes is left out and becomes a problem. ``max_rows`` above 0: only
    the first rows are used. Raises ``DataError`` if the file is unreadable, a named column missing or no row usable.
    """
    table = read_table(path)
    if max_rows > 0:
        table = table.head(max_rows)
    mapping = map_columns(table, columns)
    builder = _Builder(mapping, system_prompt or "")
    for row, cells in _rows(table, mapping):
        builder.add(row, cells)
    problems = sorted([*table.problems, *builder.problems], key=lambda problem: problem.row)
    rows = len(table.frame) + len(table.skipped)
    if not builder.prompts:
        first = f"; the first problem, row {problems[0].row}: {problems[0].what}" if problems else ""
        raise DataError(f"{path}: none of its {rows:,} rows gives a prompt (column {mapping.prompt!r}){first}")
    labels, label_note = builder.split_labels()
    report = DataReport(
        path=path,
        rows=rows,
        usable=len(builder.prompts),
        empty=builder.empty,
        duplicates=len(builder.prompts) - len(builder.keys),
        columns=tuple(str(name) for name in table.frame.columns),
        mapping=mapping,
        encoding=table.encoding,
        delimiter=table.delimiter,
        problems=tuple(problems[:MAX_PROBLEMS]),
        problem_count=len(problems),
        notes=(*table.notes, *builder.notes(), *label_note),
    )
    return Dataset(
        prompts=tuple(builder.prompts),
        report=report,
        fingerprint=table.fingerprint,
        split_labels=labels,
        rows=tuple(builder.rows),
    )


def _rows(table: Table, mapping: ColumnMap) -> Iterator[tuple[int, dict[str, Any]]]:
    """Row number and cell by role."""
    roles = ("prompt", "context", "reference", "chosen", "rejected", "system", "split")
    names = {role: getattr(mapping, role) for role in roles if getattr(mapping, role) is not None}
    cells = zip(*(table.frame[name].tolist() for name in names.values()), strict=True)
    for row, values in zip(table.frame.index.tolist(), cells, strict=True):
        yield row, dict(zip(names, values, strict=True))


class _Builder:
    """Turns rows into prompts one by one and counts what happens to them."""

    def __init__(self, mapping: ColumnMap, system_prompt: str) -> None:
        self._mapping = mapping
        self._system_prompt = system_prompt if system_prompt.strip() else ""
        self._ids: set[str] = set()
        self._sides: list[Side | None] = []
        self._replies_dropped = 0
        self.prompts: list[Prompt] = []
        self.keys: set[str] = set()
        self.problems: list[Problem] = []
        self.rows: list[int] = []
        self.empty = 0

    def add(self, row: int, cells: dict[str, Any]) -> None:
        try:
            prompt = self._prompt(row, cells)
        except CellError as error:
            self.empty += isinstance(error, EmptyCellError)
            self.problems.append(Problem(row, str(error)))
            return
        self._ids.add(prompt.id)
        self.keys.add(prompt_key(prompt))
        self.prompts.append(prompt)
        self.rows.append(row)
        self._sides.append(side_of(cells.get("split")))

    def _prompt(self, row: int, cells: dict[str, Any]) -> Prompt:
        messages, dropped = prompt_messages(cells["prompt"], cells.get("context"))
        system = answer_text(cells.get("system"), "the system prompt") or self._system_prompt
        if system and messages[0].role != "system":
            messages = [Message(role="system", content=system), *messages]
        answers = {
            name: answer_text(cells.get(name), f"the {name} answer") for name in ("reference", "chosen", "rejected")
        }
        self._replies_dropped += dropped and not self._mapping.prompt_in_chosen
        name = _hash(messages)
        return Prompt(id=f"{name}-{row}" if name in self._ids else name, messages=tuple(messages), **answers)

    def notes(self) -> list[str]:
        if not self._replies_dropped:
            return []
        where = f"in {self._replies_dropped:,} of {len(self.prompts):,} prompts"
        return [f"A reply at the end of a chat is dropped ({where}): a prompt ends with the user's turn."]

    def split_labels(self) -> tuple[dict[str, Side] | None, tuple[str, ...]]:
        """Sides by prompt id, or None with a sentence where the split column cannot be used."""
        column = self._mapping.split
        if column is None:
            return None, ()
        unknown = self._sides.count(None)
        if unknown or len(set(self._sides)) != 2:
            why = f"{unknown:,} of {len(self._sides):,} rows name no side" if unknown else "it names only one side"
            return None, (f"Column {column!r} is not used ({why}); a seeded split is made.",)
        sides = {prompt.id: side for prompt, side in zip(self.prompts, self._sides, strict=True) if side}
        return sides, (f"Column {column!r} says which rows train and which validate.",)


def _hash(messages: list[Message]) -> str:
    text = json.dumps([[message.role, message.content] for message in messages])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
