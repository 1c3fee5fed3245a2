"""Setup as it looks while it loads, while the preflight runs and after it; and what it says the judge will cost."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from shell_pilot import both_sizes, until
from test_setup_screen import Alone, opened
from textual.pilot import Pilot
from tui_logs import screen_text

from core.config_file import from_dict
from core.judge.builtin import built_in_spec
from core.judge.spec import PriceSpec
from core.judge.spec_file import dump_spec
from rlaif_tui.desks.setup import CHECKS, CheckLine, Preflight
from rlaif_tui.desks.setup_money import judge_money
from rlaif_tui.screens import setup_view
from rlaif_tui.screens.setup_words import forecast

Compare = Callable[..., bool]
SAID = (
    (0.0, "12 keys differ from their defaults; nothing contradicts"),
    (0.1, "378 rows of demo: 308 to train on, 64 held out, 0 twice; read prompt=prompt, reference=reference"),
    (0.1, "2,048 tokens; pad differs from eos; the chat template puts <|user|> before a prompt"),
    (0.1, "13 to 21 tokens, limit 64; none is cut"),
    (0.4, "demo: 0.6 M parameters, 0.1 M of them train (LoRA rank 16); float32 on cpu"),
    (0.2, "KL to the reference is 0 before training"),
    (0.3, "'A kettle is used to boil water.', ended itself after 9 tokens"),
    (1.9, "7.0 of 10 for a plain answer; 1.9 s a response, $0.00013 each, ~$0.21 for the run; chat_json 87d5d738c8d9"),
    (1.2, "one step of 32 rows; the first ratio is 1, the weights are bit-identical afterwards"),
    (0.0, "memory ~0.9 of 16 GiB, disk ~0.1 of 41 GiB, ~40 s at 1.0 s/step"),
)


def lines(count: int) -> tuple[CheckLine, ...]:
    return tuple(CheckLine(name, True, *said) for name, said in zip(CHECKS[:count], SAID, strict=False))


FAILED = CheckLine("model", False, 0.4, "demo-2 is not on the Hub", "check model.id, or log in")
PREFLIGHTS = {
    "running": (lines(7), True, ""),
    "finished": (lines(10), False, ""),
    "failed": (
        (*lines(4), FAILED, *(CheckLine(name, None, 0.0, "not made: it needs model") for name in CHECKS[5:])),
        False,
        "",
    ),
    "cancelled": (lines(3), False, "cancelled"),
}


@both_sizes
@pytest.mark.parametrize("state", list(PREFLIGHTS))
def test_preflight_looks(
    root: Path, snap_compare: Compare, size: tuple[int, int], state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup_view, "time", SimpleNamespace(monotonic=lambda: 112.0))
    app = Alone(root)

    async def put(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.view.form is not None and app.view._money == "free")
        assert app.view.form is not None
        told, running, problem = PREFLIGHTS[state]
        texts = dict(app.view.form.texts)
        app.desk._preflight = Preflight(texts, lines=told, running=running, since=100.0, problem=problem)
        await until(pilot, lambda: "not run" not in screen_text(app))

    assert snap_compare(app, terminal_size=size, run_before=put)


@both_sizes
def test_loading_looks(
    root: Path, snap_compare: Compare, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    app = Alone(root)
    never = asyncio.Event()
    monkeypatch.setattr(app.desk, "open", never.wait)

    async def loading(pilot: Pilot[None]) -> None:
        await pilot.pause()

    assert snap_compare(app, terminal_size=size, run_before=loading)


def judge_file(folder: Path, **price: float | bool) -> Path:
    spec = built_in_spec("general", provider="compatible", base_url="http://127.0.0.1:9/v1", model="small")
    path = folder / "judge.toml"
    path.write_text(dump_spec(spec.model_copy(update={"price": PriceSpec(**price)})))
    return path


def money(judge: Path | str, *settings: str) -> str:
    return judge_money(from_dict({}, [f"judge.file={judge}", "run.steps=10", *settings], source="test"))


def test_the_price_of_judging_is_known_before_anything_is_asked(tmp_path: Path) -> None:
    judge = judge_file(tmp_path, input=1.0, output=10.0)
    words = money(judge, "rollout.batch_size=20", "data.validation_prompts=0")
    low, high = (float(part.strip("~$,")) for part in words.split(", ")[0].split(" to "))
    # 200 verdicts of 400 tokens at most, at 10 dollars a million, and prompts of a few hundred to 3,000 tokens.
    assert 200 * 20 * 10e-6 < low < high
    assert 200 * 400 * 10e-6 < high < 200 * (400 * 10e-6 + 3000 * 1e-6)
    assert words.endswith(", ~20 calls a step")
    assert "stopped at the cap of $0.05" in money(judge, "judge.cap_usd=0.05")
    twice = judge_file(tmp_path, per_call=0.01)
    assert money(twice, "rollout.batch_size=20", "data.validation_prompts=0").startswith("~$2.00 to ~$2.00")
    assert "~$6.00" in money(twice, "rollout.batch_size=20", "data.validation_prompts=200")


def test_a_judge_whose_price_is_not_known_says_so(tmp_path: Path) -> None:
    assert money(judge_file(tmp_path)) == "price not known; [price] in the judge file gives it"
    assert money(judge_file(tmp_path, free=True)) == "free"
    assert money("") == "free", "the offline rules"
    assert money(tmp_path / "gone.toml") == ""


async def test_the_forecast_names_the_price_and_then_what_was_measured(root: Path, tmp_path: Path) -> None:
    judge = judge_file(tmp_path, per_call=0.01)
    async with opened(root) as (app, pilot):
        app.view._set("judge.file", str(judge))
        await until(pilot, lambda: "judge ~$" in screen_text(app))
        await pilot.press("ctrl+g")
        text = await until(pilot, lambda: "start this run" in screen_text(app))
        assert "forecast  —; ctrl+r measures memory and time; judge ~$" in text
        form = app.view.form
        assert form is not None
        done = Preflight(dict(form.texts), lines=lines(10), running=False)
        assert forecast(done, form, "~$9").endswith("1.0 s/step; judge ~$0.21 for the run")
        assert (
            forecast(Preflight(dict(form.texts), lines=lines(2)), form, "~$9")
            == "—; the preflight is under way; judge ~$9"
        )
