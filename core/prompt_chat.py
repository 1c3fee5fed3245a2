"""Cells to chats and answers: plain text, lists of messages in both common layouts, and hh transcripts."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from .types import Message, Role

_ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human", "prompter"), "user"),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt", "chatbot"), "assistant"),
}
_TURN = re.compile(r"(?:^|\n\n)(Human|Assistant):[ ]?")
_UNUSABLE = re.compile("[\x00\ud800-\udfff]")


class CellError(ValueError):
    """A cell that makes its row unusable; the text completes 'row 7 ...'."""


class EmptyCellError(CellError):
    """A prompt that holds nothing but white space."""


def kind_of(value: Any) -> str:
    """What a cell is, in words, with its article."""
    words = {str: "text", bool: "a boolean", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return "null" if value is None else words.get(type(value), f"a {type(value).__name__}")


def chat_of(cell: Any) -> list[Any] | None:
    """The raw messages of a cell that holds a chat (a list, JSON text of one, or an hh transcript), else None."""
    if isinstance(cell, str):
        text = cell.lstrip()
        if not text.startswith(("[{", "Human:")):
            return None
        if text.startswith("[{"):
            try:
                cell = json.loads(text)
            except (ValueError, RecursionError):
                return None
        elif "\n\nAssistant:" in text:
            return _transcript(text)
    if isinstance(cell, list) and cell and all(_is_message(item) for item in cell):
        return cell
    return None


def _is_message(item: Any) -> bool:
    return isinstance(item, Mapping) and ("role" in item or "from" in item)


def _transcript(text: str) -> list[Any]:
    parts = _TURN.split(text)[1:]
    turns = [{"role": who, "content": said.strip()} for who, said in zip(parts[::2], parts[1::2], strict=True)]
    while turns and not turns[-1]["content"]:
        turns.pop()
    return turns


def parse_chat(raw: list[Any]) -> list[Message]:
    """Messages with known roles and plain text; a system message may only come first. Raises ``CellError``."""
    messages: list[Message] = []
    for position, item in enumerate(raw, start=1):
        name = item.get("role") or item.get("from")
        role = _ROLES.get(name.strip().lower()) if isinstance(name, str) else None
        if role is None:
            raise CellError(f"message {position} has the role {name!r}; known are system, user and assistant")
        if role == "system" and position > 1:
            raise CellError(f"message {position} is a system message; only the first may be one")
        messages.append(Message(role=role, content=_content(item, position)))
    return messages


def _content(item: Mapping[str, Any], position: int) -> str:
    content = item.get("content")
    content = item.get("value") if content is None else content
    if isinstance(content, list) and all(isinstance(p, Mapping) and isinstance(p.get("text"), str) for p in content):
        content = "".join(part["text"] for part in content)
    if not isinstance(content, str):
        raise CellError(f"message {position} has no text content (it is {kind_of(content)})")
    return _sound(content, f"message {position}")


def prompt_messages(cell: Any, context: Any = None) -> tuple[list[Message], bool]:
    """The chat up to its last user turn, and whether replies behind that were dropped.

    Raises ``EmptyCellError`` where there is no prompt text, ``CellError`` where the cell is no text or chat.
    """
    if cell is None:
        raise EmptyCellError("the prompt is empty")
    raw = chat_of(cell)
    if raw is None:
        if not isinstance(cell, str):
            what = "an empty list" if cell == [] else kind_of(cell)
            raise CellError(f"the prompt is {what}, not text or a list of messages")
        if not cell.strip():
            raise EmptyCellError("the prompt is empty")
        text = _sound(cell, "the prompt")
        more = answer_text(context, "the input")
        return [Message(role="user", content=f"{text}\n\n{more}" if more else text)], False
    messages = parse_chat(raw)
    size = len(messages)
    while messages and messages[-1].role == "assistant":
        messages.pop()
    if not messages or messages[-1].role != "user":
        raise CellError("the chat has no user turn to answer")
    if not messages[-1].content.strip():
        raise EmptyCellError("the last user turn is empty")
    return messages, len(messages) < size


def answer_text(cell: Any, what: str) -> str | None:
    """A reference, chosen or rejected answer as text: the last reply of a chat, a number as it was written, or None."""
    if cell is None:
        return None
    if isinstance(cell, Mapping) and _is_message(cell):
        cell = [cell]
    raw = chat_of(cell)
    if raw is not None:
        replies = [message.content for message in parse_chat(raw) if message.role == "assistant"]
        if not replies:
            raise CellError(f"{what} is a chat without a reply")
        return replies[-1]
    if type(cell) is int or (type(cell) is float and math.isfinite(cell)):
        return json.dumps(cell)
    if not isinstance(cell, str):
        raise CellError(f"{what} is {kind_of(cell)}, not text")
    return _sound(cell, what) if cell.strip() else None


def _sound(text: str, what: str) -> str:
    bad = _UNUSABLE.search(text)
    if bad is None:
        return text
    named = "a NUL byte" if bad[0] == "\0" else "bytes that are no valid text in the file's encoding"
    raise CellError(f"{what} holds {named} (at character {bad.start() + 1})")
