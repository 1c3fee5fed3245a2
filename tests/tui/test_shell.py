"""The shell around the screens: tabs, keys that work everywhere, settings, what is restored, faults of a screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
from shell_pilot import SIZES, both_sizes, look, press, read_until, told
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.pilot import Pilot
from textual.widgets import Input
from tui_logs import T0, ending, life, make_run, screen_text, started, write

from core.run_dir import RunDir, RunLock
from rlaif_tui import keymap, themes
from rlaif_tui.app import RlaifApp
from rlaif_tui.cli import _hoist
from rlaif_tui.memory import Memory, MemoryFile
from rlaif_tui.opening import only_live
from rlaif_tui.places import PLACES, Ground, Place
from rlaif_tui.screens.overlay import Line
from rlaif_tui.screens.view import View
from rlaif_tui.settings import Settings, load
from rlaif_tui.widgets.line import Sentence
from rlaif_tui.widgets.tabs import Head, head_line

DIGITS = "the screens, as the first line names them"


class Stand(View):
    """A screen like those of the app: it counts, it has a field, and it can be told to break."""

    AUTO_FOCUS = ""
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("x", "count", "Count", id="stand.count", tooltip="one more"),
        Binding("b", "break", "Break", id="stand.break", tooltip="break in the next poll"),
        Binding("B", "burst", "Burst", id="stand.burst", tooltip="break in this key"),
        Binding("slash", "field", "Field", key_display="/", id="stand.field", tooltip="type something"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        self.runs: list[str] = []
        self.broken = False

    def compose_body(self) -> ComposeResult:
        yield Sentence("nothing counted", id="said")
        yield Input(id="field")

    def attach(self, run: RunDir | None) -> None:
        self.runs.append(run.name if run else "")

    async def poll(self) -> None:
        if self.broken:
            raise ValueError("[bold]\x1b[31mno such luck")
        self.query_one("#said", Sentence).say(f"counted {self.count} with {self.runs[-1] or 'no run'}")

    def memory(self) -> dict[str, Any]:
        return {"count": self.count}

    def recall(self, memory: dict[str, Any]) -> None:
        self.count = int(memory["count"])

    def explain(self) -> tuple[Line, ...]:
        return (("count", "how often x was pressed"),)

    def action_count(self) -> None:
        self.count += 1

    def action_break(self) -> None:
        self.broken = not self.broken

    def action_burst(self) -> None:
        raise KeyError("burst")

    def action_field(self) -> None:
        self.query_one("#field").focus()


def _stand(_: Ground) -> View:
    return Stand()


def _nowhere(_: Ground) -> View:
    raise ImportError("no such screen here")


RUNS, TRAIN = (place for place in PLACES if place.id in ("runs", "train"))
FOUR = (RUNS, Place("data", "3", "Data", _stand), TRAIN, Place("samples", "6", "Samples", _nowhere))


def shell(root: Path, attach: RunDir | None = None, **more: Any) -> RlaifApp:
    return RlaifApp(root, attach, now=lambda: T0 + 60, places=FOUR, **more)


@pytest.fixture
def calm(root: Path) -> RunDir:
    return make_run(root, "calm", [*life(12), *ending("stopped", 12)])


@both_sizes
async def test_digits_go_to_screens_that_are_kept(root: Path, calm: RunDir, size: tuple[int, int]) -> None:
    app = shell(root)
    async with app.run_test(size=size) as pilot:
        text = await look(pilot)
        assert text.splitlines()[0] == " rlaif [1 Runs] 3 Data 5 Train 6 Samples"
        text = await press(pilot, "3")
        state = "calm ■ stopped 12/40" if size == SIZES[0] else "calm ■ 30%"
        first = text.splitlines()[0]
        assert first.split("  ")[0] == " rlaif 1 Runs [3 Data] 5 Train 6 Samples"
        assert first.endswith(f"  {state}")
        assert len(first) == size[0] - 1
        assert "counted 0 with calm" in text
        assert "counted 2 with calm" in await press(pilot, "x", "x")
        assert "1 Runs 3 Data [5 Train] 6 Samples" in await press(pilot, "5")
        assert "judge score 5.40" in screen_text(app)
        assert "counted 2 with calm" in await press(pilot, "3"), "a screen is as it was left"
        assert app.screen.runs == ["calm"]  # type: ignore[attr-defined]
        for nothing in ("2", "4", "7", "8"):
            assert "[3 Data]" in await press(pilot, nothing)
        assert told(pilot) == ""
        assert "[1 Runs]" in await press(pilot, "escape")
        assert "[1 Runs]" in await press(pilot, "escape")


async def test_a_screen_learns_of_another_run_when_it_is_shown(root: Path, calm: RunDir) -> None:
    make_run(root, "other", life(3, "other"))
    app = shell(root, calm)
    async with app.run_test(size=SIZES[1]) as pilot:
        assert "[5 Train]" in await look(pilot)
        assert "with calm" in await press(pilot, "3")
        text = await press(pilot, "1", "g")
        await press(pilot, *("j" if "╭─ calm" in text else "g"), "enter")
        assert "3/40" in await look(pilot)
        assert "with other" in await press(pilot, "3")
        assert "other" in screen_text(app).splitlines()[0]


@both_sizes
async def test_help_is_made_from_the_bindings_of_the_screen(root: Path, calm: RunDir, size: tuple[int, int]) -> None:
    app = shell(root)
    async with app.run_test(size=size) as pilot:
        for key in ("question_mark", "f1"):
            await press(pilot, "3")
            text = await press(pilot, key)
            assert "help: Data" in text
            for line in ("x              one more · stand.count", "/              type something · stand.field"):
                assert line in text
            assert f"1 to 8         {DIGITS}" in text
            text += await press(pilot, "G")
            for line in (
                ": ^p           everything, by name · app.commands",
                "l              what happened, and the worker's log · app.logs",
                "T              the next colours, kept in app.toml · app.theme",
                "m              the mouse for the app, kept in app.toml · app.mouse",
                "esc            leave a field, or go to the list of runs · app.back",
                "q              leave; runs go on · app.detach",
                "count          how often x was pressed",
            ):
                assert line in text
            assert "help: Data" not in await press(pilot, "escape")


@pytest.mark.parametrize("key", ["colon", "ctrl+p"])
@both_sizes
async def test_the_palette_has_every_action_with_its_key(
    root: Path, calm: RunDir, size: tuple[int, int], key: str
) -> None:
    app = shell(root)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        await press(pilot, "3")
        names = [command.title for command in app.get_system_commands(app.screen)]
        for name in ("Count (x)", "Field (/)", "Log (l)", "Theme (T)", "Mouse (m)", "Help (?)", "Detach (q)",
                     "Runs (1)", "Data (3)", "Train (5)", "Theme calm-light", "Theme ansi-dark"):  # fmt: skip
            assert names.count(name) == 1, names
        await pilot.press(key)
        await pilot.pause()
        await pilot.press(*"count")
        assert "one more" in await read_until(pilot, "Count (x)")
        await pilot.press("enter")
        await read_until(pilot, "counted 1 with calm")


@both_sizes
async def test_while_a_field_has_focus_printable_keys_type(root: Path, calm: RunDir, size: tuple[int, int]) -> None:
    app = shell(root)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3", "slash", *"1qlTm5?:x")
        assert app.screen.query_one("#field", Input).value == "1qlTm5?:x"
        assert "[3 Data]" in screen_text(app)
        assert "[3 Data]" in await press(pilot, "escape"), "esc leaves the field first"
        assert "[1 Runs]" in await press(pilot, "escape")


@both_sizes
async def test_theme_and_mouse_keys(root: Path, calm: RunDir, size: tuple[int, int]) -> None:
    app = shell(root)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        seen = [app.theme]
        for _ in themes.NAMES:
            await press(pilot, "T")
            seen.append(app.theme)
        assert seen == [*themes.NAMES, themes.NAMES[0]]
        assert f"theme {seen[1]}" in told(pilot)
        await press(pilot, "m")
        assert "The mouse cannot be switched in this terminal." in told(pilot)


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_leaving_says_how_to_come_back(root: Path, key: str) -> None:
    run = make_run(root, "calm", life(3))
    lock = RunLock(run)
    lock.acquire()
    app = shell(root, run)
    async with app.run_test(size=SIZES[1]) as pilot:
        await press(pilot, "3", "ctrl+c")
        assert told(pilot) == "q detaches; the run goes on. x stops it."
        await pilot.press(key)
        await pilot.pause()
    assert app.return_value == "calm goes on; rlaif-tui attach calm"
    lock.release()


async def test_a_faulty_poll_is_told_once_and_the_app_goes_on(root: Path, calm: RunDir) -> None:
    app = shell(root, calm)
    async with app.run_test(size=SIZES[1]) as pilot:
        await press(pilot, "3", "b")
        await look(pilot)
        assert told(pilot).count("This view could not be drawn (ValueError: [bold]␛[31mno such luck)") == 1
        assert "The run is not affected" in told(pilot)
        assert "[5 Train]" in await press(pilot, "5"), "other screens still work"
        assert "counted 1" in await press(pilot, "3", "b", "x"), "and it comes back once it is well"


async def test_a_faulty_key_is_told_and_the_app_goes_on(root: Path, calm: RunDir) -> None:
    app = shell(root, calm)
    async with app.run_test(size=SIZES[1]) as pilot:
        await press(pilot, "3", "B")
        assert "KeyError: 'burst'" in told(pilot)
        assert "counted 1" in await press(pilot, "x")


async def test_a_faulty_message_handler_is_told_and_the_screen_lives(root: Path, calm: RunDir) -> None:
    class Fragile(Stand):
        def on_input_submitted(self) -> None:
            raise RuntimeError("not today")

    places = (RUNS, Place("data", "3", "Data", lambda _: Fragile()))
    app = RlaifApp(root, calm, now=lambda: T0, places=places)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        await press(pilot, "3", "slash", *"hi", "enter")
        assert "RuntimeError: not today" in told(pilot)
        assert "counted 1" in await press(pilot, "escape", "x")


async def test_a_screen_that_cannot_be_built_leaves_one_where_one_is(root: Path, calm: RunDir) -> None:
    app = shell(root, calm)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        assert "[5 Train]" in await press(pilot, "6")
        assert "ImportError: no such screen here" in told(pilot)


async def test_asking_for_a_screen_that_is_not_there(root: Path, calm: RunDir) -> None:
    app = shell(root)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        assert "[1 Runs]" in await press(pilot, "n")
        assert "rlaif-tui init run.toml" in told(pilot)


@both_sizes
async def test_below_60_by_16_every_screen_is_one_sentence(root: Path, calm: RunDir, size: tuple[int, int]) -> None:
    app = shell(root, calm)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3")
        await pilot.resize_terminal(59, 15)
        await pilot.pause()
        text = " ".join((await look(pilot)).split())
        assert text == "60x16 needed, 59x15 now; rlaif-tui status works at any size"
        await pilot.resize_terminal(60, 16)
        assert "rlaif 1 [3] 5 6" in await look(pilot)


def test_tabs_shrink_and_the_name_gives_way() -> None:
    head = Head((("1", "Runs"), ("5", "Train")), "5", "a-rather-long-name-of-a-run", "● running 412/1000", "● 41%")

    def line(width: int) -> str:
        text = head_line(head, width).plain
        assert len(text) <= width
        return text

    assert line(118) == "rlaif 1 Runs [5 Train]" + "a-rather-long-name-of-a-run ● running 412/1000".rjust(96)
    assert line(78) == "rlaif 1 Runs [5 Train]" + "a-rather-long-name-of-a-run ● 41%".rjust(56)
    assert line(60) == "rlaif 1 [5]" + "a-rather-long-name-of-a-run ● 41%".rjust(49)
    assert line(36) == "rlaif 1 [5]" + "a-rather-long-na… ● 41%".rjust(25)
    assert line(20) == "rlaif 1 [5]" + "● 41%".rjust(9)
    for width in range(1, 120):
        line(width)


def test_the_run_in_view_is_named_at_80_columns_with_all_the_tabs() -> None:
    tabs = tuple((place.key, place.title) for place in PLACES)
    for state in ("● 9%", "● 41%", "✓ 100%"):
        text = head_line(Head(tabs, "5", "a-run-of-ours", "", state), 78).plain
        assert text.startswith("rlaif 1 2 3 4 [5 Train] 6 7 8 ")
        assert text.endswith(f" a-run-of-ours {state}")
    assert "[1 Runs] 2 Setup" in head_line(Head(tabs, "1"), 78).plain


# Logs


@both_sizes
async def test_the_log_over_any_screen(root: Path, size: tuple[int, int]) -> None:
    run = make_run(root, "calm", life(12))
    run.log.write_text("a warning of a library\n" + "\x1b]52;c;aGk=\x07 [bold]x[/bold]\n")
    lock = RunLock(run)
    lock.acquire()
    app = shell(root, run)
    async with app.run_test(size=size) as pilot:
        await press(pilot, "3")
        await press(pilot, "l")
        text = await look(pilot)
        assert "log: calm   events and worker.log   following" in text
        assert "␛]52;c;aGk=␇ [bold]x[/bold]" in text
        assert "15:07:13   step 10: score 5.26, KL 1.00, $0.10" in text
        text = await press(pilot, "slash", *"checkpoint")
        assert "checkpoint 10 saved, 3.0 MB in 0.4 s" in text
        assert "step 9" not in text
        assert "1 of " in text
        write(run, life(20)[-6:], at=T0 + 70)
        assert "checkpoint 20 saved" in await look(pilot), "what is added is filtered too"
        text = await press(pilot, "escape", "s")
        assert "log: calm   events   following" in text
        assert "a warning of a library" not in text
        text = await press(pilot, "s")
        assert "log: calm   worker.log" in text
        assert "a warning of a library" in text
        assert "checkpoint" not in text
        assert "not following" in await press(pilot, "f")
        assert "not following" not in await press(pilot, "f")
        assert "log: calm" not in await press(pilot, "l")
        assert "[3 Data]" in screen_text(app)
    lock.release()


async def test_the_log_follows_until_one_scrolls(root: Path) -> None:
    run = make_run(root, "calm", life(40))
    app = shell(root, run)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        await press(pilot, "l")
        assert "step 40: score" in await look(pilot)
        text = await press(pilot, "g")
        assert "started on box" in text
        assert "not following" in text
        run.log.write_text("".join(f"line {n}\n" for n in range(30)))
        assert "started on box" in await look(pilot), "what is being read stays"
        assert "line 29" in await press(pilot, "G")
        assert "not following" not in await look(pilot)


async def test_a_log_of_many_megabytes_is_read_at_its_end(root: Path) -> None:
    run = make_run(root, "calm", [started()])
    run.log.write_text("".join(f"line {n} {'x' * 90}\n" for n in range(30_000)))
    app = shell(root, run)
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        await press(pilot, "l")
        assert "line 29999 " in await look(pilot)
        text = await press(pilot, "s", "s", "g")
        assert "line 25000 " in text, "5,000 lines are kept"


async def test_a_log_that_cannot_be_read_or_is_empty_is_told(root: Path) -> None:
    run = make_run(root, "calm", [])
    app = shell(root, run)
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        await press(pilot, "l")
        assert "Nothing written yet." in await look(pilot)
        run.log.mkdir()
        assert "✗ runs/calm/worker.log: Is a directory" in await look(pilot)


# Settings and the user's keys


def settings_of(tmp_path: Path, text: str, **environment: str) -> Settings:
    file = tmp_path / "app.toml"
    file.write_text(text)
    return load(file, environment)


def test_flags_over_environment_over_file_over_defaults(tmp_path: Path) -> None:
    file = 'theme = "calm-light"\nmouse = true\n[keys]\n"runs.new" = "f5"\n'
    assert settings_of(tmp_path, file) == Settings(theme="calm-light", mouse=True, keys={"runs.new": "f5"})
    assert settings_of(tmp_path, file, RLAIF_TUI_THEME="ansi-dark").theme == "ansi-dark"
    assert settings_of(tmp_path, file, RLAIF_TUI_MOUSE="0").mouse is False
    assert settings_of(tmp_path, file, RLAIF_TUI_ASCII="yes").ascii_only is True
    assert load(tmp_path / "app.toml", {"RLAIF_TUI_ASCII": "no"}, ascii_only=True).ascii_only is True
    assert load(tmp_path / "missing.toml", {}) == Settings()
    assert settings_of(tmp_path, "[keys.runs]\nnew = 'f5'").keys == {"runs.new": "f5"}


@pytest.mark.parametrize(
    ("text", "environment", "problem"),
    [
        ('theme = "pink"', {}, "app.toml: theme = 'pink': there are calm-dark, calm-light, ansi-dark, ansi-light"),
        ("mouse = 3", {}, "app.toml: mouse = 3: true or false"),
        (
            "colour = true",
            {},
            "app.toml: colour: no such setting; there are theme, mouse, ascii, spot_check_every and keys",
        ),
        ("keys = 3", {}, "app.toml: keys: a table such as [keys]"),
        ("[keys]\n'runs.new' = 3", {}, "app.toml: keys.runs.new = 3: the name of a key, such as f5"),
        ("", {"RLAIF_TUI_MOUSE": "maybe"}, "RLAIF_TUI_MOUSE = 'maybe': true or false"),
        ("theme = ", {}, "app.toml is not TOML: Invalid value (at end of document)"),
    ],
)
def test_a_bad_setting_is_named_and_the_default_kept(
    tmp_path: Path, text: str, environment: dict[str, str], problem: str
) -> None:
    found = settings_of(tmp_path, text, **environment)
    assert found.problems == (problem,)
    assert replace(found, problems=()) == Settings()


BOUND = (
    keymap.Bound("runs.open", ("enter",)),
    keymap.Bound("runs.new", ("n",)),
    keymap.Bound("train.pause", ("space",)),
    keymap.Bound("train.go-on", ("space",)),
    keymap.Bound("train.save", ("s",)),
    keymap.Bound("app.help", ("question_mark",)),
)


def test_keys_that_work_are_taken() -> None:
    wanted = {"runs.new": "f5", "train.pause": "p, P", "app.help": "!", "train.save": "n"}
    assert keymap.check(wanted, BOUND) == (
        {"runs.new": "f5", "train.pause": "p,P", "app.help": "exclamation_mark", "train.save": "n"},
        [],
    )


@pytest.mark.parametrize(
    ("name", "key", "why"),
    [
        ("runs.gone", "f5", "no such binding; the help of each screen names them"),
        ("runs.new", "ctrl+enter", "tmux does not pass it on"),
        ("runs.new", "ctrl+b", "screen and tmux keep it for themselves"),
        ("runs.new", "alt+x", "it does not arrive over ssh and tmux"),
        ("runs.new", "tab", "it goes from pane to pane"),
        ("runs.new", "entre", "no such key"),
        ("runs.new", "enter", "enter is runs.open already"),
        ("runs.new", "?", "question_mark is app.help already"),
        ("app.help", "space", "space is train.pause already"),
        ("train.save", "space", "space is train.pause already"),
    ],
)
def test_keys_that_nobody_could_use_are_refused(name: str, key: str, why: str) -> None:
    assert keymap.check({name: key}, BOUND) == ({}, [f"keys.{name} = {key!r}: {why}"])


def test_every_key_of_the_app_passes_its_own_check() -> None:
    bound = keymap.bindings_of([place.module for place in PLACES])
    assert {"runs.open", "train.pause", "app.help", "app.screen-3"} <= {each.id for each in bound}
    here = [each for each in bound if each.scope in {"app", *(place.id for place in PLACES)}]
    for each in here:
        panes = {"tab", "shift+tab"}  # for going through panes, which is what they are kept for
        assert [key for key in set(each.keys) - panes if keymap._refusal(key)] == [], each
    everywhere = {key: each.id for each in here if each.scope == "app" for key in each.keys if key != "escape"}
    taken = [(each.id, key) for each in here if each.scope != "app" for key in each.keys if key in everywhere]
    assert taken == [], "a screen hides a key that works everywhere"


async def test_users_keys_work_and_bad_ones_are_one_message(root: Path, calm: RunDir) -> None:
    keys = {"runs.new": "f5", "runs.rename": "D", "app.help": "f6", "no.where": "f7"}
    settings = Settings(theme="calm-light", keys=keys, problems=("app.toml: colour: no such setting",))
    app = shell(root, settings=settings)
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        messages = list(app._notifications)
        assert len(messages) == 1
        assert messages[0].title == "settings not taken"
        assert messages[0].message == (
            "app.toml: colour: no such setting\n"
            "keys.runs.rename = 'D': D is runs.remove already\n"
            "keys.no.where = 'f7': no such binding; the help of each screen names them"
        )
        assert app.theme == "calm-light"
        assert "f5 New" in screen_text(app)
        await press(pilot, "f5")
        assert "rlaif-tui init run.toml" in told(pilot)
        assert "take calm out of the list" in await press(pilot, "D"), "a refused key leaves both as they were"
        text = await press(pilot, "escape", "f6")
        assert "f5             set up a new run · runs.new" in text


# What is restored


def remembered(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(file.read_text())
    return found


async def test_the_app_opens_as_it_was_left(root: Path, calm: RunDir, tmp_path: Path) -> None:
    file = tmp_path / "state" / "app.json"
    make_run(root, "other", life(2, "other"))
    app = shell(root, calm, memory=MemoryFile(file))
    async with app.run_test(size=SIZES[1]) as pilot:
        await press(pilot, "3", "x", "x", "x", "T")
        await press(pilot, "q")
    assert remembered(file)["screen"] == "data"
    assert remembered(file)["screens"]["data"] == {"count": 3}
    again = shell(root, memory=MemoryFile(file))
    async with again.run_test(size=SIZES[1]) as pilot:
        text = await look(pilot)
        assert "[3 Data]" in text
        assert "counted 3 with calm" in text
        assert again.theme == "calm-light"
    elsewhere = shell(tmp_path, memory=MemoryFile(file))
    async with elsewhere.run_test(size=SIZES[1]) as pilot:
        assert "calm" not in (await look(pilot)).splitlines()[0], "a run of another folder is not taken up"
    attached = shell(root, RunDir(root / "other"), memory=MemoryFile(file))
    async with attached.run_test(size=SIZES[1]) as pilot:
        assert "[5 Train]" in await look(pilot), "what was asked for comes before what was left"


async def test_a_run_that_is_gone_is_not_restored(root: Path, tmp_path: Path) -> None:
    file = MemoryFile(tmp_path / "app.json")
    file.save(Memory(root=str(root.absolute()), run="gone", screen="train"))
    app = shell(root, memory=MemoryFile(file.path))
    async with app.run_test(size=SIZES[1]) as pilot:
        assert "[1 Runs]" in await look(pilot)


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"screens": 3}', b'{"run": 3}', b"\xff\xfe", b"[" * 100_000])
async def test_a_broken_state_is_set_aside_and_told(root: Path, tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "app.json"
    file.write_bytes(content)
    app = shell(root, memory=MemoryFile(file))
    async with app.run_test(size=SIZES[1]) as pilot:
        assert "[1 Runs]" in await look(pilot)
        assert "is damaged; set aside as app.json.broken" in told(pilot)
    assert (tmp_path / "app.json.broken").read_bytes() == content


async def test_a_screen_that_cannot_take_up_its_state_is_told_and_works(
    root: Path, calm: RunDir, tmp_path: Path
) -> None:
    file = MemoryFile(tmp_path / "app.json")
    file.save(Memory(root=str(root.absolute()), run="calm", screen="data", screens={"data": {"other": 1}}))
    app = shell(root, memory=MemoryFile(file.path))
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        assert "counted 0 with calm" in await look(pilot)
        assert "KeyError: 'count'" in told(pilot)


def test_the_only_live_run_is_found(root: Path) -> None:
    locks = []
    assert only_live(root) is None
    for name in ("first", "second"):
        run = make_run(root, name, [started(name)])
        assert only_live(root) == (RunDir(root / "first") if locks else None)
        locks.append(RunLock(run))
        locks[-1].acquire()
    assert only_live(root) is None
    for lock in locks:
        lock.release()


def test_ascii_may_stand_behind_the_command() -> None:
    assert _hoist(["attach", "calm", "--ascii"], "--runs-dir", "--ascii") == ["--ascii", "attach", "calm"]
    assert _hoist(["set", "r", "--", "--ascii"], "--runs-dir", "--ascii") == ["set", "r", "--", "--ascii"]


# Pictures


SIZED = pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])


@SIZED
@pytest.mark.parametrize("what", ["logs", "empty", "archive", "help"])
def test_pictures(root: Path, snap_compare: Callable[..., bool], size: tuple[int, int], what: str) -> None:
    if what != "empty":
        run = make_run(root, "calm", [*life(12), *ending("crashed", 12, "out of memory in the update")])
        run.log.write_text("a warning of a library\n")
    keys = {"logs": ["l"], "empty": [], "archive": ["D"], "help": ["question_mark"]}[what]

    async def settle(pilot: Pilot[Any]) -> None:
        await look(pilot)
        await press(pilot, *keys)
        await look(pilot)

    app = shell(root)
    assert snap_compare(app, terminal_size=size, run_before=settle)
