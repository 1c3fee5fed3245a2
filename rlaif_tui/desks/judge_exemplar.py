"""A response with the person's mark as an exemplar in the text of a judge."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass

from core.errors import JudgeError

_EMPTY = re.compile(r"^exemplars[ \t]*=[ \t]*\[[ \t]*\][ \t]*(#.*)?\n?", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Exemplar:
    """What the judge will be shown."""

    task: str
    response: str
    reference: str
    score: float
    """On the judge's own scale."""
    reason: str


def with_exemplar(text: str, exemplar: Exemplar) -> str:
    """The judge's text with one more exemplar at its end, every line of it otherwise as it is.

    Raises ``JudgeError`` where it is no TOML, or names its exemplars in a way that nothing can be added to.
    """
    import tomli_w

    values = {
        "task": exemplar.task,
        "response": exemplar.response,
        **({"reference": exemplar.reference} if exemplar.reference else {}),
        "score": exemplar.score,
        "reason": exemplar.reason,
    }
    before = _EMPTY.sub("", text).rstrip("\n")
    after = f"{before}\n\n[[exemplars]]\n{tomli_w.dumps(values)}"
    try:
        added = tomllib.loads(after)["exemplars"][-1]
    except (tomllib.TOMLDecodeError, KeyError, TypeError, IndexError) as error:
        raise JudgeError(f"the exemplar cannot be added to this text: {error}") from error
    if added != values:
        raise JudgeError("the exemplar cannot be added to this text: write exemplars as [[exemplars]] tables")
    return after
