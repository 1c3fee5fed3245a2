"""Which column is the prompt, which the reference answer, and so on: as the user named them, or guessed and told."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from .errors import DataError
from .prompt_chat import chat_of
from .prompt_files import Table

_PROMPT = (
    *("prompt", "prompts", "instruction", "instructions", "question", "questions", "messages", "conversation"),
    *("conversations", "query", "input", "text", "user", "user_prompt", "user_input", "human", "problem", "task"),
)
_REFERENCE = (
    *("reference", "reference_answer", "answer", "target", "output", "completion"),
    *("ground_truth", "solution", "expected"),
)
_SYSTEM = ("system", "system_prompt", "system_message")
_LOOKED_AT = 200


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Column names the user gave; an empty one is guessed."""

    prompt: str = ""
    reference: str = ""
    chosen: str = ""
    rejected: str = ""
    system: str = ""
    split: str = ""


@dataclass(frozen=True, kw_only=True)
class ColumnMap:
    """Column of each role, as named in the file, or None."""

    prompt: str
    context: str | None = None
    """Alpaca's ``input``, put under the instruction where it is not blank."""
    reference: str | None = None
    chosen: str | None = None
    rejected: str | None = None
    system: str | None = None
    split: str | None = None
    prompt_in_chosen: bool = False
    """The prompt is what stands before the last reply in ``chosen`` (the layout of Anthropic's hh)."""
    guessed: tuple[str, ...] = ()
    """One sentence per guess."""


def map_columns(table: Table, explicit: Columns | None = None) -> ColumnMap:
    """Give the columns of ``table`` their roles. Names are compared without case, outer spaces, and ``-`` for ``_``.

    An optional column is guessed only if its cells look right. Raises ``DataError`` for a named column that does not
    exist, with the nearest one and all there are, and where no column can be the prompt.
    """
    named = explicit or Columns()
    finder = _Finder(table)
    prompt = finder.named(named.prompt) if named.prompt else finder.guess("prompt", _PROMPT, _is_prompt)
    chosen = finder.named(named.chosen) if named.chosen else finder.guess("chosen answer", ("chosen",), _is_answer)
    rejected = (
        finder.named(named.rejected) if named.rejected else finder.guess("rejected answer", ("rejected",), _is_answer)
    )
    in_chosen = prompt is None and chosen is not None and _all(finder.sample(chosen), _is_chat)
    if in_chosen:
        prompt = chosen
        finder.guesses.append(
            f"There is no prompt column; the prompt is what comes before the last reply in {chosen!r}."
        )
    if prompt is None:
        prompt = finder.last_resort()
    context = None
    if not named.prompt and _plain(prompt) in {"instruction", "instructions"}:
        context = finder.guess("the instruction's input, put under it", ("input",), _is_answer)
    reference = (
        finder.named(named.reference) if named.reference else finder.guess("reference answer", _REFERENCE, _is_answer)
    )
    return ColumnMap(
        prompt=prompt,
        context=context,
        reference=reference,
        chosen=chosen,
        rejected=rejected,
        system=finder.named(named.system) if named.system else finder.guess("system prompt", _SYSTEM, _is_text),
        split=finder.named(named.split) if named.split else finder.guess("split", ("split",), _is_text),
        prompt_in_chosen=in_chosen,
        guessed=tuple(finder.guesses),
    )


def _plain(name: str) -> str:
    return name.strip().casefold().replace("-", "_").replace(" ", "_")


class _Finder:
    """Looks columns up by name, keeps what it guessed, and gives no column two roles."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._by_plain: dict[str, str] = {}
        for name in table.frame.columns:
            self._by_plain.setdefault(_plain(name), name)
        self._taken: set[str] = set()
        self.guesses: list[str] = []

    def named(self, name: str) -> str:
        found = name if name in self._table.frame.columns else self._by_plain.get(_plain(name))
        if found is None:
            near = difflib.get_close_matches(_plain(name), list(self._by_plain), n=1, cutoff=0.5)
            hint = f"; did you mean {self._by_plain[near[0]]!r}?" if near else "."
            raise DataError(f"{self._table.name} has no column {name!r}; it has {self._listed()}{hint}")
        self._taken.add(found)
        return found

    def guess(self, role: str, names: Sequence[str], fits: Callable[[Any], bool]) -> str | None:
        for plain in names:
            name = self._by_plain.get(plain)
            if name is not None and name not in self._taken and _all(self.sample(name), fits):
                self._taken.add(name)
                self.guesses.append(f"Column {name!r} is taken as the {role.removeprefix('the ')}.")
                return name
        return None

    def last_resort(self) -> str:
        """A column with a prompt's name but the wrong cells (its rows will say why), or the only column there is."""
        names = list(self._table.frame.columns)
        known = next((self._by_plain[plain] for plain in _PROMPT if plain in self._by_plain), None)
        if known is not None and known not in self._taken:
            self._taken.add(known)
            self.guesses.append(f"Column {known!r} is taken as the prompt.")
            return known
        if len(names) == 1 and names[0] not in self._taken:
            self._taken.add(names[0])
            self.guesses.append(f"The only column, {names[0]!r}, is taken as the prompt; the first line must name it.")
            return str(names[0])
        raise DataError(
            f"{self._table.name}: no column looks like the prompt; it has {self._listed()}; "
            f"name one of them with data.prompt_column"
        )

    def sample(self, name: str) -> list[Any]:
        cells = self._table.frame[name].iloc[:_LOOKED_AT].tolist()
        return [cell for cell in cells if cell is not None and not (isinstance(cell, str) and not cell.strip())]

    def _listed(self) -> str:
        names = [repr(str(name)[:60]) for name in self._table.frame.columns]
        return ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")


def _all(cells: list[Any], fits: Callable[[Any], bool]) -> bool:
    """Most of the cells fit, and there is one: single bad rows must not hide a column."""
    return bool(cells) and sum(map(fits, cells)) > len(cells) / 2


def _is_text(cell: Any) -> bool:
    return isinstance(cell, str)


def _is_chat(cell: Any) -> bool:
    return chat_of(cell) is not None


def _is_prompt(cell: Any) -> bool:
    return isinstance(cell, str) or _is_chat(cell)


def _is_answer(cell: Any) -> bool:
    return (isinstance(cell, str | int | float) and not isinstance(cell, bool)) or _is_chat(cell)
