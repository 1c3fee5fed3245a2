"""What each token of a response reads, so that its KL can be shown where it belongs."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from core.demo import MODEL_DIR
from core.run_dir import RunDir

Decode = Callable[[Sequence[int]], str]
_BROKEN = "\ufffd"
_LONGEST_CHARACTER = 8
"""Tokens after which a replacement character is taken for what the model wrote, not for half a character."""


def load_decoder(run: RunDir) -> Decode | str:
    """A function from token ids to text, special tokens left out, or why there is none. Asks no network."""
    place = _tokenizer_file(run)
    if isinstance(place, str):
        return place
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_file(str(place))
    except Exception as error:  # noqa: BLE001 the package raises bare Exception
        return f"the tokenizer {place} cannot be read ({str(error).splitlines()[0][:120]})"
    return lambda ids: str(tokenizer.decode(list(ids), skip_special_tokens=True))


def _tokenizer_file(run: RunDir) -> Path | str:
    try:
        model = tomllib.loads(run.config.read_text(encoding="utf-8")).get("model", {})
    except (OSError, ValueError) as error:
        return f"config.toml of the run cannot be read ({str(error).splitlines()[0][:120]})"
    name = model.get("id") if isinstance(model, dict) else None
    if not isinstance(name, str) or not name:
        return "config.toml of the run names no model"
    folder = MODEL_DIR if name == "demo" else Path(name).expanduser()
    if name == "demo" or folder.is_absolute() or name.startswith("."):
        place = folder / "tokenizer.json"
        return place if place.is_file() else f"{folder} has no tokenizer.json"
    return _cached(name, str(model.get("revision") or "main"))


def _cached(name: str, revision: str) -> Path | str:
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, "tokenizer.json", revision=revision)
    except (HFValidationError, OSError):
        found = None
    return Path(found) if isinstance(found, str) else f"the tokenizer of {name} is not on this machine"


def pieces(ids: Sequence[int], decode: Decode) -> list[tuple[int, str]]:
    """(number of tokens, text) from the left; together they are the whole text.

    Tokens that make one character only together stay together. Each text is what decoding with its tokens adds to
    decoding without them, a few tokens of context before both, because decoders treat a beginning differently.
    """
    found: list[tuple[int, str]] = []
    context, start = 0, 0
    for end in range(1, len(ids) + 1):
        before, after = decode(ids[context:start]), decode(ids[context:end])
        whole = not after.endswith(_BROKEN) or end - start >= _LONGEST_CHARACTER or end == len(ids)
        if whole and after.startswith(before):
            found.append((end - start, after[len(before) :]))
            context, start = start, end
    if start < len(ids):
        found.append((len(ids) - start, decode(ids[context:])[len(decode(ids[context:start])) :]))
    return found
