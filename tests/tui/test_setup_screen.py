"""What a person reads and does on the way to a new run, key by key."""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from shell_pilot import both_sizes, told, until
from test_safety import HOSTILE, assert_plain
from textual.app import App
from textual.pilot import Pilot
from textual.widgets import Input
from tui_logs import T0, screen_text

from core.config_file import load_config, to_toml
from core.config_schema import keys
from core.preflight import NEEDS
from core.presets import PRESETS, preset
from core.prompts import Columns
from core.run_dir import RunDir, create
from rlaif_tui.desks.runs import RunsDesk
from rlaif_tui.desks.setup import CHECKS, Origin, SetupDesk
from rlaif_tui.desks.setup_form import check, form_keys, form_of
from rlaif_tui.screens.data import DataScreen
from rlaif_tui.screens.runs import RunsScreen
from rlaif_tui.screens.setup import SetupScreen
from rlaif_tui.screens.setup_view import KEEP_AFTER_S

Compare = Callable[..., bool]


class Alone(App[None]):
    """One setup screen; keeps the runs that it asked to see."""

    ENABLE_COMMAND_PALETTE = False

    def __init__(self, root: Path) -> None:
        super().__init__()
        self.animation_level = "none"
        self.started: list[RunDir] = []
        self.opened: list[str] = []
        runs = RunsDesk(root, now=lambda: T0)
        self.desk = SetupDesk(runs, state_dir=root.parent / "state", start=self.started.append)
        self.view = SetupScreen(self.desk)

    def on_mount(self) -> None:
        self.push_screen(self.view)

    def on_runs_screen_open_asked(self, message: RunsScreen.OpenAsked) -> None:
        self.opened.append(message.name)


@asynccontextmanager
async def opened(root: Path, size: tuple[int, int] = (120, 36)) -> AsyncIterator[tuple[Alone, Pilot[None]]]:
    app = Alone(root)
    async with app.run_test(size=size) as pilot:
        await until(pilot, lambda: app.view.form is not None)
        yield app, pilot


async def go_to(pilot: Pilot[None], path: str) -> None:
    """Put the cursor on this key with the keys."""
    view = pilot.app.view  # type: ignore[attr-defined]
    if isinstance(pilot.app.focused, Input):
        await pilot.press("escape")
    await pilot.press("g")
    for _ in keys():
        if view.memory()["key"] == path:
            return
        await pilot.press("j")
    raise AssertionError(path)


async def edit(pilot: Pilot[None], path: str, text: str) -> str:
    await go_to(pilot, path)
    await pilot.press("enter", "ctrl+u", *text)
    return screen_text(pilot.app)


async def answer(pilot: Pilot[None], text: str) -> None:
    """Give this to the question that is asked."""
    await until(pilot, lambda: isinstance(pilot.app.focused, Input))
    assert isinstance(pilot.app.focused, Input)
    pilot.app.focused.value = text
    await pilot.press("enter")


@pytest.mark.parametrize("name", list(PRESETS))
def test_a_form_is_the_configuration_it_was_filled_from(name: str) -> None:
    assert check(form_of(preset(name), "")).config == preset(name)
    assert {key.path for key in form_keys()} == set(keys())


def test_the_checks_are_those_of_the_preflight() -> None:
    assert tuple(NEEDS) == CHECKS


@pytest.mark.parametrize("text", ['"quoted"', "two\nlines", "3 # not a comment", "= x", "'a", "true"])
def test_any_text_survives_the_form(text: str) -> None:
    config = preset("demo")
    config = config.model_copy(update={"data": config.data.model_copy(update={"system_prompt": text})})
    assert check(form_of(config, "")).config == config


def test_what_is_wrong_is_told_with_the_key_to_change() -> None:
    form = form_of(preset("demo"), "")
    wrong = check(form.changed({"model.lora_rank": "0", "run.steps": "many", "rollout.cap_min": "900"})).wrong
    assert set(wrong) == {"model.lora_rank", "run.steps", "rollout.cap_min"}
    assert "whole number" in wrong["run.steps"]
    assert "ppo.mini_batch_size" in check(form.changed({"ppo.mini_batch_size": "64"})).wrong
    assert "model.quantization" in check(form.changed({"model.quantization": "nf4", "model.adapter": "full"})).wrong
    assert "run.name" in check(form.changed({"run.name": "-x"})).wrong


@both_sizes
async def test_the_first_draft_is_the_demo(root: Path, size: tuple[int, int]) -> None:
    async with opened(root, size) as (_, pilot):
        text = screen_text(pilot.app)
        for words in ("from preset demo", "max_new_tokens", "kl_coef", "preflight: not run", "model.id = demo"):
            assert words in text
        assert "warmup_fraction" not in text
        await pilot.press("A")
        await go_to(pilot, "ppo.warmup_fraction")
        assert "share of steps over which" in " ".join(screen_text(pilot.app).split())
        await pilot.press("A")
        assert "warmup_fraction" not in screen_text(pilot.app)


async def test_a_fault_stands_beside_its_field_and_keeps_a_start_away(root: Path) -> None:
    async with opened(root) as (app, pilot):
        text = await edit(pilot, "run.steps", "0")
        line = next(line for line in text.splitlines() if "steps" in line and "✗" in line)
        assert "must be: whole" in line
        assert "1 value to correct" in text
        await pilot.press("escape", "g", "ctrl+g", "ctrl+r", "ctrl+s")
        assert "run.steps = 0 is not allowed" in told(pilot)
        assert app.screen is app.view
        assert app.desk.preflight is None
        await pilot.press("g", "x")
        assert app.view.memory()["key"] == "run.steps"
        await pilot.press("d")
        assert app.view.form is not None
        assert app.view.form.texts["run.steps"] == "100"


async def test_keys_in_a_field(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await edit(pilot, "run.steps", "7")
        await pilot.press("down", "ctrl+u", "5", "up", "ctrl+u", "9", "enter")
        assert app.view.form is not None
        assert (app.view.form.texts["run.steps"], app.view.form.texts["run.seed"]) == ("9", "5")
        assert app.focused is app.view.query_one("#fields")
        await go_to(pilot, "model.quantization")
        await pilot.press("space")
        assert app.view.form.texts["model.quantization"] == "nf4"


async def test_a_draft_is_on_disk_within_a_second_and_comes_back(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await edit(pilot, "run.steps", "77")
        await until(pilot, lambda: "draft kept" in screen_text(app))
        assert KEEP_AFTER_S <= 0.5, "which leaves the disk as long"
        assert "77" in next((root.parent / "state" / "setup").glob("*.json")).read_text()
        await edit(pilot, "run.seed", "6")
    async with opened(root) as (app, _):
        assert app.view.form is not None
        assert (app.view.form.texts["run.steps"], app.view.form.texts["run.seed"]) == ("77", "6")


async def test_saving_writes_what_the_command_line_reads(root: Path) -> None:
    async with opened(root) as (_, pilot):
        await edit(pilot, "run.steps", "12")
        for _ in range(2):
            await pilot.press("ctrl+s")
            await answer(pilot, "mine.toml")
            await until(pilot, lambda: "written to" in told(pilot))
            if _ == 1:
                await until(pilot, lambda: "mine.toml exists" in screen_text(pilot.app))
                await pilot.press("r")
        assert load_config(Path("mine.toml")).run.steps == 12
        assert "# PPO steps" in Path("mine.toml").read_text()
        await pilot.press("ctrl+s")
        await answer(pilot, "none/mine.toml")
        await until(pilot, lambda: "cannot be written" in told(pilot))


async def test_a_run_begins_from_a_preset_a_run_or_a_file(root: Path) -> None:
    run = create(root, "old")
    run.config.write_text(to_toml(preset("small-full")))
    async with opened(root) as (app, pilot):
        await pilot.press("ctrl+o")
        text = await until(pilot, lambda: "begin a new run from" in screen_text(app))
        assert "zephyr-7b-qlora" in text
        assert "old" in text
        await pilot.press("G", "enter")
        await until(pilot, lambda: "from run old" in screen_text(app))
        assert "Qwen/Qwen2.5" in screen_text(app)
        origins = await app.desk.origins()
        assert [origin.kind for origin in origins].count("draft") == 1  # the demo that made room
        Path("bad.toml").write_text("[run]\nstepps = 1\n")
        await pilot.press("ctrl+o")
        await until(pilot, lambda: "begin a new run from" in screen_text(app))
        await pilot.press("enter")
        await answer(pilot, "bad.toml")
        await until(pilot, lambda: "did you mean run.steps" in told(pilot))
        assert "from run old" in screen_text(app)
        draft = next(origin for origin in origins if origin.kind == "draft")
        assert (await app.desk.begin_from(draft)).source == "preset demo"
        assert (await app.desk.begin_from(Origin("preset", "seed", ""))).texts["rollout.batch_size"] == "4"


@both_sizes
async def test_the_preflight_tells_each_check_and_can_be_cancelled(root: Path, size: tuple[int, int]) -> None:
    async with opened(root, size) as (app, pilot):
        await edit(pilot, "data.path", "gone.csv")
        await pilot.press("escape", "ctrl+r")
        await until(pilot, lambda: "1 failed" in screen_text(app))
        await pilot.press("p")
        text = await until(pilot, lambda: "FAIL data" in screen_text(app))
        assert "-> " in text
        await pilot.press("escape", "ctrl+r")
        text = await until(pilot, lambda: app.desk.preflight is not None and not app.desk.preflight.running)
        assert "cancelled" in text
        await edit(pilot, "run.steps", "3")
        assert app.desk.preflight is not None
        assert app.desk.preflight.texts["run.steps"] == "40"


async def test_start_asks_once_and_opens_the_run(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await edit(pilot, "run.name", "mine")
        await pilot.press("ctrl+g")
        text = await until(pilot, lambda: "start this run" in screen_text(app))
        for words in ("model     demo", "data      demo", "offline rules", "steps     40", "forecast  —"):
            assert words in text
        await pilot.press("escape")
        assert not app.started
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "start this run" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: bool(app.opened))
        assert app.opened == ["mine"]
        assert [run.name for run in app.started] == ["mine"]
        assert tomllib.loads((root / "mine" / "config.toml").read_text())["run"]["steps"] == 40


async def test_a_start_that_fails_is_told(root: Path) -> None:
    async with opened(root) as (app, pilot):
        await edit(pilot, "data.path", "gone.csv")
        await pilot.press("ctrl+g")
        await until(pilot, lambda: "start this run" in screen_text(app))
        await pilot.press("s")
        await until(pilot, lambda: "no such file" in told(pilot))
        assert not app.opened


async def test_data_can_be_handed_over_before_the_screen_was_shown(root: Path) -> None:
    view = SetupScreen(SetupDesk(RunsDesk(root), state_dir=root.parent / "state"))
    asked = DataScreen.UseAsked("rows.csv", Columns(prompt="q", split="part"))
    columns = {f"data.{name}_column": column for name, column in vars(asked.columns).items()}
    await view.use_data({"data.path": asked.path, **columns})
    assert view.form is not None
    assert (view.form.texts["data.path"], view.form.texts["data.prompt_column"]) == ("rows.csv", "q")


async def test_hostile_text_is_only_text(root: Path) -> None:
    async with opened(root) as (app, pilot):
        for hostile in list(HOSTILE)[::400]:
            app.view._set("data.path", hostile)
            await pilot.pause()
            assert_plain(screen_text(app))


@both_sizes
def test_looks(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    app = Alone(root)

    async def with_a_fault(pilot: Pilot[None]) -> None:
        await until(pilot, lambda: app.view.form is not None)
        await edit(pilot, "model.lora_rank", "0")
        await until(pilot, lambda: "draft kept" in screen_text(app))
        await pilot.press("escape")

    assert snap_compare(app, terminal_size=size, run_before=with_a_fault)
