"""What calls cost, to the micro-dollar. Expected figures are worked out by hand in the comments."""

from __future__ import annotations

from decimal import Decimal

import pytest

from core.judge.prices import WRAPPING_TOKENS, Price, price_of, usd, worst_case
from core.judge.spec import BackendName, JudgeSpec, PriceSpec
from core.types import Usage

LISTED = JudgeSpec(provider="openai", model="gpt-4.1")
"""$2 in, $0.50 cached, $8 out per million tokens."""
OWN = JudgeSpec(provider="compatible", base_url="http://127.0.0.1:8000/v1", model="gpt-4.1")
TABLE = PriceSpec(input=0.3, cached_input=0.03, output=1.2, per_call=0.0001)
USAGE = Usage(input_tokens=1001, cached_tokens=400, output_tokens=103, reasoning_tokens=50)


def priced(spec: JudgeSpec, price: PriceSpec) -> JudgeSpec:
    return spec.model_copy(update={"price": price})


def test_the_list_price_with_cached_tokens() -> None:
    # 601 x 2 + 400 x 0.5 + 103 x 8 = 1202 + 200 + 824 millionths of a dollar
    assert price_of(USAGE, LISTED) == Price(2226, "table")


def test_the_users_table_comes_before_the_list() -> None:
    # 601 x 0.3 + 400 x 0.03 + 103 x 1.2 + 100 = 180.3 + 12 + 123.6 + 100 = 415.9, rounded up
    assert price_of(USAGE, priced(LISTED, TABLE)) == Price(416, "user")


def test_the_providers_figure_comes_before_the_table() -> None:
    cost = Decimal("0.0000123")  # 12.3 micro-dollars
    assert price_of(USAGE, priced(LISTED, TABLE), provider_cost=cost) == Price(13, "provider")
    assert price_of(USAGE, LISTED, provider_cost=Decimal(0)) == Price(0, "provider")
    for nonsense in (Decimal("NaN"), Decimal("Infinity"), Decimal(-1)):
        assert price_of(USAGE, LISTED, provider_cost=nonsense) == Price(2226, "table")


def test_decimal_prices_are_exact() -> None:
    # 0.1 x 3 tokens = 0.3 micro-dollars: 1. A million tokens at $0.1: 100000 exactly, where binary fractions say more.
    tenth = priced(OWN, PriceSpec(input=0.1, output=0.0))
    assert price_of(Usage(input_tokens=3), tenth) == Price(1, "user")
    assert price_of(Usage(input_tokens=1_000_000), tenth) == Price(100_000, "user")
    assert price_of(Usage(input_tokens=1_000_000), priced(OWN, PriceSpec(input=1.1, output=0.0))).micros == 1_100_000


def test_cached_input_without_a_price_of_its_own_costs_as_input() -> None:
    assert price_of(USAGE, priced(OWN, PriceSpec(input=1.0, output=0.0))) == Price(1001, "user")
    free_when_cached = priced(OWN, PriceSpec(input=1.0, cached_input=0.0, output=0.0))
    assert price_of(USAGE, free_when_cached) == Price(601, "user")


def test_more_cached_than_sent_is_not_a_refund() -> None:
    odd = Usage(input_tokens=10, cached_tokens=50)
    assert price_of(odd, priced(OWN, PriceSpec(input=1.0, cached_input=0.5, output=0.0))) == Price(5, "user")
    assert price_of(odd, LISTED) == Price(5, "table")  # 10 x 0.5


def test_a_price_per_call_needs_no_usage() -> None:
    assert price_of(None, priced(OWN, PriceSpec(per_call=0.002))) == Price(2000, "user")


def test_half_a_table_is_unknown_and_not_half_the_price() -> None:
    assert price_of(USAGE, priced(LISTED, PriceSpec(input=1.0))) == Price(None, "unknown")
    assert price_of(USAGE, priced(LISTED, PriceSpec(output=1.0))) == Price(None, "unknown")
    assert price_of(None, priced(LISTED, TABLE)) == Price(None, "unknown")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "http://10.0.0.5:8000/v1", "https://example.org/v1"])
def test_a_server_nobody_lists_is_unknown_and_not_free(url: str) -> None:
    spec = OWN.model_copy(update={"base_url": url})
    assert price_of(USAGE, spec) == Price(None, "unknown")
    assert price_of(USAGE, priced(spec, PriceSpec(free=True))) == Price(0, "free")


@pytest.mark.parametrize("backend", ["local", "self", "rubric"])
def test_judges_on_this_machine_are_free(backend: BackendName) -> None:
    assert price_of(None, JudgeSpec(backend=backend)) == Price(0, "free")
    assert worst_case(10_000, 400, JudgeSpec(backend=backend)) == Price(0, "free")


def test_an_unlisted_model_and_a_missing_usage_are_unknown() -> None:
    assert price_of(USAGE, LISTED.model_copy(update={"model": "no-such-model"})) == Price(None, "unknown")
    assert price_of(None, LISTED) == Price(None, "unknown")


def test_the_model_that_answered_counts_and_the_asked_one_where_it_is_not_listed() -> None:
    cheap = price_of(USAGE, LISTED, model_returned="gpt-4.1-mini-2025-04-14")
    # 601 x 0.4 + 400 x 0.1 + 103 x 1.6 = 240.4 + 40 + 164.8 = 445.2, rounded up
    assert cheap == Price(446, "table")
    assert price_of(USAGE, LISTED, model_returned="no-such-model") == Price(2226, "table")


def test_each_provider_has_its_own_list() -> None:
    thousand = Usage(input_tokens=1000, output_tokens=100)
    anthropic = JudgeSpec(provider="anthropic", model="claude-haiku-5-5")
    gemini = JudgeSpec(provider="gemini", model="gemini-3.8-flash")
    router = JudgeSpec(provider="compatible", base_url="https://openrouter.ai/api/v1", model="openai/gpt-4o")
    assert price_of(thousand, anthropic) == Price(150, "table")  # 0.1 in, 0.5 out
    assert price_of(thousand, gemini) == Price(1125, "table")  # 0.75 in, 3.75 out
    assert price_of(thousand, gemini, model_returned="models/gemini-3.8-flash") == Price(1125, "table")
    assert price_of(thousand, router) == Price(3500, "table")  # 2.5 in, 10 out
    assert price_of(thousand, gemini.model_copy(update={"provider": "openai"})) == Price(None, "unknown")


def test_decisions_have_their_own_list_price() -> None:
    luna = JudgeSpec(backend="decisions", provider="openai", model="gpt-6-luna")
    thousand = Usage(input_tokens=1000, output_tokens=100)
    assert price_of(thousand, luna) == Price(100, "table")  # output is not charged
    assert price_of(thousand, luna.model_copy(update={"backend": "chat_json"})) == Price(150, "table")


def test_the_worst_case_bounds_every_call_it_was_made_for() -> None:
    # (1000 + 512) x 2 + 400 x 8
    assert WRAPPING_TOKENS == 512
    assert worst_case(1000, 400, LISTED) == Price(6224, "table")
    assert worst_case(1000, 400, OWN) == Price(None, "unknown")
    dear_cache = priced(OWN, PriceSpec(input=1.0, cached_input=3.0, output=2.0))
    worst = worst_case(1000, 400, dear_cache)
    assert worst == Price(1512 * 3 + 800, "user")
    most = Usage(input_tokens=1512, cached_tokens=1512, output_tokens=400)
    assert price_of(most, dear_cache) == worst


def test_dollars() -> None:
    assert usd(2226) == 0.002226
    assert usd(None) == 0.0
