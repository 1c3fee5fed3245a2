"""From a judge's name or file to a judge that can be asked. The only module that knows all the parts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import JudgeError
from ..types import Judge
from .api import ApiJudge
from .asking import installation_secret
from .builtin import BUILT_IN
from .cache import JudgeCache, default_cache_path
from .capabilities import Capabilities
from .keys import default_base_url, fingerprint, key_for
from .ledger import Ledger
from .lifecycle import SOON_DAYS, ending_soon
from .rubric import RubricJudge
from .spec import JudgeSpec
from .spec_file import lint_spec, load_spec, version_of_spec
from .transport import Transport

CacheMode = Literal["rw", "replay", "off"]
API_BACKENDS = frozenset({"decisions", "systemone", "chat_logprobs", "chat_json"})


def open_spec(name_or_path: str) -> JudgeSpec:
    """The built-in judge of that name, or the one in that file. Raises ``JudgeError`` with one sentence."""
    path = Path(name_or_path).expanduser()
    if path.is_file() or path.suffix == ".toml" or "/" in name_or_path:
        return load_spec(path)
    if name_or_path in BUILT_IN:
        return BUILT_IN[name_or_path]
    raise JudgeError(f"no judge '{name_or_path}': give a judge file, or one of {', '.join(BUILT_IN)}")


@dataclass
class Links:
    """The connections of a process: judges that ask the same model with the same key share one limit."""

    wait_out_outages: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        self._known: dict[tuple[str, str, str], Transport] = {}

    def to(self, spec: JudgeSpec, key_fingerprint: str) -> Transport:
        """The connection for a judge, made when first asked for."""
        where = (spec.base_url or default_base_url(spec.provider), key_fingerprint, spec.model)
        if where not in self._known:
            self._known[where] = Transport(spec.limits, wait_out_outages=self.wait_out_outages, seed=self.seed)
        return self._known[where]


def open_judge(
    spec: JudgeSpec,
    *,
    repeats: int | None = None,
    cap_usd: float | None = None,
    cap_calls: int | None = None,
    cache: CacheMode = "rw",
    ledger: Ledger | None = None,
    links: Links | None = None,
    seed: int = 0,
) -> Judge:
    """A judge ready to be asked, from this process alone. Raises ``JudgeError`` for one that cannot work.

    ``repeats`` judges each response that often without changing the judge's version; ``ledger`` replaces one that
    lives in memory and ends with the process.
    """
    if errors := lint_spec(spec).errors:
        raise JudgeError(f"judge '{spec.name}': {errors[0]}")
    if spec.backend == "rubric":
        return rubric_judge(spec, seed)
    if spec.backend not in API_BACKENDS:
        from .hosted import HostedJudge

        return HostedJudge(spec)
    from .backends import make_backend

    links = links or Links(seed=seed)
    key = key_for(spec.provider, spec.base_url, spec.api_key_env)
    backend = make_backend(spec, key, Capabilities.of_user())
    backend.load()
    return ApiJudge(
        spec,
        version_of_spec(spec),
        backend,
        links.to(spec, fingerprint(key) if key else ""),
        ledger if ledger is not None else Ledger(None, cap_usd=cap_usd, cap_calls=cap_calls),
        installation_secret(),
        cache=None if cache == "off" else JudgeCache(default_cache_path(), cache),
        repeats=repeats,
    )


def rubric_judge(spec: JudgeSpec, seed: int) -> RubricJudge:
    """The offline rules with the weights of a judge file."""
    return RubricJudge(
        spec.weights or None,
        noise_sd=spec.noise_sd,
        delay_s=spec.delay_s,
        failure_rate=spec.failure_rate,
        seed=seed,
    )


async def ends_soon(spec: JudgeSpec, *, days: float = SOON_DAYS) -> str:
    """A sentence if the judge's model stops answering within ``days`` days; empty if not, or if nobody says."""
    if spec.backend not in API_BACKENDS:
        return ""
    from .backends import list_models

    base_url = spec.base_url or default_base_url(spec.provider)
    try:
        known = await list_models(spec, key_for(spec.provider, spec.base_url, spec.api_key_env))
    except JudgeError:
        known = []  # a server that lists no models may still judge
    return ending_soon(spec.model, known, base_url, dt.datetime.now(dt.UTC).date(), days=days) or ""
