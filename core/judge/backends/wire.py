"""One connection to one server: an official SDK builds, signs and sends; the reply's JSON is read here.

The SDKs' own parsing loses a billed call's usage where a value surprises it, returns HTML as text, and has no limit on
size; so they are asked for the raw response. Their retries are off: the transport has its own.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..endpoint import CallError, ModelInfo
from ..faults import BodyTooLargeError, call_error_from
from ..keys import Secret, default_base_url, key_name_for
from ..spec import JudgeSpec

if TYPE_CHECKING:
    import httpx2

MAX_BODY_BYTES = 8 << 20
_MAX_PAGES = 20
_HALF_CHARACTER = re.compile(r"\\u[dD][89a-fA-F]")
_OWN_HOSTS = ("api.openai.com", "api.anthropic.com")
_FOREIGN_ORGANISATION = ("openai-organization", "openai-project", "anthropic-workspace-id")


class Wire:
    """Posts JSON and gives back JSON, or raises ``CallError``. The client is made when first used."""

    def __init__(self, spec: JudgeSpec, key: Secret | None, http_client: httpx2.AsyncClient | None = None) -> None:
        self.base_url = spec.base_url or default_base_url(spec.provider)
        self._spec = spec
        self._key = key
        self._given = http_client
        self._client: Any = None
        self._key_name = key_name_for(spec.provider, spec.base_url, spec.api_key_env)

    @property
    def what(self) -> str:
        """The judge in a sentence."""
        return f"{self._spec.model or 'judge'} at {urlsplit(self.base_url).netloc}"

    async def post(self, path: str, body: dict[str, Any], timeout_s: float) -> tuple[dict[str, Any], str]:
        """The reply's JSON object and the request's id at the provider."""
        import httpx2

        try:
            async with asyncio.timeout(timeout_s):
                response: httpx2.Response = await self._sdk().post(
                    path, cast_to=httpx2.Response, body=body, options={"timeout": self._patience(timeout_s)}
                )
            reply = object_in(response.content)
        except Exception as error:
            raise self.error_from(error) from error
        return reply, response.headers.get("x-request-id") or response.headers.get("request-id") or ""

    async def models(self) -> list[ModelInfo]:
        """What the account offers, with the day on which a model ends where the API says so."""
        found: list[ModelInfo] = []
        query: dict[str, str] = {"limit": "100"} if self._spec.provider == "anthropic" else {}
        for _ in range(_MAX_PAGES):
            page = await self._page(query)
            found += [_model_of(entry) for entry in page.get("data") or () if isinstance(entry, dict)]
            last = page.get("last_id")
            if not page.get("has_more") or not isinstance(last, str) or query.get("after_id") == last:
                break
            query["after_id"] = last
        return [model for model in found if model.id]

    async def _page(self, query: dict[str, str]) -> dict[str, Any]:
        import httpx2

        self.load()
        path = "/v1/models" if self._spec.provider == "anthropic" else "/models"
        patience = self._spec.limits.attempt_timeout_s
        try:
            async with asyncio.timeout(patience):
                response: httpx2.Response = await self._sdk().get(
                    path, cast_to=httpx2.Response, options={"timeout": self._patience(patience), "params": query}
                )
            return object_in(response.content)
        except Exception as error:
            raise self.error_from(error) from error

    def error_from(self, error: Exception) -> CallError:
        return call_error_from(error, what=self.what, key_name=self._key_name)

    def load(self) -> None:
        """Import the SDK and make its client, a second or more of work that must not count as the server's."""
        self._sdk()

    async def close(self) -> None:
        if self._client is not None:
            await self._client.close()
            self._client = None

    def _patience(self, timeout_s: float) -> httpx2.Timeout:
        import httpx2

        return httpx2.Timeout(timeout_s, connect=min(timeout_s, self._spec.limits.connect_timeout_s))

    def _sdk(self) -> Any:
        """The SDK's client. Address and key are always passed: left out, it would take others from the environment."""
        if self._client is None:
            key = self._key.reveal() if self._key else "none"
            http_client = self._given or _http_client(self._spec.limits.max_concurrency)
            common: dict[str, Any] = {
                "api_key": key,
                "base_url": self.base_url,
                "max_retries": 0,
                "http_client": http_client,
            }
            if self._spec.provider == "anthropic":
                import anthropic

                self._client = anthropic.AsyncAnthropic(**common)
            else:
                import openai

                self._client = openai.AsyncOpenAI(**common)
        return self._client


def object_in(data: bytes) -> dict[str, Any]:
    """The JSON object of a reply. Raises ``ValueError`` (no UTF-8, no JSON, cut, NaN) or ``BodyTooLargeError``."""
    if len(data) > MAX_BODY_BYTES:
        raise BodyTooLargeError
    text = data.decode("utf-8")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", 0) from None
    if not isinstance(found, dict):
        raise json.JSONDecodeError("not an object", "", 0)
    return _whole(found) if _HALF_CHARACTER.search(text) else found


def _refuse_constant(name: str) -> float:
    raise json.JSONDecodeError(f"{name} is not JSON", "", 0)


def _whole(value: Any) -> Any:
    """Replace halves of characters, which JSON can hold and UTF-8 cannot."""
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case list():
            return [_whole(v) for v in value]
        case dict():
            return {_whole(k): _whole(v) for k, v in value.items()}
        case _:
            return value


def _http_client(connections: int) -> httpx2.AsyncClient:
    """No redirects (a key must not follow one), a cap on the reply's size, no organisation for foreign hosts."""
    import httpx2

    async def bare(request: httpx2.Request) -> None:
        if request.url.host not in _OWN_HOSTS:
            for name in _FOREIGN_ORGANISATION:
                request.headers.pop(name, None)

    async def capped(response: httpx2.Response) -> None:
        response.stream = _capped_stream(response.stream)

    return httpx2.AsyncClient(
        follow_redirects=False,
        headers={"accept-encoding": "identity"},  # so that the cap holds for what is unpacked, too
        limits=httpx2.Limits(max_connections=connections, max_keepalive_connections=connections),
        event_hooks={"request": [bare], "response": [capped]},
    )


def _capped_stream(stream: Any) -> Any:
    import httpx2

    class Capped(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            read = 0
            async for chunk in stream:
                read += len(chunk)
                if read > MAX_BODY_BYTES:
                    raise BodyTooLargeError
                yield chunk

        async def aclose(self) -> None:
            await stream.aclose()

    return Capped()


def _model_of(entry: dict[str, Any]) -> ModelInfo:
    ends = entry.get("shutdown_date") or entry.get("retires_at") or ""
    name, display = entry.get("id"), entry.get("display_name")
    return ModelInfo(
        id=name.removeprefix("models/") if isinstance(name, str) else "",  # Gemini's list has the prefix, calls do not
        shutdown=ends[:10] if isinstance(ends, str) else "",
        display=display if isinstance(display, str) else "",
    )
