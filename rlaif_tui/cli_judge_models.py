"""``rlaif-tui judge models``: what an account offers, and until when."""

from __future__ import annotations

import asyncio
import datetime as dt
from typing import Annotated, Any

import typer

from core.errors import JudgeError
from core.judge.backends import list_models
from core.judge.endpoint import ModelInfo
from core.judge.keys import default_base_url, key_for
from core.judge.lifecycle import End, end_of, ending_soon
from core.judge.open import API_BACKENDS, open_spec
from core.judge.spec import JudgeSpec, Provider

from .cli_common import USAGE, Json, complain, refuse, say, say_json
from .text import one_line, pad

_PROVIDERS: dict[str, Provider] = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "compatible": "compatible",
}
_WIDEST = 60


def models(
    judge: Annotated[
        str, typer.Argument(metavar="[JUDGE.toml]", help="Use this judge's provider, address and key.")
    ] = "",
    provider: Annotated[
        str, typer.Option("--provider", help="openai, anthropic, gemini or compatible (needs --base-url).")
    ] = "",
    base_url: Annotated[str, typer.Option("--base-url", help="Address of the server.")] = "",
    api_key_env: Annotated[
        str, typer.Option("--api-key-env", help="Name of the environment variable that holds the key.")
    ] = "",
    as_json: Json = False,
) -> None:
    """List the models that an account offers, with the day on which they end.

    \b
    Examples:
      rlaif-tui judge models
      rlaif-tui judge models judge.toml
      rlaif-tui judge models --provider compatible --base-url http://127.0.0.1:8000/v1 --json
    """
    spec = _account(judge, provider, base_url, api_key_env)
    found = asyncio.run(list_models(spec, key_for(spec.provider, spec.base_url, spec.api_key_env)))
    address = spec.base_url or default_base_url(spec.provider)
    rows = [(model, end_of(model, address)) for model in sorted(found, key=lambda m: m.id)]
    warning = ending_soon(spec.model, found, address, dt.datetime.now(dt.UTC).date()) if spec.model else None
    if as_json:
        say_json({"models": [_object(*row) for row in rows], "judge": spec.model, "warning": warning})
    else:
        _table(rows, spec)
    if warning:
        complain(f"warning: {warning}")


def _account(judge: str, provider: str, base_url: str, api_key_env: str) -> JudgeSpec:
    """Whose models to list: the judge's, with what the options replace."""
    if provider and provider not in _PROVIDERS:
        refuse(f"--provider {provider}: choose one of {', '.join(_PROVIDERS)}", USAGE)
    spec = open_spec(judge) if judge else JudgeSpec()
    if spec.backend not in API_BACKENDS:
        raise JudgeError(f"judge '{spec.name}' ({spec.backend}) asks no server, so there are no models to list")
    changed: dict[str, Any] = {}
    if provider and provider != spec.provider:  # another provider has another address and another key
        changed = {"provider": _PROVIDERS[provider], "base_url": "", "api_key_env": "", "model": ""}
    if base_url:
        changed |= {"base_url": base_url, "api_key_env": ""}
        if not judge and not provider:
            changed["provider"] = "compatible"
    if api_key_env:
        changed["api_key_env"] = api_key_env
    return spec.model_copy(update=changed)


def _object(model: ModelInfo, end: End | None) -> dict[str, Any]:
    source = None if end is None else "announced" if end.announced else "api"
    return {
        "id": model.id,
        "display": model.display,
        "shutdown": None if end is None else end.day.isoformat(),
        "source": source,
    }


def _table(rows: list[tuple[ModelInfo, End | None]], spec: JudgeSpec) -> None:
    if not rows:
        say("the server lists no models")
        return
    width = min(_WIDEST, max(len("MODEL"), *(len(model.id) for model, _ in rows)))
    say(f"  {pad('MODEL', width)}  ENDS")
    for model, end in rows:
        mark = "*" if model.id == spec.model else " "
        when = "" if end is None else f"{end.day}{' (announced)' if end.announced else ''}"
        say(f"{mark} {pad(one_line(model.id), width)}  {when}".rstrip())
    if spec.model and all(model.id != spec.model for model, _ in rows):
        complain(f"warning: the server does not list the judge's model {one_line(spec.model)}")
