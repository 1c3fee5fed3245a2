"""Single-token labels: which ids they are, how a judge's prompt becomes ids, how likely each label is to come next.

B = prompts of a forward pass, S = longest prompt in tokens, h = hidden size, V = vocabulary.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import nn

from .batch import even_parts, make_batch, micro_batches
from .errors import JudgeError
from .memory import is_out_of_memory, release_memory
from .model import Tokenizer, first_line, head_of, trunk_of
from .passes import hidden_states
from .types import Message, Role

WORD_STARTS = ("", "▁", "Ġ")
"""How vocabularies write a token: as it is, or with the space before it, as SentencePiece and byte-level BPE do."""


def label_ids(tokenizer: Tokenizer, labels: Sequence[str]) -> tuple[tuple[int, ...], ...]:
    """Of each label the ids that say it alone, with and without a space before it.

    Raises ``JudgeError`` naming a label that is no single token: its probability cannot be read from one position.
    """
    vocabulary = cast("dict[str, int]", tokenizer.hf.get_vocab())
    found: list[tuple[int, ...]] = []
    for label in labels:
        ids = {vocabulary[start + label] for start in WORD_STARTS if start + label in vocabulary}
        if not ids:
            raise JudgeError(
                f"label '{label}' is not a single token of this model's tokenizer, so its probability cannot be read; "
                "use another model, or backend = 'chat_json'"
            )
        found.append(tuple(sorted(ids)))
    return tuple(found)


def encode_chat(tokenizer: Tokenizer, messages: Sequence[Message]) -> tuple[int, ...]:
    """Ids of a chat up to where the reply begins. What stands in a message never becomes a special token.

    Where no message holds a special token's text, the ids are those of the rendered template. Else template and
    messages are tokenised apart, the messages as plain text.
    """
    hf = tokenizer.hf
    if not tokenizer.has_template:
        text = "\n\n".join(m.content for m in messages)
        return tuple(hf(text, add_special_tokens=True, split_special_tokens=True)["input_ids"])
    if not any(_says_special(hf, m.content) for m in messages):
        rendered = _render(hf, messages)
        return tuple(hf(rendered, add_special_tokens=False)["input_ids"])
    marks = {f"mark{secrets.token_hex(8)}": m.content for m in messages}
    rendered = _render(hf, [Message(m.role, mark) for m, mark in zip(messages, marks, strict=True)])
    ids: list[int] = []
    while rendered:
        at, mark = min(((rendered.find(m), m) for m in marks if m in rendered), default=(len(rendered), ""))
        ids += hf(rendered[:at], add_special_tokens=False)["input_ids"] if at else []
        if mark:
            ids += hf(marks[mark], add_special_tokens=False, split_special_tokens=True)["input_ids"]
        rendered = rendered[at + len(mark) :]
    return tuple(ids)


def check_template(tokenizer: Tokenizer, roles: Sequence[Role]) -> None:
    """Raise ``JudgeError`` unless the chat template shows a text of each of these roles once."""
    if not tokenizer.has_template:
        return
    marks = [f"mark{secrets.token_hex(8)}" for _ in roles]
    rendered = _render(tokenizer.hf, [Message(role, mark) for role, mark in zip(roles, marks, strict=True)])
    for role, mark in zip(roles, marks, strict=True):
        if (count := rendered.count(mark)) != 1:
            raise JudgeError(
                f"the chat template of this model shows the {role} text {count} times instead of once; use another "
                "model as judge"
            )


class LabelReader:
    """Probabilities of labels as the next token. Where memory runs out it goes on in smaller batches, also later."""

    def __init__(self, labels: Sequence[Sequence[int]], *, pad_id: int, batch_size: int) -> None:
        self._labels = [list(ids) for ids in labels]
        self._pad_id = pad_id
        self._size = batch_size

    @torch.no_grad()
    def read(self, model: nn.Module, prompts: Sequence[Sequence[int]]) -> list[tuple[float, ...] | None]:
        """Of each prompt the probability of every label, in order; None for one that alone is too large for memory."""
        result: list[tuple[float, ...] | None] = [None] * len(prompts)
        waiting = list(reversed(micro_batches([len(ids) for ids in prompts], self._size)))
        while waiting:
            rows = waiting.pop()
            found = self._fitting(model, [prompts[row] for row in rows])
            if found is not None:
                for row, probabilities in zip(rows, found, strict=True):
                    result[row] = probabilities
                continue
            release_memory()
            if len(rows) > 1:
                self._size = min(self._size, -(-len(rows) // 2))
                waiting.extend(reversed(even_parts(rows, self._size)))
        return result

    def _fitting(self, model: nn.Module, prompts: list[Sequence[int]]) -> list[tuple[float, ...]] | None:
        try:
            return self._forward(model, prompts)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def _forward(self, model: nn.Module, prompts: list[Sequence[int]]) -> list[tuple[float, ...]]:
        # The last token of a prompt stands as its response, so that every row ends in the last column.
        batch = make_batch(
            [ids[:-1] for ids in prompts],
            [ids[-1:] for ids in prompts],
            pad_id=self._pad_id,
            device=next(model.parameters()).device,
            side="left",
        )
        state_Bh = hidden_states(trunk_of(model), batch)[:, -1]
        head = head_of(model)
        logit_BV = head(state_Bh.to(cast("torch.Tensor", head.weight).dtype))
        # In float64: a softmax over one position per prompt costs nothing, and scores are compared to the last digit.
        probability_BV = logit_BV.double().softmax(dim=1)
        columns = [probability_BV[:, ids].sum(dim=1) for ids in self._labels]
        return [tuple(row) for row in torch.stack(columns, dim=1).tolist()]


def _says_special(hf: Any, text: str) -> bool:
    plain = hf(text, add_special_tokens=False)["input_ids"]
    return bool(plain != hf(text, add_special_tokens=False, split_special_tokens=True)["input_ids"])


def _render(hf: Any, messages: Sequence[Message]) -> str:
    """The chat as text up to the reply. A template that refuses a system turn gets one user turn with all texts."""
    turns = [{"role": m.role, "content": m.content} for m in messages]
    together = [{"role": "user", "content": "\n\n".join(m.content for m in messages)}]
    problem = ""
    for form in (turns, together):
        try:
            return cast("str", hf.apply_chat_template(form, tokenize=False, add_generation_prompt=True))
        except Exception as error:  # noqa: BLE001  Jinja templates raise what they like
            problem = first_line(error)
    raise JudgeError(f"this model's chat template refuses the judge's prompt: {problem}")
