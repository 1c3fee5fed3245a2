"""API keys: which goes where, and that none can be read off anything."""

from __future__ import annotations

import copy
import pickle
import traceback

import msgspec
import pytest

from core.errors import JudgeError
from core.judge.keys import Secret, default_base_url, fingerprint, key_for, key_name_for, mask
from core.judge.spec import Provider

OPENAI = "canary-openai-4f9d2c77"
ANTHROPIC = "canary-anthropic-8a1b3e55"
GEMINI = "canary-gemini-0c6d9e11"
OWN = "canary-own-server-77aa22"


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    values = {"OPENAI_API_KEY": OPENAI, "ANTHROPIC_API_KEY": ANTHROPIC, "GEMINI_API_KEY": GEMINI, "OWN_KEY": OWN}
    for name, value in values.items():
        monkeypatch.setenv(name, value)


def revealed(provider: Provider, base_url: str = "", api_key_env: str = "") -> str | None:
    key = key_for(provider, base_url, api_key_env)
    return None if key is None else key.reveal()


def refusal(provider: Provider, base_url: str = "", api_key_env: str = "") -> str:
    with pytest.raises(JudgeError) as caught:
        key_for(provider, base_url, api_key_env)
    text = "".join(traceback.format_exception(caught.value))
    assert not any(key in text for key in (OPENAI, ANTHROPIC, GEMINI, OWN))
    return str(caught.value)


@pytest.mark.parametrize(
    ("provider", "base_url", "key"),
    [
        ("openai", "", OPENAI),
        ("openai-chat", "https://api.openai.com/v1", OPENAI),
        ("openai", "https://API.openai.com/v1/", OPENAI),
        ("openai", "https://eu.api.openai.com/v1", OPENAI),
        ("anthropic", "", ANTHROPIC),
        ("gemini", "", GEMINI),
        ("compatible", "https://api.openai.com/v1", OPENAI),
        ("openai", "https://api.anthropic.com", ANTHROPIC),  # by host, whatever the protocol
        ("compatible", "http://127.0.0.1:8000/v1", None),
        ("openai-chat", "http://localhost:11434/v1", None),
        ("compatible", "http://10.1.2.3:8000/v1", None),  # no key, so no secret to lose
        ("openai", "https://api.openai.com.example.org/v1", None),
        ("openai", "https://evil-api.openai.com/v1", None),
        ("openai", "https://example.org/api.openai.com", None),
        ("openai", "https://api.openai.com./v1", None),
        ("anthropic", "https://example.org", None),
    ],
)
def test_a_vendors_key_goes_to_its_own_host_only(provider: Provider, base_url: str, key: str | None) -> None:
    assert revealed(provider, base_url) == key


@pytest.mark.parametrize("base_url", ["https://example.org/v1", "http://127.0.0.1:8000/v1", "http://[::1]:8000/v1"])
def test_a_named_variable_goes_to_the_judges_own_server(base_url: str) -> None:
    assert revealed("compatible", base_url, "OWN_KEY") == OWN


def test_a_judge_file_cannot_send_a_vendors_key_elsewhere() -> None:
    assert "OPENAI_API_KEY is not sent to example.org" in refusal("openai", "https://example.org/v1", "OPENAI_API_KEY")
    assert "ANTHROPIC_API_KEY is not sent" in refusal("openai", "", "ANTHROPIC_API_KEY")
    assert revealed("openai", "http://127.0.0.1:4000/v1", "OPENAI_API_KEY") == OPENAI  # a proxy on this machine


def test_no_key_over_plain_http_to_another_machine() -> None:
    assert "plain http" in refusal("openai", "http://api.openai.com/v1")
    assert "plain http" in refusal("compatible", "http://10.1.2.3:8000/v1", "OWN_KEY")
    assert "plain http" in refusal("compatible", "http://127.0.0.1.example.org/v1", "OWN_KEY")


@pytest.mark.parametrize(
    "base_url",
    [
        "ftp://api.openai.com",
        "api.openai.com",
        "https://",
        "https://api.openai.com:port/v1",
        "https://[::1/v1",
        "https://api.openai.com\\@example.org/v1",
        "https://example.org /v1",
        "https://ex\u0430mple.org/v1",
        f"https://user:{OWN}@example.org/v1",
    ],
)
def test_an_address_that_could_mean_two_hosts_is_refused(base_url: str) -> None:
    assert refusal("compatible", base_url, "OWN_KEY").startswith("base_url ")


def test_a_missing_key_is_named_with_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert refusal("openai") == "api.openai.com needs a key: set the environment variable OPENAI_API_KEY"
    assert "ABSENT_KEY" in refusal("compatible", "https://example.org", "ABSENT_KEY")
    assert "base_url" in refusal("compatible")


@pytest.mark.parametrize(
    "value", [f"{OWN} ", f"{OWN}\n", f'"{OWN}"', f"'{OWN}'", f"{OWN}\u00e9", f"a {OWN}", f"{OWN}\r"]
)
def test_a_key_with_stray_characters_is_refused_without_showing_it(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWN_KEY", value)
    assert "OWN_KEY holds no usable key" in refusal("compatible", "https://example.org", "OWN_KEY")


def test_a_key_pasted_where_its_name_belongs_is_not_repeated() -> None:
    pasted = "sk-proj-abcDEF123456"
    assert pasted not in refusal("compatible", "https://example.org", pasted)
    google = "AIzaSyA1234567890abcdefghij"
    assert google not in refusal("compatible", "https://example.org", google)


def test_names_and_addresses() -> None:
    assert key_name_for("anthropic", "", "") == "ANTHROPIC_API_KEY"
    assert key_name_for("compatible", "http://localhost:1/v1", "") == ""
    assert key_name_for("openai", "", "OWN_KEY") == "OWN_KEY"
    assert default_base_url("openai") == default_base_url("openai-chat") == "https://api.openai.com/v1"
    assert default_base_url("compatible") == ""


def test_every_way_of_printing_a_secret_hides_it() -> None:
    secret = Secret(OWN)
    printed = [str(secret), repr(secret), f"{secret}", f"{secret:>40}", f"{secret!r}", "%s" % secret, repr([secret])]  # noqa: UP031
    printed += [repr(vars(type(secret))), repr({"key": secret}), repr(copy.deepcopy(secret)), f"{dir(secret)}"]
    assert not any(OWN in text for text in printed)
    assert str(secret) == "***"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(secret, protocol)
    with pytest.raises(TypeError):
        msgspec.json.encode(secret)
    assert not hasattr(secret, "__dict__")


def test_secrets_are_equal_by_value_and_tell_apart_by_fingerprint() -> None:
    assert Secret(OWN) == Secret(OWN)
    assert Secret(OWN) != Secret(OPENAI)
    assert Secret(OWN) != OWN
    assert len({Secret(OWN), Secret(OWN), Secret(OPENAI)}) == 2
    assert fingerprint(Secret(OWN)) == fingerprint(Secret(OWN)) != fingerprint(Secret(OPENAI))
    assert len(fingerprint(Secret(OWN))) == 16
    assert fingerprint(None) == "keyless"


def test_mask_knows_keys_by_value_also_in_an_address() -> None:
    odd = "odd/key+with=signs%9931"
    Secret(odd)
    said = mask(f"bad key {odd}, at ?key=odd%2Fkey%2Bwith%3Dsigns%259931 or {OPENAI}")
    assert said == "bad key ***, at ?key=*** or ***"
    Secret("none")  # what keyless servers are sent; masking it would eat words
    assert mask("none of these") == "none of these"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("Incorrect API key provided: sk-proj-aB3_x*****Qr9.", "Incorrect API key provided: ***"),
        ("key=sk-ant-api03-AbC-123_xyz", "key=***"),
        ("?key=AIzaSyA1234567890abc&x=1", "?key=***&x=1"),
        ("Authorization: Bearer abc.def-123", "Authorization: Bearer ***"),
        ("'authorization': 'bearer abcdef'", "'authorization': 'bearer ***'"),
        ("hf_abcdefghijKLMNOP", "***"),
        ("a task-oriented, risk-averse desk-bound reply", "a task-oriented, risk-averse desk-bound reply"),
        ("the bearer of news", "the bearer of news"),
    ],
)
def test_mask_knows_what_keys_look_like(text: str, masked: str) -> None:
    assert mask(text) == masked
