"""What a person reads of their data, key by key."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from shell_pilot import both_sizes, words_in
from test_safety import HOSTILE, assert_plain
from textual import events
from textual.app import App
from textual.pilot import Pilot
from tui_logs import make_run, screen_text

from core.prompts import Columns
from rlaif_tui.background import in_background
from rlaif_tui.clipboard import copy_text
from rlaif_tui.desks.data import DataDesk
from rlaif_tui.desks.data_model import Reader, load_reader
from rlaif_tui.desks.data_read import lengths_of, read_head
from rlaif_tui.desks.data_rows import Listing, Source, histogram
from rlaif_tui.screens.data import DataScreen
from rlaif_tui.screens.data_pick import size_text
from rlaif_tui.screens.prompt_card import PromptList
from rlaif_tui.widgets.histogram import bars, spark

SIZES = [(120, 36), (80, 24)]
Compare = Callable[..., bool]
ROWS = (
    ("What is a third of 96?", "32"),
    ("Why is the sky blue?", "Air bends blue light more."),
    ("  what IS a third of 96? ", "32"),  # repeats the first
    ("   ", "nothing"),  # empty
    ("Say </s> twice.", "no"),  # holds a special token of the demo model
    ("long " * 600, "no"),  # over 512 tokens
    ("Give two uses of a paper clip.", "It holds sheets."),
)


class Alone(App[None]):
    ENABLE_COMMAND_PALETTE = False

    def __init__(self, screen: DataScreen) -> None:
        super().__init__()
        self.animation_level = "none"
        self.data = screen
        self.used: list[tuple[str, Columns]] = []

    def on_mount(self) -> None:
        self.push_screen(self.data)

    def on_data_screen_use_asked(self, message: DataScreen.UseAsked) -> None:
        self.used.append((message.path, message.columns))


def write_rows(path: Path, rows: tuple[tuple[str, ...], ...] = ROWS, head: str = "prompt,answer") -> Path:
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file).writerows([head.split(","), *rows])
    return path


@pytest.fixture
def prompts(root: Path) -> Path:
    """A file with one row of each fault, in a folder of its own."""
    folder = root.parent / "data"
    folder.mkdir()
    return write_rows(folder / "prompts.csv")


def alone(path: str = "", exports: Path | None = None, **more: Any) -> Alone:
    screen = DataScreen(DataDesk(exports), **more)
    if path:
        screen.open(path)
    return Alone(screen)


async def look(pilot: Pilot[Any]) -> str:
    """Let everything be read that is under way, and read the screen."""
    app = pilot.app
    assert isinstance(app, Alone)
    for _ in range(3):
        await app.data.poll()
        await pilot.pause()
        await asyncio.wait_for(app.workers.wait_for_complete(), 60)
    await pilot.pause()
    return screen_text(app)


async def press(pilot: Pilot[Any], *keys: str) -> str:
    await pilot.press(*keys)
    return await look(pilot)


def unbroken(pilot: Pilot[Any], selector: str) -> str:
    """What is read there without blanks: a path is broken where the line ends, elsewhere on each machine."""
    return words_in(pilot, selector).replace(" ", "")


def told(pilot: Pilot[Any]) -> str:
    """What the newest toast says."""
    return [toast.message for toast in pilot.app._notifications][-1]


def numbers(text: str) -> list[int]:
    """Numbers of the rows in the list."""
    lines = [line.replace("▸", " ").split() for line in text.splitlines()[3:]]
    return [int(line[0].replace(",", "")) for line in lines if len(line) > 2 and line[0].replace(",", "").isdigit()]


@both_sizes
async def test_every_row_says_what_it_is(prompts: Path, size: tuple[int, int]) -> None:
    app = alone(str(prompts))
    async with app.run_test(size=size) as pilot:
        text = await look(pilot)
        lines = {number: line for line in text.splitlines()[3:] for number in numbers("\n\n\n" + line)}
        assert numbers(text) == [2, 3, 4, 5, 6, 7, 8]
        assert "prompts.csv  6 rows, 1 twice, 1 empty" in text
        # Row 5 is empty, 6 holds a special token, 7 is too long, 4 repeats 2.
        assert "4 warnings" in text
        assert "✗ the prompt is empty" in lines[5]
        assert "! same as row 2 · what IS" in lines[4]
        assert "! holds special tokens of the model" in lines[6]
        assert "! over 512 tokens: is dropped" in lines[7]
        assert lines[7].split()[2] == "!", "a row that is dropped is on no side"
        # 5 prompts are short enough; a tenth of them, at least 1, is held out, repeats together.
        assert "4 train, 1 validation" in text
        sides = [lines[number].split()[2 + lines[number].startswith("▸")] for number in (2, 3, 4, 6, 8)]
        assert sorted(sides) == ["train"] * 4 + ["valid"]
        assert sides[0] == sides[2]
        if size[0] == 120:
            assert "row 2 " in text
            assert "as demo sees it" in text
            assert "<|user|>⏎" in text
            assert "What is a third of 96?</s>⏎" in text
            assert "tokens per prompt" in text
            assert "over 512: dropped" in text
        else:
            assert "as demo sees it" not in text, "the list only"
            assert "tokens p50" in text


async def test_filter_order_find_and_back(prompts: Path) -> None:
    app = alone(str(prompts))
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        text = await press(pilot, "f")
        assert (numbers(text), "1 of 7: repeated" in text) == ([4], True)
        assert numbers(await press(pilot, "f")) == [5]
        assert numbers(await press(pilot, "f")) == [7]
        assert numbers(await press(pilot, "f")) == [6]
        training = numbers(await press(pilot, "f"))
        validation = numbers(await press(pilot, "f"))
        assert sorted(training + validation) == [2, 3, 4, 6, 8]
        assert len(validation) == 1
        assert "all rows" in await press(pilot, "f")

        text = await press(pilot, "o")
        assert "longest first" in text
        assert (numbers(text)[0], numbers(text)[-1]) == (7, 5), "a row without tokens comes last"
        text = await press(pilot, "o")
        assert "shortest first" in text
        assert numbers(text)[-2:] == [7, 5]
        assert "first" not in (await press(pilot, "o")).splitlines()[2]

        await press(pilot, "slash", *"third of")
        text = screen_text(app)
        assert numbers(text) == [2, 4], "case and typed keys do no other thing"
        assert "esc Leave field" in text.splitlines()[-1]
        text = await press(pilot, "escape")
        assert "2 of 7: with “third of”" in text
        assert "j" not in app.data._query.find
        text = await press(pilot, "j")
        assert "▸       4" in text
        text = await press(pilot, "slash", *"zebra", "enter")
        assert "0 of 7: with “zebra”" in text, "typing takes the place of what was looked for before"
        text = await press(pilot, "escape")
        assert numbers(text) == [2, 3, 4, 5, 6, 7, 8]
        text = await press(pilot, "slash", *"it holds", "enter")
        assert numbers(text) == [8], "answers are searched too"


@both_sizes
async def test_full_text_warnings_copy_export_and_use(
    prompts: Path, root: Path, monkeypatch: pytest.MonkeyPatch, size: tuple[int, int]
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    exports = root.parent / "exports"
    app = alone(str(prompts), exports)
    async with app.run_test(size=size) as pilot:
        await look(pilot)
        text = await press(pilot, "j", "enter")
        assert "As demo sees it" in text
        assert "<|assistant|>" in text
        assert "Air bends blue light more." in text
        await press(pilot, "escape")
        text = " ".join((await press(pilot, "w")).replace("│", " ").split())
        assert "Column 'prompt' is taken as the prompt." in text
        assert "1 row repeats an earlier prompt" in text
        assert "1 row is over 512 tokens and will be dropped." in text
        assert "row 5 the prompt is empty" in text
        await press(pilot, "escape")

        await press(pilot, "y")
        seen = "<|user|>\nWhy is the sky blue?</s>\n<|assistant|>\n"
        assert (exports / "last-copy.txt").read_text() == seen
        assert app.clipboard == seen
        assert told(pilot).startswith("copied to the terminal's clipboard, if it allows that; whole in ")

        await press(pilot, "e")
        report = json.loads((exports / "prompts-report.json").read_text())
        assert "prompts-report.json" in told(pilot)
        assert (report["rows"], report["usable"], report["duplicates"], report["empty"]) == (7, 6, 1, 1)
        assert (report["over_limit"], report["training_rows"], report["validation_rows"]) == (1, 4, 1)
        assert report["tokens_with_template"]["counted"] == 6

        await press(pilot, "u")
        assert app.used == [(str(prompts.absolute()), Columns())]
        assert "prompts.csv is set down for the next run." in told(pilot)
        assert app.data.memory()["next_path"] == str(prompts.absolute())


async def test_no_data_the_sample_and_the_picker(prompts: Path) -> None:
    (prompts.parent / ".hidden.csv").write_text("prompt\nhidden\n")
    (prompts.parent / "notes.md").write_text("no data")
    (prompts.parent / "more").mkdir()
    app = alone()
    async with app.run_test(size=SIZES[1]) as pilot:
        text = await look(pilot)
        assert "No data set. o opens a file or a Hub name, d the built-in sample." in text
        assert text.splitlines()[-1] == " o Open  d Sample"
        for key in ("u", "c", "slash", "f", "w", "y", "e", "r", "p", "enter", "G", "escape"):
            assert "No data set" in await press(pilot, key), key
        text = await press(pilot, "d")
        assert "built-in sample  378 rows" in text
        assert "308 train, 70 validation" in text

        text = await press(pilot, "p")
        assert "data/" in text
        await press(pilot, *"data/")
        text = screen_text(app)
        assert "prompts.csv" in text
        assert "hidden" not in text
        places = [text.index(name) for name in ("more/", "prompts.csv", "notes.md")]
        assert places == sorted(places), "folders and data first"
        text = await press(pilot, *"mpt")
        assert "prompts.csv" in text
        assert "notes.md" not in text
        await press(pilot, "escape")
        assert "built-in sample" in screen_text(app), "esc changes nothing"
        await press(pilot, "p", *"data/", "down", "up", "down", "enter")
        assert "prompts.csv  6 rows" in await look(pilot)
        text = await press(pilot, "p", "up", "up", "enter")
        assert "data/" in text, "two dots lead up"
        await press(pilot, "escape")
        await press(pilot, "p", *"nowhere/x.csv")
        assert "cannotbelisted:Nosuchfileordirectory" in unbroken(pilot, "#frame")
        await press(pilot, "enter")
        assert "x.csvdoesnotexist;checkthepath.popensanotherfile." in unbroken(pilot, "#problem")
        await press(pilot, "p", *"hf://owner/x.csv", "enter")
        text = " ".join((await look(pilot)).split())
        assert "a Hub file is written hf://datasets/owner/name/file.parquet" in text
        assert "p opens another file." in text


async def test_another_column_is_the_prompt(prompts: Path) -> None:
    app = alone(str(prompts))
    async with app.run_test(size=SIZES[0]) as pilot:
        await look(pilot)
        text = await press(pilot, "c")
        assert "prompt (guessed)" in text
        assert "answer (guessed)" in text
        text = await press(pilot, "enter")
        assert "which column is the prompt?" in text
        assert "guess by its name" in text
        assert "which column is what?" in await press(pilot, "escape")
        text = await press(pilot, "enter", "G", "enter")
        assert "prompt=answer" in text
        assert "Air bends blue light more." in text
        await press(pilot, "u")
        assert app.used[0][1] == Columns(prompt="answer")
        assert "prompt=answer" in await press(pilot, "c", "escape")
        assert "prompt=prompt" in await press(pilot, "c", "enter", "g", "enter")


async def test_the_run_in_view_comes_first_and_an_opened_file_can_be_left(root: Path, prompts: Path) -> None:
    run = make_run(root, "calm", [])
    run.config.write_text(
        f'[data]\npath = "{prompts.absolute()}"\nreference_column = "answer"\nmax_prompt_tokens = 15\n'
    )
    other = make_run(root, "other", [])
    app = alone()
    async with app.run_test(size=SIZES[0]) as pilot:
        app.data.attach(run)
        text = await look(pilot)
        assert "prompts.csv" in text
        assert "! over 15 tokens: is dropped" in text
        app.data.open("demo")
        text = await look(pilot)
        assert "built-in sample" in text
        assert "! over 15 tokens" in text, "read as the run in view would"
        assert "r Run's data" in text.splitlines()[-1]
        kept = app.data.memory()
        assert "prompts.csv" in await press(pilot, "r")
        app.data.attach(other)
        assert "built-in sample" in await look(pilot), "the default of a run"
        other.config.write_text("[data]\nsize = 3\n")
        app.data.attach(run)
        await look(pilot)
        app.data.attach(other)
        text = " ".join((await look(pilot)).split())
        assert "data.size" in text, "a configuration that cannot be read says why"
    again = alone()
    again.data.attach(run)
    again.data.recall({**kept, "find": "kettle", "order": "longest first", "row": 6, "show": "gone", "columns": 3})
    async with again.run_test(size=SIZES[0]) as pilot:
        text = await look(pilot)
        assert "built-in sample" in text
        assert "with “kettle”" in text
        assert "longest first" in text
        assert "▸       6" in text


BROKEN = (
    ("open.csv", 'prompt,answer\na,"b\nc,d\n', "line 2"),
    ("none.csv", "", "none.csv"),
    ("bad.json", '[{"prompt": "a"},\n {"prompt": ]', "line 2"),
    ("blank.jsonl", "\n\n", "blank"),
    ("bytes.parquet", "not parquet", "no readable Parquet file"),
    ("what.docx", "x", "the ending '.docx' says no known kind of file"),
    ("alone.csv", "a,b\n1,2\n", "no column looks like the prompt; it has 'a', 'b'"),
    ("hollow.csv", "prompt\n \n\t\n", "a header and no rows"),
)


async def test_a_broken_file_says_where_and_what_to_do(root: Path) -> None:
    app = alone()
    async with app.run_test(size=SIZES[1]) as pilot:
        for name, content, words in BROKEN:
            (root.parent / name).write_text(content)
            app.data.open(name)
            text = " ".join((await look(pilot)).split())
            assert words in text, text
            assert name in text
            assert "o opens another file." in text
        assert "built-in sample" in await press(pilot, "d"), "and the screen goes on"


async def test_the_last_good_rows_stay_when_a_file_is_broken(prompts: Path, root: Path) -> None:
    app = alone(str(prompts))
    async with app.run_test(size=SIZES[1]) as pilot:
        await look(pilot)
        app.data.open("nothing.csv")
        text = await look(pilot)
        assert "nothing.csv does not exist" in text
        assert "p opens another file." in " ".join(text.split())
        assert numbers(text) == [2, 3, 4, 5, 6, 7, 8]
        assert app.data.has_class("-stale")


@both_sizes
async def test_hostile_rows_columns_and_names_are_text(root: Path, size: tuple[int, int]) -> None:
    strange = root.parent / "we\x1b[31mird[bold].csv"
    hostile = HOSTILE.replace("\x00", "").replace("\ud800", "")
    column = "\x1b]52;c;x\x07[/b]"
    write_rows(strange, ((hostile, hostile), (HOSTILE, "nul"), (f"a\n{hostile}", "x")), f"prompt,{column}")
    app = alone(str(strange))
    async with app.run_test(size=size) as pilot:
        seen = await look(pilot)
        assert "[/] [bold]loud[/bold]" in seen, "markup is text"
        for keys in (["j"], ["k", "enter"], ["escape", "w"], ["escape", "c"], ["enter"], ["escape", "escape", "p"]):
            seen += await press(pilot, *keys)
        seen += await press(pilot, "escape", "slash", *"[/]")
        assert "we␛[31mird[bold].csv" in seen
        assert "NUL byte" in seen
        assert_plain(seen)
        await press(pilot, "escape", "e")
        assert_plain(told(pilot))


def many(path: Path, count: int) -> Path:
    generator = random.Random(1)
    words = ["the", "of", "and", "to", "in", "is", "you", "that", "it", "he", "was"]
    with path.open("w") as file:
        file.write("prompt,answer\n")
        file.writelines(f"{at} {' '.join(generator.choices(words, k=12))},{at}\n" for at in range(count))
    return path


class Counting(DataDesk):
    """Hands over the first rows, then all, each when it is told to; counts tokens until the end of the test."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = asyncio.Event()

    async def load(self, source: Source) -> Any:
        async for listing in super().load(source):
            yield listing
            if listing.is_head:
                await self.go_on.wait()

    async def _count(self, reader: Reader, listing: Listing) -> Any:
        while True:
            yield await in_background(lengths_of, reader, listing, 0)


async def soon(done: Callable[[], object], patience_s: float = 60.0) -> None:
    """``Pilot`` waits for work in the background, which here has no end."""
    end = time.monotonic() + patience_s
    while not done():
        assert time.monotonic() < end
        await asyncio.sleep(0.002)


async def test_a_hundred_thousand_rows_scroll_while_they_are_counted(root: Path) -> None:
    desk = Counting()
    screen = DataScreen(desk)
    screen.open(str(many(root.parent / "big.csv", 100_000)))
    app = Alone(screen)
    async with app.run_test(size=SIZES[0]):
        await soon(lambda: screen._listing is not None)
        assert screen._listing is not None
        assert screen._listing.is_head
        assert len(screen._listing.entries) == 200
        desk.go_on.set()
        await soon(lambda: screen._listing is not None and not screen._listing.is_head)
        rows = screen.query_one(PromptList)
        for key, at in (("G", 99_999), ("pageup", None), ("g", 0), ("pagedown", None), ("j", None), ("G", 99_999)):
            before = rows.cursor
            app.post_message(events.Key(key, key if len(key) == 1 else None))
            await soon(lambda before=before: rows.cursor != before)
            assert at is None or rows.cursor == at
        assert not screen._listing.done, "keys work while tokens are counted"
        await soon(lambda: "▸ 100,001" in screen_text(app))


def test_the_first_rows_of_a_long_file_end_outside_of_quotes(root: Path) -> None:
    place = root.parent / "quoted.csv"
    row = '"first line\nsecond line, ' + "x" * 400 + '",1\n'
    place.write_text("prompt,answer\n" + row * 2000)
    head = read_head(Source(path=str(place)))
    assert head is not None
    assert head.is_head
    assert len(head.entries) == 200
    assert {entry.problem for entry in head.entries} == {""}
    place.write_text("prompt,answer\n" + row * 20)
    assert read_head(Source(path=str(place))) is None, "a short file is read whole at once"


@pytest.fixture
def model(tmp_path: Path) -> Callable[..., Path]:
    """Makes a model folder with the demo's tokenizer and this template."""

    def make(template: str | None, **settings: Any) -> Path:
        folder = tmp_path / "model"
        folder.mkdir()
        source = load_reader("demo", "main")
        assert not isinstance(source, str)
        source.tokenizer.save(str(folder / "tokenizer.json"))
        if template is not None:
            settings["chat_template"] = template
        (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": {"content": "</s>"}, **settings}))
        (folder / "config.json").write_text(json.dumps({"max_position_embeddings": 300}))
        return folder

    return make


REFUSES_SYSTEM = (
    "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}"
    "{% generation %}{{ m.role }}: {{ m.content }}{{ eos_token }}{% endgeneration %}\n{% endfor %}"
)


async def test_a_template_that_refuses_a_system_turn_gets_it_in_the_users(
    model: Callable[..., Path], prompts: Path, root: Path
) -> None:
    run = make_run(root, "calm", [])
    folder = model(REFUSES_SYSTEM).absolute()
    run.config.write_text(
        f'[model]\nid = "{folder}"\n[data]\npath = "{prompts.absolute()}"\nsystem_prompt = "Be brief."\n'
    )
    app = alone()
    app.data.attach(run)
    async with app.run_test(size=SIZES[0]) as pilot:
        text = await look(pilot)
        assert "user: Be brief." in text
        assert "What is a third of 96?</s>" in text
        # 300 positions less 256 for the response leave 44.
        assert "! over 44 tokens: is dropped" in text
        await press(pilot, "w")
        assert "reads300tokens,so44areleftforaprompt" in unbroken(pilot, "#frame")


@pytest.mark.parametrize(
    ("template", "words"),
    [(None, "has no chat template: prompts are given to it as plain text"), ("{% if %}", "cannot be read")],
)
async def test_without_a_template_that_works_it_says_so(
    model: Callable[..., Path], prompts: Path, root: Path, template: str | None, words: str
) -> None:
    run = make_run(root, "calm", [])
    run.config.write_text(f'[model]\nid = "{model(template).absolute()}"\n[data]\npath = "{prompts.absolute()}"\n')
    app = alone()
    app.data.attach(run)
    async with app.run_test(size=SIZES[0]) as pilot:
        text = await look(pilot)
        assert "plain text" in text
        await press(pilot, "w")
        assert words.replace(" ", "") in unbroken(pilot, "#frame")


def test_a_template_runs_in_the_sandbox(model: Callable[..., Path]) -> None:
    reader = load_reader(str(model("{{ messages.__class__.__mro__ }}")), "main")
    assert not isinstance(reader, str)
    from core.types import Message, Prompt

    assert reader.count([Prompt(id="a", messages=(Message(role="user", content="x"),))]) == [None]


def test_a_model_that_is_not_here_is_named() -> None:
    assert load_reader("/nowhere", "main") == "/nowhere has no tokenizer.json"
    assert load_reader("owner/not-here", "main") == "the tokenizer of owner/not-here is not on this machine yet"


def test_bars_and_parts() -> None:
    # 0..9 in at most 4 parts: width ceil(10 / 4) = 3, so 0-2, 3-5, 6-8, 9.
    assert histogram((0, 2, 3, 8, 9, 9), 4) == (2, 1, 1, 2)
    assert histogram((), 4) == ()
    assert spark((0, 1, 100, 50)) == " ▁█▄", "a part that holds anything is never blank"
    assert bars((1, 2), 2) == [" █", "██"]
    assert [size_text(size) for size in (0, 999, 1000, 9_990, 749_738, 2_500_000_000)] == [
        "0 B", "999 B", "1.0 kB", "10 kB", "750 kB", "2.5 GB",
    ]  # fmt: skip


class Frozen:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Waiting(DataDesk):
    """Reads nothing until it is told to."""

    async def load(self, source: Source) -> Any:
        await asyncio.Event().wait()
        yield


async def test_loading_says_nothing_then_what_and_how_long() -> None:
    clock = Frozen()
    screen = DataScreen(Waiting(), clock=clock)
    screen.open("big.csv")
    app = Alone(screen)
    async with app.run_test(size=SIZES[1]) as pilot:
        await pilot.pause()
        assert "No data set" not in screen_text(app)
        assert "reading" not in screen_text(app)
        clock.now = 65.2
        await screen.poll()
        await pilot.pause()
        assert "reading big.csv… 1:05" in screen_text(app)
        screen.open("demo")  # a key is never blocked by what is still being read
        await pilot.pause()


async def settle(pilot: Pilot[Any]) -> None:
    await look(pilot)


async def settle_on_the_long_one(pilot: Pilot[Any]) -> None:
    await look(pilot)
    await press(pilot, "G", "k")


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
def test_picture_of_rows(prompts: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(alone("data/prompts.csv"), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
def test_picture_of_the_sample(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(alone("demo"), terminal_size=size, run_before=settle_on_the_long_one)


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
def test_picture_of_nothing(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    assert snap_compare(alone(), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
def test_picture_of_an_error(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    Path("open.csv").write_text('prompt,answer\na,"b\nc,d\n')
    assert snap_compare(alone("open.csv"), terminal_size=size, run_before=settle)


@pytest.mark.parametrize("size", SIZES, ids=["wide", "narrow"])
def test_picture_of_loading(root: Path, snap_compare: Compare, size: tuple[int, int]) -> None:
    clock = Frozen()
    screen = DataScreen(Waiting(), clock=clock)
    screen.open("big.csv")

    async def wait(pilot: Pilot[Any]) -> None:
        await pilot.pause()
        clock.now = 3.0
        await screen.poll()
        await pilot.pause()

    assert snap_compare(Alone(screen), terminal_size=size, run_before=wait)


async def test_copying_under_tmux_goes_to_tmux(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a program of that name, which keeps what it was given."""
    tools = root.parent / "tools"
    tools.mkdir()
    (tools / "tmux").write_text('#!/bin/sh\necho "$@" > tmux-asked\ncat > tmux-got\n')
    (tools / "tmux").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools.absolute()}:/usr/bin:/bin")
    asked: list[str] = []
    folder = root.parent / "exports"
    said = await copy_text("a" * 70_000, folder=folder, write_osc52=asked.append, environment={"TMUX": "x"})
    assert Path("tmux-asked").read_text() == "load-buffer -w -\n"
    assert Path("tmux-got").read_text() == "a" * 64_000
    assert (folder / "last-copy.txt").read_text() == "a" * 70_000
    assert asked == []
    assert said.startswith("copied to tmux and its clipboard (the first 64 kB); whole in exports/last-copy.txt")
    (tools / "tmux").write_text("#!/bin/sh\nexit 1\n")
    folder.joinpath("last-copy.txt").unlink()
    folder.joinpath("last-copy.txt").mkdir()
    said = await copy_text("b", folder=folder, write_osc52=asked.append, environment={"TMUX": "x"})
    assert asked == ["b"], "no tmux to ask: the terminal"
    assert "exports/last-copy.txt cannot be written" in said
