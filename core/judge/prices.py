"""What a call costs, in whole micro-dollars rounded up: as billed, from the user's table, from list prices, or unknown.

A server of one's own is not taken to be free: ``[price] free = true`` says so.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING

from ..types import CostSource, Usage
from .keys import host_of
from .spec import JudgeSpec, PriceSpec

if TYPE_CHECKING:
    import genai_prices.types

MICROS = 1_000_000
WRAPPING_TOKENS = 512
"""Input tokens that a provider may add to a question: turn markers, the schema of the reply, its own instructions."""
_AT_HOME = frozenset({"local", "self", "rubric"})
_SELLERS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "generativelanguage.googleapis.com": "google",
}
"""Regional hosts are not among them: they may charge more than the list says."""


@dataclass(frozen=True)
class Price:
    """Micro-dollars and where they are from; None and ``unknown`` where nobody says."""

    micros: int | None
    source: CostSource


UNKNOWN = Price(None, "unknown")


def price_of(
    usage: Usage | None, spec: JudgeSpec, *, model_returned: str = "", provider_cost: Decimal | None = None
) -> Price:
    """What one call cost. The first that is known of: the provider's own figure, the user's table, the list price."""
    if spec.backend in _AT_HOME or spec.price.free:
        return Price(0, "free")
    if provider_cost is not None and provider_cost.is_finite() and provider_cost >= 0:
        return Price(_micros(provider_cost), "provider")
    if _has_table(spec.price):
        return _from_table(usage, spec.price)
    if usage is None:
        return UNKNOWN
    return _from_list(usage, spec, (model_returned, spec.model))


def worst_case(question_bytes: int, output_limit: int, spec: JudgeSpec) -> Price:
    """The most that a call can cost, known before it is sent.

    ``question_bytes``: UTF-8 length of all that is sent; a byte-level tokenizer makes at most one token of a byte.
    ``output_limit``: output tokens that can be billed. Nothing is taken to be cached.
    """
    usage = Usage(input_tokens=question_bytes + WRAPPING_TOKENS, output_tokens=output_limit)
    if _has_table(spec.price) and spec.price.cached_input is not None and spec.price.input is not None:
        dearest = max(spec.price.input, spec.price.cached_input)
        spec = spec.model_copy(update={"price": spec.price.model_copy(update={"input": dearest})})
    return price_of(usage, spec)


def usd(micros: int | None) -> float:
    """Dollars for a screen or a verdict; 0 where the price is unknown."""
    return (micros or 0) / MICROS


def _micros(dollars: Decimal) -> int:
    return int((dollars * MICROS).to_integral_value(ROUND_CEILING))


def _exact(value: float) -> Decimal:
    return Decimal(str(value))  # the figure that the user wrote, not its nearest binary fraction


def _has_table(price: PriceSpec) -> bool:
    return price.input is not None or price.output is not None or price.cached_input is not None or price.per_call > 0


def _from_table(usage: Usage | None, price: PriceSpec) -> Price:
    """``[price]`` as the user gave it. A table that lacks a price it needs gives none, rather than too low a one."""
    dollars = _exact(price.per_call)
    if price.input is not None or price.output is not None or price.cached_input is not None:
        if price.input is None or price.output is None or usage is None:
            return UNKNOWN
        cached = min(usage.cached_tokens, usage.input_tokens)
        per_cached = price.input if price.cached_input is None else price.cached_input
        dollars += (_exact(price.input) * (usage.input_tokens - cached) + _exact(per_cached) * cached) / MICROS
        dollars += _exact(price.output) * usage.output_tokens / MICROS
    return Price(_micros(dollars), "user")


def _from_list(usage: Usage, spec: JudgeSpec, names: tuple[str, ...]) -> Price:
    from genai_prices import Usage as Counted  # 0.3 s, and only judges that cost money need it

    counted = Counted(
        input_tokens=usage.input_tokens,
        cache_read_tokens=min(usage.cached_tokens, usage.input_tokens),
        output_tokens=usage.output_tokens,
    )
    for name in names:
        for seller in _sellers(spec):
            try:
                found = seller(counted, name.removeprefix("models/"))
            except (LookupError, ValueError):
                continue
            return Price(_micros(found.total_price), "table")
    return UNKNOWN


def _sellers(spec: JudgeSpec) -> Iterator[Callable[[genai_prices.Usage, str], genai_prices.types.PriceCalculation]]:
    """The price lists that the judge's server may be found in, by the seller's id or else by its address."""
    from genai_prices import calc_price

    seller = _SELLERS.get(host_of(spec.provider, spec.base_url))
    if seller is None:
        yield functools.partial(calc_price, provider_api_url=spec.base_url)
        return
    if spec.backend == "decisions":
        yield functools.partial(calc_price, provider_id=f"{seller}-decisions")
    yield functools.partial(calc_price, provider_id=seller)
